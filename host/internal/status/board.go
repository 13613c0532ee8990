package status

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	// mostSyncs is how many syncs are remembered of each upload.
	mostSyncs = 30
	// mostErrors is how many errors are remembered.
	mostErrors = 20
)

// Options say of which host a [Board] is.
type Options struct {
	Version    string
	SDKVersion string
	HostID     string
	Uploads    []Served
}

// Served is an upload of the host.
type Served struct {
	Name    string
	Plugins []string
	// Addresses are the hosts and ports of the plugins' apps, as far as the configuration has
	// them; see settings.Settings.Address.
	Addresses map[string]string
	// MaxStale is how old what C1 has may be before the upload counts as stale.
	MaxStale time.Duration
}

// Board is what is known of a running host. It is safe for concurrent use.
type Board struct {
	metrics *metrics

	mu      sync.Mutex
	host    Host
	uploads []*uploadState
	plugins []*Plugin
	errors  []Error           // the oldest first
	past    map[string][]Sync // the history of uploads that are not served any more
	changed chan struct{}     // closed at the next change

	credentialsChanged chan struct{} // closed at the next change of credentials
}

// New makes a board for a host that has just been started.
func New(options Options) *Board {
	b := &Board{
		host: Host{
			ID: options.HostID, Version: options.Version, SDKVersion: options.SDKVersion, GoVersion: runtime.Version(), StartedAt: time.Now(),
		},
		changed: make(chan struct{}), credentialsChanged: make(chan struct{}), past: map[string][]Sync{},
	}
	b.metrics = newMetrics(b.host)
	b.serve(options.Uploads)
	return b
}

// Serve takes in what the host serves from now on, in place of what it served before. What
// is known of an upload or a plugin that it goes on with stays, and so does the history of
// one that it does not.
func (b *Board) Serve(uploads []Served) { b.change(func() { b.serve(uploads) }) }

func (b *Board) serve(served []Served) {
	before, plugins := b.uploads, b.plugins
	b.uploads, b.plugins = nil, nil
	for _, one := range served {
		u := uploadIn(before, one.Name)
		if u == nil {
			u = &uploadState{name: one.Name, parts: map[string]*Part{}}
			u.recall(b.past[one.Name])
			delete(b.past, one.Name)
		}
		for _, name := range u.serve(one) {
			b.metrics.removePart(u.name, name)
		}
		b.uploads = append(b.uploads, u)
		for _, name := range one.Plugins {
			plugin := b.plugin(name)
			if plugin == nil {
				if plugin = pluginIn(plugins, name); plugin == nil {
					plugin = &Plugin{Name: name, State: "starting", Since: time.Now()}
				}
				plugin.Uploads = nil
				b.plugins = append(b.plugins, plugin)
			}
			plugin.Uploads, plugin.Address = append(plugin.Uploads, one.Name), one.Addresses[name]
		}
		b.metrics.prepare(one)
	}
	for _, u := range before {
		if b.upload(u.name) == nil {
			b.past[u.name] = u.history
			b.metrics.forgetUpload(u.name)
		}
	}
	for _, plugin := range plugins {
		if b.plugin(plugin.Name) == nil {
			b.metrics.forgetPlugin(plugin.Name)
		}
	}
}

// Reloaded takes in that the configuration was read again, and the error for which it was
// refused, which is nil if it was not.
func (b *Board) Reloaded(err error) {
	b.change(func() {
		now := time.Now()
		b.host.LastReload = &Reload{At: now, Why: sentence(err, "the configuration was refused")}
		b.metrics.reloaded(now, err == nil)
	})
}

// Changed is closed at the next change of anything but the time.
func (b *Board) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// CredentialsChanged is closed at the next change of credentials.
func (b *Board) CredentialsChanged() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.credentialsChanged
}

// change has fn change something.
func (b *Board) change(fn func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn()
	close(b.changed)
	b.changed = make(chan struct{})
}

// Snapshot is how everything is now.
func (b *Board) Snapshot() Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Snapshot{Now: time.Now(), Host: b.host, Uploads: []Upload{}, Plugins: []Plugin{}, Errors: append([]Error{}, b.errors...)}
	slices.Reverse(s.Errors)
	for _, plugin := range b.plugins {
		one := *plugin
		one.Uploads = slices.Clone(plugin.Uploads)
		s.Plugins = append(s.Plugins, one)
	}
	for _, u := range b.uploads {
		s.Uploads = append(s.Uploads, u.snapshot(s.Now))
	}
	return s
}

// plugin is what is known of a plugin, or nil. The caller holds the lock.
func (b *Board) plugin(name string) *Plugin { return pluginIn(b.plugins, name) }

func pluginIn(plugins []*Plugin, name string) *Plugin {
	for _, plugin := range plugins {
		if plugin.Name == name {
			return plugin
		}
	}
	return nil
}

// upload is what is known of an upload, or nil. The caller holds the lock.
func (b *Board) upload(name string) *uploadState { return uploadIn(b.uploads, name) }

func uploadIn(uploads []*uploadState, name string) *uploadState {
	for _, u := range uploads {
		if u.name == name {
			return u
		}
	}
	return nil
}

// failed remembers an error, the same one once. The caller holds the lock.
func (b *Board) failed(e Error) {
	e.At, e.Times = time.Now(), 1
	same := func(other Error) bool {
		return other.Upload == e.Upload && other.Plugin == e.Plugin && other.What == e.What && other.Why == e.Why
	}
	if i := slices.IndexFunc(b.errors, same); i >= 0 {
		e.Times += b.errors[i].Times
		b.errors = slices.Delete(b.errors, i, i+1)
	}
	b.errors = append(b.errors, e)
	if len(b.errors) > mostErrors {
		b.errors = slices.Delete(b.errors, 0, len(b.errors)-mostErrors)
	}
}
