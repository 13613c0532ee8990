// Package syncfile turns a connector into a sync file (.c1z), publishes it whole, and reads
// it back: with the SDK's syncer and storage, and by package sdkfast without what those need
// not do.
//
// Package syncrun makes files with it; baseline, diff, host and the commands read them. It
// must never leave an incomplete file where a complete one is expected: a file appears at its
// name whole, or not at all.
package syncfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/conductorone/baton-sdk/pkg/types/sessions"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/syncfile/sdkfast"
)

// workPrefix begins the names of the directories in which files are written.
const workPrefix = ".baton-host-sync-"

// Scope is how much of what the connector has goes into a file. The zero value
// is everything.
type Scope struct {
	// SkipEntitlementsAndGrants leaves both out, SkipGrants grants alone.
	SkipEntitlementsAndGrants, SkipGrants bool
	// DontExpandGrants leaves it to the reader to work out what grants to groups
	// mean for their members.
	DontExpandGrants bool
	// ResourceTypes are the only ones to read; none means all.
	ResourceTypes []string
	// Resources are the only ones to read; none means all.
	Resources []*connectorv2.Resource
}

// Whole reports whether the file holds all that the connector has.
func (s Scope) Whole() bool {
	return !s.SkipEntitlementsAndGrants && !s.SkipGrants && len(s.ResourceTypes) == 0 && len(s.Resources) == 0
}

// Settings are how a file is made.
type Settings struct {
	Scope Scope
	// Workers is how many resource types are read at a time; at least 1.
	Workers int
	// Read receives a value, if it can at once, when everything has been read from the
	// connector, which is not called any more; the file is yet to be packed. nil:
	// nothing waits for that.
	Read chan<- struct{}
	// Engine is the SDK's storage engine; empty is the SDK's default.
	Engine c1zstore.Engine
	// Digest says that the draft is to have its digest.
	Digest bool
}

// Draft is a finished sync file that has no place yet. Publish or Discard it.
type Draft struct {
	Counts
	// Digest is of the file; nil where the settings do not ask for it.
	Digest Digest

	path       string
	work       *files.Dir
	withDigest bool
	// rows is how many resources were put, by type; nil if that is not known. spared
	// is whether the storage engine may have taken that number for its own count.
	rows   map[string]int64
	spared bool
	// grants is how many grants there are at least, by the resource type of their
	// entitlement; nil if that is not known.
	grants map[string]int64
}

// Path returns where the draft is until it is published.
func (d *Draft) Path() string { return d.path }

// Size returns how large the draft is, in bytes.
func (d *Draft) Size() (int64, error) {
	info, err := os.Stat(d.path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Sweep removes what dead runs left behind in dir, which holds sync files: drafts
// and unpacked files.
func Sweep(dir string) {
	files.Sweep(dir, workPrefix)
	files.Sweep(dir, readPrefix)
}

// Make syncs what the connector has into a new sync file below dir, which must
// exist, in a private directory there. If there is an error or the context
// ends, nothing is left behind. What dead runs left behind in dir is removed
// first.
//
// The sync is complete and the file has been read back and counted before Make
// returns.
func Make(ctx context.Context, connector types.ConnectorClient, dir string, settings Settings) (_ *Draft, err error) {
	files.Sweep(dir, workPrefix)
	work, err := files.Make(dir, workPrefix)
	if err != nil {
		return nil, fmt.Errorf("the sync file cannot be written in %s: %w", dir, err)
	}
	draft := &Draft{path: filepath.Join(work.Path(), "new.c1z"), work: work, withDigest: settings.Digest}
	defer func() {
		if err != nil {
			_ = work.Remove()
		}
	}()
	watched, stop, err := watchDisk(ctx, work.Path(), freeOnDisk)
	if err != nil {
		return nil, err
	}
	defer stop()

	sparing, err := run(watched, connector, draft.path, work.Path(), settings)
	if err != nil {
		return nil, becauseOfDisk(watched, err)
	}
	if sparing != nil {
		draft.rows, draft.grants, draft.spared = sparing.ResourcesPut(), sparing.GrantsPut(), true
	}
	if err := draft.readBack(watched, settings.Scope.Whole()); err != nil {
		return nil, becauseOfDisk(watched, err)
	}
	// It holds people's names and addresses.
	if err := os.Chmod(draft.path, 0o600); err != nil {
		return nil, fmt.Errorf("keep the sync file private: %w", err)
	}
	return draft, nil
}

// Publish moves the draft to path, on the same file system, and to the disk. If
// there is an error, what was at path stays. A symbolic link at path stays: what
// it leads to is written.
func (d *Draft) Publish(path string) error {
	path, err := BehindLinks(path)
	if err != nil {
		return err
	}
	if err := files.Flush(d.path); err != nil {
		return fmt.Errorf("write %s to the disk: %w", path, err)
	}
	if err := os.Rename(d.path, path); err != nil {
		return fmt.Errorf("put the finished sync file in place: %w", err)
	}
	// The directory holds the name. Not every file system can flush one, and
	// the file itself is safe by now.
	_ = files.Flush(filepath.Dir(path))
	d.Discard()
	return nil
}

// Discard removes the draft, if it is still there.
func (d *Draft) Discard() { _ = d.work.Remove() }

// BehindLinks returns the file that a path leads to, which need not exist.
func BehindLinks(path string) (string, error) {
	const most = 40 // as many as Linux follows
	for range most {
		target, err := os.Readlink(path)
		if err != nil {
			return path, nil //nolint:nilerr // It is no link.
		}
		if !filepath.IsAbs(target) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				return "", fmt.Errorf("follow the link %s: %w", path, err)
			}
			target = filepath.Join(dir, target)
		}
		path = target
	}
	return "", fmt.Errorf("the sync file cannot be written to %s: it is a link that leads to itself", path)
}

// run syncs into a file at path. The store that it returns is closed; it is nil where
// none of ours was used.
func run(ctx context.Context, connector types.ConnectorClient, path, work string, settings Settings) (*sdkfast.Store, error) {
	store, sparing, err := sdkfast.OpenStore(ctx, path, work, settings.Engine)
	if err != nil {
		return nil, fmt.Errorf("prepare the sync: %w", err)
	}
	options := []sync.SyncOpt{
		sync.WithConnectorStore(store),
		sync.WithTmpDir(work),
		sync.WithWorkerCount(max(settings.Workers, 1)),
		sync.WithSkipEntitlementsAndGrants(settings.Scope.SkipEntitlementsAndGrants),
		sync.WithSkipGrants(settings.Scope.SkipGrants),
	}
	if sparing != nil {
		options = append(options, sync.WithTransitionHandler(sparing.BeginStep))
	}
	if settings.Scope.DontExpandGrants {
		options = append(options, sync.WithDontExpandGrants())
	}
	if len(settings.Scope.ResourceTypes) > 0 {
		options = append(options, sync.WithSyncResourceTypes(settings.Scope.ResourceTypes))
	}
	if len(settings.Scope.Resources) > 0 {
		options = append(options, sync.WithTargetedSyncResources(settings.Scope.Resources))
	}
	notes, hasNotes := connector.(sessions.SetSessionStore)
	syncer, err := sync.NewSyncer(ctx, connector, options...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the sync: %w", err), store.Close(context.WithoutCancel(ctx)))
	}
	if hasNotes {
		notes.SetSessionStore(ctx, store.SessionStore())
	}
	err = withoutStopped(syncer.Sync(ctx))
	if hasNotes {
		// The store is about to be closed, and plugins may still call.
		notes.SetSessionStore(context.WithoutCancel(ctx), nil)
	}
	if err == nil {
		select {
		case settings.Read <- struct{}{}:
		default:
		}
	}
	if isDiskError(context.Cause(ctx)) {
		// The storage engine writes when it closes, and ends the process if it
		// cannot. Its files are about to be removed anyway.
		if sparing != nil {
			sparing.WaitForFlush()
		}
		return nil, err
	}
	// Close packs the file. It must run also after an error and after the end of
	// the context, to release what the store holds.
	return sparing, errors.Join(err, syncer.Close(context.WithoutCancel(ctx)))
}

// withoutStopped leaves out, of several errors, those of workers of the syncer that were
// stopped because of another: they would bury the reason.
func withoutStopped(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var reasons []error
	for _, one := range joined.Unwrap() {
		if !errors.Is(one, context.Canceled) && status.Code(one) != codes.Canceled {
			reasons = append(reasons, one)
		}
	}
	if len(reasons) == 0 {
		return err
	}
	return errors.Join(reasons...)
}
