package syncrun

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/broker"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/host/internal/syncfile/sdkfast"
)

// Plugin is one plugin of an upload. Its Baseline is set here.
type Plugin struct {
	aggregate.Plugin

	// Guard is its change guard, as it is configured.
	Guard config.ChangeGuard
	// Process counts how often its process was started again; nil: nothing counts.
	Process interface{ Restarts() int }
}

// Of returns plugins of a fleet for the sync of an upload, as they are now.
func Of(ctx context.Context, running []*fleet.Plugin, upload *config.Upload) []Plugin {
	plugins := make([]Plugin, 0, len(running))
	for i, behind := range fleet.Aggregate(ctx, running, upload) {
		plugins = append(plugins, Plugin{Plugin: behind, Guard: running[i].ChangeGuard, Process: running[i]})
	}
	return plugins
}

func (p Plugin) restarts() int {
	if p.Process == nil {
		return 0
	}
	return p.Process.Restarts()
}

// Spec is a sync to run.
type Spec struct {
	// Upload is the upload, as it is configured. The context's logger must know its
	// name.
	Upload *config.Upload
	// Plugins are its plugins; at least one.
	Plugins []Plugin
	// Accept are the plugins whose deletions are accepted, by instance name: those of
	// the upload, and those that it no longer has.
	Accept map[string]bool
	// Keep is where the baseline is; nil if none is kept.
	Keep *baseline.Store
	// Review is where a refused sync is kept, and what is approved of it; nil: nothing is.
	Review Refusals
	// ReviewCommand shows it to a person.
	ReviewCommand review.Command
	// Dir is where files in work go: a directory on the file system on which the
	// result is to be published.
	Dir string

	Scope    syncfile.Scope
	Engine   c1zstore.Engine
	Retry    policy.Retries
	Observer aggregate.Observer
	// Sessions has the session store of the sync; nil: plugins have none.
	Sessions *broker.Stores
	// Read is that of [syncfile.Settings]; its capacity is 1.
	Read chan<- struct{}
	// Figures are filled in, also if the sync fails; nil: they are not needed.
	Figures *Figures
	// Plan makes the sync a plan: it is called with the baseline and what was read now,
	// where there are both, before the change guard decides. Then all plugins are read even
	// if the upload lacks one, and nothing is kept for review.
	Plan func(ctx context.Context, before, after *syncfile.File, owner func(typeID string) string) error
}

// Refusals are where a refused sync is kept, and what is approved of it: a [review.Store], or
// what hosts share.
type Refusals interface {
	Sweep()
	Covers(ctx context.Context, of *review.Difference, plugin string) (approved *review.Approved, outside int, err error)
	Keep(ctx context.Context, of *review.Difference, reasons []review.Reason) (*review.Refused, error)
}

// Result is a sync that was made.
type Result struct {
	// Draft is the sync file. Publish or discard it.
	Draft *syncfile.Draft
	// Sync is what a Keep wants to know of it, with the evidence of the plugins' listings.
	Sync baseline.Sync
	// Whole says that it may become the baseline.
	Whole bool
	// Accounts is how many accounts the file has, by instance. Where several
	// plugins have no namespace and one of them failed, theirs may be counted to
	// one of them.
	Accounts map[string]int
	// Stale are the plugins that fell back.
	Stale []aggregate.Stale
	// Missing are the plugins that failed and of which neither the baseline nor the file has
	// anything.
	Missing []aggregate.Stale
	// Skipped are the plugins of which entitlements or grants of resources were skipped in
	// this sync. Sync has the number of those that are missing, also in what came from the
	// baseline.
	Skipped []aggregate.SkippedPart
	// Accepted are the plugins, also of those that the upload no longer has, of which the
	// change guard would have refused what was approved, or accepted by name. Their
	// numbers in this sync are what later ones are compared with.
	Accepted map[string]bool
	// Unguarded are the plugins whose numbers could not be compared with those of
	// a baseline, and why, in a sentence; "" if all were, or need not be.
	Unguarded string
	// Warnings are sentences about what is right by all that is known, and yet must
	// be looked at. They have been logged.
	Warnings []string
}

