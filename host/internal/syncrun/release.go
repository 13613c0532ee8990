package syncrun

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// release lets through what was approved of what the change guard refuses of these plugins,
// and keeps the sync for review if something is left. It returns what stays refused. Before
// anything is read, a and draft are nil.
func (r *run) release(ctx context.Context, a *aggregate.Aggregate, draft *syncfile.Draft, refused map[string]error) map[string]error {
	if len(refused) == 0 {
		return refused
	}
	log := ctxzap.Extract(ctx)
	left := maps.Clone(refused)
	difference, done, err := r.difference(ctx, a, draft, refused)
	if err != nil {
		log.Warn("the sync that the change guard refused cannot be compared with the baseline, so it is not kept for review, and no approval is looked at", zap.Error(err))
	} else {
		defer done()
	}
	for _, plugin := range slices.Sorted(maps.Keys(refused)) {
		approved, note, public := r.approval(ctx, log, difference, plugin)
		switch {
		case approved != nil:
			delete(left, plugin)
			r.let(log, draft, difference, released{plugin: plugin, approved: approved})
		case r.Accept[plugin] && (r.Review == nil || !isEmptied(refused[plugin])):
			delete(left, plugin)
			r.let(log, draft, difference, released{plugin: plugin})
		case r.Accept[plugin]:
			note := fmt.Sprintf("--accept-deletions %s lets nothing go to zero that was not refused before: give it again if that is right", plugin)
			left[plugin] = noted(refused[plugin], note, note)
		default:
			left[plugin] = noted(refused[plugin], note, public)
		}
	}
	if len(left) == 0 || difference == nil || r.Review == nil || r.Plan != nil {
		return left
	}
	r.keepRefused(ctx, difference, left)
	return left
}

// difference compares a sync that is refused with the baseline. Call done when it is not
// needed any more.
func (r *run) difference(ctx context.Context, a *aggregate.Aggregate, draft *syncfile.Draft, refused map[string]error) (of *review.Difference, done func(), err error) {
	done = func() {}
	compared := review.Sync{Upload: r.Upload.Name, Before: r.last, Owner: func(typeID string) string { return r.ownerOf(a, typeID) }}
	if draft == nil {
		// Nothing is known of the plugins that are there.
		compared.Owner = func(typeID string) string {
			if plugin := r.ownerOf(nil, typeID); refused[plugin] != nil {
				return plugin
			}
			return ""
		}
	} else {
		compared.Path = draft.Path()
		if compared.After, err = syncfile.Open(ctx, draft.Path(), r.Dir); err != nil {
			return nil, nil, err
		}
		done = func() { _ = compared.After.Close(context.WithoutCancel(ctx)) }
	}
	of, err = review.Compare(ctx, compared, slices.Collect(maps.Keys(refused)))
	if err != nil {
		done()
		return nil, nil, err
	}
	return of, done, nil
}

// ownerOf is the plugin that a resource type of the sync or the baseline belongs to, also
// one that the upload no longer has; "" if nothing of it is compared: the listing of its
// plugin was rejected, or nothing is known yet.
func (r *run) ownerOf(a *aggregate.Aggregate, typeID string) string {
	if a == nil {
		plugin, _ := home(r.Plugins, r.last.Sync, typeID, nil)
		return plugin
	}
	plugin := r.owner(a, typeID)
	if plugin == "" {
		plugin, _ = home(r.Plugins, r.last.Sync, typeID, a.Owner)
	}
	if r.rejected[plugin] != nil {
		return ""
	}
	return plugin
}

// approval returns the approval of a plugin if it covers all that the sync would take away
// of it. If it does not, note is what is to be known of it, and public the same without paths.
func (r *run) approval(ctx context.Context, log *zap.Logger, of *review.Difference, plugin string) (approved *review.Approved, note, public string) {
	if r.Review == nil || of == nil {
		return nil, "", ""
	}
	approved, outside, err := r.Review.Covers(ctx, of, plugin)
	if expired, ok := errors.AsType[*review.ExpiredError](err); ok {
		return nil, expired.Error(), expired.Error()
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, "", ""
	}
	if err != nil {
		log.Warn("what was approved for the change guard cannot be read, so nothing is approved", zap.Error(err))
		return nil, fmt.Sprintf("what was approved of it cannot be read: %s", err), "what was approved of it cannot be read; the log has the reason"
	}
	if outside > 0 {
		all := of.Of(plugin).TakenAway()
		note := fmt.Sprintf("the approval of %s covers %d of the %d changes that take something away, and %d are not approved", approved.ID, all-outside, all, outside)
		return nil, note, note
	}
	return approved, "", ""
}

// released is what was refused of a plugin, and passes.
type released struct {
	plugin   string
	approved *review.Approved // nil: --accept-deletions
	changes  review.Count     // zero: they are not known
}

// let notes that what was refused of a plugin passes. It is logged once the sync is there.
func (r *run) let(log *zap.Logger, draft *syncfile.Draft, of *review.Difference, one released) {
	if of != nil {
		one.changes = of.Of(one.plugin)
	}
	if r.released == nil {
		r.released = map[string]released{}
	}
	r.released[one.plugin] = one
	if draft == nil {
		return
	}
	said, fields := "--accept-deletions lets through what the change guard refused", []zap.Field{zap.String("plugin", one.plugin)}
	if one.approved != nil {
		said = "an approval lets through what the change guard refused"
		fields = append(fields, zap.String("id", one.approved.ID), zap.String("by", one.approved.By), zap.Time("approved_at", one.approved.At), zap.Int("approved", one.approved.Keys))
	}
	if of != nil {
		fields = append(fields, zap.Int("taken_away", one.changes.TakenAway()), zap.Stringer("changes", one.changes))
	}
	log.Warn(said, fields...)
}

