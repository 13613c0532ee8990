package syncrun

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/aggregate"
	"github.com/batonhost/baton-host/host/lastgood"
	"github.com/batonhost/baton-host/host/syncfile"
)

// DefaultMaxStale is how old answers from the last good sync may be.
const DefaultMaxStale = 72 * time.Hour

// Plugin is one plugin of an upload. Its LastGood is set here.
type Plugin struct {
	aggregate.Plugin

	// Guard is its deletion guard.
	Guard Guard
	// AcceptDeletions lets any deletions through.
	AcceptDeletions bool
	// Restarts is how often its process has been started again; nil: nobody knows.
	Restarts func() int
}

func (p Plugin) restarts() int {
	if p.Restarts == nil {
		return 0
	}
	return p.Restarts()
}

// Spec is a sync to make.
type Spec struct {
	// Upload is the upload's name, for errors. The context's logger is to know it.
	Upload string
	// Plugins are its plugins; at least one.
	Plugins []Plugin
	// Accepted are the plugins that the upload no longer has and whose accounts may
	// be deleted, by instance name.
	Accepted map[string]bool
	// FallBack answers for a plugin that fails from its last good sync.
	FallBack bool
	// MaxStale is how old such answers may be; 0 is DefaultMaxStale.
	MaxStale time.Duration
	// Keep is where the last good sync is; nil if none is kept.
	Keep *lastgood.Keep
	// Dir is where files in work go: a directory on the file system on which the
	// result is to be published.
	Dir string

	Scope    syncfile.Scope
	Engine   c1zstore.Engine
	Retry    aggregate.RetryPolicy
	Observer aggregate.Observer
	// Sessions makes the session store of one sync file; nil: plugins have none.
	Sessions func() aggregate.Sessions
	// Read is called, perhaps twice, once everything has been read from the plugins,
	// which are not called any more; nil: nobody wants to know.
	Read func()
	// Figures are filled in, also if the sync fails; nil: nobody wants them.
	Figures *Figures
}

// Result is a sync that was made.
type Result struct {
	// Draft is the sync file. Publish or discard it.
	Draft *syncfile.Draft
	// Sync is what a Keep wants to know of it.
	Sync lastgood.Sync
	// Whole says that it may become the last good sync.
	Whole bool
	// Accounts is how many accounts the file has, by instance. Where several
	// plugins have no namespace and one of them failed, theirs may be counted to
	// one of them.
	Accounts map[string]int
	// Stale are the plugins that were answered for.
	Stale []aggregate.Stale
	// Unguarded are the plugins whose numbers could not be compared with those of
	// a last good sync, and why, in a sentence; "" if all were, or need not be.
	Unguarded string
	// Warnings are sentences about what is right by all that is known, and yet must
	// be looked at. They have been logged.
	Warnings []string
}

// Make makes the sync. The error names the plugins that failed; it is a
// [GuardError] where the deletion guard tripped, and a [GoneError] where the upload no
// longer has a plugin that the baseline has accounts of.
func Make(ctx context.Context, spec Spec) (*Result, error) {
	spec.Plugins = concerned(spec)
	if spec.Figures == nil {
		spec.Figures = &Figures{}
	}
	m := &making{Spec: spec, started: time.Now()}
	m.Figures.begin(m.Plugins, m.Scope.Whole())
	if m.MaxStale <= 0 {
		m.MaxStale = DefaultMaxStale
	}
	m.openLast(ctx)
	if m.last != nil {
		defer func() { _ = m.last.Close(context.WithoutCancel(ctx)) }()
	}
	var result *Result
	err := m.missing(nil) // Better now than after hours of reading.
	if err == nil {
		result, err = m.make(ctx)
	}
	m.Figures.end(m.Plugins, result, time.Since(m.started))
	if err != nil {
		return nil, err
	}
	result.Warnings = m.report(ctxzap.Extract(ctx), result)
	return result, nil
}