// Run runs the sync. The error names the plugins that failed; it is a
// [GuardError] where the change guard tripped, and a [GoneError] where the upload no
// longer has a plugin that the baseline has accounts of.
func Run(ctx context.Context, spec Spec) (*Result, error) {
	spec.Plugins = concerned(spec)
	if spec.Figures == nil {
		spec.Figures = &Figures{}
	}
	r := &run{Spec: spec, started: time.Now(), skipped: &skippedResources{}}
	all := r.Plugins
	r.Figures.begin(all, r.Scope.Whole())
	r.maxStale = cmp.Or(r.Upload.MaxStale, config.NewUpload("").MaxStale)
	if err := r.openLast(ctx); err != nil {
		return nil, err
	}
	if r.last != nil {
		defer func() { _ = r.last.Close(context.WithoutCancel(ctx)) }()
	}
	var result *Result
	var err error
	if r.Plan == nil {
		if r.Review != nil && r.Scope.Whole() {
			r.Review.Sweep()
		}
		err = joined(r.release(ctx, nil, nil, r.missing(nil))) // Better now than after hours of reading.
	}
	if err == nil {
		result, err = r.run(ctx)
	}
	r.Figures.end(all, result, time.Since(r.started))
	if err != nil {
		return nil, err
	}
	result.Warnings = r.report(ctxzap.Extract(ctx), result)
	return result, nil
}

// concerned are the plugins that a sync of single resources or resource types is
// about: the outage of another one is no reason to fail it. All of them are, if
// the sync is of everything or names something that no plugin has.
func concerned(spec Spec) []Plugin {
	asked := slices.Clone(spec.Scope.ResourceTypes)
	for _, one := range spec.Scope.Resources {
		asked = append(asked, one.GetId().GetResourceType())
		if parent := one.GetParentResourceId().GetResourceType(); parent != "" {
			asked = append(asked, parent)
		}
	}
	wanted := map[string]bool{}
	for _, typeID := range asked {
		namespace, _, _ := strings.Cut(typeID, ".")
		i := slices.IndexFunc(spec.Plugins, func(p Plugin) bool { return p.Namespace != "" && p.Namespace == namespace })
		if i < 0 {
			return spec.Plugins
		}
		wanted[spec.Plugins[i].Instance] = true
	}
	if len(wanted) == 0 {
		return spec.Plugins
	}
	return slices.DeleteFunc(slices.Clone(spec.Plugins), func(p Plugin) bool { return !wanted[p.Instance] })
}

// run is one sync that is under way.
type run struct {
	Spec
	started  time.Time
	maxStale time.Duration            // how old what is used of the baseline may be
	last     *baseline.Baseline       // nil: none
	noLast   string                   // why there is none, in words
	first    bool                     // there is none yet
	gone     []*GoneError             // the plugins that only the baseline has, as far as is known
	released map[string]released      // of which what was refused passes
	changed  map[string][]*GuardError // what has changed too much, by plugin
	lost     []*GuardError            // the attributes that accounts lost, which are warned of
	skipped  *skippedResources

	read     *aggregate.Aggregate // which has called the plugins themselves
	rejected map[string]error     // see contradicted; of that aggregate
}

// openLast opens the baseline. That there is none fails nothing yet; one that a newer host
// wrote could not be replaced.
func (r *run) openLast(ctx context.Context) error {
	if r.Keep == nil {
		r.noLast = "none is kept"
		return nil
	}
	open := r.Keep.Open
	if r.compares() {
		open = r.Keep.OpenToCompare
	}
	last, err := open(ctx, r.Dir)
	switch {
	case err == nil:
		r.last = last
		if last.RecordErr != nil {
			ctxzap.Extract(ctx).Warn("the sync is compared with the file of the baseline alone, and no plugin can fall back on it; the next good sync replaces it", zap.Error(last.RecordErr))
		}
	case errors.Is(err, os.ErrNotExist):
		r.noLast, r.first = "there is none yet", true
	case files.IsNewer(err):
		return err
	default:
		r.noLast = err.Error()
		ctxzap.Extract(ctx).Warn("the baseline cannot be used; the next good sync replaces it", zap.Error(err))
	}
	return nil
}

// compares says that the sync is one that the change guard looks at.
func (r *run) compares() bool {
	return r.Scope.Whole() && slices.ContainsFunc(r.Plugins, func(p Plugin) bool { return !p.Guard.Off })
}

func (r *run) run(ctx context.Context) (*Result, error) {
	plugins := make([]aggregate.Plugin, 0, len(r.Plugins))
	for _, p := range r.Plugins {
		p.Baseline = nil
		if r.fallsBack() {
			p.Baseline, _ = r.lastGood(p.Instance)
		}
		p.MayBeMissing = p.Baseline == nil && r.mayBeMissing(p)
		p.OneVisit = p.OneVisit && r.Scope.Whole()
		plugins = append(plugins, p.Plugin)
	}
	observer := observed(ctx, r.Observer, r.Figures, r.skipped)
	a, draft, err := r.sync(ctx, plugins, observer, r.last != nil && r.compares())
	if err != nil && ctx.Err() == nil && a != nil && a.TypesChanged() {
		ctxzap.Extract(ctx).Info("the resource types of a plugin are others than it listed last; the sync begins again", zap.Error(err))
		for i := range plugins {
			plugins[i].OneVisit = false
		}
		*r.skipped = skippedResources{}
		a, draft, err = r.sync(ctx, plugins, observer, r.last != nil && r.compares())
	}
	if err != nil {
		return nil, r.withoutFallback(err)
	}
	stale, skipped, evidence := a.Stale(), a.Skipped(), r.evidence(a)
	if err := r.anyFresh(stale); err != nil {
		draft.Discard()
		return nil, err
	}
	r.read, r.rejected = a, contradicted(stale)
	stale, missing := r.without(stale)
	skipped = slices.DeleteFunc(skipped, func(one aggregate.SkippedPart) bool { return isOf(missing, one.Instance) })
	if slices.ContainsFunc(missing, func(one aggregate.Stale) bool { return one.Listed }) {
		first := draft
		a, draft, err = r.replaced(ctx, a, first, nil)
		first.Discard()
		if err != nil {
			return nil, err
		}
	}
	if err := r.plan(ctx, a, draft); err != nil {
		draft.Discard()
		return nil, err
	}
	tripped, err := r.guard(ctx, a, draft, stale)
	if err != nil {
		draft.Discard()
		return nil, err
	}
	again := maps.Clone(r.rejected)
	maps.Copy(again, tripped)
	if len(again) > 0 {
		first := draft
		a, draft, err = r.replaced(ctx, a, first, again)
		first.Discard()
		if err != nil {
			return nil, err
		}
		stale = slices.DeleteFunc(stale, func(one aggregate.Stale) bool { return again[one.Instance] != nil })
		skipped = slices.DeleteFunc(skipped, func(one aggregate.SkippedPart) bool { return again[one.Instance] != nil })
		maps.DeleteFunc(evidence, func(instance string, _ []baseline.Evidence) bool { return again[instance] != nil })
		for _, one := range a.Stale() {
			failure, ok := again[one.Instance]
			if !ok {
				continue
			}
			one.Err = failure
			stale = append(stale, one)
			if tripped[one.Instance] != nil {
				observer.FellBack(aggregate.Fallback{Instance: one.Instance, AsOf: one.AsOf, Err: failure})
			}
		}
	}
	result := r.result(a, draft, stale, skipped, evidence)
	result.Missing = missing
	for _, one := range missing {
		result.Sync.Missing = append(result.Sync.Missing, one.Instance)
	}
	return result, nil
}

// plan shows what a sync would change, if it is a plan.
func (r *run) plan(ctx context.Context, a *aggregate.Aggregate, draft *syncfile.Draft) error {
	if r.Plan == nil || r.last == nil {
		return nil
	}
	file, err := syncfile.Open(ctx, draft.Path(), r.Dir)
	if err != nil {
		return err
	}
	err = r.Plan(ctx, r.last.File, file, func(typeID string) string { return r.ownerOf(a, typeID) })
	return errors.Join(err, file.Close(context.WithoutCancel(ctx)))
}

