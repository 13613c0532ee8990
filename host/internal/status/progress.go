package status

import (
	"fmt"
	"time"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/errtext"
)

// progress is a sync under way.
type progress struct {
	Progress
	parts    map[string]*PluginPart
	uploaded bool // C1 has it
}

func (p *progress) snapshot() Progress {
	s := p.Progress
	s.Plugins = []PluginPart{}
	for _, part := range p.Plugins {
		s.Plugins = append(s.Plugins, *p.parts[part.Plugin])
	}
	return s
}

// begin notes a sync that a task asks for. The caller holds the lock.
func (b *Board) begin(u *uploadState, task string, whole bool) *progress {
	p := &progress{Progress: Progress{Task: task, StartedAt: time.Now(), Whole: whole}, parts: map[string]*PluginPart{}}
	for _, name := range u.plugins {
		part := PluginPart{Plugin: name, Before: u.parts[name].Accounts}
		p.Plugins = append(p.Plugins, part)
		p.parts[name] = &part
	}
	u.syncs = append(u.syncs, p)
	return p
}

// Sync receives how the sync goes that a task of C1 asks for. For other tasks,
// "" stands for the task; then only what plugins had to repeat is counted.
func (b *Board) Sync(upload, task string) aggregate.Observer {
	return &watcher{board: b, upload: upload, task: task}
}

// watcher reports to a board what a sync has done.
type watcher struct {
	board        *Board
	upload, task string
}

// part has fn change what is known of a plugin's part, if the sync is known.
func (w *watcher) part(plugin string, fn func(*PluginPart)) {
	w.board.change(func() {
		u := w.board.upload(w.upload)
		if u == nil {
			return
		}
		p := u.sync(w.task)
		if p == nil || p.parts[plugin] == nil {
			return
		}
		fn(p.parts[plugin])
	})
}

// Listed counts what is on a page.
func (w *watcher) Listed(page aggregate.Page) {
	w.part(page.Instance, func(part *PluginPart) {
		part.Waits = ""
		part.Pages++
		switch {
		case page.Entitlements:
		case page.Grants:
			part.Grants += page.Rows
		default:
			part.Resources += page.Rows
		}
		if page.Accounts {
			part.Accounts += page.Rows
		}
	})
}

// Retrying counts attempts, and says what is waited for.
func (w *watcher) Retrying(retry aggregate.Retry) {
	w.board.countRetry(w.upload, retry.Instance)
	w.part(retry.Instance, func(part *PluginPart) {
		part.Waits = fmt.Sprintf("trying again after %s", rounded(retry.Wait))
		if retry.Wait == 0 {
			part.Waits = "waiting for another process"
		}
		if why := errtext.Public(retry.Err); why != "" {
			part.Waits += ": " + why
		}
	})
}

// countRetry counts a call that is repeated, unless the upload no longer has the plugin.
func (b *Board) countRetry(upload, plugin string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if u := b.upload(upload); u != nil && u.has(plugin) {
		b.metrics.retries.WithLabelValues(upload, plugin).Inc()
	}
}

func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}

// Skipped counts a resource.
func (w *watcher) Skipped(skipped aggregate.Skipped) {
	w.part(skipped.Instance, func(part *PluginPart) { part.Skipped++ })
}

// FellBack says that a plugin falls back.
func (w *watcher) FellBack(fallback aggregate.Fallback) {
	why := sentence(fallback.Err, fmt.Sprintf("plugin %q failed", fallback.Instance))
	w.part(fallback.Instance, func(part *PluginPart) {
		if part.Waits = ""; fallback.Missing {
			part.Missing = why
			return
		}
		part.AnsweredFor = why
	})
	w.board.change(func() {
		w.board.failed(Error{Upload: w.upload, Plugin: fallback.Instance, What: kindOf(fallback.Err), Why: why, Task: w.task})
	})
}
