package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/errtext"
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
	addOutputFlag(cmd, &options.output, outputTable, outputJSON)
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
		if o.output == outputTable && write == nil {
			write = writeOutcome(stdout, outcome)
		}
	})
	if err != nil {
		return err
	}
	if o.output == outputJSON {
		write = writeJSON(stdout, report)
	} else if write == nil {
		write = writeVerdict(stdout, report.Report)
		if write == nil {
			write = writeSandbox(stdout, report.Sandbox)
		}
	}
	if write != nil {
		return fmt.Errorf("the report could not be written to standard output: %w", write)
	}
	if failed := report.Count(conformance.Failed); failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(report.Checks))
	}
	return nil
}

// writeOutcome writes what became of a check: a line with its name, and what was
// found under it.
func writeOutcome(w io.Writer, outcome conformance.Outcome) error {
	result := string(outcome.Result)
	if outcome.Result == conformance.Failed {
		result = "FAILED"
	}
	lines := strings.Split(outcome.Sentence, "\n")
	for i, line := range lines {
		lines[i] = "         " + printable(line)
	}
	_, err := fmt.Fprintf(w, "%s %s (%.1fs)\n%s\n", coloured(fmt.Sprintf("%-8s", result)), outcome.Check, outcome.Seconds, strings.Join(lines, "\n"))
	return err
}

func writeVerdict(w io.Writer, report *conformance.Report) error {
	who := strings.TrimSpace(printable(report.Plugin + " " + report.Version))
	if who == "" {
		who = "the plugin"
	}
	_, err := fmt.Fprintf(w, "\n%s: %d passed, %d failed, %d skipped\n", who,
		report.Count(conformance.Passed), report.Count(conformance.Failed), report.Count(conformance.Skipped))
	return err
}

// writeSandbox writes what the plugin needed beyond what every one may use.
func writeSandbox(w io.Writer, found host.Sandboxed) error {
	var lines []string
	switch block := found.Block(); {
	case found.Mode == config.SandboxOff:
		return nil
	case block != "":
		lines = append(lines, "It needs more than every plugin may use. To open that, add to its entry:", indent(block))
	case len(found.Denied) == 0 && found.Unobserved == "":
		lines = append(lines, "It needs nothing beyond what every plugin may use.")
	}
	if found.Mode == config.SandboxOn && len(found.Read)+len(found.Write) > 0 {
		lines = append(lines, "It was denied that, and may need more once it has it: run this again then.")
	}
	for _, hint := range found.Hints {
		lines = append(lines, "- "+hint)
	}
	if len(found.Denied) > 0 {
		lines = append(lines, "No key opens:")
		for _, denied := range found.Denied {
			lines = append(lines, "- "+denied)
		}
	}
	if found.Unobserved != "" {
		lines = append(lines, "What it needs beyond what every plugin may use is not known, or not all of it: "+found.Unobserved)
	}
	for i, line := range lines {
		lines[i] = errtext.Printable(line, "\n")
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(lines, "\n"))
	return err
}

// indent has each line of a text begin further to the right.
func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }
