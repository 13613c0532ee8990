package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/notify"
	"github.com/batonhost/baton-host/host/internal/service"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/status/history"
)

// configurationPatience is how long the other plugins may take to report what is wrong
// with their configuration once one has, so that everything is reported at once.
const configurationPatience = 10 * time.Second

// serving is what a host in Serve serves. A reload changes it: a changed upload gets
// another service once the work in hand of the old one has ended, and a plugin ends with
// the last service that has it.
type serving struct {
	host    *Host
	ctx     context.Context //nolint:containedctx // Serve's, for services that a reload begins.
	stop    context.CancelFunc
	running *fleet.Fleet
	board   *status.Board
	past    *history.File
	options service.Options
	// notifier reports to the webhook of the configuration.
	notifier *notify.Notifier

	work    sync.WaitGroup // services, and reloads
	changed chan struct{}  // has an element once a service has ended

	reloading sync.Mutex // held by the reload that is under way
	queue     queue

	mu       sync.Mutex
	cfg      *config.Config
	dirs     []string // where plugins are looked up
	uploads  []*config.Upload
	plugins  []*fleet.Plugin  // those of the uploads
	current  []*served        // the service of each upload, in the order of the uploads
	live     []*served        // all whose work has not ended, also those that are retired
	trying   []*fleet.Plugin  // those that a reload has started, and that may be refused
	replaced []*config.Config // by reloads, whose stores of secrets something may still use
	reloaded bool             // there has been a reload
	over     bool             // nothing is served any more
}

// served is one upload with the service that serves it, which may have to wait for others
// to end.
type served struct {
	upload  *config.Upload
	plugins []*fleet.Plugin
	after   []*served     // what must have ended before it begins
	done    chan struct{} // closed when its work has ended; err is written before
	err     error

	mu      sync.Mutex
	service *service.Service // nil until it begins
	moved   *moved           // nil: it is where it was in the file
	retired chan struct{}    // closed by retire
}

// moved is an upload that did not change, as a later configuration has it.
type moved struct {
	upload *config.Upload
	from   *config.Config
}

func newServing(ctx context.Context, h *Host, running *fleet.Fleet, board *status.Board, past *history.File, options service.Options) *serving {
	ctx, stop := context.WithCancel(ctx)
	return &serving{
		host: h, ctx: ctx, stop: stop, running: running, board: board, past: past, options: options,
		changed: make(chan struct{}, 1), cfg: h.cfg, dirs: h.finder.Dirs, uploads: h.uploads,
	}
}

// setServing sets what the host serves.
func (h *Host) setServing(s *serving) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serving = s
}

// serves returns what the host serves, or nil.
func (h *Host) serves() *serving {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.serving
}

// served returns the uploads as they are now.
func (h *Host) served() []*config.Upload {
	s := h.serves()
	if s == nil {
		return h.uploads
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uploads // It is replaced, never changed.
}

// begin serves the uploads that the host was opened with.
func (s *serving) begin(plugins []*fleet.Plugin) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plugins = plugins
	for _, upload := range s.uploads {
		one := s.prepare(upload)
		s.current = append(s.current, one)
		s.serve(one, s.options)
	}
}

// prepare returns an upload that is to be served, after whatever serves its name or its
// client of C1 now. The caller holds the lock.
func (s *serving) prepare(upload *config.Upload) *served {
	one := &served{upload: upload, plugins: s.running.Of(upload), done: make(chan struct{}), retired: make(chan struct{})}
	for _, other := range s.live {
		if other.upload.Name == upload.Name || upload.ClientID != "" && other.upload.ClientID == upload.ClientID {
			one.after = append(one.after, other)
		}
	}
	return one
}

// serve serves an upload. The caller holds the lock.
func (s *serving) serve(one *served, options service.Options) {
	s.live = append(s.live, one)
	s.work.Go(func() {
		s.run(one, options)
		s.ended(one)
	})
}

func (s *serving) run(one *served, options service.Options) {
	defer close(one.done)
	for _, other := range one.after {
		select {
		case <-other.done: // It ends with the host too.
		case <-one.retired:
			return // What comes after this one waits for the others itself.
		}
	}
	one.after = nil
	serving := one.begin(func() *service.Service { return service.New(one.upload, s.running, s.board, s.past, options) })
	if serving != nil {
		one.err = serving.Serve(s.ctx)
	}
}

// begin returns the service, or nil if it was retired before it began.
func (o *served) begin(open func() *service.Service) *service.Service {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-o.retired:
	default:
		o.service = open()
		if o.moved != nil {
			o.service.Move(o.moved.upload, o.moved.from)
		}
	}
	return o.service
}

