package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/show"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// runningOptions are the flags of commands about a host that runs, which find its state
// directory as run does.
type runningOptions struct {
	root       *rootOptions
	configFile string
	plugin     string
	stateDir   string
}

func (o *runningOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&o.configFile, "config", "c", host.DefaultConfigFile, "the configuration file")
	flags.StringVar(&o.plugin, "plugin", "", "the one app of run without a configuration file")
	flags.StringVar(&o.stateDir, "state-dir", "", "the state directory of run; the configuration file is then not read, unless it is named (default that of run)")
	exclude(cmd, "plugin", "config")
}

// open opens a host with the state directory of the one that runs.
func (o *runningOptions) open(ctx context.Context, flags *pflag.FlagSet) (*host.Host, error) {
	options := o.root.hostOptions(ctx, host.NoSecrets)
	options.StateDir = o.stateDir
	selection := host.Selection{ConfigFile: o.configFile}
	switch {
	case o.plugin != "":
		selection = host.Selection{App: o.plugin}
	case o.stateDir != "" && !flags.Changed("config"):
		selection = host.Selection{} // A file that is wrong at the moment is no obstacle.
	}
	return host.Open(ctx, selection, options)
}

// outcomeError is an exit status of its own. Without an error nothing is written about it.
type outcomeError struct {
	status int
	err    error
}

func (e *outcomeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *outcomeError) Unwrap() error { return e.err }

// The exit statuses of status beside 0 and 1.
const (
	isDegraded = 2
	isBad      = 3
	isAway     = 4
)

func newStatusCommand(root *rootOptions) *cobra.Command {
	options := &runningOptions{root: root}
	var output string
	cmd := &cobra.Command{
		Use:   "status [UPLOAD]",
		Short: "Show how the host that runs is: uploads, plugins, credentials, errors",
		Long: `Show how the host is that runs on the state directory, as its status page does:
the state of each upload and of each plugin's part of it, the processes of the
plugins, credentials that are known to expire or were not renewed, and the last
errors. With UPLOAD it is about that upload and its plugins.

It asks the host over its control socket, so it must be run as the host's user. The
page need not be served (--listen).

The exit status is
  0 if everything is fresh, or waits for its first sync,
  1 if the command has failed,
  2 if something is incomplete or stale, C1 does not answer, a plugin is being
    started again, or a credential has expired or was not renewed,
  3 if an upload has failed or is stopped, or a plugin has failed, refuses its
    configuration or is stopped,
  4 if no host runs on the state directory.
With 1 and 4 nothing is written to standard output.

json is all that the page and its history have, in the form of docs/status.md; csv has
one record for each plugin of each upload.`,
		Example: `  baton-host status
  baton-host status workforce --state-dir /var/lib/baton-host
  baton-host status --output json | jq '.uploads[].state'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: perArgument(uploads),
		RunE: func(cmd *cobra.Command, args []string) error {
			asked := host.StatusOptions{History: output == terminal.JSON}
			if len(args) == 1 {
				asked.Upload = args[0]
			}
			return options.status(cmd.Context(), cmd.OutOrStdout(), cmd.Flags(), asked, output)
		},
	}
	options.addFlags(cmd)
	addOutputFlag(cmd, &output, terminal.Table, terminal.JSON, terminal.CSV)
	return cmd
}

func (o *runningOptions) status(ctx context.Context, w io.Writer, flags *pflag.FlagSet, asked host.StatusOptions, output string) error {
	h, err := o.open(ctx, flags)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	is, err := h.Status(ctx, asked)
	if errors.Is(err, host.ErrNoHost) {
		return &outcomeError{isAway, err}
	}
	if err != nil {
		return err
	}
	if err := show.Status(w, output, is); err != nil {
		return err
	}
	switch is.Outlook() {
	case host.Degraded:
		return &outcomeError{status: isDegraded}
	case host.Bad:
		return &outcomeError{status: isBad}
	}
	return nil
}

func newRestartCommand(root *rootOptions) *cobra.Command {
	options := &runningOptions{root: root}
	cmd := &cobra.Command{
		Use:   "restart PLUGIN",
		Short: "Start a plugin of the host that runs again",
		Long: `Start a plugin of the host that runs on the state directory again.

Where the plugin runs, another process is started, configured and has to validate its
credentials; then it takes over, and no sync fails. If it cannot, the process that runs
goes on, and the error says why. A plugin that has failed, or waits for its next start,
is started at once; status shows how that goes. SIGUSR1 does that for all of them.

It asks the host over its control socket, so it must be run as the host's user. The
host's log says who has asked.`,
		Example: `  baton-host restart fullstory
  baton-host restart fullstory --state-dir /var/lib/baton-host`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: perArgument(instances),
		RunE: func(cmd *cobra.Command, args []string) error {
			return options.restart(cmd.Context(), cmd.OutOrStdout(), cmd.Flags(), args[0])
		},
	}
	options.addFlags(cmd)
	return cmd
}

func (o *runningOptions) restart(ctx context.Context, w io.Writer, flags *pflag.FlagSet, plugin string) error {
	h, err := o.open(ctx, flags)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	restarted, err := h.Restart(ctx, plugin)
	if err != nil {
		return err
	}
	return show.Restarted(w, restarted)
}
