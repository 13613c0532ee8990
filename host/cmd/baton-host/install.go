package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/show"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// installOptions are the flags of `baton-host install`.
type installOptions struct {
	root       *rootOptions
	configFile string
	request    host.InstallOptions
	output     string
}

func newInstallCommand(root *rootOptions) *cobra.Command {
	options := &installOptions{root: root}
	cmd := &cobra.Command{
		Use:   "install [PLUGIN…]",
		Short: "Install the connectors of the plugins that have a version or an image",
		Long: `Install the connectors of the plugins whose entries have a version or an image, or of
those that are named. Each is verified before it is put where it can be started:
who signed it, that the signature is in the transparency log, and from which source
repository it was built (trust in the configuration). What it is goes into the lock
file beside the configuration, with the commit that it was built from. None of it is
run.

What is locked does not change by itself: another release needs --upgrade, and so does
a version or a tag that was published again; an older release needs --downgrade. With
--locked nothing of the lock file changes: what it has is installed, and anything else
is an error. Use that on servers and in CI.

--platform installs for other systems too, so that one lock file serves all. --from
takes an archive that was downloaded by hand, with its provenance beside it
(ARCHIVE.provenance.sigstore.json), so that no network is needed.`,
		Example: `  baton-host install
  baton-host install --locked
  baton-host install github --upgrade --platform linux/amd64,linux/arm64
  baton-host install github --from baton-github-v0.2.41-linux-amd64.tar.gz`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			options.request.Plugins = args
			return options.run(cmd.Context(), cmd.OutOrStdout())
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return beginning(installable)(cmd, args, begun)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.configFile, "config", "c", host.DefaultConfigFile, "the configuration file")
	flags.BoolVar(&options.request.Upgrade, "upgrade", false, "accept another release than the locked one, also one that was published again")
	flags.BoolVar(&options.request.Downgrade, "downgrade", false, "accept a release that is older than the locked one")
	flags.BoolVar(&options.request.Locked, "locked", false, "install what the lock file has, and change nothing of it")
	flags.StringSliceVar(&options.request.Platforms, "platform", nil, "install for this system, such as linux/arm64; may be repeated (default this one, and those that the lock file has)")
	flags.StringVar(&options.request.From, "from", "", "install the archive in this file, which was downloaded before")
	addOutputFlag(cmd, &options.output, terminal.Table, terminal.JSON, terminal.CSV)
	exclude(cmd, "locked", "upgrade", "downgrade")
	return cmd
}

func (o *installOptions) run(ctx context.Context, stdout io.Writer) error {
	options := o.root.hostOptions(ctx, host.NoSecrets)
	h, err := host.Open(ctx, host.Selection{ConfigFile: o.configFile}, options)
	if err != nil {
		return err
	}
	if o.request.From != "" {
		if o.request.From, err = filepath.Abs(o.request.From); err != nil {
			return err
		}
	}
	o.request.Progress = options.Installing
	installed, err := h.Install(ctx, o.request)
	if len(installed) == 0 {
		return err
	}
	err = errors.Join(err, show.Installed(stdout, o.output, installed))
	if missing := h.NotLocked(); err == nil && len(missing) > 0 && !o.request.Locked {
		personOf(ctx).Warning(fmt.Sprintf("the lock file does not have %s yet, and what it does not have is not started; add it with: %s", joinNames(missing), lockCommand(o.configFile)))
	}
	return err
}

// lockCommand returns the command that locks what is not installed.
func lockCommand(configFile string) string {
	if configFile == host.DefaultConfigFile {
		return "baton-host lock"
	}
	return "baton-host lock --config " + configFile
}

// addInstallFlag adds the flag that has what is locked installed first.
func addInstallFlag(flags *pflag.FlagSet, install *bool) {
	flags.BoolVar(install, "install", false, "first install the connectors that the lock file has and that are not installed; nothing else is installed")
}
