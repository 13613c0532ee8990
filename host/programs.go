package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/supervise"
)

// Program is the program of a plugin: of an entry of the configuration, or one that was
// found in a directory.
type Program struct {
	// Plugin is its name in the configuration; empty: no entry uses the program.
	Plugin string
	App    string
	// Path is what is started, as an absolute path; empty: there is none.
	Path string
	// Files are the arguments that name files: the script of an interpreter, say.
	Files []string
	// IsUnmodified reports whether it is run as a connector that knows no host.
	IsUnmodified bool
	// IsShadowed reports that an earlier directory has a program for the same app, so that
	// this one is not used.
	IsShadowed bool
	// Err is why it cannot be started, as far as its file shows that.
	Err error
}

// Programs returns the programs of the plugins of a configuration file, in its order, and
// the others that are found. It starts nothing. Without a name it reads
// [DefaultConfigFile] if that is there; where that cannot be used, it warns and goes on
// with what is found. isConfigured reports whether a file was read.
func Programs(ctx context.Context, configFile string, options Options) (programs []Program, isConfigured bool, err error) {
	options.Secrets = NoSecrets
	h := &Host{options: options, finder: supervise.NewFinder(options.PluginDirs)}
	if configFile != "" {
		err = h.load(ctx, configFile)
	} else if _, missing := os.Stat(DefaultConfigFile); !errors.Is(missing, os.ErrNotExist) {
		if unusable := h.load(ctx, DefaultConfigFile); unusable != nil {
			h.warn(ctx, fmt.Sprintf("the plugins of %s are not shown: %v", DefaultConfigFile, unusable))
		}
	}
	if err != nil {
		return nil, false, err
	}
	used := map[string]bool{}
	if h.cfg != nil {
		lock, err := h.lock()
		if err != nil {
			return nil, false, err
		}
		for _, one := range fleet.Of(h.cfg.Plugins) {
			program := h.program(one, lock)
			used[program.Path] = true
			programs = append(programs, program)
		}
	}
	for _, found := range h.finder.List() {
		if used[found.Path] {
			continue
		}
		isUnmodified, err := supervise.Look(supervise.Spec{Path: found.Path})
		programs = append(programs, Program{App: found.App, Path: found.Path, IsUnmodified: isUnmodified, IsShadowed: found.Shadowed, Err: err})
	}
	return programs, h.cfg != nil, nil
}

// program returns the program of a configured plugin.
func (h *Host) program(one *fleet.Plugin, lock *fleet.Lock) Program {
	program := Program{Plugin: one.Name, App: one.App}
	var spec supervise.Spec
	err := lock.Locate(one)
	if err == nil {
		spec, err = one.Found(h.finder)
	}
	if err != nil {
		program.IsUnmodified, program.Err = one.Unmodified, err
		return program
	}
	program.Path = spec.Path
	program.IsUnmodified, program.Err = supervise.Look(spec)
	program.Files = slices.DeleteFunc(slices.Clone(spec.Args), func(argument string) bool {
		_, path := pin.FileIn(argument)
		info, err := os.Stat(path)
		return err != nil || info.IsDir()
	})
	return program
}

// Names are what has a name: what is in a configuration file, and apps that have a program.
type Names struct {
	// ConfigFile is empty where no file can be read.
	ConfigFile string
	// Plugins and Uploads are those of the file, and Installable those of its plugins that
	// have a version or an image.
	Plugins, Installable, Uploads []string
	// Programs are those that are found; only App and Path are set.
	Programs []Program
}

// FindNames returns what has a name, for the completion of a command line. It starts nothing,
// resolves no reference and reports no error: what cannot be read is left out. configFile may
// be empty.
func FindNames(ctx context.Context, configFile string, options Options) Names {
	var names Names
	dirs := options.PluginDirs
	if cfg := readable(ctx, configFile); cfg != nil {
		names.ConfigFile = cfg.Path
		dirs = slices.Concat(dirs, cfg.PluginDirs)
		for _, one := range cfg.Plugins {
			names.Plugins = append(names.Plugins, one.Name)
			if one.IsInstalled() {
				names.Installable = append(names.Installable, one.Name)
			}
		}
		for _, one := range cfg.Uploads {
			names.Uploads = append(names.Uploads, one.Name)
		}
	}
	for _, found := range supervise.NewFinder(dirs).List() {
		if !found.Shadowed {
			names.Programs = append(names.Programs, Program{App: found.App, Path: found.Path})
		}
	}
	return names
}

// readable returns a configuration; nil where it cannot be read. Only a regular file is
// opened: to look for names must not wait for a pipe.
func readable(ctx context.Context, configFile string) *config.Config {
	if info, err := os.Stat(configFile); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	cfg, err := config.Load(ctx, configFile, config.WithoutCredentials(), config.WithoutReferences())
	if err != nil {
		return nil
	}
	return cfg
}
