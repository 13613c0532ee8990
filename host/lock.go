package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/lock"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/plugin"
)

// LockedPlugin is what became of one plugin's entry in the lock file.
type LockedPlugin struct {
	Name    string
	Version string
	Change  string // in words
}

// unchanged is the change of an entry that is as it was.
const unchanged = "unchanged"

// Lock measures the binaries of all plugins and writes what they are into the lock file
// beside the configuration. With check it starts and writes nothing: what differs is the
// error.
func (h *Host) Lock(ctx context.Context, check bool) ([]LockedPlugin, error) {
	if h.cfg == nil {
		return nil, errors.New("there is nothing to lock: a lock file is that of a configuration file, and none was selected")
	}
	path := lock.PathFor(h.cfg.Path)
	before, err := lock.Read(path)
	if errors.Is(err, os.ErrNotExist) {
		if check {
			return nil, fmt.Errorf("there is no lock file %s; write it with: %s", path, acceptCommand(h.cfg.Path))
		}
		before = &lock.File{}
	} else if err != nil {
		return nil, err
	}

	now := &lock.File{Plugins: map[string]lock.Plugin{}}
	looked := []LockedPlugin{}
	var failed []error
	for _, one := range h.cfg.Plugins {
		locked, known := before.Plugins[one.Name]
		found, err := h.look(ctx, one, locked, check)
		if err != nil {
			failed = append(failed, fmt.Errorf("plugin %q: %w", one.Name, err))
			continue
		}
		now.Plugins[one.Name] = found
		change := changed(locked, found, known)
		looked = append(looked, LockedPlugin{one.Name, found.Version, change})
		if check && change != unchanged {
			failed = append(failed, fmt.Errorf("plugin %q differs from %s: %s", one.Name, path, change))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.Plugins)) {
		if slices.ContainsFunc(h.cfg.Plugins, func(p *config.Plugin) bool { return p.Name == name }) {
			continue
		}
		looked = append(looked, LockedPlugin{name, before.Plugins[name].Version, "removed"})
		if check {
			failed = append(failed, fmt.Errorf("%s has the plugin %q, which the configuration has not", path, name))
		}
	}
	if err := errors.Join(failed...); err != nil {
		if check {
			return nil, fmt.Errorf("%w\nif that is right, accept it with: %s", err, acceptCommand(h.cfg.Path))
		}
		return nil, err
	}
	if check {
		return looked, nil
	}
	_, err = now.Write(path)
	return looked, err
}

// look returns what a plugin is now, with what is locked of other platforms. To check
// starts nothing: what has the locked sums has the locked version.
func (h *Host) look(ctx context.Context, one *config.Plugin, locked lock.Plugin, check bool) (lock.Plugin, error) {
	path := one.Path
	if path == "" {
		found, err := h.finder.Find(one.App)
		if err != nil {
			return lock.Plugin{}, err
		}
		path = found
	}
	pin, err := supervise.Measure(path, one.Args)
	if err != nil {
		return lock.Plugin{}, fmt.Errorf("%s cannot be locked: %w", path, err)
	}
	sums := lock.Sums{Executable: pin.Executable, Files: named(h.cfg.Path, pin.Files)}
	if check || locked.Platforms[fleet.Platform].Equal(sums) {
		return lock.Plugin{Version: locked.Version, Protocol: locked.Protocol, Platforms: withPlatform(locked.Platforms, sums)}, nil
	}

	pin.Source, pin.Accept = "what was measured a moment ago", acceptCommand(h.cfg.Path)
	spec := fleet.Of([]*config.Plugin{one})[0].Spec()
	spec.Path, spec.Pin = path, pin
	manifest, err := describe(ctx, spec)
	if err != nil {
		return lock.Plugin{}, err
	}
	others := locked.Platforms
	if locked.Version != manifest.GetVersion() {
		others = nil // They are of another release.
	}
	return lock.Plugin{Version: manifest.GetVersion(), Protocol: plugin.ProtocolVersion, Platforms: withPlatform(others, sums)}, nil
}

func withPlatform(others map[string]lock.Sums, sums lock.Sums) map[string]lock.Sums {
	all := map[string]lock.Sums{}
	maps.Copy(all, others)
	all[fleet.Platform] = sums
	return all
}

// changed returns in words what is different.
func changed(before, now lock.Plugin, known bool) string {
	locked, here := before.Platforms[fleet.Platform]
	switch sums := now.Platforms[fleet.Platform]; {
	case !known:
		return "new"
	case !here:
		return "new for " + fleet.Platform
	case locked.Executable != sums.Executable:
		return fmt.Sprintf("the executable was %s and is %s", locked.Executable, sums.Executable)
	case !locked.Equal(sums):
		return "the files among its arguments are others"
	default:
		return unchanged
	}
}

// named returns sums by the names that the lock file has for files: relative to the
// configuration where they are below it.
func named(configFile string, files map[string]string) map[string]string {
	names := map[string]string{}
	for arg, sum := range files {
		names[fleet.LockName(configFile, arg)] = sum
	}
	return names
}
