package review

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/files"
)

// Approval is what may be taken away once.
type Approval struct {
	Version int `json:"version"`
	// Plugins are the approvals by plugin, in the order of their names.
	Plugins []Approved `json:"keys"`
}

// Approved is the approval of one plugin.
type Approved struct {
	Plugin string `json:"plugin"`
	// ID is that of the refused sync that was approved.
	ID string `json:"id"`
	// Keys is how many changes are approved.
	Keys  int       `json:"keys"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	By    string    `json:"by"`
	// ByName says that it was given by the plugin's name, with --accept-deletions, for what
	// was refused before.
	ByName bool `json:"by_name,omitempty"`
}

// Of returns the approval of a plugin; nil if there is none.
func (a *Approval) Of(plugin string) *Approved {
	if a == nil {
		return nil
	}
	for i := range a.Plugins {
		if a.Plugins[i].Plugin == plugin {
			return &a.Plugins[i]
		}
	}
	return nil
}

func (a *Approved) section() section { return section{a.Plugin, a.Keys} }

// validAt says whether it is valid: one of the future is of a clock that was wrong.
func (a *Approved) validAt(now time.Time) bool {
	return now.Before(a.Until) && now.After(a.At.Add(-clockSkew))
}

// clockSkew is by how much a clock may have been put back.
const clockSkew = time.Hour

// NotNewestError is an approval of what is not the newest refused sync.
type NotNewestError struct {
	Given  string
	Newest *Refused
	// Before is the one that was meant; nil if it is not known.
	Before *Earlier
	// Command shows the newest.
	Command Command
}

func (e *NotNewestError) Error() string {
	newest := fmt.Sprintf("the newest is %s (refused at %s), which would take away %d: look at that with %s",
		e.Newest.ID, e.Newest.At.Format(time.RFC3339), e.Newest.TakenAway(), e.Command.Of(e.Newest.Upload))
	if e.Before == nil {
		return fmt.Sprintf("upload %q has no refused sync %s; %s", e.Newest.Upload, cmp.Or(e.Given, `""`), newest)
	}
	return fmt.Sprintf("%s is not the newest refused sync of upload %q: it would have taken away %d; %s", e.Given, e.Newest.Upload, e.Before.TakenAway, newest)
}

// Approve approves what the refused sync of this id would take away of the plugins that were
// refused: a sync may take away that, or less, once. Approvals of other plugins stay.
func (s *Store) Approve(ctx context.Context, id string, valid time.Duration, by string) (*Approval, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.approve(ctx, id, valid, by, false, func(string) bool { return true })
}

// ByFlag is by whom what --accept-deletions accepts is approved.
func ByFlag() string {
	if known, err := user.Current(); err == nil {
		return known.Username + " (--accept-deletions)"
	}
	return "--accept-deletions"
}

// Accept approves, for plugins with these names, what the refused sync that is kept would
// take away of them. It returns the plugins for which it has, with their approvals.
func (s *Store) Accept(ctx context.Context, plugins []string, by string) ([]Approved, error) {
	if len(plugins) == 0 { // What is kept does not matter then, even if it is damaged.
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err := s.readRefusal()
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	wanted := func(plugin string) bool { return kept.Of(plugin) && slices.Contains(plugins, plugin) }
	if !slices.ContainsFunc(kept.Reasons, func(one Reason) bool { return wanted(one.Plugin) }) {
		return nil, nil
	}
	approval, err := s.approve(ctx, kept.ID, keptFor, by, true, wanted)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(approval.Plugins, func(one Approved) bool { return !wanted(one.Plugin) }), nil
}

// approve is called with the lock held.
func (s *Store) approve(ctx context.Context, id string, valid time.Duration, by string, byName bool, wanted func(plugin string) bool) (*Approval, error) {
	if valid <= 0 {
		return nil, fmt.Errorf("an approval for %s is none: it must be valid for longer", valid)
	}
	kept, err := s.readRefusal()
	if err != nil {
		return nil, err
	}
	if sum, known := baseline.At(s.path).Recorded(); kept.outdated(known, sum) {
		return nil, outdatedError(kept)
	}
	if id = strings.ToLower(strings.TrimSpace(id)); id != kept.ID {
		return nil, notNewest(id, &kept.Refused)
	}
	now := s.now().UTC()
	made := &Approval{Version: recordVersion}
	for _, one := range kept.Keys {
		if wanted(one.Plugin) {
			made.Plugins = append(made.Plugins, Approved{Plugin: one.Plugin, ID: kept.ID, Keys: one.Keys, At: now, Until: now.Add(valid), By: by, ByName: byName})
		}
	}
	before, err := s.readApproval()
	if _, newer := errors.AsType[*files.NewerError](err); newer {
		return nil, err
	}
	if err == nil { // One that is damaged approves nothing.
		for _, one := range before.Plugins {
			if made.Of(one.Plugin) == nil && one.validAt(now) {
				made.Plugins = append(made.Plugins, one)
			}
		}
	}
	slices.SortFunc(made.Plugins, func(x, y Approved) int { return strings.Compare(x.Plugin, y.Plugin) })
	isNew := func(one Approved) bool { return one.ID == kept.ID && one.At.Equal(now) }
	return made, s.writeApproval(ctx, made, func(one Approved) (path string, header identified) {
		if isNew(one) {
			return s.path + refusedRecord, &refusal{}
		}
		return s.path + approvedRecord, &Approval{}
	})
}

func notNewest(id string, newest *Refused) error {
	failed := &NotNewestError{Given: id, Newest: newest}
	for i := range newest.Earlier {
		if newest.Earlier[i].ID == id {
			failed.Before = &newest.Earlier[i]
		}
	}
	return failed
}

// writeApproval replaces the approval, with the keys from other records.
func (s *Store) writeApproval(ctx context.Context, made *Approval, source func(Approved) (path string, header identified)) error {
	return writeRecord(s.path+approvedRecord, made, s.create, func(to io.Writer) error {
		for _, one := range made.Plugins {
			path, header := source(one)
			err := copyKeys(path, header, one, to)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// identified is the header of a record whose keys are of refused syncs.
type identified interface {
	// idOf returns the id of the refused sync that the keys of a plugin are of.
	idOf(plugin string) string
}

func (r *refusal) idOf(string) string { return r.ID }

func (a *Approval) idOf(plugin string) string {
	if one := a.Of(plugin); one != nil {
		return one.ID
	}
	return ""
}

// copyKeys copies the keys that are approved of a plugin from a record, all of which must be
// sound. Another process may have replaced the record since it was looked at: keys of another
// refused sync are an error, as they were not reviewed.
func copyKeys(path string, header identified, of Approved, to io.Writer) error {
	copied := false
	err := eachKey(path, header, func(plugin string, one digest) error {
		if plugin != of.Plugin {
			return nil
		}
		copied = true
		_, err := to.Write(one[:])
		return err
	})
	switch {
	case err != nil:
		return err
	case header.idOf(of.Plugin) != of.ID:
		return fmt.Errorf("another sync was refused while %s was approved, so nothing is approved: review it with baton-host review", of.ID)
	case !copied && of.Keys > 0:
		return &damagedError{path, "it has no keys of plugin " + of.Plugin}
	}
	return nil
}

// eachKey calls each with all keys of a record, and returns an error if the record is not
// whole.
func eachKey(path string, header any, each func(plugin string, one digest) error) error {
	r, err := openRecord(path, header)
	if err != nil {
		return err
	}
	defer r.close()
	var sections []section
	switch header := header.(type) {
	case *refusal:
		sections = header.Keys
	case *Approval:
		for _, one := range header.Plugins {
			sections = append(sections, one.section())
		}
	}
	for _, one := range sections {
		if err := r.each(one, func(key digest) error { return each(one.Plugin, key) }); err != nil {
			return err
		}
	}
	return r.end()
}

// Approval returns what is approved now; [os.ErrNotExist] if nothing is.
func (s *Store) Approval() (*Approval, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	approval, err := s.readApproval()
	if err != nil {
		return nil, err
	}
	now := s.now()
	approval.Plugins = slices.DeleteFunc(approval.Plugins, func(one Approved) bool { return !one.validAt(now) })
	if len(approval.Plugins) == 0 {
		return nil, noneApproved
	}
	return approval, nil
}

var noneApproved = &noneError{"nothing is approved"}

// readApproval is called with the lock held. What it returns may have expired.
func (s *Store) readApproval() (*Approval, error) {
	approval := &Approval{}
	r, err := openRecord(s.path+approvedRecord, approval)
	if errors.Is(err, os.ErrNotExist) {
		return nil, noneApproved
	}
	if err != nil {
		return nil, err
	}
	r.close()
	return approval, nil
}

// ExpiredError is an approval that is too old.
type ExpiredError struct{ Approved }

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("the approval of %s expired at %s", e.ID, e.Until.UTC().Format(time.RFC3339))
}

// Covers returns the approval of a plugin, and how many of the changes that would take
// something away of it are not approved. The error is [os.ErrNotExist] where there is no
// approval, and an [ExpiredError] where it has expired.
func (s *Store) Covers(_ context.Context, of *Difference, plugin string) (approved *Approved, outside int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	approval, err := s.readApproval()
	if err != nil {
		return nil, 0, err
	}
	approved = approval.Of(plugin)
	switch {
	case approved == nil:
		return nil, 0, noneApproved
	case !approved.validAt(s.now()):
		return nil, 0, &ExpiredError{*approved}
	}
	wanted, covered := of.keys[plugin], 0 // Both are sorted.
	err = eachKey(s.path+approvedRecord, &Approval{}, func(of string, one digest) error {
		if of != plugin {
			return nil
		}
		for len(wanted) > 0 && wanted[0].compare(one) < 0 {
			wanted = wanted[1:]
		}
		if len(wanted) > 0 && wanted[0] == one {
			wanted, covered = wanted[1:], covered+1
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return approved, len(of.keys[plugin]) - covered, nil
}

// Used is called when C1 has accepted a sync in which these plugins were read: their
// approvals are used up, and returned. A refused sync goes if none of its plugins waits any
// more.
func (s *Store) Used(ctx context.Context, fresh []string) ([]Approved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	isFresh := func(plugin string) bool { return slices.Contains(fresh, plugin) }
	if kept, err := s.readRefusal(); err == nil {
		if !slices.ContainsFunc(kept.Reasons, func(one Reason) bool { return !isFresh(one.Plugin) }) {
			s.remove(kept)
		}
	}
	approval, err := s.readApproval()
	if IsDamaged(err) { // It approves nothing.
		return nil, os.Remove(s.path + approvedRecord)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	left, used := &Approval{Version: recordVersion}, []Approved(nil)
	for _, one := range approval.Plugins {
		switch {
		case !one.validAt(s.now()):
		case isFresh(one.Plugin):
			used = append(used, one)
		default:
			left.Plugins = append(left.Plugins, one)
		}
	}
	switch {
	case len(left.Plugins) == 0:
		err = os.Remove(s.path + approvedRecord)
	case len(left.Plugins) < len(approval.Plugins):
		err = s.writeApproval(ctx, left, func(Approved) (string, identified) { return s.path + approvedRecord, &Approval{} })
	}
	return used, err
}
