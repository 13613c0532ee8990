package syncrun

import (
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/errtext"
)

// How a sync went, as the log has it.
const (
	outcomeFresh      = "fresh"      // everything is of now
	outcomeIncomplete = "incomplete" // of now, but a plugin is missing, or entitlements or grants of a resource were skipped
	outcomeMissing    = "missing"    // of a plugin: it failed, and nothing is in its place
	outcomeStale      = "stale"      // a plugin was answered for
	outcomeFailed     = "failed"     // there is no file, or C1 does not have it
	outcomeDropped    = "dropped"    // nothing is decided: C1 has taken the task back, or the host stops
)

// Figures are those of one sync, for the one line of the log about it: also
// of a sync that fails, as far as it came. [Make] fills them in where a [Spec] has
// them. The zero value is ready, and belongs to one sync. Its methods may be called
// concurrently.
type Figures struct {
	mu      sync.Mutex
	whole   bool
	plugins map[string]*pluginFigures
	order   []string
	made    bool
	took    time.Duration // to make the file
	sent    time.Duration // to upload it; 0: it was not
	bytes   int64
	note    string
}

// pluginFigures are those of one plugin.
type pluginFigures struct {
	state    string // "" if nothing is decided
	accounts int    // that the file has; while there is none, that were listed
	stale    int
	asOf     time.Time
	why      string
	pages    int
	retries  int
	restarts int
	skipped  int               // resources; while there is no file, those of the plugin itself
	evidence baseline.Evidence // of all its listings; the zero value while there is no file
}

// begin takes in which plugins the sync is of.
func (f *Figures) begin(plugins []Plugin, whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.whole, f.plugins = whole, map[string]*pluginFigures{}
	for _, p := range plugins {
		f.plugins[p.Instance] = &pluginFigures{restarts: -p.restarts()}
		f.order = append(f.order, p.Instance)
	}
}

// end takes in what came of it, and how long that took.
func (f *Figures) end(plugins []Plugin, result *Result, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took = took
	for _, p := range plugins {
		f.plugins[p.Instance].restarts += p.restarts()
	}
	if result == nil {
		return
	}
	f.made, f.note = true, result.Unguarded
	if size, err := result.Draft.Size(); err == nil {
		f.bytes = size
	}
	for instance, accounts := range result.Accounts {
		if one := f.plugins[instance]; one != nil {
			one.state, one.accounts, one.skipped = outcomeFresh, accounts, result.Sync.Plugins[instance].Skipped
			one.evidence = baseline.EvidenceOfAll(result.Sync.Plugins[instance].Evidence)
			if one.skipped > 0 {
				one.state = outcomeIncomplete
			}
		}
	}
	for _, missing := range result.Missing {
		if one := f.plugins[missing.Instance]; one != nil {
			one.state, one.accounts, one.why = outcomeMissing, 0, errtext.Public(missing.Err)
		}
	}
	for _, stale := range result.Stale {
		if one := f.plugins[stale.Instance]; one != nil {
			one.state, one.stale, one.asOf, one.why = outcomeStale, stale.Accounts, stale.AsOf, errtext.Public(stale.Err)
		}
	}
}

// Sent takes in that C1 has the file, and how long sending it took.
func (f *Figures) Sent(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = took
}

// Log writes the line: at info if all went well, at error if the sync failed. A sync
// that was dropped is a warning: that is no fault of an app, and it is done again.
// The logger is to know the upload and, where C1 has asked for the sync, the task.
//
// It has numbers, times, and names from the configuration; only the error and the reasons
// of evidence may have text of an app or a plugin.
func (f *Figures) Log(log *zap.Logger, err error, dropped bool, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		log.Info("sync done", f.fields(f.outcome(), nil, took)...)
	case dropped:
		log.Warn("sync dropped", append(f.fields(outcomeDropped, nil, took), zap.Error(err))...)
	default:
		log.Error("sync failed", append(f.fields(outcomeFailed, errtext.PublicByPlugin(err), took), zap.Error(err))...)
	}
}

