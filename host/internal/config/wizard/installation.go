package wizard

import (
	"context"
	"fmt"
	"os"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// describe lets the app's connector describe itself: the one that was asked for by version or
// image, or the one that is there. A person may have one installed that is not.
func (s *session) describe(ctx context.Context) (*host.Description, error) {
	if s.Request.Version != "" || s.Request.Image != "" {
		return s.install(ctx)
	}
	_, missing := supervise.NewFinder(s.Host.PluginDirs).Find(s.Request.App)
	if missing != nil && s.person == nil {
		return nil, fmt.Errorf("%w; or have it installed with --version or --image", missing)
	}
	for missing != nil {
		var err error
		if s.Request.Version, s.Request.Image, err = AskRelease(s.person, s.Request.App); err != nil {
			return nil, err
		}
		if s.Request.Version == "" && s.Request.Image == "" {
			return nil, missing
		}
		described, err := s.install(ctx)
		if err == nil || ctx.Err() != nil {
			return described, err
		}
		s.person.Say(terminal.Words(Objection(err)))
	}
	h, err := host.Open(ctx, host.Selection{App: s.Request.App}, s.hostOptions(host.NoSecrets))
	if err != nil {
		return nil, err
	}
	return h.Describe(ctx)
}

// install installs the connector, notes what the lock file is to have of it, and lets it
// describe itself.
func (s *session) install(ctx context.Context) (*host.Description, error) {
	probe, err := NewProbe(s.Request)
	if err != nil {
		return nil, err
	}
	defer probe.Remove()
	options := s.hostOptions(host.NoSecrets)
	h, err := host.Open(ctx, host.Selection{ConfigFile: probe.Path}, options)
	if err != nil {
		return nil, err
	}
	lockFile := pin.PathFor(probe.Path)
	defer func() { _ = os.Remove(lockFile) }()
	_, err = h.Install(ctx, host.InstallOptions{Plugins: []string{probe.Instance}, Progress: s.Host.Installing})
	if err != nil {
		return nil, err
	}
	file, err := pin.Read(lockFile)
	if err != nil {
		return nil, err
	}
	entry := file.Plugins[probe.Instance]
	one, err := host.Open(ctx, host.Selection{ConfigFile: probe.Path, Plugin: probe.Instance}, options)
	if err != nil {
		return nil, err
	}
	described, err := one.Describe(ctx)
	if err == nil {
		s.installed = &entry
	}
	return described, err
}

// lockDraft writes a lock file for a draft whose plugin was installed. forget removes it.
func (s *session) lockDraft(ctx context.Context, draft *Draft) (forget func(), err error) {
	if s.installed == nil {
		return func() {}, nil
	}
	path := pin.PathFor(draft.Path)
	err = pin.Put(ctx, path, draft.Instance, *s.installed)
	return func() { _ = os.Remove(path) }, err
}

// lock adds what was installed to the lock file.
func (s *session) lock(ctx context.Context, instance string) error {
	if s.installed == nil {
		return nil
	}
	if err := pin.Put(ctx, pin.PathFor(s.ConfigFile), instance, *s.installed); err != nil {
		return fmt.Errorf("%s is written, but its connector is not locked: %w; then run: baton-host install%s", s.ConfigFile, err, s.where())
	}
	return nil
}

// isLocked reports whether the lock file has every plugin of the configuration.
func (s *session) isLocked(ctx context.Context) bool {
	if s.installed == nil {
		return false
	}
	h, err := host.Open(ctx, host.Selection{ConfigFile: s.ConfigFile}, s.hostOptions(host.NoSecrets))
	return err == nil && len(h.NotLocked()) == 0
}
