package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/supervise"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// choice is how a command that is about one plugin is told which one.
type choice struct {
	root       *rootOptions
	configFile string
	unlocked   bool
	// attaches lets the command attach to a plugin that runs in a debugger
	// (BATON_HOST_REATTACH). What a plugin says of itself is asked of its binary.
	attaches bool
}

func (c *choice) addFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&c.configFile, "config", "c", "", "the configuration file (default "+defaultConfigFile+" if there is one)")
	addUnlockedFlag(flags, &c.unlocked)
}

// chosen is the one plugin that a command is about.
type chosen struct {
	*fleet.Plugin
	finder *supervise.Finder
	// configured says that it stands in a configuration file.
	configured bool
}

// plugin is the plugin of a name: a path, an instance of the configuration, or
// an app. Without an entry in a configuration it is configured by BATON_*
// variables.
func (c *choice) plugin(ctx context.Context, name string, options ...config.Option) (*chosen, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		return c.byPath(name)
	}
	path := c.configFile
	if path == "" {
		if _, err := os.Stat(defaultConfigFile); errors.Is(err, os.ErrNotExist) {
			return c.byApp(name)
		}
		path = defaultConfigFile
	}
	cfg, err := config.Load(ctx, path, append(options, config.WithoutCredentials(), warnings(ctx))...)
	if err != nil {
		return nil, err
	}
	entry, unknown := cfg.Plugin(name)
	if unknown == nil {
		plugins := fleet.Of([]*config.Plugin{entry})
		if err := c.attach(cfg, plugins); err != nil {
			return nil, err
		}
		if err := pinned(ctx, cfg, plugins, c.unlocked); err != nil {
			return nil, err
		}
		finder := supervise.NewFinder(slices.Concat(c.root.pluginDirs, cfg.PluginDirs))
		return &chosen{Plugin: plugins[0], finder: finder, configured: true}, nil
	}
	if c.configFile != "" {
		return nil, unknown
	}
	plugin, err := c.byApp(name)
	if err != nil {
		return nil, errors.Join(unknown, err)
	}
	return plugin, nil
}

func (c *choice) attach(cfg *config.Config, plugins []*fleet.Plugin) error {
	if !c.attaches {
		return nil
	}
	return attachDebugged(cfg, plugins)
}

func (c *choice) byApp(app string) (*chosen, error) {
	plugins := fleet.Of([]*config.Plugin{byName(app)})
	if err := c.attach(nil, plugins); err != nil {
		return nil, err
	}
	finder := supervise.NewFinder(c.root.pluginDirs)
	if !plugins[0].IsAttached() {
		if _, err := finder.Find(app); err != nil {
			return nil, err
		}
	}
	return &chosen{Plugin: plugins[0], finder: finder}, nil
}

func (c *choice) byPath(path string) (*chosen, error) {
	if c.configFile != "" {
		return nil, fmt.Errorf("%s is a path; with --config, name the plugin as the configuration does", path)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(absolute); err != nil {
		return nil, fmt.Errorf("there is no plugin binary %s: %w", path, err)
	}
	entry := byName(filepath.Base(absolute))
	entry.Path = absolute
	plugins := fleet.Of([]*config.Plugin{entry})
	if err := c.attach(nil, plugins); err != nil {
		return nil, err
	}
	return &chosen{Plugin: plugins[0], finder: supervise.NewFinder(c.root.pluginDirs)}, nil
}

// describe asks the plugin what it is, which needs no configuration, and returns
// what was started too.
func (c *chosen) describe(ctx context.Context) (manifest *pluginv1.Manifest, binary string, err error) {
	supervise.Sweep()
	spec, err := c.Found(c.finder)
	if err != nil {
		return nil, "", err
	}
	manifest, err = describe(ctx, spec)
	return manifest, spec.Path, err
}
