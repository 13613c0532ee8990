package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/config/schema"
	"github.com/batonhost/baton-host/host/internal/hostlog"
	"github.com/batonhost/baton-host/host/internal/terminal"
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
to describe itself and stopped. One that cannot do so is named on standard error, and
its fields are left open.

With --config the plugins are looked for in the directories of that file, and its
entries that name a program (path, command) have that program's fields.

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
	cmd.Flags().StringVarP(&options.configFile, "config", "c", "", "look for plugins in the directories of this configuration file")
	return cmd
}

func (o *schemaOptions) run(ctx context.Context, stdout io.Writer, apps []string) error {
	described, err := host.DescribeAll(ctx, o.configFile, apps, o.root.hostOptions(ctx, host.NoSecrets))
	if err != nil {
		return err
	}
	var known []schema.Plugin
	var failed []error
	for _, one := range described {
		if one.Err == nil {
			known = append(known, schema.Plugin{App: one.App, Instance: one.Instance, Manifest: one.Manifest})
			continue
		}
		failed = append(failed, one.Err)
	}
	// What was asked for by name must be there; what happens to be
	// installed need not be a plugin.
	if err := errors.Join(failed...); err != nil && len(apps) > 0 {
		return err
	}
	for _, err := range failed {
		_, _ = fmt.Fprintf(hostlog.Stderr, "baton-host: warning: its fields are left open: %s\n", terminal.Printable(terminal.Words(err)))
	}
	if err := terminal.WriteJSON(stdout, schema.Of(known)); err != nil {
		return fmt.Errorf("the schema could not be written to standard output: %w", err)
	}
	return nil
}
