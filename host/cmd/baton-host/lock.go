package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/show"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// lockOptions are the flags of `baton-host lock`.
type lockOptions struct {
	root       *rootOptions
	configFile string
	check      bool
	output     string
}

func newLockCommand(root *rootOptions) *cobra.Command {
	options := &lockOptions{root: root}
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "Pin the plugins' binaries, or check that they are the pinned ones",
		Long: `Write down what the binaries of a configuration's plugins are (version, protocol
and SHA-256, for this operating system and architecture) in a file beside the
configuration: baton-host.lock for baton-host.yaml. Keep it in version control.

With a lock file, run, sync and check start no plugin that differs from it. The
lock covers the executable and every file among its arguments. What is known of
other platforms stays, unless the version is another. No secret is needed. A plugin
with a version or an image is locked by baton-host install alone.

--check starts nothing and writes nothing: the exit status is 0 if every plugin is
the locked one.`,
		Example: `  baton-host lock
  baton-host lock --check --config deploy/baton-host.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return options.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.configFile, "config", "c", host.DefaultConfigFile, "the configuration file")
	flags.BoolVar(&options.check, "check", false, "only report what differs")
	addOutputFlag(cmd, &options.output, terminal.Table, terminal.JSON, terminal.CSV)
	return cmd
}

func (o *lockOptions) run(ctx context.Context, stdout io.Writer) error {
	h, err := host.Open(ctx, host.Selection{ConfigFile: o.configFile}, o.root.hostOptions(ctx, host.NoSecrets))
	if err != nil {
		return err
	}
	locked, err := h.Lock(ctx, o.check)
	if err != nil {
		return err
	}
	return show.Locked(stdout, o.output, locked)
}
