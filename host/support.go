package host

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/batonhost/baton-host/host/internal/control"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/host/internal/support"
	"github.com/batonhost/baton-host/plugin"
)

// Support returns what a bug report needs of a selection and of the host that runs on its state
// directory, as a text without secrets, addresses and names. What cannot be read is a line of it:
// a configuration that does not load, a state directory that is damaged. It resolves no
// reference and starts nothing.
func Support(ctx context.Context, selection Selection, options Options) (string, error) {
	options.Secrets, options.Observer = NoSecrets, nil
	from := support.Source{Version: options.Version, SDKVersion: plugin.SDKVersion(), Protocol: plugin.ProtocolVersion}
	if selection.ConfigFile != "" {
		from.Outline = support.OutlineOf(selection.ConfigFile)
	}
	h, err := Open(ctx, selection, options)
	if err != nil {
		from.ConfigErr = err
		if dir := from.Outline.StateDir(); dir != "" {
			options.StateDir = cmp.Or(options.StateDir, files.Within(filepath.Dir(selection.ConfigFile), dir))
		}
		h = &Host{options: options, selection: selection, finder: supervise.NewFinder(options.PluginDirs)}
	}
	defer h.Close(ctx)
	from.Programs, from.LockErr = h.supportedPrograms()
	if from.StateDir, err = h.stateDir(); err != nil {
		from.RunningErr = err
		return support.Text(ctx, from)
	}
	from.Running, from.RunningErr = askSupport(ctx, from.StateDir)
	return support.Text(ctx, from)
}

// supportedPrograms returns the programs of the configured plugins.
func (h *Host) supportedPrograms() ([]support.Program, error) {
	if h.cfg == nil {
		return nil, nil
	}
	lock, lockErr := h.lock()
	if lockErr != nil {
		lock = &fleet.Lock{Ignored: true}
	}
	locked, err := pin.Read(pin.PathFor(h.cfg.Path))
	if err != nil {
		locked = &pin.File{}
	}
	if lockErr == nil && !errors.Is(err, os.ErrNotExist) {
		lockErr = err
	}
	var programs []support.Program
	for _, one := range fleet.Of(h.cfg.Plugins) {
		found := h.program(one, lock)
		programs = append(programs, support.Program{
			Plugin: found.Plugin, App: found.App, Path: found.Path, Locked: locked.Plugins[found.Plugin].Version, Unmodified: found.IsUnmodified, Err: found.Err,
		})
	}
	return programs, lockErr
}

// askSupport asks the host that runs on a state directory how it is; nil where none runs. An
// older host has no metrics.
func askSupport(ctx context.Context, dir string) (*support.Running, error) {
	running := &support.Running{}
	err := control.Call(ctx, dir, supportRequest, struct{}{}, running)
	if err == nil {
		return running, nil
	}
	if errors.Is(err, control.ErrNoHost) {
		return nil, nil //nolint:nilnil // That none runs is an answer.
	}
	if control.Call(ctx, dir, statusRequest, askedStatus{History: true}, &running.Status) == nil {
		return running, nil
	}
	return nil, err
}

// support returns what this host knows of itself.
func (h *Host) support() (*support.Running, error) {
	serving := h.serves()
	if serving == nil {
		return nil, errStopping
	}
	metrics, err := serving.board.Metrics()
	if err != nil {
		return nil, err
	}
	return &support.Running{Status: serving.board.Snapshot(), Metrics: metrics}, nil
}