// evidence is what the plugins have reported on their listings, by instance.
func (r *run) evidence(a *aggregate.Aggregate) map[string][]baseline.Evidence {
	evidence := map[string][]baseline.Evidence{}
	for _, p := range r.Plugins {
		evidence[p.Instance] = a.Evidence(p.Instance)
	}
	return evidence
}

// fallsBack says that plugins that fail may fall back: what is asked for
// single resources is about how they are now.
func (r *run) fallsBack() bool { return r.Upload.LastGood && len(r.Scope.Resources) == 0 }

// lastGood is what can be answered from for a plugin, or why there is nothing.
func (r *run) lastGood(instance string) (*baseline.Plugin, error) {
	if r.last == nil {
		return nil, errors.New(r.noLast)
	}
	good := r.last.Plugin(instance)
	if good == nil && r.last.RecordErr != nil {
		return nil, r.last.RecordErr
	}
	if good == nil {
		return nil, errors.New("it has nothing of this plugin")
	}
	age := r.started.Sub(good.AsOf)
	if age < -clockSkew {
		return nil, fmt.Errorf("it is of %s, which is in the future: the clock of this machine is wrong, or was when it was written, so how old it is cannot be known", good.AsOf.UTC().Format(time.RFC3339))
	}
	if age > r.maxStale {
		return nil, fmt.Errorf("it is of %s, which is longer ago than max-stale (%s) allows", good.AsOf.UTC().Format(time.RFC3339), r.maxStale)
	}
	return good, nil
}

// clockSkew is by how much the clock of the host that made a baseline may be ahead: C1 takes
// requests of no clock that is further than 5 minutes from its own.
const clockSkew = 15 * time.Minute

func (r *run) sync(ctx context.Context, plugins []aggregate.Plugin, observer aggregate.Observer, digest bool) (*aggregate.Aggregate, *syncfile.Draft, error) {
	options := []aggregate.Option{aggregate.WithRetry(r.Retry), aggregate.WithObserver(observer), aggregate.WithPackedProfiles(), aggregate.WithResourceTypes(r.Scope.ResourceTypes)}
	if sdkfast.MayPackGrants(r.Engine) {
		options = append(options, aggregate.WithPackedGrants())
	}
	if r.Sessions != nil {
		options = append(options, aggregate.WithSessions(r.Sessions.Begin()))
	}
	a, err := aggregate.New(plugins, options...)
	if err != nil {
		return nil, nil, err
	}
	defer a.Close()
	draft, err := syncfile.Make(ctx, a.Client(ctx), r.Dir, syncfile.Settings{
		Scope: r.Scope, Engine: r.Engine, Workers: workers(plugins), Read: r.Read, Digest: digest,
	})
	return a, draft, err
}

// workers is how many listings the syncer works on at a time. From plugins it is as many
// as it hands out at once (baton-sdk v0.25.0): one that waits for its plugin's limit
// (policy.ListingLimit) holds a worker, which is a goroutine and costs next to nothing,
// and must leave others for the plugins that wait for nothing. Where everything is
// answered from files the machine is the limit.
func workers(plugins []aggregate.Plugin) int {
	const handedOut, fromFiles = 100, 4
	for _, plugin := range plugins {
		if plugin.Err == nil {
			return handedOut
		}
	}
	return fromFiles
}

// withoutFallback says of the plugins that failed why nothing stood in for them.
func (r *run) withoutFallback(err error) error {
	if !r.fallsBack() {
		return err
	}
	for _, instance := range aggregate.FailedPlugins(err) {
		if _, why := r.lastGood(instance); why != nil {
			err = fmt.Errorf("%w (on-plugin-failure is last-good, but there is no baseline to fall back on for plugin %q: %w)", err, instance, why)
		}
	}
	return err
}

