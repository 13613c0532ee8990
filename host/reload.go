package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/service"
)

// ErrNotServing says that a host serves nothing, so there is nothing to reload.
var ErrNotServing = errors.New("the host does not serve yet, or not any more, so its configuration cannot be reloaded")

// Reloaded is what a reload has changed.
type Reloaded struct {
	// Plugins and Uploads are those before and after, in the order of the configuration;
	// those that were removed come last.
	Plugins []ReloadedEntry `json:"plugins"`
	Uploads []ReloadedEntry `json:"uploads"`
}

// ReloadedEntry is what became of one plugin or upload.
type ReloadedEntry struct {
	Name   string         `json:"name"`
	Change ReloadedChange `json:"change"`
}

// ReloadedChange is what a reload does with an entry of the configuration.
type ReloadedChange string

// What a reload does.
const (
	ReloadAdded     ReloadedChange = "added"
	ReloadChanged   ReloadedChange = "changed"
	ReloadRemoved   ReloadedChange = "removed"
	ReloadUnchanged ReloadedChange = "unchanged"
)

// Reload has a host in Serve read its configuration and its lock file again. All of it is
// checked first, and each plugin that is new or has changed is started and configured; one
// that replaces a process that works tries its credentials too, and so does an upload: if
// anything is wrong, nothing changes, and the error is everything that is wrong. That an app
// or C1 is away is nothing wrong.
//
// What did not change goes on as it is. A changed upload, or one with a changed plugin, is
// served by a new service once its tasks in hand have ended; Reload does not wait for that. What
// references resolve to does not count as a change. Deletions that Options.AcceptDeletions
// accepts and that have not happened yet are no longer accepted for a changed upload.
//
// Several reloads at once are one. It is [ErrNotServing] where the host is not in Serve.
func (h *Host) Reload(ctx context.Context) (*Reloaded, error) {
	s := h.serves()
	if s == nil {
		return nil, ErrNotServing
	}
	return s.reload(ctx)
}

// queue is reloads that wait for the one under way: they become one.
type queue struct {
	mu      sync.Mutex
	waiting *turn // nil: none waits
}

// turn is a reload for everybody who asked for one before it began.
type turn struct {
	done   chan struct{}
	result *Reloaded
	err    error
}

// reload reloads once what is under way has ended. It goes on where the caller's context
// ends.
func (s *serving) reload(ctx context.Context) (*Reloaded, error) {
	s.queue.mu.Lock()
	mine := s.queue.waiting
	if mine == nil {
		mine = &turn{done: make(chan struct{})}
		if !s.goOn(func() { s.take(mine) }) {
			s.queue.mu.Unlock()
			return nil, errStopping
		}
		s.queue.waiting = mine
	}
	s.queue.mu.Unlock()
	select {
	case <-mine.done:
		return mine.result, mine.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// goOn does something that the end of Serve waits for, unless it has come.
func (s *serving) goOn(do func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.ctx.Err() != nil {
		return false
	}
	s.work.Go(do)
	return true
}

// take takes a turn.
func (s *serving) take(mine *turn) {
	s.reloadOnce(mine)
	close(mine.done)
	s.reap()
}

func (s *serving) reloadOnce(mine *turn) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.queue.mu.Lock()
	s.queue.waiting = nil
	s.queue.mu.Unlock()
	log := ctxzap.Extract(s.ctx)
	next, err := s.read(s.ctx)
	if err == nil {
		if mine.result, err = s.apply(next); err != nil {
			next.cfg.CloseStores(s.ctx, s.cfg)
		}
	}
	if s.ctx.Err() != nil && err != nil {
		mine.err = errStopping
		return
	}
	mine.err = err
	s.board.Reloaded(err)
	if err != nil {
		log.Error("the configuration is refused; the host goes on with the one before", zap.Error(err))
		return
	}
	log.Info("the configuration is reloaded", zap.Any("plugins", byChange(mine.result.Plugins)), zap.Any("uploads", byChange(mine.result.Uploads)))
}

// byChange returns the names of what changed, by what became of them.
func byChange(entries []ReloadedEntry) map[ReloadedChange][]string {
	changed := map[ReloadedChange][]string{}
	for _, one := range entries {
		if one.Change != ReloadUnchanged {
			changed[one.Change] = append(changed[one.Change], one.Name)
		}
	}
	return changed
}

// reading is a configuration that was read again and is right. Its uploads have the
// entries of plugins that did not change from before.
type reading struct {
	cfg     *config.Config
	dirs    []string
	uploads []*config.Upload
	plugins []*fleet.Plugin
	fresh   []*fleet.Plugin                 // those of the plugins that were started for it
	moved   map[*fleet.Plugin]*fleet.Plugin // those that did not change, with what they are in the file now
}

// read reads the configuration, and starts what is new in it.
func (s *serving) read(ctx context.Context) (next *reading, err error) {
	h := s.host
	if h.cfg == nil {
		return nil, errors.New("there is no configuration file that could be read again: a single app was selected")
	}
	if info, err := os.Stat(h.cfg.Path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file, so it cannot be read again; restart the host", h.cfg.Path)
	}
	options := h.options
	options.AcceptDeletions = nil // They were accepted of what was there at the start.
	options.before = s.cfg
	opened, err := Open(ctx, h.selection, options)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			opened.cfg.CloseStores(ctx, s.cfg)
		}
	}()
	candidates, dir, err := opened.prepareService(ctx)
	if err != nil {
		return nil, err
	}
	if dir != s.options.StateDir {
		return nil, fmt.Errorf("%s: the state directory is %s now and was %s; that needs a restart of the host", opened.cfg.Path, dir, s.options.StateDir)
	}
	if was, is := h.cfg.State, opened.cfg.State; (was == nil) != (is == nil) || was != nil && *was != *is {
		return nil, fmt.Errorf("%s: the shared state is %q now and was %q, or is reached in another way; that needs a restart of the host", opened.cfg.Path, opened.sharedLocation(), h.sharedLocation())
	}
	if err := opened.checkState(ctx, candidates, s.options.State); err != nil {
		return nil, err
	}
	next = &reading{cfg: opened.cfg, dirs: opened.finder.Dirs, uploads: opened.uploads}
	s.choose(next, candidates)
	var failed []error
	for _, p := range next.fresh {
		_, err := p.Found(opened.finder)
		if err == nil && p.IsAttached() {
			err = fmt.Errorf("plugin %q is attached to, so a change of it needs a restart of the host", p.Name)
		}
		failed = append(failed, err)
	}
	failed = append(failed, s.tryUploads(ctx, next.uploads))
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	if err := s.try(ctx, next, opened.fleetOptions()); err != nil {
		return nil, err
	}
	return next, nil
}