func (f *Figures) outcome() string {
	outcome := outcomeFresh
	for _, one := range f.plugins {
		switch one.state {
		case outcomeStale:
			return outcomeStale
		case outcomeIncomplete, outcomeMissing:
			outcome = outcomeIncomplete
		}
	}
	return outcome
}

func (f *Figures) fields(outcome string, failed map[string]string, took time.Duration) []zap.Field {
	var all pluginFigures
	for name, one := range f.plugins {
		if _, ok := failed[name]; ok {
			one.state = outcomeFailed
		}
		all.accounts += one.accounts
		all.stale += one.stale
		all.pages += one.pages
		all.retries += one.retries
		all.restarts += one.restarts
		all.skipped += one.skipped
	}
	fields := []zap.Field{zap.String("outcome", outcome)}
	if f.plugins != nil {
		fields = append(
			fields, zap.Bool("whole", f.whole), zap.Int("accounts", all.accounts), zap.Int("stale_accounts", all.stale),
			zap.Object("plugins", zapcore.ObjectMarshalerFunc(f.marshalPlugins)),
			zap.Int("pages", all.pages), zap.Int("retries", all.retries), zap.Int("restarts", all.restarts),
			zap.Duration("sync_took", f.took),
		)
	}
	if all.skipped > 0 {
		fields = append(fields, zap.Int("skipped_resources", all.skipped))
	}
	if f.sent > 0 {
		fields = append(fields, zap.Duration("upload_took", f.sent))
	}
	if f.made {
		fields = append(fields, zap.Int64("bytes", f.bytes))
	}
	if f.note != "" {
		fields = append(fields, zap.String("note", f.note))
	}
	return append(fields, zap.Duration("took", took))
}

func (f *Figures) marshalPlugins(to zapcore.ObjectEncoder) error {
	for _, name := range f.order {
		if err := to.AddObject(name, f.plugins[name]); err != nil {
			return err
		}
	}
	return nil
}

// MarshalLogObject writes what is known of the plugin.
func (p *pluginFigures) MarshalLogObject(to zapcore.ObjectEncoder) error {
	if p.state != "" {
		to.AddString("state", p.state)
	}
	to.AddInt("accounts", p.accounts)
	if p.state == outcomeStale {
		to.AddInt("stale_accounts", p.stale)
		to.AddTime("as_of", p.asOf)
	}
	if p.why != "" {
		to.AddString("why", p.why)
	}
	to.AddInt("pages", p.pages)
	to.AddInt("retries", p.retries)
	to.AddInt("restarts", p.restarts)
	if p.skipped > 0 {
		to.AddInt("skipped_resources", p.skipped)
	}
	if p.evidence.Grade != "" {
		to.AddString("evidence", string(p.evidence.Grade))
	}
	if p.evidence.Reason != "" {
		to.AddString("evidence_reason", p.evidence.Reason)
	}
	return nil
}

// countingObserver counts what happens in a sync, and passes it on.
type countingObserver struct {
	aggregate.Observer
	figures *Figures
}

func (c countingObserver) plugin(instance string, count func(*pluginFigures)) {
	c.figures.mu.Lock()
	defer c.figures.mu.Unlock()
	if one := c.figures.plugins[instance]; one != nil {
		count(one)
	}
}

// Listed counts a page.
func (c countingObserver) Listed(page aggregate.Page) {
	c.plugin(page.Instance, func(one *pluginFigures) {
		one.pages++
		if page.Accounts {
			one.accounts += page.Rows
		}
	})
	c.Observer.Listed(page)
}

// Retrying counts a call that is repeated.
func (c countingObserver) Retrying(retry aggregate.Retry) {
	c.plugin(retry.Instance, func(one *pluginFigures) { one.retries++ })
	c.Observer.Retrying(retry)
}

// Skipped counts a resource.
func (c countingObserver) Skipped(skipped aggregate.Skipped) {
	c.plugin(skipped.Instance, func(one *pluginFigures) { one.skipped++ })
	c.Observer.Skipped(skipped)
}
