package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
)

// checkOptions are the flags of `baton-host check`.
type checkOptions struct {
	root       *rootOptions
	configFile string
	timeout    time.Duration
	stateDir   string
	outputDir  string
	accept     []string
	unlocked   bool
	output     string
}

func newCheckCommand(root *rootOptions) *cobra.Command {
	options := &checkOptions{root: root}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try the configuration: every plugin, every credential",
		Long: `Read the configuration, start and configure every plugin in it and let each try
its credentials on its app. All problems are reported together; the exit status
is 1 if there is one. Nothing is synced.

It also looks at the baselines (the last accepted syncs), those of run in the state
directory and those of sync in the output directory: an upload that no longer has a
plugin of them would be refused.`,
		Example: `  baton-host check
  baton-host check --config deploy/baton-host.yaml --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return options.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.configFile, "config", "c", host.DefaultConfigFile, "the configuration file")
	flags.DurationVar(&options.timeout, "timeout", time.Minute, "how long an app may take to answer")
	flags.StringVar(&options.stateDir, "state-dir", "", "where run keeps its baselines (default the file's state-dir, $STATE_DIRECTORY or ~/.local/state/baton-host)")
	flags.StringVarP(&options.outputDir, "output-dir", "d", ".", "where sync puts its files")
	flags.StringSliceVar(&options.accept, "accept-deletions", nil, "do not report that this plugin is gone from an upload, as run and sync with this flag; may be repeated")
	addUnlockedFlag(flags, &options.unlocked)
	addOutputFlag(cmd, &options.output, outputTable, outputJSON, outputCSV)
	return cmd
}

func (o *checkOptions) run(ctx context.Context, stdout io.Writer) error {
	if o.timeout <= 0 {
		return fmt.Errorf("--timeout must be more than 0, such as 30s, not %s", o.timeout)
	}
	options := o.root.hostOptions(ctx, host.AllSecrets)
	options.Attach, options.Unlocked, options.AcceptDeletions, options.StateDir = true, o.unlocked, o.accept, o.stateDir
	h, err := host.Open(ctx, host.Selection{ConfigFile: o.configFile}, options)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	found, err := h.Check(ctx, host.CheckOptions{Timeout: o.timeout, OutputDir: o.outputDir})
	if found == nil {
		return err
	}
	out := newStream(stdout, o.output, "plugin", "app", "result")
	for _, p := range found {
		one, outcome := checkedPlugin{Plugin: p.Name, App: p.App, OK: p.Err == nil}, "ok"
		if p.Err != nil {
			one.Error, outcome = wordsOf(p.Err), "FAILED"
		}
		out.add(one, p.Name, p.App, outcome)
	}
	if failed := out.end(); failed != nil {
		err = errors.Join(err, fmt.Errorf("the results could not be written to standard output: %w", failed))
	}
	return err
}

// checkedPlugin is what became of one plugin, for json.
type checkedPlugin struct {
	Plugin string `json:"plugin"`
	App    string `json:"app"`
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
}