// anyFresh refuses a sync in which nothing is new: it would look like one that
// was made now.
func (r *run) anyFresh(stale []aggregate.Stale) error {
	if len(stale) < len(r.Plugins) {
		return nil
	}
	failures := make([]error, 0, len(stale))
	for _, one := range stale {
		failures = append(failures, one.Err)
	}
	if len(stale) == 1 {
		return failures[0]
	}
	return r.nothingNew(failures)
}

func (r *run) nothingNew(failures []error) error {
	return fmt.Errorf("every plugin of upload %q failed, so there is nothing new to sync: %w", r.Upload.Name, errors.Join(failures...))
}

// contradicted are the plugins of which a listing was rejected, with the reason. What
// they had listed is in the file, which is of no use before it is made again.
func contradicted(stale []aggregate.Stale) map[string]error {
	rejected := map[string]error{}
	for _, one := range stale {
		if one.Contradicted && !one.Missing {
			rejected[one.Instance] = one.Err
		}
	}
	return rejected
}

// guard finds the plugins of which too much has changed, with the reason. It is an error
// where nothing can replace them. A plugin that failed in the middle is looked at too: what
// it had listed before, to its end, is of this sync. One whose listing was rejected is not:
// nothing of it stays.
func (r *run) guard(ctx context.Context, a *aggregate.Aggregate, draft *syncfile.Draft, stale []aggregate.Stale) (map[string]error, error) {
	if r.last == nil || !r.Scope.Whole() {
		return nil, nil
	}
	refused, lostBy := r.missing(a), map[string][]*GuardError{}
	r.changed = map[string][]*GuardError{}
	varying := r.varyingOf(ctx, r.read)
	for _, p := range r.Plugins {
		if r.rejected[p.Instance] != nil || refused[p.Instance] != nil {
			continue
		}
		changes, lost := r.guardedOf(ctx, a, draft, p).judge()
		varies := func(one *GuardError) bool { return !configuredType(p, one.ResourceType) && varying()[one.ResourceType] }
		changes, lost = slices.DeleteFunc(changes, varies), slices.DeleteFunc(lost, varies)
		lostBy[p.Instance] = lost
		if len(changes) > 0 {
			refused[p.Instance], r.changed[p.Instance] = tripError(changes), changes
		}
	}
	tripped := r.release(ctx, a, draft, refused)
	for _, p := range r.Plugins {
		if tripped[p.Instance] == nil {
			r.lost = append(r.lost, lostBy[p.Instance]...)
		}
	}
	var failed []error
	for _, instance := range slices.Sorted(maps.Keys(tripped)) {
		err := tripped[instance]
		_, isGone := errors.AsType[*GoneError](err)
		if isGone || !r.fallsBack() {
			failed = append(failed, err) // Nothing replaces what is not configured any more.
		} else if _, why := r.lastGood(instance); why != nil {
			failed = append(failed, fmt.Errorf("%w (on-plugin-failure is last-good, but there is no baseline to fall back on: %w)", err, why))
		}
	}
	if len(failed) > 0 || len(tripped) == 0 {
		return tripped, errors.Join(failed...)
	}
	for _, one := range stale {
		if tripped[one.Instance] == nil {
			failed = append(failed, one.Err)
		}
	}
	if len(tripped)+len(failed) < len(r.Plugins) {
		return tripped, nil
	}
	for _, p := range r.Plugins {
		failed = append(failed, tripped[p.Instance])
	}
	return nil, r.nothingNew(failed)
}

// joined are errors by plugin, in the order of the names.
func joined(byPlugin map[string]error) error {
	var all []error
	for _, plugin := range slices.Sorted(maps.Keys(byPlugin)) {
		all = append(all, byPlugin[plugin])
	}
	return errors.Join(all...)
}

