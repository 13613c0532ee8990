package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/config/jsonschema"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/supervise"
)

// schemaOptions are the flags of `baton-host schema`.
type schemaOptions struct {
	root       *rootOptions
	configFile string
}

func newSchemaCommand(root *rootOptions) *cobra.Command {
	options := &schemaOptions{root: root}
	cmd := &cobra.Command{
		Use:   "schema [APP ...]",
		Short: "Write a JSON Schema of the configuration file, for editors",
		Long: `Write a JSON Schema (draft 2020-12) of the configuration file, with the fields of
the plugins that are installed, or of these apps only. Each plugin is started, asked
to describe itself and stopped. One that cannot tell is named on standard error, and
its fields are left open.

With --config the plugins are looked for where that file says, and its entries that
name a program (path, command) have that program's fields.

An editor with the YAML language server checks and completes a configuration that
begins with: # yaml-language-server: $schema=baton-host.schema.json`,
		Example: `  baton-host schema > baton-host.schema.json
  baton-host schema fullstory scim > baton-host.schema.json
  baton-host schema --config baton-host.yaml > baton-host.schema.json`,
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return beginning(root.apps)(cmd, args, begun)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return options.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
	}
	cmd.Flags().StringVarP(&options.configFile, "config", "c", "", "look for plugins where this configuration file says")
	return cmd
}

// asked is a plugin that is asked what it takes.
type asked struct {
	plugin jsonschema.Plugin
	spec   supervise.Spec
	err    error
}

func (o *schemaOptions) run(ctx context.Context, stdout io.Writer, apps []string) error {
	plugins, err := o.plugins(ctx, apps)
	if err != nil {
		return err
	}
	ask(ctx, plugins)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var known []jsonschema.Plugin
	var failed []error
	for _, one := range plugins {
		if one.err == nil {
			known = append(known, one.plugin)
			continue
		}
		failed = append(failed, one.err)
	}
	// What somebody has asked for by name must be there; what happens to be
	// installed need not be a plugin.
	if err := errors.Join(failed...); err != nil && len(apps) > 0 {
		return err
	}
	for _, err := range failed {
		fmt.Fprintf(os.Stderr, "baton-host: warning: its fields are left open: %s\n", printable(wordsOf(err)))
	}
	if err := writeJSON(stdout, jsonschema.Of(known)); err != nil {
		return fmt.Errorf("the schema could not be written to standard output: %w", err)
	}
	return nil
}

// plugins are those to ask.
func (o *schemaOptions) plugins(ctx context.Context, apps []string) ([]*asked, error) {
	dirs := o.root.pluginDirs
	var plugins []*asked
	if o.configFile != "" {
		cfg, err := config.Load(ctx, o.configFile, config.WithoutCredentials(), config.WithoutReferences())
		if err != nil {
			return nil, err
		}
		dirs = slices.Concat(dirs, cfg.PluginDirs)
		if plugins, err = started(ctx, cfg); err != nil {
			return nil, err
		}
	}
	finder := supervise.NewFinder(dirs)
	if len(apps) == 0 {
		for _, found := range finder.List() {
			if !found.Shadowed {
				plugins = append(plugins, ofApp(found.App, found.Path))
			}
		}
		return plugins, nil
	}
	for _, app := range apps {
		path, err := finder.Find(app)
		if err != nil {
			return nil, err
		}
		plugins = append(plugins, ofApp(app, path))
	}
	return plugins, nil
}

func ofApp(app, path string) *asked {
	return &asked{plugin: jsonschema.Plugin{App: app}, spec: supervise.Spec{Instance: "baton-" + app, Path: path}}
}

// started are the entries of a configuration that say themselves what is started.
// What is locked is started only as it is locked.
func started(ctx context.Context, cfg *config.Config) ([]*asked, error) {
	entries := fleet.Of(slices.DeleteFunc(slices.Clone(cfg.Plugins), func(entry *config.Plugin) bool { return entry.Path == "" }))
	if err := pinned(ctx, cfg, entries, false); err != nil {
		return nil, err
	}
	var plugins []*asked
	for _, entry := range entries {
		plugins = append(plugins, &asked{plugin: jsonschema.Plugin{App: entry.App, Instance: entry.Name}, spec: entry.Spec()})
	}
	return plugins, nil
}

// ask has all plugins describe themselves, a few at a time.
func ask(ctx context.Context, plugins []*asked) {
	supervise.Sweep()
	const atATime = 4
	free := make(chan struct{}, atATime)
	var asking sync.WaitGroup
	for _, one := range plugins {
		free <- struct{}{}
		asking.Go(func() {
			defer func() { <-free }()
			one.plugin.Manifest, one.err = describe(ctx, one.spec)
		})
	}
	asking.Wait()
}
