package main

import (
	"context"
	"fmt"
	"os"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/config/wizard"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/supervise"
)

// describe lets the app's connector describe itself: the one that was asked for by version or
// image, or the one that is there. A person may have one installed that is not.
func (o *initOptions) describe(ctx context.Context, dialogue *dialogue) (*host.Description, error) {
	if o.request.Version != "" || o.request.Image != "" {
		return o.install(ctx)
	}
	_, missing := supervise.NewFinder(o.root.pluginDirs).Find(o.request.App)
	if missing != nil && dialogue == nil {
		return nil, fmt.Errorf("%w; or have it installed with --version or --image", missing)
	}
	for missing != nil {
		var err error
		if o.request.Version, o.request.Image, err = wizard.AskRelease(dialogue, o.request.App); err != nil {
			return nil, err
		}
		if o.request.Version == "" && o.request.Image == "" {
			return nil, missing
		}
		described, err := o.install(ctx)
		if err == nil || ctx.Err() != nil {
			return described, err
		}
		dialogue.Say(wordsOf(wizard.Objection(err)))
	}
	h, err := host.Open(ctx, host.Selection{App: o.request.App}, o.root.hostOptions(ctx, host.NoSecrets))
	if err != nil {
		return nil, err
	}
	return h.Describe(ctx)
}

// install installs the connector, notes what the lock file is to have of it, and lets it
// describe itself.
func (o *initOptions) install(ctx context.Context) (*host.Description, error) {
	probe, err := wizard.NewProbe(o.request)
	if err != nil {
		return nil, err
	}
	defer probe.Remove()
	options := o.root.hostOptions(ctx, host.NoSecrets)
	h, err := host.Open(ctx, host.Selection{ConfigFile: probe.Path}, options)
	if err != nil {
		return nil, err
	}
	lockFile := pin.PathFor(probe.Path)
	defer func() { _ = os.Remove(lockFile) }()
	_, err = h.Install(ctx, host.InstallOptions{Plugins: []string{probe.Instance}, Progress: newInstallProgress(ctx).Installing})
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
		o.installed = &entry
	}
	return described, err
}

// lockDraft writes a lock file for a draft whose plugin was installed. forget removes it.
func (o *initOptions) lockDraft(ctx context.Context, draft *wizard.Draft) (forget func(), err error) {
	if o.installed == nil {
		return func() {}, nil
	}
	path := pin.PathFor(draft.Path)
	err = pin.Put(ctx, path, draft.Instance, *o.installed)
	return func() { _ = os.Remove(path) }, err
}

// lock adds what was installed to the lock file.
func (o *initOptions) lock(ctx context.Context, instance string) error {
	if o.installed == nil {
		return nil
	}
	if err := pin.Put(ctx, pin.PathFor(o.configFile), instance, *o.installed); err != nil {
		return fmt.Errorf("%s is written, but its connector is not locked: %w; then run: baton-host install%s", o.configFile, err, o.where())
	}
	return nil
}

// isLocked reports whether the lock file has every plugin of the configuration.
func (o *initOptions) isLocked(ctx context.Context) bool {
	if o.installed == nil {
		return false
	}
	h, err := host.Open(ctx, host.Selection{ConfigFile: o.configFile}, o.root.hostOptions(ctx, host.NoSecrets))
	return err == nil && len(h.NotLocked()) == 0
}
