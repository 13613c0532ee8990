package main

import (
	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/show"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

func newReloadCommand(root *rootOptions) *cobra.Command {
	options := &runningOptions{root: root}
	var output string
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have a running host take its changed configuration",
		Long: `Have the host that runs on the state directory read its configuration and its lock
file again, as SIGHUP and run --watch do. All of it is checked first, and each plugin
that is new or has changed is started and configured: if anything is wrong, nothing
changes, and the errors are shown here.

Plugins and uploads that did not change go on as they are. Changed ones are replaced
once their tasks in hand have ended, which the command does not wait for. What a
reload would take away from ConductorOne (C1) goes through the change guard.

The host reads the file with which it was started. --config is only where this command
looks for the state directory.`,
		Example: `  baton-host reload
  baton-host reload --state-dir /var/lib/baton-host --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := options.open(cmd.Context(), cmd.Flags())
			if err != nil {
				return err
			}
			defer h.Close(cmd.Context())
			result, err := h.RequestReload(cmd.Context())
			if err != nil {
				return err
			}
			return show.Reloaded(cmd.OutOrStdout(), output, result)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.configFile, "config", "c", host.DefaultConfigFile, "the configuration file")
	flags.StringVar(&options.stateDir, "state-dir", "", "the state directory of run (default that of run)")
	addOutputFlag(cmd, &output, terminal.Table, terminal.JSON)
	return cmd
}
