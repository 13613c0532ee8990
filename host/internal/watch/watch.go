// Package watch finds out when the content of files changes: also of files behind links, as
// Kubernetes swaps them, and of files that an editor replaces.
//
// Package host calls it where an operator wants a configuration reloaded as it changes. It
// must never take a file that is touched, or is away for a moment, for one that has changed.
package watch

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/files"
)

const (
	// quiet is how long nothing must happen before the files are looked at: an editor
	// writes more than once.
	quiet = 300 * time.Millisecond
	// patience is the longest time that they are not looked at while things happen.
	patience = 5 * time.Second
	// interval is how often they are looked at even if nothing was reported: network file
	// systems report nothing.
	interval = 30 * time.Second
	// firstRetry and lastRetry are the pauses before what failed is tried again.
	firstRetry = 10 * time.Second
	lastRetry  = 5 * time.Minute
	// mostLinks is how many links one path may lead through.
	mostLinks = 40
	// largest is how many bytes of a file are looked at.
	largest = 64 << 20
)

// Sums are what is known of the contents of files, by path.
type Sums map[string]string

// Of returns the sums of files. Those that cannot be read are left out.
func Of(paths ...string) Sums {
	sums := Sums{}
	for _, path := range paths {
		if sum, err := files.Sum(path, largest); err == nil {
			sums[path] = sum
		}
	}
	return sums
}

// Watch calls changed with the files that have changed, compared with what is known of
// them, until the context ends. paths returns the files, which may be others each time;
// what is not known of one yet is what it holds when it is first looked at. Where changed
// returns false, it is called again after a pause that grows, with the same files.
func Watch(ctx context.Context, known Sums, paths func() []string, changed func(paths []string) bool) {
	w := &watcher{
		known: known, paths: paths, changed: changed, missing: map[string]bool{},
		interval: interval, firstRetry: firstRetry,
	}
	defer w.close()
	w.run(ctx)
}

type watcher struct {
	known   Sums
	missing map[string]bool // files that were not there when they were first looked at
	paths   func() []string
	changed func([]string) bool

	events *fsnotify.Watcher // of the directories; nil: there is none
	dirs   map[string]bool
	warned bool
	again  bool // look once more at once

	failed  []string // files with which changed returned false
	retryAt time.Time
	pause   time.Duration

	interval, firstRetry time.Duration
}

func (w *watcher) withoutReports(ctx context.Context, err error) {
	if !w.warned {
		ctxzap.Extract(ctx).Warn("the system does not report changes of files, so they are looked at every 30 seconds", zap.Error(err))
	}
	w.warned = true
}

func (w *watcher) run(ctx context.Context) {
	w.look(ctx)
	for ctx.Err() == nil {
		var reported <-chan fsnotify.Event
		var lost <-chan error
		if w.events != nil {
			reported, lost = w.events.Events, w.events.Errors
		}
		wait := w.interval
		if len(w.failed) > 0 {
			wait = max(0, min(wait, time.Until(w.retryAt)))
		}
		if w.again {
			wait = 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-reported:
			settle(ctx, reported)
		case <-lost: //nolint:errcheck // Some events are lost, and with them perhaps a change.
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() == nil {
			w.look(ctx)
		}
	}
}

// look finds out what has changed, and reports it.
func (w *watcher) look(ctx context.Context) {
	paths := w.paths()
	w.again = false
	w.learn(ctx, paths)
	changed := slices.Clone(w.failed)
	for _, path := range paths {
		sum, err := files.Sum(path, largest)
		if err != nil {
			continue // It may come back.
		}
		if w.known[path] != sum || w.missing[path] {
			w.known[path] = sum
			delete(w.missing, path)
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	changed = slices.Compact(changed)
	if len(changed) == 0 || slices.Equal(changed, w.failed) && time.Now().Before(w.retryAt) {
		return
	}
	if w.changed(changed) {
		w.failed, w.pause = nil, 0
	} else {
		w.pause = min(max(2*w.pause, w.firstRetry), lastRetry)
		w.failed, w.retryAt = changed, time.Now().Add(w.pause)
	}
	w.again = w.learn(ctx, w.paths())
}

// learn watches the directories of the files, and takes in what files hold that are new. It
// reports whether the directories are others: a change before now has not been reported.
func (w *watcher) learn(ctx context.Context, paths []string) (moved bool) {
	dirs := map[string]bool{}
	for _, path := range paths {
		for _, dir := range dirsOf(path) {
			dirs[dir] = true
		}
	}
	moved = w.follow(ctx, dirs) // First, or what happens in between would go unnoticed.
	for _, path := range paths {
		if _, known := w.known[path]; known || w.missing[path] {
			continue
		}
		if sum, err := files.Sum(path, largest); err == nil {
			w.known[path] = sum
		} else {
			w.missing[path] = true
		}
	}
	return moved
}

// follow has changes in these directories reported. A set of directories that differs gets
// a watcher of its own: directories come and go, and with them what is known of them.
func (w *watcher) follow(ctx context.Context, dirs map[string]bool) (moved bool) {
	if w.events != nil && maps.Equal(dirs, w.dirs) {
		return false
	}
	w.close()
	events, err := fsnotify.NewWatcher()
	if err != nil {
		w.withoutReports(ctx, err)
		return false
	}
	w.events, w.dirs = events, dirs
	for dir := range dirs {
		if err := events.Add(dir); err != nil && !os.IsNotExist(err) {
			w.withoutReports(ctx, err)
		}
	}
	return true
}

func (w *watcher) close() {
	if w.events != nil {
		_ = w.events.Close()
	}
	w.events = nil
}

// dirsOf returns the directories in which something happens when what is behind a path
// becomes something else: its own, and those of all links on the way.
func dirsOf(path string) []string {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	dirs := []string{filepath.Dir(path)}
	for range mostLinks {
		dir, target := firstLink(path)
		if target == "" {
			break
		}
		path = target
		dirs = append(dirs, dir, filepath.Dir(path))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// firstLink returns the directory of the first link on the way to a file, and the path with
// that link followed; nothing where there is none.
func firstLink(path string) (dir, followed string) {
	parts := strings.Split(path, string(filepath.Separator))
	for i := 1; i <= len(parts); i++ {
		prefix := strings.Join(parts[:i], string(filepath.Separator))
		target, err := os.Readlink(prefix)
		if prefix == "" || err != nil {
			continue
		}
		dir = filepath.Dir(prefix)
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		return dir, filepath.Join(append([]string{target}, parts[i:]...)...)
	}
	return "", ""
}

// settle returns when nothing has been reported for a while.
func settle(ctx context.Context, reported <-chan fsnotify.Event) {
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		still := time.NewTimer(quiet)
		select {
		case <-reported:
			still.Stop()
			continue
		case <-still.C:
		case <-end.C:
		case <-ctx.Done():
		}
		still.Stop()
		return
	}
}
