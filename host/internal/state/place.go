// Package state keeps what is known of each upload from one sync to the next: the baseline, the
// sync that the change guard refused, and what was approved of it; in the state directory of
// one host, or where several hosts share it.
//
// Packages service and host read and change it there; packages baseline and review know its
// files. It must never let two hosts both replace the same baseline, use up an approval without
// the sync that it was used for, or pass off an old copy as the newest state.
package state

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/state/objects"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// View is the state of an upload at one moment. Its stores are for reading, and in
// [Place.Change] for changing.
type View struct {
	Baseline *baseline.Store
	Review   *review.Store
	// Mark names the baseline; see [Place.Confirm].
	Mark string
	// Away is why this is only what this host knows: the newest state cannot be reached.
	Away error
}

// Place is where the state of one upload is. Its methods may be called concurrently.
type Place interface {
	// Read calls read with the newest state, which stays as it is until read returns.
	Read(ctx context.Context, read func(View) error) error
	// Change has change change the state; all of it counts, or nothing where change returns
	// an error. Where another host changes it meanwhile, change is called again.
	Change(ctx context.Context, change func(View) error) error
	// Confirm returns a [ReplacedError] if the baseline is not the one of that mark any more.
	Confirm(ctx context.Context, mark string) error
	// Advance makes a sync that C1 has accepted the baseline, and uses up what was approved of
	// it. The draft is used up, unless err is not nil. notUsed is why an approval may count
	// once more.
	Advance(ctx context.Context, accepted Accepted) (used []review.Approved, notUsed, err error)
}

// Accepted is a sync that C1 has accepted.
type Accepted struct {
	Draft *syncfile.Draft
	Sync  baseline.Sync
	// Fresh are the plugins whose approvals it uses up; see [review.Store.Used].
	Fresh []string
	// Mark is that of the baseline that it was compared with.
	Mark string
}

// ReplacedError says that another host has replaced the baseline.
type ReplacedError struct {
	Upload, Host string
	Generation   int64
}

func (e *ReplacedError) Error() string {
	return fmt.Sprintf("host %q has replaced the baseline of upload %q (generation %d) since this sync began, so this sync was compared with what does not count any more: the next one is compared with the new baseline", e.Host, e.Upload, e.Generation)
}

// Public is all of the error: it has names of the configuration and of hosts only.
func (e *ReplacedError) Public() string { return e.Error() }

// Places are where a host keeps the state of its uploads.
type Places struct {
	dir   string
	store objects.Store // nil: in the directory alone
	host  string

	mu sync.Mutex
	of map[string]Place
}

// In returns the places in a state directory that one host alone uses.
func In(dir string) *Places { return &Places{dir: dir, of: map[string]Place{}} }

// Share returns the places in a store that hosts share, with copies in the directory, which
// this host, of that name, alone uses.
func Share(store objects.Store, dir, host string) *Places {
	return &Places{dir: dir, store: store, host: host, of: map[string]Place{}}
}

// Dir returns the state directory.
func (p *Places) Dir() string { return p.dir }

// Of returns the place of an upload. It is one for all uploads of that name; a shared one
// goes by the newest configuration that was given.
func (p *Places) Of(upload *config.Upload) Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := p.of[upload.Name]
	if place == nil {
		file := upload.Name + ".c1z"
		if p.store == nil {
			place = At(filepath.Join(p.dir, file))
		} else {
			place = newShared(p.store, p.host, upload.Name, p.dir)
		}
		p.of[upload.Name] = place
	}
	if shared, is := place.(*Shared); is {
		shared.configure(upload)
	}
	return place
}

// Check returns why a store that hosts share cannot be used by this host, until an operator
// changes something. That it is away for the moment is logged alone.
func (p *Places) Check(ctx context.Context) error {
	if p.store == nil {
		return nil
	}
	return checkStore(ctx, p.store)
}

// Local is the place of an upload in a directory that one process at a time uses.
type Local struct{ view View }

// At returns the place whose baseline is at path.
func At(path string) *Local {
	return &Local{View{Baseline: baseline.At(path), Review: review.At(path)}}
}

// Read calls read with the state.
func (l *Local) Read(_ context.Context, read func(View) error) error { return read(l.view) }

// Change calls change with the state. What it has changed when it fails stays so.
func (l *Local) Change(_ context.Context, change func(View) error) error { return change(l.view) }

// Confirm returns nil: only this process replaces the baseline.
func (l *Local) Confirm(context.Context, string) error { return nil }

// Advance makes an accepted sync the baseline, unless one that began later already is.
func (l *Local) Advance(ctx context.Context, accepted Accepted) (used []review.Approved, notUsed, err error) {
	if err := l.view.Baseline.Advance(accepted.Draft, accepted.Sync); err != nil {
		return nil, nil, err
	}
	used, notUsed = l.view.Review.Used(ctx, accepted.Fresh)
	return used, notUsed, nil
}

// Refusals are the refused syncs of a place, as a sync needs them.
type Refusals struct{ Place Place }

// Sweep removes what is left of refused syncs that are not kept any more.
func (r Refusals) Sweep() {
	if local, is := r.Place.(*Local); is { // Elsewhere each change does.
		local.view.Review.Sweep()
	}
}

// Covers is that of [review.Store], with the newest approvals. An approval that another host
// may have used up meanwhile covers nothing.
func (r Refusals) Covers(ctx context.Context, of *review.Difference, plugin string) (approved *review.Approved, outside int, err error) {
	err = r.Place.Read(ctx, func(view View) error {
		if view.Away != nil {
			return fmt.Errorf("no approval counts while the shared state cannot be used: %w", view.Away)
		}
		approved, outside, err = view.Review.Covers(ctx, of, plugin)
		return err
	})
	return approved, outside, err
}

// Keep is that of [review.Store].
func (r Refusals) Keep(ctx context.Context, of *review.Difference, reasons []review.Reason) (kept *review.Refused, err error) {
	err = r.Place.Change(ctx, func(view View) error {
		kept, err = view.Review.Keep(ctx, of, reasons)
		return err
	})
	return kept, err
}
