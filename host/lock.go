package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/plugin"
)

// LockedPlugin is what became of one plugin's entry in the lock file.
type LockedPlugin struct {
	Name    string
	Version string
	Change  string // in words
}

// Lock measures the binaries of all plugins and writes what they are into the lock file
// beside the configuration. With check it starts and writes nothing: what differs is the
// error.
func (h *Host) Lock(ctx context.Context, check bool) ([]LockedPlugin, error) {
	if h.cfg == nil {
		return nil, errors.New("there is nothing to lock: a lock file is that of a configuration file, and none was selected")
	}
	path := pin.PathFor(h.cfg.Path)
	if !check {
		// What others put into it meanwhile would be lost.
		release, err := files.AwaitLock(ctx, filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("the lock file cannot be written: %w", err)
		}
		defer release()
	}
	before, err := pin.Read(path)
	if errors.Is(err, os.ErrNotExist) {
		if check {
			return nil, fmt.Errorf("there is no lock file %s; write it with: %s", path, acceptCommand(h.cfg.Path))
		}
		before = &pin.File{}
	} else if err != nil {
		return nil, err
	}

	now := &pin.File{Plugins: map[string]pin.Entry{}}
	looked := []LockedPlugin{}
	var failed []error
	for _, one := range h.cfg.Plugins {
		locked, known := before.Plugins[one.Name]
		found, err := h.look(ctx, one, locked, check)
		if err != nil {
			if !one.IsInstalled() {
				err = fmt.Errorf("plugin %q: %w", one.Name, err)
			}
			failed = append(failed, err)
			continue
		}
		now.Plugins[one.Name] = found
		change := "new"
		if known {
			change = locked.Change(found)
		}
		looked = append(looked, LockedPlugin{one.Name, found.Version, change})
		if check && change != pin.Unchanged {
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

// lookInstalled returns the entry of a plugin that is installed as it is locked: what it is
// changes with [Host.Install] alone.
func (h *Host) lookInstalled(one *config.Plugin, locked pin.Entry) (pin.Entry, error) {
	lock, err := h.lock()
	if err != nil {
		return pin.Entry{}, err
	}
	lock.Ignored = false
	plugins := fleet.Of([]*config.Plugin{one})
	if err := lock.Locate(plugins[0]); err != nil {
		return pin.Entry{}, err
	}
	spec := plugins[0].Spec()
	sum, err := pin.MeasureFile(spec.Path)
	if err != nil {
		return pin.Entry{}, fmt.Errorf("plugin %q: %w", one.Name, err)
	}
	if now := (pin.Sums{Executable: sum}); !locked.IsMadeOf(now) {
		return pin.Entry{}, fmt.Errorf("plugin %q: %s is %s, which is not what was installed; install it again with: %s --locked %s", one.Name, spec.Path, sum, installCommand(h.cfg.Path), one.Name)
	}
	return locked, nil
}

// look returns what a plugin is now, with what is locked of other platforms. To check
// starts nothing: what has the locked sums has the locked version.
func (h *Host) look(ctx context.Context, one *config.Plugin, locked pin.Entry, check bool) (pin.Entry, error) {
	if one.IsInstalled() {
		return h.lookInstalled(one, locked)
	}
	if locked.IsInstalled() {
		locked = pin.Entry{} // It is of something else.
	}
	path := one.Path
	if path == "" {
		found, err := h.finder.Find(one.App)
		if err != nil {
			return pin.Entry{}, err
		}
		path = found
	}
	measured, err := pin.Measure(path, one.Args)
	if err != nil {
		return pin.Entry{}, fmt.Errorf("%s cannot be locked: %w", path, err)
	}
	sums := measured.Sums(h.cfg.Path)
	if check || locked.IsMadeOf(sums) {
		return locked.With(sums), nil
	}

	measured.Source, measured.Accept = "what was measured a moment ago", acceptCommand(h.cfg.Path)
	spec := fleet.Of([]*config.Plugin{one})[0].Spec()
	spec.Path, spec.Pin = path, measured
	described := &Description{spec: spec}
	described.describe(ctx)
	if described.Err != nil {
		return pin.Entry{}, described.Err
	}
	version := described.Manifest.GetVersion()
	if locked.Version != version {
		locked.Platforms = nil // They are of another release.
	}
	locked.Version, locked.Protocol = version, plugin.ProtocolVersion
	return locked.With(sums), nil
}