// guardedOf is what the change guard compares of a plugin.
func (r *run) guardedOf(ctx context.Context, a *aggregate.Aggregate, draft *syncfile.Draft, p Plugin) *guarded {
	part := r.last.Sync.Plugins[p.Instance]
	g := &guarded{
		plugin: p, mine: func(typeID string) bool { return r.owner(a, typeID) == p.Instance },
		before: r.last.Counts, beforeDigest: r.last.Digest, unexpanded: part.Unexpanded, since: r.countedAt(p.Instance), window: part.Window,
		now: draft.Counts, nowDigest: draft.Digest, nowUnexpanded: r.Scope.DontExpandGrants, started: r.started,
	}
	if r.skipped.any(p.Instance) {
		g.spared = func(typeID string, measure Measure) int {
			return r.skipped.before(ctx, r.last.File, p.Instance, typeID, measure)
		}
	}
	return g
}

// configuredType says that the operator has limits of a type's own.
func configuredType(p Plugin, typeID string) bool {
	_, configured := p.Guard.ByType[strings.TrimPrefix(typeID, prefixOf(p))]
	return configured
}

// varyingOf returns the resource types that the plugins say in their capabilities vary in
// their numbers: they are asked once, when it matters. What they do not answer is not known.
func (r *run) varyingOf(ctx context.Context, a *aggregate.Aggregate) func() map[string]bool {
	return sync.OnceValue(func() map[string]bool {
		types := map[string]bool{}
		answer, err := a.Client(ctx).GetMetadata(ctx, &connectorv2.ConnectorServiceGetMetadataRequest{})
		if err != nil {
			return types
		}
		for _, one := range answer.GetMetadata().GetCapabilities().GetResourceTypeCapabilities() {
			types[one.GetResourceType().GetId()] = one.GetSkipSyncAnomalyDetection()
		}
		return types
	})
}

func prefixOf(p Plugin) string {
	if p.Namespace == "" {
		return ""
	}
	return p.Namespace + "."
}

// owner is the plugin of a resource type that may be of the baseline only.
func (r *run) owner(a *aggregate.Aggregate, typeID string) string {
	if instance := a.Owner(typeID); instance != "" {
		return instance
	}
	if r.last != nil {
		for instance, part := range r.last.Sync.Plugins {
			if slices.Contains(part.ResourceTypes, typeID) {
				return instance
			}
		}
	}
	var bare []string
	for _, p := range r.Plugins {
		if p.Namespace == "" {
			bare = append(bare, p.Instance)
		}
	}
	if len(bare) == 1 && !strings.Contains(typeID, ".") {
		return bare[0]
	}
	return ""
}

// replaced makes the file again with the baseline's parts of the plugins that tripped
// or whose listing was rejected, and everything else as the first file has it: no app
// is asked twice.
func (r *run) replaced(ctx context.Context, a *aggregate.Aggregate, first *syncfile.Draft, again map[string]error) (*aggregate.Aggregate, *syncfile.Draft, error) {
	file, err := syncfile.Open(ctx, first.Path(), r.Dir)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = file.Close(context.WithoutCancel(ctx)) }()
	var plugins []aggregate.Plugin
	for _, p := range r.Plugins {
		replacement := p.Plugin
		replacement.Conn, replacement.ReadAhead = nil, 0
		if failure, ok := again[p.Instance]; ok {
			replacement.Err = failure
			replacement.Baseline, err = r.lastGood(p.Instance)
			if err != nil {
				return nil, nil, err
			}
		} else {
			replacement.Err = errReadAlready
			replacement.Baseline = &baseline.Plugin{File: file, Facts: a.Facts(p.Instance), AsOf: r.started}
		}
		plugins = append(plugins, replacement)
	}
	return r.sync(ctx, plugins, nil, r.compares())
}

var errReadAlready = errors.New("it has been read in this sync already")

