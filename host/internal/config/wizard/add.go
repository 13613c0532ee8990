package wizard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/files"
)

// Existing is a configuration that a plugin is to be added to.
type Existing struct {
	path    string // without links
	content []byte
	info    os.FileInfo
	plugins []string
	uploads []string
}

// OpenExisting reads a configuration that is there and right.
func OpenExisting(ctx context.Context, path string) (*Existing, error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no such file to add an app to; write the first one with baton-host init", path)
	}
	if err != nil {
		return nil, err
	}
	found := &Existing{path: target}
	if found.info, err = os.Stat(target); err != nil {
		return nil, err
	}
	if !found.info.Mode().IsRegular() || found.info.Mode().Perm()&0o200 == 0 {
		return nil, fmt.Errorf("%s may not be written, so nothing can be added to it; change its mode, or add the app where the file comes from", path)
	}
	if found.content, err = readFile(target); err != nil {
		return nil, err
	}
	if e, err := newEditor(found.content); err == nil && e.hasNoPlugins() {
		return found, nil // That is what is wrong with it, and what is added.
	} else if errors.Is(err, errNothing) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	cfg, err := config.Load(ctx, path, config.WithoutReferences(), config.WithoutCredentials())
	if err != nil {
		return nil, err
	}
	if _, err := newEditor(found.content); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, one := range cfg.Plugins {
		found.plugins = append(found.plugins, one.Name)
	}
	for _, one := range cfg.Uploads {
		found.uploads = append(found.uploads, one.Name)
	}
	return found, nil
}

// checkNew reports that a name is that of a plugin that is there.
func (e *Existing) checkNew(instance string) error {
	if e != nil && slices.Contains(e.plugins, instance) {
		return fmt.Errorf("there is a plugin %q already; give this one another name (--name), which is permanent", instance)
	}
	return nil
}

// isThere reports whether the file has an upload.
func (e *Existing) isThere(upload string) bool { return e != nil && slices.Contains(e.uploads, upload) }

// usualUpload returns the only upload that there is, or else what a new one is called;
// empty where there are several.
func (e *Existing) usualUpload() string {
	switch {
	case e == nil || len(e.uploads) == 0:
		return usualUpload
	case len(e.uploads) == 1:
		return e.uploads[0]
	}
	return ""
}

// askUpload asks which upload the plugin is to be in.
func (a *asker) askUpload() error {
	request := &a.plan.request
	if request.Upload == "" {
		request.Upload = request.Existing.usualUpload()
	}
	if request.Upload != "" {
		return nil
	}
	a.d.Say("\nWhich upload is it to be in?")
	var choices []choice
	for _, one := range request.Existing.uploads {
		choices = append(choices, choice{one, one})
	}
	var err error
	request.Upload, err = a.askChoice(choices, "")
	return err
}

// replace puts a new content in the place of the old one, with its mode and its owner, if
// that is still what was read. shown is the path as it was given.
func (e *Existing) replace(content []byte, shown string) error {
	out := &output{dir: filepath.Dir(e.path)} // Beside the file itself, so that a rename replaces it.
	draft, err := out.draft(content)
	defer out.remove() // Its name has changed, or it goes.
	if err != nil {
		return fmt.Errorf("the configuration cannot be written into %s: %w; where it comes from elsewhere, from a ConfigMap for example, change it there", out.dir, err)
	}
	if err := keepOwner(draft, e.info); err != nil {
		return fmt.Errorf("%s keeps its owner and mode, and these cannot be given to what would replace it: %w; run this as its owner", shown, err)
	}
	now, err := os.ReadFile(e.path)
	if err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(shown); err != nil || target != e.path || !bytes.Equal(now, e.content) {
		return fmt.Errorf("%s has changed meanwhile, so nothing was written; run this again", shown)
	}
	if err := os.Rename(draft, e.path); err != nil {
		return fmt.Errorf("the configuration cannot be written to %s: %w", shown, err)
	}
	_ = files.Flush(out.dir) // Not every file system can.
	return nil
}

// checkURL checks a value that is the address of something.
func checkURL(name, text string, web bool) error {
	scheme, rest, found := strings.Cut(text, "://")
	host, _, _ := strings.Cut(rest, "/")
	switch {
	case !found || scheme == "" || strings.ContainsAny(scheme, " /:"):
		return fmt.Errorf("%s must be a whole URL, such as https://app.example.com", name)
	case web && scheme != "https" && scheme != "http":
		return fmt.Errorf("%s must begin with https:// (or http:// on this machine)", name)
	case host == "" || strings.HasPrefix(host, ":") || strings.ContainsAny(rest, " \t"):
		return fmt.Errorf("%s has no host behind %s://; give the whole URL, such as https://app.example.com", name, scheme)
	}
	return nil
}
