package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/hostlog"
)

const (
	liveInterval  = 200 * time.Millisecond
	plainInterval = 5 * time.Second
)

// progress shows a person on standard error how a sync goes: one line that
// changes on a terminal, a plain line now and then elsewhere.
type progress struct {
	w      io.Writer
	upload string
	live   bool
	start  time.Time
	stop   chan struct{}
	shown  sync.WaitGroup

	mu       sync.Mutex
	order    []string
	accounts map[string]int
	waiting  map[string]string
	ended    map[string]string // how the last process of a plugin ended
}

func startProgress(upload string, instances []string) *progress {
	p := &progress{
		w:        hostlog.Stderr,
		upload:   upload,
		live:     term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("TERM") != "dumb",
		start:    time.Now(),
		stop:     make(chan struct{}),
		order:    slices.Clone(instances),
		accounts: map[string]int{},
		waiting:  map[string]string{},
		ended:    map[string]string{},
	}
	interval := plainInterval
	if p.live {
		interval = liveInterval
	}
	p.shown.Go(func() { p.show(interval) })
	return p
}

// Listed counts the accounts of a page.
func (p *progress) Listed(plugin string, accounts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, plugin)
	p.accounts[plugin] += accounts
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
			p.print(fmt.Sprintf("%s: going on with another process (%s)", plugin, why))
		}
		return
	}
	p.waiting[plugin] = fmt.Sprintf("trying again in %s (%s)", wait.Round(time.Millisecond*100), why)
	if !p.live {
		p.print(plugin + ": " + p.waiting[plugin])
	}
}

// FellBack shows at once that a plugin's part is that of its baseline.
func (p *progress) FellBack(plugin string, asOf time.Time, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, plugin)
	p.print(fmt.Sprintf("%s failed and falls back to its baseline (%s): %s", plugin,
		asOf.UTC().Format(time.RFC3339), printable(wordsOf(reason))))
}

// print writes a line that stays. The caller holds the lock.
func (p *progress) print(line string) {
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
		_, _ = fmt.Fprintf(p.w, "%s: %s\n", p.upload, printable(result.Unguarded))
	}
	for _, warning := range result.Warnings {
		_, _ = fmt.Fprintf(p.w, "%s: warning: %s\n", p.upload, printable(warning))
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
			line := p.line()
			if p.live {
				_, _ = fmt.Fprint(p.w, "\r\x1b[K"+cutToWidth(line))
			} else {
				_, _ = fmt.Fprintln(p.w, line)
			}
		}
	}
}

func (p *progress) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	total := 0
	parts := make([]string, 0, len(p.order))
	for _, instance := range p.order {
		total += p.accounts[instance]
		part := fmt.Sprintf("%s %d", instance, p.accounts[instance])
		if waiting, ok := p.waiting[instance]; ok {
			part += " " + waiting
		}
		parts = append(parts, part)
	}
	elapsed := time.Since(p.start)
	rate := float64(total) / max(elapsed.Seconds(), 0.001)
	return fmt.Sprintf("%s: %d accounts, %.0f/s, %s: %s", p.upload, total, rate, elapsed.Round(time.Second), strings.Join(parts, ", "))
}

// cutToWidth keeps the live line on one line.
func cutToWidth(line string) string {
	width, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || width <= 1 || len(line) < width {
		return line
	}
	return strings.ToValidUTF8(line[:width-1], "")
}
