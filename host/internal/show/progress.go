package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/hostlog"
)

const (
	liveInterval  = 200 * time.Millisecond
	plainInterval = 5 * time.Second
)

// progress shows on standard error how a sync goes: to a person by one line that changes
// on a terminal, and a plain line now and then elsewhere; by lines of JSON where the
// command's own lines are.
type progress struct {
	w      io.Writer
	log    *zap.Logger // of the lines of JSON; nil: they are text
	silent bool        // the host's log has no line of what happens
	upload string
	live   bool
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
func startProgress(upload string, instances []string, of person) *progress {
	p := newProgress(hostlog.Stderr, upload, instances, of)
	p.live = p.log == nil && onTerminal() && os.Getenv("TERM") != "dumb"
	interval := plainInterval
	if p.live {
		interval = liveInterval
	}
	p.shown.Go(func() { p.show(interval) })
	return p
}

func newProgress(w io.Writer, upload string, instances []string, of person) *progress {
	p := &progress{
		w:       w,
		silent:  of.silent,
		upload:  upload,
		start:   time.Now(),
		stop:    make(chan struct{}),
		order:   slices.Clone(instances),
		counts:  map[string]counts{},
		waiting: map[string]string{},
		ended:   map[string]string{},
	}
	if of.log != nil {
		p.log = of.log.With(zap.String("upload", upload))
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
	why := printable(wordsOf(reason))
	if wait == 0 {
		// Every call that was under way in a process reports its end.
		if p.ended[plugin] != why {
			p.ended[plugin] = why
			p.print(zap.WarnLevel, fmt.Sprintf("%s: going on with another process (%s)", plugin, why))
		}
		return
	}
	p.waiting[plugin] = fmt.Sprintf("trying again in %s (%s)", wait.Round(time.Millisecond*100), why)
	if !p.live {
		p.print(zap.WarnLevel, plugin+": "+p.waiting[plugin])
	}
}

// FellBack shows at once that a plugin's part is that of its baseline.
func (p *progress) FellBack(plugin string, asOf time.Time, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, plugin)
	p.print(zap.WarnLevel, fmt.Sprintf("%s failed and falls back to its baseline (%s): %s", plugin,
		asOf.UTC().Format(time.RFC3339), printable(strings.ReplaceAll(wordsOf(reason), "\n", "; "))))
}

// Missing shows at once that the sync goes without a plugin.
func (p *progress) Missing(plugin string, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, plugin)
	p.print(zap.WarnLevel, fmt.Sprintf("%s failed and has no baseline, so the sync goes without it: %s", plugin, printable(strings.ReplaceAll(wordsOf(reason), "\n", "; "))))
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
	if p.live {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
	}
	_, _ = fmt.Fprintf(p.w, "%s: %s\n", p.upload, line)
}

// End clears the live line, and shows what a person must know of the result.
func (p *progress) End(result *host.SyncResult) {
	close(p.stop)
	p.shown.Wait()
	if p.live {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
	}
	if result.Unguarded != "" {
		p.print(zap.InfoLevel, printable(result.Unguarded))
	}
	for _, warning := range result.Warnings {
		text := printable(warning)
		if p.log == nil {
			text = "warning: " + text
		}
		p.print(zap.WarnLevel, text)
	}
}

func (p *progress) show(interval time.Duration) {
	ticker := time.NewTicker(interval)
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
	switch {
	case p.log != nil:
		p.logCounts()
	case p.live:
		_, _ = fmt.Fprint(p.w, "\r\x1b[K"+cutToWidth(p.line()))
	default:
		_, _ = fmt.Fprintln(p.w, p.line())
	}
}

// line is how far the sync has come, in words.
func (p *progress) line() string {
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

// cutToWidth keeps the live line on one line.
func cutToWidth(line string) string {
	width, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || width <= 1 || len(line) < width {
		return line
	}
	return strings.ToValidUTF8(line[:width-1], "")
}
