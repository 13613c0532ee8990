package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/supervise"
	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/plugin/conformance"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// testOptions are the flags of `baton-host test`.
type testOptions struct {
	choice
	output string
}

func newTestCommand(root *rootOptions) *cobra.Command {
	options := &testOptions{choice: choice{root: root}}
	cmd := &cobra.Command{
		Use:   "test PLUGIN",
		Short: "Check that a plugin does what the host expects of one",
		Long: `Start a plugin, again and again, and check that it does what the host expects:
that it describes itself, refuses bad configuration in words, lists the same
from any page and in any process, stops, and keeps its secrets out of its log.

PLUGIN is the name of a plugin in the configuration file, the name of an app or the
path of a plugin binary. One that is not in the file is configured by BATON_*
variables. The credentials must be valid: the app is read several times, and nothing
in it is changed. The exit status is 1 if a check fails.`,
		Example: `  BATON_SCIM_BASE_URL=… BATON_SCIM_TOKEN=… baton-host test fullstory
  baton-host test design-tool --config baton-host.yaml --output json
  BATON_BASE_URL=… BATON_API_TOKEN=… baton-host test ./baton-example`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: perArgument(root.plugins),
		RunE: func(cmd *cobra.Command, args []string) error {
			return options.run(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
	options.addFlags(cmd.Flags())
	addOutputFlag(cmd, &options.output, outputTable, outputJSON)
	return cmd
}

func (o *testOptions) run(ctx context.Context, stdout io.Writer, name string) error {
	if os.Getenv(plugin.ReattachEnv) != "" {
		return fmt.Errorf("baton-host test starts and kills processes of its own, and cannot attach to one; unset %s", plugin.ReattachEnv)
	}
	chosen, err := o.plugin(ctx, name)
	if err != nil {
		return err
	}
	spec, err := chosen.Found(chosen.finder)
	if err != nil {
		return err
	}
	supervise.Sweep()
	scratch, err := supervise.MakeScratch()
	if err != nil {
		return err
	}
	defer func() { _ = scratch.Remove() }()
	spec.ScratchDir = scratch.Path()

	notes, closeNotes, err := openNotes(ctx)
	if err != nil {
		return err
	}
	defer closeNotes()
	spec.Sessions = notes

	suite := conformance.New(subjectOf(chosen.Plugin, spec))
	var write error
	report := suite.Run(ctx, func(outcome conformance.Outcome) {
		if o.output == outputTable && write == nil {
			write = writeOutcome(stdout, outcome)
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if o.output == outputJSON {
		write = writeJSON(stdout, report)
	} else if write == nil {
		write = writeVerdict(stdout, report)
	}
	if write != nil {
		return fmt.Errorf("the report could not be written to standard output: %w", write)
	}
	if failed := report.Count(conformance.Failed); failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(report.Checks))
	}
	return nil
}

// subjectOf has the checks' processes supervised as those of a sync are.
func subjectOf(plugin *fleet.Plugin, spec supervise.Spec) conformance.Subject {
	return conformance.Subject{
		Start: func(ctx context.Context, written func(conformance.Line)) (conformance.Process, error) {
			spec := spec
			spec.Observe = func(line supervise.Line) { written(conformance.Line(line)) }
			process, err := supervise.Start(ctx, spec)
			if err != nil {
				return nil, err
			}
			return supervised{process}, nil
		},
		Request: func(schema *pluginv1.ConfigurationSchema) (*pluginv1.ConfigureRequest, error) {
			bound, problems := plugin.Settings.Bind(schema)
			if err := problems.Err(); err != nil {
				return nil, err
			}
			return bound.Request(&pluginv1.Host{UserAgent: "baton-host/" + version}), nil
		},
	}
}

// supervised is a process as the checks want it.
type supervised struct{ *supervise.Process }

// Stop stops it as a sync does.
func (s supervised) Stop(ctx context.Context) error {
	s.Process.Stop(ctx)
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
