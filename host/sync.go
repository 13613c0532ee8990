package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/host/internal/syncrun"
)

// SyncOptions are where sync files go.
type SyncOptions struct {
	// OutputDir is the directory of the files, which are named after their uploads. It
	// is made if it does not exist.
	OutputDir string
	// File is the file of a host that was opened for a single app.
	File string
	// Plan makes the syncs plans: they are made, compared with their baselines and thrown
	// away, and nothing is written. It is called with every change; the results have the
	// numbers. Options.AcceptDeletions must be empty.
	Plan func(upload string, change Change) error
}

// SyncResult is how the sync of one upload went.
type SyncResult struct {
	Upload  string
	Plugins []string // of the upload, in its order
	// File is where the sync file is.
	File string
	// Accounts is how many accounts the file has, by plugin; nil if there is no file.
	Accounts map[string]int
	// Stale are the plugins whose part is, or is partly, that of the baseline.
	Stale []StalePart
	// Missing are the plugins that failed and of which neither the baseline nor the file has
	// anything, with the reason, by plugin; the file is incomplete then.
	Missing map[string]error
	// Skipped is how many resources lack entitlements or grants, as their plugin did not
	// find them any more, by plugin; without those that lack nothing. Warnings say more.
	Skipped map[string]int
	// Evidence is what the connectors have reported on whether their lists are complete, by
	// plugin; nil if there is no file.
	Evidence map[string]Evidence
	// Unguarded names the plugins whose numbers could not be compared with those of a
	// baseline, and why, in a sentence; empty if all were, or need not be.
	Unguarded string
	// Warnings are sentences about what is right by all that is known, and yet must be
	// looked at.
	Warnings []string
	// Counts are how many changes there are, by plugin and resource type; of a plan only.
	Counts []ChangeCount
	Took   time.Duration
	// Err is why no file was written, or would have been; nil if one was, or would have been.
	Err error
}

// IsRefused reports whether the sync was refused by the change guard.
func (r *SyncResult) IsRefused() bool { return syncrun.IsRefused(r.Err) }

// Evidence is what a connector has reported on its lists; the worst of them counts.
type Evidence struct {
	// Grade is "proven", "unproven", or "not reported".
	Grade string
	// Reason is why it is no more than that, in a sentence; only where it is unproven.
	Reason string
}

// StalePart is a plugin's part that comes from the baseline.
type StalePart struct {
	Plugin string
	// Accounts is how many of its accounts come from there.
	Accounts int
	// AsOf is when its app was last read completely.
	AsOf time.Time
}

// Sync reads all plugins of the uploads once and writes a sync file for each upload. A
// file appears only when it is complete. An upload begins when its own plugins have
// started, and one is read at a time. The results are those of all uploads, in the order
// of the configuration, or none where the configuration of every upload is wrong; the
// error joins everything that failed, and is the context's where that ended.
func (h *Host) Sync(ctx context.Context, options SyncOptions) ([]*SyncResult, error) {
	syncs := make([]*uploadSync, 0, len(h.uploads))
	var baselines []baselineFile
	for _, upload := range h.uploads {
		one := &uploadSync{host: h, upload: upload, kept: Kept{OutputDir: options.OutputDir}, plan: options.Plan}
		one.path = filepath.Join(options.OutputDir, upload.Name+".c1z")
		if h.app != "" {
			one.path, one.kept = options.File, Kept{File: options.File}
		}
		syncs = append(syncs, one)
		baselines = append(baselines, baselineAt(one.path, upload))
	}
	if len(syncs) == 0 {
		return nil, h.nothingToSync()
	}
	needed := h.needed(h.uploads)
	if err := h.prepare(ctx, needed); err != nil {
		return nil, err
	}
	if err := checkForms(ctx, baselines); err != nil {
		return nil, err
	}
	if err := h.checkAccepted(ctx, needed, baselines); err != nil {
		return nil, err
	}
	if options.Plan == nil {
		for _, one := range syncs {
			if err := makePlace(one.path); err != nil {
				return nil, err
			}
		}
	}

	files.Sweep(os.TempDir(), planPrefix)
	warner := h.expiryWarner(ctx)
	observer := fleet.Observer(warner)
	var reports *syncReports
	if options.Plan == nil {
		if reports = h.syncReports(ctx, warner, options.OutputDir); reports != nil {
			defer reports.close(ctx)
			observer = reports
		}
	}
	running := h.start(ctx, needed, false, observer)
	defer running.Stop(ctx)
	failed := h.syncEach(ctx, running, syncs, reports)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return resultsOf(syncs), failed
}

// resultsOf returns the results of all uploads, in their order, unless none was tried.
func resultsOf(syncs []*uploadSync) []*SyncResult {
	var results []*SyncResult
	tried := false
	for _, one := range syncs {
		result := one.result
		if tried = tried || result != nil; result == nil {
			result = &SyncResult{Upload: one.upload.Name, Plugins: namesOf(one.upload), File: one.path, Err: fleet.ConfigurationErr(one.plugins)}
		}
		results = append(results, result)
	}
	if !tried {
		return nil
	}
	return results
}

