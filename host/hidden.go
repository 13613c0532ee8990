package host

import (
	"path/filepath"

	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/pin"
)

// hide keeps from each plugin what may lie beside its program and is not for it: a directory
// with any of that is not opened because the program is in it.
func (h *Host) hide(plugins []*fleet.Plugin) {
	for _, p := range plugins {
		p.KeepFrom(h.hiddenFrom(p.Name)...)
	}
}

// hiddenFrom returns the configuration, the state directory, the files by which stores of
// secrets are opened, and those with values of uploads and of other plugins than the one of
// that name.
func (h *Host) hiddenFrom(plugin string) []string {
	var paths []string
	if dir, err := h.stateDir(); err == nil {
		paths = append(paths, dir)
	}
	if h.isShared() && h.cfg.State.Directory != "" {
		paths = append(paths, h.cfg.State.Directory)
	}
	if h.cfg != nil {
		paths = append(paths, h.cfg.Path, pin.PathFor(h.cfg.Path))
		paths = append(paths, h.cfg.StoreFiles()...)
		for _, upload := range h.cfg.Uploads {
			paths = append(paths, upload.Files()...)
		}
		for _, other := range h.cfg.Plugins {
			if other.Name != plugin {
				paths = append(paths, other.Settings.Files()...)
			}
		}
	}
	for i, path := range paths {
		if absolute, err := filepath.Abs(path); err == nil {
			paths[i] = absolute
		}
	}
	return paths
}