func (r released) by() string {
	if r.approved == nil || r.approved.ByName {
		return "--accept-deletions"
	}
	return "the approval of " + r.approved.ID
}

// warning is what a sync reports that goes on all the same.
func (r released) warning() string {
	said := fmt.Sprintf("plugin %q: %s lets through what the change guard refused", r.plugin, r.by())
	if r.changes == (review.Count{}) {
		return said
	}
	return said + ": " + r.changes.String()
}

// keepRefused keeps a sync that is refused, and adds to the errors in left where it is. That it
// cannot be kept fails nothing more.
func (r *run) keepRefused(ctx context.Context, of *review.Difference, left map[string]error) {
	log := ctxzap.Extract(ctx)
	var reasons []review.Reason
	for _, plugin := range slices.Sorted(maps.Keys(left)) {
		reasons = append(reasons, review.Reason{Plugin: plugin, Text: errtext.Public(left[plugin])})
	}
	kept, err := r.Review.Keep(ctx, of, reasons)
	if err != nil {
		log.Warn("the sync that the change guard refused cannot be kept for review; what is there of an earlier one stays", zap.Error(err))
		for plugin, refused := range left { // A one-shot sync shows no log.
			left[plugin] = noted(refused, fmt.Sprintf("it cannot be kept for review: %s", err), "it cannot be kept for review; the log has the reason")
		}
		return
	}
	plain, command := review.Command{}.Of(r.Upload.Name), r.ReviewCommand.Of(r.Upload.Name)
	log.Warn("the change guard refused this sync, which is kept for review",
		zap.String("id", kept.ID), zap.Time("until", kept.Until()), zap.Int("taken_away", kept.TakenAway()), zap.String("command", command))
	for plugin, err := range left {
		const note = "it is kept for review as %s: %s"
		left[plugin] = &notedError{err, fmt.Sprintf(note, kept.ID, command), fmt.Sprintf(note, kept.ID, plain)}
	}
}

// IsRefused reports whether the change guard refused a sync.
func IsRefused(err error) bool { return len(RefusedPlugins(err)) > 0 }

// RefusedPlugins returns the plugins of which the change guard refused a sync; none where an
// error is about something else.
func RefusedPlugins(err error) (plugins []string) {
	switch err := err.(type) { //nolint:errorlint // The tree is walked here.
	case *GuardError:
		return []string{err.Instance}
	case *GoneError:
		return []string{err.Instance}
	case interface{ Unwrap() []error }:
		for _, one := range err.Unwrap() {
			plugins = append(plugins, RefusedPlugins(one)...)
		}
	case interface{ Unwrap() error }:
		return RefusedPlugins(err.Unwrap())
	}
	return plugins
}

// isEmptied says whether a list went to zero.
func isEmptied(err error) bool {
	switch err := err.(type) { //nolint:errorlint // The tree is walked here.
	case *GuardError:
		return err.Now == 0
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(err.Unwrap(), isEmptied)
	case interface{ Unwrap() error }:
		return isEmptied(err.Unwrap())
	}
	return false
}

// notedError is an error with what else is to be known of it.
type notedError struct {
	error
	note, public string // public has no path
}

func noted(err error, note, public string) error {
	if note == "" {
		return err
	}
	return &notedError{err, note, public}
}

func (e *notedError) Error() string { return e.error.Error() + "; " + e.note }
func (e *notedError) Unwrap() error { return e.error }

// Public has the note too: it knows numbers only.
func (e *notedError) Public() string { return errtext.Public(e.error) + "; " + e.public }

// Fresh are the plugins that were read in a sync of everything, or of which the change guard
// let through what was refused: accepting it uses up what was approved of them.
func (r *Result) Fresh() []string {
	if !r.Whole {
		return nil
	}
	var fresh []string
	for _, plugin := range slices.Sorted(maps.Keys(r.Sync.Plugins)) {
		if !slices.ContainsFunc(r.Stale, func(one aggregate.Stale) bool { return one.Instance == plugin }) {
			fresh = append(fresh, plugin)
		}
	}
	for plugin := range r.Accepted { // Also those that the upload no longer has.
		if r.Sync.Plugins[plugin].AsOf.IsZero() {
			fresh = append(fresh, plugin)
		}
	}
	return fresh
}

// Settle is called when a sync of everything has been accepted where it is published. It uses
// up what was approved of the plugins that were read in it, and removes a refused sync that
// nothing waits for any more.
func (r *Result) Settle(ctx context.Context, in *review.Store) error {
	if !r.Whole {
		return nil
	}
	used, err := in.Used(context.WithoutCancel(ctx), r.Fresh())
	return r.Settled(ctx, used, err)
}

// Settled logs the approvals that are used up. The error is why one may count once more.
func (r *Result) Settled(ctx context.Context, used []review.Approved, notUsed error) error {
	for _, one := range used {
		ctxzap.Extract(ctx).Info("an approval is used up",
			zap.String("plugin", one.Plugin), zap.String("id", one.ID), zap.String("by", one.By), zap.Int("approved", one.Keys),
			zap.Bool("needed", r.Accepted[one.Plugin]), zap.Duration("age", time.Since(one.At).Round(time.Second)))
	}
	if notUsed != nil {
		return fmt.Errorf("what was approved for the sync that is accepted now cannot be removed, so it may be approved once more until it expires: %w", notUsed)
	}
	return nil
}