func (r *run) result(a *aggregate.Aggregate, draft *syncfile.Draft, stale []aggregate.Stale, skipped []aggregate.SkippedPart, evidence map[string][]baseline.Evidence) *Result {
	result := &Result{
		Draft: draft, Whole: r.Scope.Whole(), Stale: stale, Skipped: skipped, Accounts: map[string]int{}, Accepted: map[string]bool{},
		Sync: baseline.Sync{StartedAt: r.started, Plugins: map[string]baseline.Part{}},
	}
	for _, p := range r.Plugins {
		result.Accounts[p.Instance] = 0
	}
	for typeID, n := range draft.Accounts {
		result.Accounts[r.owner(a, typeID)] += n
	}
	var unknown []string
	for _, p := range r.Plugins {
		asOf, lacks, proof := r.started, 0, evidence[p.Instance]
		var before *baseline.Part // nil: the plugin is fresh
		for _, one := range stale {
			if one.Instance == p.Instance {
				// What the baseline lacks, or does not prove, is no truer for its being used again.
				part := r.last.Sync.Plugins[p.Instance]
				before, asOf, lacks = &part, one.AsOf, part.Skipped
				proof = baseline.MergeEvidence(proof, part.Evidence)
			}
		}
		for _, one := range skipped {
			if one.Instance == p.Instance {
				lacks += one.Resources
			}
		}
		part := baseline.PartOf(a.Facts(p.Instance), asOf, result.Accounts[p.Instance])
		part.Skipped, part.Evidence = lacks, proof
		r.keepNumbers(&part, before, a, draft, p)
		result.Sync.Plugins[p.Instance] = part
		if r.Scope.Whole() && !p.Guard.Off && !r.compared(a, p.Instance) {
			unknown = append(unknown, fmt.Sprintf("%q", p.Instance))
		}
	}
	result.Unguarded = r.unguarded(unknown)
	for instance := range r.released {
		result.Accepted[instance] = true
	}
	return result
}

// keepNumbers has a part keep what a later sync is compared with. What a stale plugin has
// now is not that: it is what its app had when it was last read completely.
func (r *run) keepNumbers(part, before *baseline.Part, a *aggregate.Aggregate, draft *syncfile.Draft, p Plugin) {
	mine := func(typeID string) bool { return r.owner(a, typeID) == p.Instance }
	if before != nil {
		part.Counts, part.EntitlementCounts, part.GrantCounts = countsOf(mine, r.last.Resources), countsOf(mine, r.last.Entitlements), countsOf(mine, r.last.Grants)
		part.Unexpanded, part.Unread = before.Unexpanded, before.Unread
		if draft.Digest != nil {
			part.Unread = unread(mine, draft.Digest, r.last.Digest)
		}
		part.Window = baseline.AdvanceWindow(before.Window, r.started, p.Guard.Window, nil)
		return
	}
	part.Unexpanded = r.Scope.DontExpandGrants
	var window []baseline.Numbers
	if _, accepted := r.released[p.Instance]; r.last != nil && !p.Guard.Off && !accepted {
		window = r.last.Sync.Plugins[p.Instance].Window
	}
	if !r.Scope.Whole() {
		return
	}
	numbers := numbersOf(p, mine, draft.Counts, r.started, part.Unexpanded)
	part.Window = baseline.AdvanceWindow(window, r.started, p.Guard.Window, &numbers)
}

// unread returns what a file has of a plugin and its last complete reading had not.
func unread(mine func(typeID string) bool, file, read syncfile.Digest) map[string][]byte {
	var all map[string][]byte
	for typeID := range file {
		if !mine(typeID) {
			continue
		}
		if hashes := file.Beyond(read, typeID); hashes != nil {
			if all == nil {
				all = map[string][]byte{}
			}
			all[typeID] = hashes
		}
	}
	return all
}

func countsOf(mine func(typeID string) bool, of map[string]int) map[string]int {
	counts := map[string]int{}
	for typeID, n := range of {
		if mine(typeID) {
			counts[typeID] = n
		}
	}
	return counts
}

// countedAt is when the numbers of the baseline were those of the app.
func (r *run) countedAt(instance string) time.Time {
	if part := r.last.Sync.Plugins[instance]; part.Counts != nil {
		return part.AsOf
	}
	return r.last.File.FinishedAt
}

// compared says that the baseline has something of the plugin.
func (r *run) compared(a *aggregate.Aggregate, instance string) bool {
	if r.last == nil {
		return false
	}
	for typeID := range r.last.Resources {
		if r.owner(a, typeID) == instance {
			return true
		}
	}
	return false
}