// syncEach syncs the uploads as they become ready, and returns what failed, in the
// order of the configuration.
func (h *Host) syncEach(ctx context.Context, running *fleet.Fleet, syncs []*uploadSync, reports *syncReports) error {
	ready := make(chan *uploadSync, len(syncs))
	for _, one := range syncs {
		one.plugins = running.Of(one.upload)
		go func() {
			_ = fleet.Await(one.logging(ctx), one.plugins) // The context's end is looked at here.
			ready <- one
		}()
	}
	read, done := make(chan struct{}, 1), make(chan struct{})
	defer close(done)
	for left := len(syncs); left > 0; left-- {
		one := <-ready
		if ctx.Err() != nil {
			return nil
		}
		if err := fleet.ConfigurationErr(one.plugins); err != nil {
			reports.ended(one.upload.Name, nil, err)
			continue
		}
		if left == 1 {
			// The plugins end while the last file is packed.
			one.read = read
			go func() {
				select {
				case <-read:
					running.Stop(ctx)
				case <-done:
				}
			}()
		}
		running.RefreshFirst(one.logging(ctx), one.plugins)
		one.err = one.run(ctx, running)
		if ctx.Err() != nil {
			return nil
		}
		reports.ended(one.upload.Name, one.made, one.err)
	}
	// Everything that is wrong with the configuration, once.
	failed := []error{fleet.ConfigurationErr(running.Plugins())}
	for _, one := range syncs {
		failed = append(failed, one.err)
	}
	return errors.Join(failed...)
}

// uploadSync is the sync of one upload into a file.
type uploadSync struct {
	host     *Host
	upload   *config.Upload
	path     string
	plugins  []*fleet.Plugin
	read     chan<- struct{} // see [syncrun.Spec]
	result   *SyncResult     // nil: it was not tried
	err      error           // what failed of what was tried
	progress Progress        // nil: it has not begun, or is not followed
	kept     Kept
	made     *syncrun.Result // nil: no file was written
	plan     func(upload string, change Change) error
}

// logging returns a context whose log names the upload.
func (u *uploadSync) logging(ctx context.Context) context.Context {
	return ctxzap.ToContext(ctx, ctxzap.Extract(ctx).With(zap.String("upload", u.upload.Name)))
}

// run runs the sync, publishes its file and logs how that went.
func (u *uploadSync) run(ctx context.Context, running *fleet.Fleet) error {
	ctx = u.logging(ctx)
	u.result = &SyncResult{Upload: u.upload.Name, Plugins: namesOf(u.upload), File: u.path}
	figures, begun := &syncrun.Figures{}, time.Now()
	err := u.publish(ctx, running, figures)
	u.result.Err = err
	if u.progress != nil {
		u.progress.End(u.result)
	}
	if u.plan == nil {
		figures.Log(ctxzap.Extract(ctx), err, ctx.Err() != nil, time.Since(begun))
	}
	if err == nil {
		return nil
	}
	_, isGone := errors.AsType[*syncrun.GoneError](err)
	err = fmt.Errorf("upload %q: %w", u.upload.Name, err)
	if isGone && u.host.app != "" {
		err = fmt.Errorf("%w\n%s is the sync file of something else; write another with --file", err, u.path)
	}
	return err
}

