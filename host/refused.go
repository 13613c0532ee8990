package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/host/internal/review"
)

// FindReview returns the refused sync that waits for an approval, and in which of these
// places it is. An empty upload is whichever has one; id is the one that is meant where
// there are several, and may be empty. It is [os.ErrNotExist] where none waits.
func (h *Host) FindReview(ctx context.Context, upload, id string, places ...Kept) (*Review, Kept, error) {
	names := []string{upload}
	if upload == "" {
		names = nil
		for _, one := range h.uploads {
			names = append(names, one.Name)
		}
	}
	var found []*Review
	var at []Kept
	var none, failed error
	for _, place := range places {
		for _, name := range names {
			one, err := h.Review(ctx, name, place)
			switch {
			case err == nil:
				found, at = append(found, one), append(at, place)
			case errors.Is(err, os.ErrNotExist):
				none = cmp.Or(none, err)
			case errors.Is(err, os.ErrPermission):
				failed = cmp.Or(failed, fmt.Errorf("%w; run this command as the user of the host", err))
			default:
				return nil, Kept{}, err
			}
		}
	}
	if same := slices.IndexFunc(found, func(one *Review) bool { return one.ID == id }); same >= 0 {
		return found[same], at[same], nil
	}
	switch {
	case len(found) == 1:
		return found[0], at[0], nil
	case len(found) > 1:
		return nil, Kept{}, fmt.Errorf("%d refused syncs wait for an approval: %s; name one upload and, where both have it, --state-dir or --output-dir", len(found), h.describe(found, at))
	case failed != nil:
		return nil, Kept{}, failed
	case none == nil:
		return nil, Kept{}, h.nothingToSync()
	case len(names) > 1:
		none = &notWaiting{}
	}
	var dirs []string
	for _, place := range places {
		if dir, err := h.dirOf(place); err == nil {
			dirs = append(dirs, dir)
		}
	}
	return nil, Kept{}, fmt.Errorf("%w (looked in %s)", none, strings.Join(dirs, " and "))
}

// notWaiting says of several uploads that none has a refused sync.
type notWaiting struct{}

func (*notWaiting) Error() string        { return "no refused sync of any upload waits for an approval" }
func (*notWaiting) Is(target error) bool { return target == os.ErrNotExist }

// describe returns what waits and where.
func (h *Host) describe(found []*Review, at []Kept) string {
	all := make([]string, 0, len(found))
	for i, one := range found {
		dir, _ := h.dirOf(at[i]) // It has been read.
		all = append(all, fmt.Sprintf("%s of upload %q in %s", one.ID, one.Upload, dir))
	}
	return strings.Join(all, ", ")
}

// dirOf returns the directory of a place.
func (h *Host) dirOf(place Kept) (string, error) {
	switch {
	case place.File != "":
		return filepath.Dir(place.File), nil
	case place.OutputDir != "":
		return place.OutputDir, nil
	}
	if h.isShared() {
		return h.sharedLocation(), nil
	}
	return h.stateDir()
}

// Command returns the command line of a command about what is kept of an upload, with the
// flags by which it finds that, also without the variables of this process. Paths are as
// they were given: a relative one is for the same directory.
func (h *Host) Command(name string, kept Kept, args ...string) string {
	return strings.Join(slices.Concat([]string{"baton-host", name}, args, h.flagsOf(kept)), " ")
}

// reviewCommand returns the command that shows what was refused.
func (h *Host) reviewCommand(kept Kept) review.Command {
	return review.Command{Flags: strings.Join(h.flagsOf(kept), " ")}
}

// flagsOf returns the flags by which a command finds what is kept.
func (h *Host) flagsOf(kept Kept) []string {
	var words []string
	flag := func(name, value string) { words = append(words, "--"+name, quotedWord(value)) }
	switch {
	case h.app != "":
		flag("plugin", h.app)
	case h.cfg != nil && h.cfg.Path != DefaultConfigFile:
		flag("config", h.cfg.Path)
	}
	dir, err := h.stateDir()
	switch {
	case kept.File != "":
		flag("file", kept.File)
	case kept.OutputDir != "":
		flag("output-dir", kept.OutputDir)
	case err == nil && (h.cfg == nil || h.cfg.StateDir != dir):
		flag("state-dir", dir)
	}
	return words
}

// quotedWord returns a word as a shell reads it.
func quotedWord(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