// concerned are the plugins that a sync of single resources or resource types is
// about: the outage of another one is no reason to fail it. All of them are, if
// the sync is of everything or names something that is nobody's.
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

// making is one sync in the making.
type making struct {
	Spec
	started time.Time
	last    *lastgood.Good // nil: none
	noLast  string         // why there is none, in words
	first   bool           // there is none yet
	gone    []*GoneError   // the plugins that only the last good sync has, as far as is known
}

// openLast opens the last good sync. That there is none fails nothing yet.
func (m *making) openLast(ctx context.Context) {
	if m.Keep == nil {
		m.noLast = "none is kept"
		return
	}
	last, err := m.Keep.Open(ctx, m.Dir)
	switch {
	case err == nil:
		m.last = last
	case errors.Is(err, os.ErrNotExist):
		m.noLast, m.first = "there is none yet", true
	default:
		m.noLast = err.Error()
		ctxzap.Extract(ctx).Warn("the last good sync cannot be used; the next good one replaces it", zap.Error(err))
	}
}

func (m *making) make(ctx context.Context) (*Result, error) {
	plugins := make([]aggregate.Plugin, 0, len(m.Plugins))
	for _, p := range m.Plugins {
		p.LastGood = nil
		if m.fallsBack() {
			p.LastGood, _ = m.lastGood(p.Instance)
		}
		plugins = append(plugins, p.Plugin)
	}
	observer := observed(ctx, m.Observer, m.Figures)
	a, draft, err := m.sync(ctx, plugins, observer)
	if err != nil {
		return nil, m.withoutFallback(err)
	}
	stale := a.Stale()
	if err := m.anyFresh(stale); err != nil {
		draft.Discard()
		return nil, err
	}
	tripped, err := m.guard(a, draft, stale)
	if err != nil {
		draft.Discard()
		return nil, err
	}
	again := contradicted(stale)
	maps.Copy(again, tripped)
	if len(again) > 0 {
		first := draft
		a, draft, err = m.replaced(ctx, a, first, again)
		first.Discard()
		if err != nil {
			return nil, err
		}
		stale = slices.DeleteFunc(stale, func(one aggregate.Stale) bool { return again[one.Instance] != nil })
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
	return m.result(a, draft, stale), nil
}

// fallsBack says that plugins that fail may be answered for: what is asked for
// single resources is about how they are now.
func (m *making) fallsBack() bool { return m.FallBack && len(m.Scope.Resources) == 0 }

// lastGood is what can be answered from for a plugin, or why there is nothing.
func (m *making) lastGood(instance string) (*aggregate.LastGood, error) {
	if m.last == nil {
		return nil, errors.New(m.noLast)
	}
	good := m.last.Plugin(instance)
	if good == nil {
		return nil, errors.New("it has nothing of this plugin")
	}
	if age := m.started.Sub(good.AsOf); age > m.MaxStale {
		return nil, fmt.Errorf("it is of %s, which is longer ago than max-stale (%s) allows", good.AsOf.UTC().Format(time.RFC3339), m.MaxStale)
	}
	return good, nil
}

func (m *making) sync(ctx context.Context, plugins []aggregate.Plugin, observer aggregate.Observer) (*aggregate.Aggregate, *syncfile.Draft, error) {
	options := []aggregate.Option{aggregate.WithRetry(m.Retry), aggregate.WithObserver(observer), aggregate.WithPackedProfiles(), aggregate.WithResourceTypes(m.Scope.ResourceTypes)}
	if m.Sessions != nil {
		options = append(options, aggregate.WithSessions(m.Sessions()))
	}
	a, err := aggregate.New(plugins, options...)
	if err != nil {
		return nil, nil, err
	}
	defer a.Close()
	draft, err := syncfile.Make(ctx, a.Client(ctx), m.Dir, syncfile.Settings{
		Scope: m.Scope, Engine: m.Engine, Workers: workers(plugins), Read: m.Read,
	})
	return a, draft, err
}

// workers is how many listings the syncer works on at a time. From plugins it is as many
// as it hands out at once (baton-sdk v0.25.0): one that waits for its plugin's limit
// (aggregate.Listings) holds a worker, which is a goroutine and costs next to nothing,
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
func (m *making) withoutFallback(err error) error {
	if !m.fallsBack() {
		return err
	}
	for _, instance := range aggregate.FailedPlugins(err) {
		if _, why := m.lastGood(instance); why != nil {
			err = fmt.Errorf("%w (on-plugin-failure is last-good, but there is no last good sync to answer from for plugin %q: %w)", err, instance, why)
		}
	}
	return err
}

// anyFresh refuses a sync in which nothing is new: it would look like one that
// was made now.
func (m *making) anyFresh(stale []aggregate.Stale) error {
	if len(stale) < len(m.Plugins) {
		return nil
	}
	failures := make([]error, 0, len(stale))
	for _, one := range stale {
		failures = append(failures, one.Err)
	}
	if len(stale) == 1 {
		return failures[0]
	}
	return m.nothingNew(failures)
}

func (m *making) nothingNew(failures []error) error {
	return fmt.Errorf("every plugin of upload %q failed, so there is nothing new to sync: %w", m.Upload, errors.Join(failures...))
}

// contradicted are the plugins of which a listing was rejected, with the reason. What
// they had listed is in the file, which is of no use before it is made again.
func contradicted(stale []aggregate.Stale) map[string]error {
	rejected := map[string]error{}
	for _, one := range stale {
		if one.Contradicted {
			rejected[one.Instance] = one.Err
		}
	}
	return rejected
}

// guard finds the plugins that list too few resources, with the reason. It is an
// error where nothing can stand in for them. A plugin that failed in the middle is
// looked at too: what it had listed before, to its end, is not answered for. One whose
// listing was rejected is not: nothing of it stays.
func (m *making) guard(a *aggregate.Aggregate, draft *syncfile.Draft, stale []aggregate.Stale) (map[string]error, error) {
	if m.last == nil || !m.Scope.Whole() {
		return nil, nil
	}
	if err := m.missing(a); err != nil {
		return nil, err
	}
	before := counts{m.last.Resources, m.last.Accounts}
	now := counts{draft.Resources, draft.Accounts}
	tripped := map[string]error{}
	var failed []error
	rejected := contradicted(stale)
	for _, p := range m.Plugins {
		if p.AcceptDeletions || rejected[p.Instance] != nil {
			continue
		}
		mine := func(typeID string) bool { return m.owner(a, typeID) == p.Instance }
		err := p.Guard.guarded(p.Instance, prefixOf(p), mine, before, now, m.countedAt(p.Instance))
		if err == nil {
			continue
		}
		tripped[p.Instance] = err
		if !m.fallsBack() {
			failed = append(failed, err)
		} else if _, why := m.lastGood(p.Instance); why != nil {
			failed = append(failed, fmt.Errorf("%w (on-plugin-failure is last-good, but there is no last good sync to answer from: %w)", err, why))
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
	if len(tripped)+len(failed) < len(m.Plugins) {
		return tripped, nil
	}
	for _, p := range m.Plugins {
		failed = append(failed, tripped[p.Instance])
	}
	return nil, m.nothingNew(failed)
}

func prefixOf(p Plugin) string {
	if p.Namespace == "" {
		return ""
	}
	return p.Namespace + "."
}

// owner is the plugin of a resource type that may be of the last good sync only.
func (m *making) owner(a *aggregate.Aggregate, typeID string) string {
	if instance := a.Owner(typeID); instance != "" {
		return instance
	}
	if m.last != nil {
		for instance, part := range m.last.Sync.Plugins {
			if slices.Contains(part.ResourceTypes, typeID) {
				return instance
			}
		}
	}
	var bare []string
	for _, p := range m.Plugins {
		if p.Namespace == "" {
			bare = append(bare, p.Instance)
		}
	}
	if len(bare) == 1 && !strings.Contains(typeID, ".") {
		return bare[0]
	}
	return ""
}

// replaced makes the file again with the last good parts of the plugins that tripped
// or whose listing was rejected, and everything else as the first file has it: no app
// is asked twice.
func (m *making) replaced(ctx context.Context, a *aggregate.Aggregate, first *syncfile.Draft, again map[string]error) (*aggregate.Aggregate, *syncfile.Draft, error) {
	file, err := syncfile.Open(ctx, first.Path(), m.Dir)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = file.Close(context.WithoutCancel(ctx)) }()
	var plugins []aggregate.Plugin
	for _, p := range m.Plugins {
		replacement := p.Plugin
		replacement.Conn, replacement.ReadAhead = nil, 0
		if failure, ok := again[p.Instance]; ok {
			replacement.Err = failure
			replacement.LastGood, err = m.lastGood(p.Instance)
			if err != nil {
				return nil, nil, err
			}
		} else {
			learned := a.Learned(p.Instance)
			replacement.Err = errReadAlready
			replacement.LastGood = &aggregate.LastGood{
				Store: file, ResourceTypes: learned.ResourceTypes, Static: learned.Static, Elsewhere: learned.Elsewhere, AsOf: m.started,
			}
		}
		plugins = append(plugins, replacement)
	}
	return m.sync(ctx, plugins, nil)
}

var errReadAlready = errors.New("it has been read in this sync already")

func (m *making) result(a *aggregate.Aggregate, draft *syncfile.Draft, stale []aggregate.Stale) *Result {
	result := &Result{
		Draft: draft, Whole: m.Scope.Whole(), Stale: stale, Accounts: map[string]int{},
		Sync: lastgood.Sync{StartedAt: m.started, Plugins: map[string]lastgood.Part{}},
	}
	for _, p := range m.Plugins {
		result.Accounts[p.Instance] = 0
	}
	for typeID, n := range draft.Accounts {
		result.Accounts[m.owner(a, typeID)] += n
	}
	var unknown []string
	for _, p := range m.Plugins {
		asOf, counts := m.started, map[string]int(nil)
		for _, one := range stale {
			if one.Instance == p.Instance {
				asOf, counts = one.AsOf, m.countedBefore(a, p.Instance)
			}
		}
		part := lastgood.PartOf(a.Learned(p.Instance), asOf, result.Accounts[p.Instance])
		part.Counts = counts
		result.Sync.Plugins[p.Instance] = part
		if m.Scope.Whole() && !p.Guard.Off && !m.compared(a, p.Instance) {
			unknown = append(unknown, fmt.Sprintf("%q", p.Instance))
		}
	}
	result.Unguarded = m.unguarded(unknown)
	return result
}

// countedBefore is how many resources the plugin had by type when its app was last read
// completely. What a stale plugin has now is not what to compare the next sync with.
func (m *making) countedBefore(a *aggregate.Aggregate, instance string) map[string]int {
	counts := map[string]int{}
	for typeID, n := range m.last.Resources {
		if m.owner(a, typeID) == instance {
			counts[typeID] = n
		}
	}
	return counts
}

// countedAt is when the numbers of the last good sync were those of the app.
func (m *making) countedAt(instance string) time.Time {
	if part := m.last.Sync.Plugins[instance]; part.Counts != nil {
		return part.AsOf
	}
	return m.last.File.FinishedAt
}

// compared says that the last good sync has something of the plugin.
func (m *making) compared(a *aggregate.Aggregate, instance string) bool {
	if m.last == nil {
		return false
	}
	for typeID := range m.last.Resources {
		if m.owner(a, typeID) == instance {
			return true
		}
	}
	return false
}