func (u *uploadSync) publish(ctx context.Context, running *fleet.Fleet, figures *syncrun.Figures) error {
	if err := fleet.StartErr(u.plugins); err != nil && !u.upload.LastGood {
		return err
	}
	path, err := syncfile.BehindLinks(u.path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if u.plan != nil {
		temp, err := files.Make(os.TempDir(), planPrefix)
		if err != nil {
			return fmt.Errorf("there must be a directory for temporary files: %w; make room there, or set TMPDIR", err)
		}
		defer func() { _ = temp.Remove() }()
		dir = temp.Path()
	}
	result, keep, err := u.sync(ctx, path, dir, running, figures)
	if err != nil {
		return err
	}
	u.fill(result)
	if u.plan != nil {
		result.Draft.Discard()
		return nil
	}
	guarded := func(p *fleet.Plugin) bool { return !p.ChangeGuard.Off }
	if u.upload.LastGood || slices.ContainsFunc(u.plugins, (*fleet.Plugin).IsBare) || slices.ContainsFunc(u.plugins, guarded) {
		// The file has neither the names of plugins without a namespace nor the numbers of
		// earlier syncs; the record has.
		err = keep.Replace(result.Draft, result.Sync)
	} else {
		err = result.Draft.Publish(path)
	}
	if err != nil {
		result.Draft.Discard()
		return err
	}
	u.made = result
	if err := result.Settle(ctx, review.At(path)); err != nil {
		u.host.warn(ctx, err.Error())
	}
	return nil
}

// fill notes what a person must know of a sync that was made.
func (u *uploadSync) fill(result *syncrun.Result) {
	u.result.Accounts = result.Accounts
	for _, one := range result.Stale {
		u.result.Stale = append(u.result.Stale, StalePart{Plugin: one.Instance, Accounts: one.Accounts, AsOf: one.AsOf})
	}
	for _, one := range result.Missing {
		if u.result.Missing == nil {
			u.result.Missing = map[string]error{}
		}
		u.result.Missing[one.Instance] = one.Err
	}
	u.result.Skipped, u.result.Evidence = map[string]int{}, map[string]Evidence{}
	for instance, part := range result.Sync.Plugins {
		if part.Skipped > 0 {
			u.result.Skipped[instance] = part.Skipped
		}
		evidence := baseline.EvidenceOfAll(part.Evidence)
		u.result.Evidence[instance] = Evidence{Grade: string(evidence.Grade), Reason: evidence.Reason}
	}
}

// sync reads the plugins into a draft in a directory.
func (u *uploadSync) sync(ctx context.Context, path, dir string, running *fleet.Fleet, figures *syncrun.Figures) (*syncrun.Result, *baseline.Store, error) {
	keep, refused, begun := baseline.At(path), review.At(path), time.Now()
	var accepted map[string]bool
	if u.plan == nil {
		var err error
		if accepted, err = u.host.bindAccepted(ctx, refused); err != nil {
			return nil, nil, err
		}
	}
	spec := syncrun.Spec{
		Upload:   u.upload,
		Plugins:  syncrun.Of(ctx, u.plugins, u.upload),
		Accept:   accepted,
		Keep:     keep,
		Review:   refused,
		Dir:      dir,
		Retry:    policy.RetriesFor(u.host.options.RetryFor),
		Sessions: running.Sessions(),
		Figures:  figures,
		Read:     u.read,

		ReviewCommand: u.host.reviewCommand(u.kept),
	}
	if u.plan != nil {
		spec.Plan = u.compare
	}
	if u.host.options.Observer != nil {
		u.progress = u.host.options.Observer.Syncing(u.upload.Name, u.result.Plugins)
		spec.Observer = progressObserver{u.progress}
	}
	result, err := syncrun.Run(ctx, spec)
	u.result.Took = time.Since(begun)
	if err != nil {
		return nil, nil, err
	}
	u.result.Unguarded, u.result.Warnings = result.Unguarded, result.Warnings
	return result, keep, nil
}

// planPrefix begins the names of directories in which plans are made.
const planPrefix = "baton-host-plan-"

// compare passes on what a plan would change, and counts it.
func (u *uploadSync) compare(ctx context.Context, before, after *syncfile.File, owner func(typeID string) string) error {
	counts, err := review.Between(ctx, before, after, owner, func(one review.Change) error { return u.plan(u.upload.Name, changeOf(one)) })
	for _, one := range counts {
		u.result.Counts = append(u.result.Counts, ChangeCount(one))
	}
	return err
}

// progressObserver passes what happens behind the aggregate to a Progress.
type progressObserver struct{ Progress }

func (o progressObserver) Listed(page aggregate.Page) {
	listed := ListedPage{}
	switch {
	case page.Entitlements:
		listed.Entitlements = page.Rows
	case page.Grants:
		listed.Grants = page.Rows
	case page.Accounts:
		listed.Accounts = page.Rows
	default:
		listed.Others = page.Rows
	}
	o.Progress.Listed(page.Instance, listed)
}

func (o progressObserver) Retrying(retry aggregate.Retry) {
	o.Progress.Retrying(retry.Instance, retry.Wait, retry.Err)
}

func (o progressObserver) FellBack(fallback aggregate.Fallback) {
	if fallback.Missing {
		o.Progress.Missing(fallback.Instance, fallback.Err)
		return
	}
	o.Progress.FellBack(fallback.Instance, fallback.AsOf, fallback.Err)
}

// Skipped leaves the resource to the log, and their number to the result.
func (progressObserver) Skipped(aggregate.Skipped) {}

// makePlace makes the directory of a sync file, or returns why there can be none,
// before any work is done for it.
func makePlace(path string) error {
	if strings.HasSuffix(path, string(filepath.Separator)) {
		return fmt.Errorf("the sync file cannot be written to %s: that names a directory; name the file in it too, such as %s", path, filepath.Join(path, "sync.c1z"))
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return fmt.Errorf("the sync file cannot be written into %s: it is a file, not a directory", dir)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("the directory of the sync file cannot be made: %w", err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the sync file cannot be written: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("the sync file cannot be written to %s: there is something else than a file of that name", path)
	}
	return nil
}
