package show

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/hostlog"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// progress shows on standard error how a sync goes: to a person by one line that changes
// on a terminal, and a plain line now and then elsewhere; by lines of JSON where the
// command's own lines are.
type progress struct {
	w      io.Writer
	line   *terminal.LiveLine
	log    *zap.Logger // of the lines of JSON; nil: they are text
	silent bool        // the host's log has no line of what happens
	upload string
	start  time.Time
	stop   chan struct{}
	shown  sync.WaitGroup

	mu      sync.Mutex
	order   []string
	counts  map[string]counts
	waiting map[string]string
	ended   map[string]string // how the last process of a plugin ended
}

// counts are what has been listed.
type counts struct {
	host.ListedPage

	pages int
}

// add counts more.
func (c counts) add(more counts) counts {
	c.Accounts += more.Accounts
	c.Others += more.Others
	c.Entitlements += more.Entitlements
	c.Grants += more.Grants
	c.pages += more.pages
	return c
}

// String names what is counted. Where there is none of it, only the accounts are named.
func (c counts) String() string {
	text := amount(c.Accounts, "account", "accounts")
	if c.Others > 0 {
		text += ", " + amount(c.Others, "other resource", "other resources")
	}
	if c.Entitlements > 0 {
		text += ", " + amount(c.Entitlements, "entitlement", "entitlements")
	}
	if c.Grants > 0 {
		text += ", " + amount(c.Grants, "grant", "grants")
	}
	return text
}

func amount(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// startProgress follows a sync for a person until End.
func startProgress(upload string, instances []string, of Person) *progress {
	p := newProgress(hostlog.Stderr, of.own == nil && terminal.HasLiveLines(), upload, instances, of)
	p.shown.Go(p.show)
	return p
}

func newProgress(w io.Writer, isLive bool, upload string, instances []string, of Person) *progress {
	p := &progress{
		w:       w,
		line:    terminal.NewLiveLine(w, isLive),
		silent:  of.isSilent,
		upload:  upload,
		start:   time.Now(),
		stop:    make(chan struct{}),
		order:   slices.Clone(instances),
		counts:  map[string]counts{},
		waiting: map[string]string{},
		ended:   map[string]string{},
	}
	if of.own != nil {
		p.log = of.own.With(zap.String("upload", upload))
	}
	return p
}

// Listed counts what is on a page.
func (p *progress) Listed(plugin string, page host.ListedPage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, plugin)
	p.counts[plugin] = p.counts[plugin].add(counts{page, 1})
}

// Retrying shows at once why a plugin keeps the sync waiting.
func (p *progress) Retrying(plugin string, wait time.Duration, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	why := terminal.Printable(terminal.Words(reason))
	if wait == 0 {
		// Every call that was under way in a process reports its end.
		if p.ended[plugin] != why {
			p.ended[plugin] = why
			p.print(zap.WarnLevel, fmt.Sprintf("%s: going on with another process (%s)", plugin, why))
		}
		return
	}
	p.waiting[plugin] = fmt.Sprintf("trying again in %s (%s)", wait.Round(time.Millisecond*100), why)
	if !p.line.IsLive() {
		p.print(zap.WarnLevel, plugin+": "+p.waiting[plugin])
	}
}

// FellBack shows at once that a plugin's part is that of its baseline.
func (p *progress) FellBack(plugin string, asOf time.Time, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, plugin)
	p.print(zap.WarnLevel, fmt.Sprintf("%s failed and falls back to its baseline (%s): %s", plugin,
		asOf.UTC().Format(time.RFC3339), terminal.Printable(strings.ReplaceAll(terminal.Words(reason), "\n", "; "))))
}

// Missing shows at once that the sync goes without a plugin.
func (p *progress) Missing(plugin string, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, plugin)
	p.print(zap.WarnLevel, fmt.Sprintf("%s failed and has no baseline, so the sync goes without it: %s", plugin, terminal.Printable(strings.ReplaceAll(terminal.Words(reason), "\n", "; "))))
}

// print writes a line that stays. Lines of JSON are for programs: what the host's log has
// is not repeated among them.
func (p *progress) print(level zapcore.Level, line string) {
	if p.log != nil {
		if p.silent {
			p.log.Log(level, line)
		}
		return
	}
	p.line.Clear()
	_, _ = fmt.Fprintf(p.w, "%s: %s\n", p.upload, line)
}

// End clears the live line, and shows what a person must know of the result.
func (p *progress) End(result *host.SyncResult) {
	close(p.stop)
	p.shown.Wait()
	p.line.Clear()
	if result.Unguarded != "" {
		p.print(zap.InfoLevel, terminal.Printable(result.Unguarded))
	}
	for _, warning := range result.Warnings {
		text := terminal.Printable(warning)
		if p.log == nil {
			text = "warning: " + text
		}
		p.print(zap.WarnLevel, text)
	}
}

func (p *progress) show() {
	ticker := time.NewTicker(p.line.Interval())
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.tick()
		}
	}
}

// tick shows how far the sync has come.
func (p *progress) tick() {
	if p.log != nil {
		p.logCounts()
		return
	}
	p.line.Show(p.words())
}

// words is how far the sync has come.
func (p *progress) words() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var total counts
	parts := make([]string, 0, len(p.order))
	for _, instance := range p.order {
		total = total.add(p.counts[instance])
		part := fmt.Sprintf("%s %s", instance, p.counts[instance])
		if waiting, ok := p.waiting[instance]; ok {
			part += " " + waiting
		}
		parts = append(parts, part)
	}
	return fmt.Sprintf("%s: %s, %s, %s: %s", p.upload, total, amount(total.pages, "page", "pages"),
		time.Since(p.start).Round(time.Second), strings.Join(parts, "; "))
}

// logCounts logs the same with the names that the line of a sync's end has.
func (p *progress) logCounts() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var total counts
	parts := make([]zap.Field, 0, len(p.order))
	for _, instance := range p.order {
		of := p.counts[instance]
		total = total.add(of)
		fields := of.fields()
		if waiting, ok := p.waiting[instance]; ok {
			fields = append(fields, zap.String("waits", waiting))
		}
		parts = append(parts, zap.Dict(instance, fields...))
	}
	p.log.Info("sync under way", append(total.fields(), zap.Duration("took", time.Since(p.start)), zap.Dict("plugins", parts...))...)
}

func (c counts) fields() []zap.Field {
	return []zap.Field{
		zap.Int("accounts", c.Accounts), zap.Int("other_resources", c.Others),
		zap.Int("entitlements", c.Entitlements), zap.Int("grants", c.Grants), zap.Int("pages", c.pages),
	}
}
