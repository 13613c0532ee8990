package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/show"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// checkOptions are the flags of `baton-host check`.
type checkOptions struct {
	root       *rootOptions
	configFile string
	upload     string
	timeout    time.Duration
	stateDir   string
	outputDir  string
	accept     []string
	unlocked   bool
	notify     bool
	output     string
}

func newCheckCommand(root *rootOptions) *cobra.Command {
	options := &checkOptions{root: root}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try the configuration: every plugin, every credential",
		Long: `Read the configuration and try what run needs. Every plugin is started and configured,
tries its credentials on its app and reads the beginning of each of its lists: accounts,
groups, roles. For each upload a token is fetched from C1, which changes nothing there,
and the clocks are compared. Each store of secrets is logged in to, and the webhook of notify
is resolved; --notify sends it a test. All problems are
reported together, and what of a sandbox each plugin is in, with a warning of those that
none keeps from the secrets of others; the exit status is 1 if there is a problem.
Nothing is synced. An upload
without client-id is not checked: sync needs none. With --upload only what this upload
needs is tried.

It also looks at the baselines (the last accepted syncs), those of run in the state
directory and those of sync in the output directory: an upload that no longer has a
plugin of them would be refused.`,
		Example: `  baton-host check
  baton-host check --upload workforce
  baton-host check --config deploy/baton-host.yaml --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return options.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.configFile, "config", "c", host.DefaultConfigFile, "the configuration file")
	flags.StringVar(&options.upload, "upload", "", "check what this upload needs only")
	flags.DurationVar(&options.timeout, "timeout", time.Minute, "how long an app, C1 or a store of secrets may take to answer")
	flags.StringVar(&options.stateDir, "state-dir", "", "where run keeps its baselines (default the file's state-dir, $STATE_DIRECTORY or ~/.local/state/baton-host)")
	flags.StringVarP(&options.outputDir, "output-dir", "d", ".", "where sync puts its files")
	flags.StringSliceVar(&options.accept, "accept-deletions", nil, "do not report that this plugin is gone from an upload, as run and sync with this flag; may be repeated")
	flags.BoolVar(&options.notify, "notify", false, "send a test to the webhook of the configuration")
	addUnlockedFlag(flags, &options.unlocked)
	addOutputFlag(cmd, &options.output, terminal.Table, terminal.JSON, terminal.CSV)
	return cmd
}

func (o *checkOptions) run(ctx context.Context, stdout io.Writer) error {
	if o.timeout <= 0 {
		return fmt.Errorf("--timeout must be more than 0, such as 30s, not %s", o.timeout)
	}
	options := o.root.hostOptions(ctx, host.AllSecrets)
	options.Attach, options.Unlocked, options.AcceptDeletions, options.StateDir = true, o.unlocked, o.accept, o.stateDir
	options.ReferencesMayFail = true
	h, err := host.Open(ctx, host.Selection{ConfigFile: o.configFile, Upload: o.upload}, options)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	found, err := h.Check(ctx, host.CheckOptions{Timeout: o.timeout, OutputDir: o.outputDir, Notify: o.notify})
	if found == nil {
		return err
	}
	return errors.Join(err, show.Checks(stdout, o.output, found))
}