// choose keeps the plugins that did not change. They stay what their processes were started
// from; the uploads of the new configuration refer to them.
func (s *serving) choose(next *reading, candidates []*fleet.Plugin) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sameDirs := slices.Equal(s.dirs, next.dirs)
	kept := map[*config.Plugin]*config.Plugin{}
	next.moved = map[*fleet.Plugin]*fleet.Plugin{}
	for _, candidate := range candidates {
		running := s.plugin(candidate.Name)
		if running == nil || !running.IsSame(candidate) || candidate.IsLookedUp() && !sameDirs || running.Opens(candidate) {
			next.plugins, next.fresh = append(next.plugins, candidate), append(next.fresh, candidate)
			continue
		}
		next.plugins, kept[candidate.Plugin], next.moved[running] = append(next.plugins, running), running.Plugin, candidate
	}
	replace := func(entries []*config.Plugin) {
		for i, entry := range entries {
			if same := kept[entry]; same != nil {
				entries[i] = same
			}
		}
	}
	replace(next.cfg.Plugins)
	for _, upload := range next.cfg.Uploads {
		replace(upload.Plugins)
	}
}

// try starts and configures what is next. If anything is wrong with it, all of it is stopped.
func (s *serving) try(ctx context.Context, next *reading, options fleet.Options) error {
	if len(next.fresh) == 0 {
		return nil
	}
	options.Observer = s.board // Not persistent: what does not start is not tried again.
	s.mu.Lock()
	s.trying = next.fresh
	s.mu.Unlock()
	err := s.running.Add(next.fresh, options)
	if err == nil {
		err = fleet.Await(ctx, next.fresh)
	}
	if err == nil {
		err = errors.Join(fleet.ConfigurationErr(next.fresh), fleet.StartErr(next.fresh))
	}
	if err == nil {
		err = fleet.RefusedErr(ctx, s.replacing(next.fresh))
	}
	if err != nil {
		s.drop(next)
	}
	return err
}

// replacing returns those plugins that are to replace one that works: credentials that their
// app refuses would end that.
func (s *serving) replacing(fresh []*fleet.Plugin) []*fleet.Plugin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(fresh), func(p *fleet.Plugin) bool {
		old := s.plugin(p.Name)
		return old == nil || !old.IsReady() || !p.IsReady()
	})
}

