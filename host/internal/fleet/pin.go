package fleet

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/registry"
)

// ErrUnlocked says that a lock file is there and ignored.
var ErrUnlocked = errors.New("the lock file is ignored")

// Lock is the lock file of a configuration, and what belongs to it.
type Lock struct {
	ConfigFile string
	// Accept is the command that locks what is there, and Install the one that installs, to
	// which the name of a plugin is added.
	Accept, Install string
	// Store has the connectors that are installed, and Trust is whose are started.
	Store *registry.Store
	Trust registry.Trust
	// Ignored has the lock file ignored.
	Ignored bool
}

// Pin pins plugins to what the lock file has of them, and finds the programs of those that
// are installed. Those that are attached to are not pinned: nothing is executed. It returns
// fs.ErrNotExist where there is no lock file and none is needed, ErrUnlocked where it is to be
// ignored, and else an error for every plugin that the file does not cover.
func (l *Lock) Pin(plugins []*Plugin) error {
	path := pin.PathFor(l.ConfigFile)
	file, err := pin.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return l.requireNone(plugins, err)
	case l.Ignored:
		// What has a version is started as it is locked, or not at all: a program of that name
		// that is found elsewhere is another one.
		for _, p := range plugins {
			if !p.IsInstalled() || p.attach != nil {
				continue
			}
			if err != nil {
				return err
			}
			if err := l.locate(p, file); err != nil {
				return err
			}
		}
		return ErrUnlocked
	case err != nil:
		return err
	}
	var failed []error
	for _, p := range plugins {
		if p.attach == nil {
			failed = append(failed, l.pin(p, file))
		}
	}
	return errors.Join(failed...)
}

// pin pins one plugin.
func (l *Lock) pin(p *Plugin, file *pin.File) error {
	if p.IsInstalled() {
		if err := l.locate(p, file); err != nil {
			return err
		}
	}
	found, err := file.Pin(p.Name, p.Args, l.ConfigFile, l.Accept)
	if err != nil {
		return err
	}
	if p.IsInstalled() {
		found.Accept, found.IsInstalled = l.Install+" --locked "+p.Name, true
	}
	p.pin = found
	return nil
}

// requireNone returns an error for every plugin that needs a lock file, and otherwise that
// there is none.
func (l *Lock) requireNone(plugins []*Plugin, none error) error {
	var failed []error
	for _, p := range plugins {
		if p.attach == nil && p.IsInstalled() {
			failed = append(failed, fmt.Errorf("plugin %q: %s is not installed, as there is no lock file %s that has it; install it with: %s %s",
				p.Name, SourceOf(p.Plugin), pin.PathFor(l.ConfigFile), l.Install, p.Name))
		}
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return none
}

// Locate finds the program of a plugin that is installed, without pinning it. One that is
// not is left alone.
func (l *Lock) Locate(p *Plugin) error {
	if !p.IsInstalled() {
		return nil
	}
	file, err := pin.Read(pin.PathFor(l.ConfigFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return l.requireNone([]*Plugin{p}, nil)
	case err != nil:
		return err
	}
	return l.locate(p, file)
}
