package host

import (
	"fmt"
	"os"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/service"
	"github.com/batonhost/baton-host/host/internal/state"
	"github.com/batonhost/baton-host/host/internal/state/objects"
)

// copyPrefix begins the names of directories in which commands have a copy of the shared state.
const copyPrefix = "baton-host-state-"

// placesIn returns where the state of the uploads is: in the directory, or where the
// configuration has hosts share it, with copies in the directory.
func (h *Host) placesIn(dir string) (*state.Places, error) {
	if !h.isShared() {
		return state.In(dir), nil
	}
	store, err := objects.Open(*h.cfg.State)
	if err != nil {
		return nil, err
	}
	return state.Share(store, dir, service.HostID()), nil
}

// isShared reports whether hosts share the state.
func (h *Host) isShared() bool { return h.cfg != nil && h.cfg.State != nil }

// sharedLocation is where hosts share the state, as an operator knows it; empty: they do not.
func (h *Host) sharedLocation() string {
	if !h.isShared() {
		return ""
	}
	return h.cfg.State.String()
}

// places returns where the state of the service is. A host that serves has it open; a command
// has a copy of a shared state by itself, which Close removes.
func (h *Host) places() (*state.Places, error) {
	if s := h.serves(); s != nil {
		return s.options.State, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.opened != nil {
		return h.opened, nil
	}
	dir, err := h.stateDir()
	if h.isShared() {
		files.Sweep(os.TempDir(), copyPrefix)
		if h.scratch, err = files.Make(os.TempDir(), copyPrefix); err != nil {
			return nil, fmt.Errorf("there must be a directory for temporary files: %w; make room there, or set TMPDIR", err)
		}
		dir = h.scratch.Path()
	}
	if err != nil {
		return nil, err
	}
	h.opened, err = h.placesIn(dir)
	return h.opened, err
}

// place returns where something is kept of an upload.
func (h *Host) place(upload *config.Upload, kept Kept) (state.Place, error) {
	if kept == (Kept{}) {
		places, err := h.places()
		if err != nil {
			return nil, err
		}
		if h.isShared() {
			return places.Of(upload), nil
		}
	}
	path, err := h.keptAt(upload, kept)
	if err != nil {
		return nil, err
	}
	return state.At(path), nil
}
