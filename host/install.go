package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/registry"
)

// InstallOptions are what is installed, and what of the lock file may change for it.
type InstallOptions struct {
	// Plugins are those that are meant, by name; empty: all that have a version or an image.
	Plugins []string
	// Platforms are for which systems, such as "linux/amd64"; empty: this one and, unless
	// Locked, those that the lock file has of the plugin.
	Platforms []string
	// From is the path of a downloaded archive of the only plugin and the only platform.
	From string
	// Locked installs what the lock file has, and changes nothing of it.
	Locked bool
	// Upgrade accepts another release than the locked one, also one that was published again
	// under the same version, and Downgrade one that is older.
	Upgrade, Downgrade bool
	// Progress is called while something goes on; it may be nil.
	Progress func(InstallEvent)
}

// InstallEvent is the progress of one installation.
type InstallEvent struct {
	Plugin, Platform string
	// Step is what goes on, in words: "downloading"; empty: it has ended, well or not.
	Step string
	// Done and Total are bytes while something is downloaded; Total is 0 where it is not known.
	Done, Total int64
}

// InstalledPlugin is a connector that is installed for a plugin and a platform.
type InstalledPlugin struct {
	Name, Connector, Version, Platform string
	// Change is what became of its entry in the lock file, in words: "new", "unchanged".
	Change string
	// Digest is that of the archive or the image, and Binary that of the program.
	Digest, Binary string
	// Signer, Repository and Commit are who signed it and what it was built from; empty: it
	// has no provenance.
	Signer, Repository, Commit string
	// Path is where the program is.
	Path string
}

// Install installs the connectors of plugins that have a version or an image, and writes what
// they are into the lock file beside the configuration, plugin by plugin. The error joins
// everything that failed; of a plugin of which something failed the lock file keeps what it
// has.
func (h *Host) Install(ctx context.Context, options InstallOptions) ([]InstalledPlugin, error) {
	if h.cfg == nil {
		return nil, errors.New("there is nothing to install: versions and images are those of a configuration file, and none was selected")
	}
	entries, err := h.installable(options)
	if err != nil {
		return nil, err
	}
	for _, platform := range options.Platforms {
		if _, err := registry.ParsePlatform(platform); err != nil {
			return nil, err
		}
	}
	return h.install(ctx, entries, options)
}

// installable returns the entries that are meant.
func (h *Host) installable(options InstallOptions) ([]*config.Plugin, error) {
	var entries []*config.Plugin
	for _, one := range h.cfg.Plugins {
		if one.IsInstalled() && len(options.Plugins) == 0 {
			entries = append(entries, one)
		}
	}
	for _, name := range options.Plugins {
		one, err := h.cfg.Plugin(name)
		switch {
		case err != nil:
			return nil, err
		case !one.IsInstalled():
			return nil, fmt.Errorf("plugin %q has neither version nor image in %s, so there is nothing to install; write its version into its entry, such as version: v0.2.41", name, h.cfg.Path)
		case !slices.Contains(entries, one):
			entries = append(entries, one)
		}
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("no plugin of %s has a version or an image, so there is nothing to install; write one into its entry, such as version: v0.2.41", h.cfg.Path)
	}
	switch {
	case options.From == "":
	case len(entries) > 1:
		return nil, errors.New("--from has the archive of one connector; name its plugin")
	case len(options.Platforms) > 1:
		return nil, errors.New("--from has the archive for one platform; name that with --platform")
	case entries[0].Image != "":
		return nil, fmt.Errorf("plugin %q is an image, which is in no archive; write a version in the place of its image to install it --from one", entries[0].Name)
	}
	return entries, nil
}

// install installs the connectors of entries that have a version or an image.
func (h *Host) install(ctx context.Context, entries []*config.Plugin, options InstallOptions) ([]InstalledPlugin, error) {
	path := pin.PathFor(h.cfg.Path)
	before, err := pin.Read(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && options.Locked:
		return nil, fmt.Errorf("there is no lock file %s, and nothing is installed that is not locked; write it with: %s", path, installCommand(h.cfg.Path))
	case errors.Is(err, os.ErrNotExist):
		before = &pin.File{}
	case err != nil:
		return nil, err
	}
	store, err := h.store()
	if err != nil {
		return nil, err
	}
	var installed []InstalledPlugin
	var failed []error
	for _, entry := range entries {
		one := installation{host: h, plugin: entry, options: options, store: store, locked: before.Plugins[entry.Name]}
		if err := one.run(ctx); err != nil {
			if ctx.Err() != nil {
				return installed, ctx.Err()
			}
			failed = append(failed, fmt.Errorf("plugin %q: %w", entry.Name, err))
			continue
		}
		if !options.Locked {
			if err := pin.Put(ctx, path, entry.Name, one.now); err != nil {
				return installed, err
			}
		}
		installed = append(installed, one.installed...)
	}
	return installed, errors.Join(failed...)
}

// store opens the store of installed connectors.
func (h *Host) store() (*registry.Store, error) {
	dir := h.cfg.PluginStore
	if dir == "" {
		var err error
		if dir, err = registry.DefaultStore(); err != nil {
			return nil, err
		}
	}
	return registry.OpenStore(dir)
}

// trust returns the policy by which a plugin's connector is believed.
func (h *Host) trust(entry *config.Plugin) registry.Trust {
	of := h.cfg.Trust
	return registry.Trust{
		Issuer: of.Issuer, Workflow: of.Workflow, Repositories: of.Repositories, Root: of.Root,
		Unproven: entry.Provenance == config.WithoutProvenance,
	}
}

// NotLocked returns the plugins of the configuration that its lock file does not have, so that
// they are not started.
func (h *Host) NotLocked() []string {
	file, err := pin.Read(pin.PathFor(h.cfg.Path))
	if err != nil {
		return nil
	}
	var names []string
	for _, one := range h.cfg.Plugins {
		if _, isLocked := file.Plugins[one.Name]; !isLocked {
			names = append(names, one.Name)
		}
	}
	return names
}

// installLocked installs what plugins need and the lock file has.
func (h *Host) installLocked(ctx context.Context, plugins []*fleet.Plugin) error {
	var entries []*config.Plugin
	for _, p := range plugins {
		if p.IsInstalled() && !p.IsAttached() {
			entries = append(entries, p.Plugin)
		}
	}
	if len(entries) == 0 {
		return nil
	}
	_, err := h.install(ctx, entries, InstallOptions{Locked: true, Progress: h.options.Installing})
	return err
}

// lock returns the lock file of the configuration.
func (h *Host) lock() (*fleet.Lock, error) {
	lock := &fleet.Lock{ConfigFile: h.cfg.Path, Accept: acceptCommand(h.cfg.Path), Install: installCommand(h.cfg.Path), Ignored: h.options.Unlocked}
	if !slices.ContainsFunc(h.cfg.Plugins, (*config.Plugin).IsInstalled) {
		return lock, nil // No home directory is needed for a store.
	}
	store, err := h.store()
	lock.Store, lock.Trust = store, h.trust(&config.Plugin{})
	return lock, err
}

// installCommand returns the command that installs; the name of a plugin may follow.
func installCommand(configFile string) string {
	return strings.Replace(acceptCommand(configFile), "baton-host lock", "baton-host install", 1)
}
