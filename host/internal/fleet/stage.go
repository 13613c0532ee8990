package fleet

import (
	"sync"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/secret"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// stage is between a plugin and the fleet's observer. While a changed plugin is tried, and
// while a plugin that was replaced finishes its last sync, there are two plugins of one
// name; one of them is shown. What a plugin reports before that, its last word counts.
type stage struct {
	observer Observer

	mu     sync.Mutex
	shown  bool
	hidden bool // for good
	// What it reported last before it was shown.
	sandbox, change, credentials func()
}

// Show has the observer follow the plugin from now on, beginning with its state.
func (p *Plugin) Show() {
	if p.stage == nil {
		return
	}
	p.stage.mu.Lock()
	defer p.stage.mu.Unlock()
	p.stage.shown = true
	for _, report := range []func(){p.stage.sandbox, p.stage.change, p.stage.credentials} {
		if report != nil && !p.stage.hidden {
			report()
		}
	}
}

// Hide has the observer follow the plugin no longer.
func (p *Plugin) Hide() {
	if p.stage == nil {
		return
	}
	p.stage.mu.Lock()
	defer p.stage.mu.Unlock()
	p.stage.hidden = true
}

// PluginChanged passes a change on while the plugin is shown; see [Observer].
func (s *stage) PluginChanged(name, state string, restarts int, manifest *pluginv1.Manifest, err error) {
	s.report(&s.change, func() { s.observer.PluginChanged(name, state, restarts, manifest, err) })
}

// Sandboxed passes on what of a sandbox the plugin is in while it is shown; see [Observer].
func (s *stage) Sandboxed(name string, state sandbox.State) {
	s.report(&s.sandbox, func() { s.observer.Sandboxed(name, state) })
}

// Credentials passes credentials on while the plugin is shown; see [Observer].
func (s *stage) Credentials(plugin, upload string, credentials []secret.Credential) {
	s.report(&s.credentials, func() { s.observer.Credentials(plugin, upload, credentials) })
}

func (s *stage) report(last *func(), report func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.hidden:
	case s.shown:
		report()
	default:
		*last = report
	}
}
