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
	errors  []Error       // the oldest first
	changed chan struct{} // closed at the next change
}

// New makes a board for a host that has just been started.
func New(options Options) *Board {
	b := &Board{
		host: Host{
			ID: options.HostID, Version: options.Version, SDKVersion: options.SDKVersion, GoVersion: runtime.Version(), StartedAt: time.Now(),
		},
		changed: make(chan struct{}),
	}
	for _, served := range options.Uploads {
		b.uploads = append(b.uploads, newUpload(served))
		for _, name := range served.Plugins {
			plugin := b.plugin(name)
			if plugin == nil {
				plugin = &Plugin{Name: name, State: "starting", Since: b.host.StartedAt}
				b.plugins = append(b.plugins, plugin)
			}
			plugin.Uploads = append(plugin.Uploads, served.Name)
		}
	}
	b.metrics = newMetrics(b.host, options.Uploads)
	return b
}

// Changed is closed at the next change of anything but the time.
func (b *Board) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
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
	s := Snapshot{Now: time.Now(), Host: b.host, Errors: slices.Clone(b.errors)}
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
func (b *Board) plugin(name string) *Plugin {
	for _, plugin := range b.plugins {
		if plugin.Name == name {
			return plugin
		}
	}
	return nil
}

// upload is what is known of an upload, or nil. The caller holds the lock.
func (b *Board) upload(name string) *uploadState {
	for _, u := range b.uploads {
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
