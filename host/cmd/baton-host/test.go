package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/show"
	"github.com/batonhost/baton-host/host/internal/terminal"
	"github.com/batonhost/baton-host/plugin/conformance"
)

// testOptions are the flags of `baton-host test`.
type testOptions struct {
	root       *rootOptions
	configFile string
	unlocked   bool
	output     string
}

func newTestCommand(root *rootOptions) *cobra.Command {
	options := &testOptions{root: root}
	cmd := &cobra.Command{
		Use:   "test PLUGIN",
		Short: "Check that a plugin does what the host expects of one",
		Long: `Start a plugin, again and again, and check that it does what the host expects:
that it describes itself, refuses bad configuration in words, lists the same
from any page and in any process, stops, and keeps its secrets out of its log.

PLUGIN is the name of a plugin in the configuration file, the name of an app or the
path of a plugin binary. One that is not in the file is configured by BATON_*
variables. The credentials must be valid: the app is read several times, and nothing
in it is changed. The exit status is 1 if a check fails.

On Linux the plugin is in a sandbox, unless its entry says "sandbox: warn" or "off".
What it needs beyond what every plugin may use is listed, as a block for its entry.
With "warn" nothing is denied, so that one run lists all of it.`,
		Example: `  BATON_SCIM_BASE_URL=… BATON_SCIM_TOKEN=… baton-host test fullstory
  baton-host test design-tool --config baton-host.yaml --output json
  BATON_BASE_URL=… BATON_API_TOKEN=… baton-host test ./baton-example`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: perArgument(root.plugins),
		RunE: func(cmd *cobra.Command, args []string) error {
			return options.run(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
	addPluginFlags(cmd.Flags(), &options.configFile, &options.unlocked)
	addOutputFlag(cmd, &options.output, terminal.Table, terminal.JSON)
	return cmd
}

func (o *testOptions) run(ctx context.Context, stdout io.Writer, name string) error {
	options := o.root.hostOptions(ctx, host.PluginSecrets)
	options.Unlocked = o.unlocked
	h, err := host.Open(ctx, host.Selection{ConfigFile: o.configFile, Plugin: name}, options)
	if err != nil {
		return err
	}
	var write error
	defer h.Close(ctx)
	report, err := h.Test(ctx, func(outcome conformance.Outcome) {
		if o.output == terminal.Table && write == nil {
			write = show.Outcome(stdout, outcome)
		}
	})
	if err != nil {
		return err
	}
	if o.output == terminal.JSON {
		write = terminal.WriteJSON(stdout, report)
	} else if write == nil {
		write = show.Verdict(stdout, report)
	}
	if write != nil {
		return fmt.Errorf("the report could not be written to standard output: %w", write)
	}
	if failed := report.Count(conformance.Failed); failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(report.Checks))
	}
	return nil
}