// move takes in where the upload is in the file now.
func (o *served) move(upload *config.Upload, from *config.Config) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.moved = &moved{upload, from}
	if o.service != nil {
		o.service.Move(upload, from)
	}
}

// retire has the service end once its work in hand has. Call it once.
func (o *served) retire() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.retired)
	if o.service != nil {
		o.service.Retire()
	}
}

// hasEnded reports whether its work has ended.
func (o *served) hasEnded() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

// ended cleans up behind a service. What a plugin's schema refuses of the configuration
// ends the host, unless a reload has changed the upload: it must be fixed, and the host
// restarted.
func (s *serving) ended(one *served) {
	if _, wrong := errors.AsType[settings.Problems](one.err); wrong && s.isCurrent(one) {
		patience, cancel := context.WithTimeout(s.ctx, configurationPatience)
		_ = fleet.Await(patience, s.running.Plugins()) // What has not started by then has nothing to report.
		cancel()
		if s.isCurrent(one) {
			s.stop()
		}
	}
	s.mu.Lock()
	s.live = slices.DeleteFunc(s.live, func(other *served) bool { return other == one })
	s.show()
	s.mu.Unlock()
	s.reap()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *serving) isCurrent(one *served) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.current, one)
}

// show has the board show what is served, and what was and is not done yet. The caller
// holds the lock.
func (s *serving) show() {
	var shown []status.Served
	add := func(one *served) {
		if !slices.ContainsFunc(shown, func(other status.Served) bool { return other.Name == one.upload.Name }) {
			shown = append(shown, shownOf(one.upload))
		}
	}
	for _, one := range s.current {
		add(one)
	}
	for _, one := range s.live {
		add(one)
	}
	s.board.Serve(shown)
}

// reap stops the plugins that nothing needs any more.
func (s *serving) reap() {
	s.mu.Lock()
	needed := slices.Concat(s.plugins, s.trying)
	for _, one := range s.live {
		needed = append(needed, one.plugins...)
	}
	rest := slices.DeleteFunc(slices.Clone(s.running.Plugins()), func(p *fleet.Plugin) bool { return slices.Contains(needed, p) })
	var replaced []*config.Config
	current := s.cfg
	if s.ctx.Err() == nil && !slices.ContainsFunc(s.live, func(one *served) bool { return !slices.Contains(s.current, one) }) {
		replaced, s.replaced = s.replaced, nil // What is left uses the stores of the current one.
	}
	s.mu.Unlock()
	if s.ctx.Err() != nil {
		return // The end of the host stops all of them.
	}
	for _, p := range rest {
		ctxzap.Extract(s.ctx).Info("the plugin is not needed any more", zap.String("plugin", p.Name))
	}
	if len(rest) > 0 {
		s.running.Remove(s.ctx, rest)
	}
	for _, cfg := range replaced {
		cfg.CloseStores(s.ctx, current)
	}
}

// end stops the plugins, and logs out of the stores of secrets.
func (s *serving) end(ctx context.Context) {
	s.running.Stop(ctx)
	s.mu.Lock()
	configs := append(s.replaced, s.cfg)
	s.mu.Unlock()
	for _, cfg := range configs {
		if cfg != nil { // It is of a single app.
			cfg.CloseStores(ctx, nil)
		}
	}
}

// wait returns when nothing is served any more, with the reason. A host that has been
// reloaded waits for the next reload: its configuration is about to be fixed in place.
func (s *serving) wait(ctx context.Context) error {
	defer s.work.Wait()
	defer s.stop()
	stopping := s.ctx.Done()
	for !s.isOver() {
		select {
		case <-s.changed:
		case <-stopping:
			stopping = nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := fleet.SchemaErr(s.plugins); err != nil {
		return err
	}
	var ended []error
	for _, one := range s.current {
		ended = append(ended, one.err)
	}
	return fmt.Errorf("no upload can be served any more:\n%w", errors.Join(ended...))
}

// isOver reports whether nothing is served, and no reload can change that.
func (s *serving) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = len(s.live) == 0 && (!s.reloaded || s.ctx.Err() != nil)
	return s.over
}

// plugin returns the plugin of that name, or nil. The caller holds the lock.
func (s *serving) plugin(name string) *fleet.Plugin {
	for _, p := range s.plugins {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// pluginsNow returns the plugins of the uploads as they are now.
func (s *serving) pluginsNow() []*fleet.Plugin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plugins // It is replaced, never changed.
}

// servedIn returns what serves the upload of that name, or nil.
func servedIn(all []*served, upload string) *served {
	for _, one := range all {
		if one.upload.Name == upload {
			return one
		}
	}
	return nil
}

// errStopping is the answer of a host that stops, or has stopped, serving.
var errStopping = errors.New("the host is stopping")