// tryUploads has C1 take the credentials of uploads that change and are served. That C1 is
// away is no error.
func (s *serving) tryUploads(ctx context.Context, uploads []*config.Upload) error {
	ctx, cancel := context.WithTimeout(ctx, uploadLimit)
	defer cancel()
	s.mu.Lock()
	changed := slices.DeleteFunc(slices.Clone(uploads), func(upload *config.Upload) bool {
		old := servedIn(s.current, upload.Name)
		return old == nil || old.hasEnded() || upload.ClientID == "" || s.isSame(old, upload)
	})
	s.mu.Unlock()
	failed := make([]error, len(changed))
	var trying sync.WaitGroup
	for i, upload := range changed {
		trying.Go(func() {
			_, err := service.Check(ctx, upload, s.options.Version)
			if _, isRefused := errors.AsType[*service.RefusedError](err); isRefused {
				failed[i] = err
			}
		})
	}
	trying.Wait()
	return errors.Join(failed...)
}

// uploadLimit bounds how long a reload waits for C1's answer to changed uploads.
const uploadLimit = 30 * time.Second

// drop stops what was started for a configuration that is not taken.
func (s *serving) drop(next *reading) {
	s.running.Remove(s.ctx, next.fresh)
	s.mu.Lock()
	s.trying = nil
	s.mu.Unlock()
}

// apply has the host go on with what was read.
func (s *serving) apply(next *reading) (*Reloaded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.ctx.Err() != nil {
		return nil, errStopping // All plugins are stopped there.
	}
	result := &Reloaded{Plugins: s.changes(next), Uploads: []ReloadedEntry{}}
	for _, p := range next.fresh {
		if old := s.plugin(p.Name); old != nil {
			old.Hide()
		}
	}
	before := s.current
	s.current = nil
	var begin []*served
	for i, upload := range next.uploads {
		old := servedIn(before, upload.Name)
		change := ReloadChanged
		switch {
		case old == nil:
			change = ReloadAdded
		case !old.hasEnded() && s.isSame(old, upload) && slices.Equal(old.plugins, s.running.Of(upload)):
			old.move(upload, next.cfg)
			change, next.uploads[i] = ReloadUnchanged, old.upload
		}
		result.Uploads = append(result.Uploads, ReloadedEntry{upload.Name, change})
		if change == ReloadUnchanged {
			s.current = append(s.current, old)
			continue
		}
		one := s.prepare(upload)
		s.current, begin = append(s.current, one), append(begin, one)
	}
	for _, old := range before {
		if slices.Contains(s.current, old) {
			continue
		}
		old.retire()
		if servedIn(s.current, old.upload.Name) == nil {
			result.Uploads = append(result.Uploads, ReloadedEntry{old.upload.Name, ReloadRemoved})
		}
	}
	s.replaced = append(s.replaced, s.cfg)
	s.cfg, s.dirs, s.uploads, s.plugins, s.trying, s.reloaded = next.cfg, next.dirs, next.uploads, next.plugins, nil, true
	options := s.options
	options.Accept, options.Config = nil, next.cfg
	for kept, now := range next.moved {
		kept.Move(now, next.cfg)
	}
	s.running.Resize(next.cfg.MaxRunning)
	s.show() // Before what is new reports to the board.
	s.notifier.Use(next.cfg)
	for _, p := range next.fresh {
		p.Show()
	}
	for _, one := range begin {
		s.serve(one, options)
	}
	return result, nil
}

// isSame reports whether an upload is served as a configuration that was read again has it. Its
// credentials may have been resolved, or have changed, since it was loaded.
func (s *serving) isSame(old *served, upload *config.Upload) bool {
	now := *old.upload
	now.ClientID = cmp.Or(s.options.Clients.Of(now.Name), now.ClientID)
	return now.IsSame(upload)
}

// changes returns what becomes of the plugins. The caller holds the lock.
func (s *serving) changes(next *reading) []ReloadedEntry {
	changes := []ReloadedEntry{}
	for _, p := range next.plugins {
		change := ReloadUnchanged
		switch old := s.plugin(p.Name); {
		case old == nil:
			change = ReloadAdded
		case old != p:
			change = ReloadChanged
		}
		changes = append(changes, ReloadedEntry{p.Name, change})
	}
	for _, old := range s.plugins {
		if !slices.ContainsFunc(next.plugins, func(p *fleet.Plugin) bool { return p.Name == old.Name }) {
			changes = append(changes, ReloadedEntry{old.Name, ReloadRemoved})
		}
	}
	return changes
}
