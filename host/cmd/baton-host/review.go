package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/show"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// keptOptions are the flags of commands about refused syncs, which name where the syncs
// were made as run and sync do.
type keptOptions struct {
	root       *rootOptions
	configFile string
	plugin     string
	stateDir   string
	outputDir  string
	file       string
}

// The usual places of sync.
const (
	usualOutputDir = "."
	usualFile      = "sync.c1z"
)

func (o *keptOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&o.configFile, "config", "c", host.DefaultConfigFile, "the configuration file")
	flags.StringVar(&o.plugin, "plugin", "", "the one app of run or sync without a configuration file")
	flags.StringVar(&o.stateDir, "state-dir", "", "the state directory of run (default that of run, then where sync writes)")
	flags.StringVarP(&o.outputDir, "output-dir", "d", usualOutputDir, "where sync writes its files")
	flags.StringVarP(&o.file, "file", "f", usualFile, "with --plugin: the sync file of sync")
	exclude(cmd, "plugin", "config", "output-dir")
	exclude(cmd, "file", "config", "state-dir", "output-dir")
	exclude(cmd, "state-dir", "output-dir")
}

// open opens the host whose syncs are meant, and returns where these may be.
func (o *keptOptions) open(ctx context.Context, flags *pflag.FlagSet) (*host.Host, []host.Kept, error) {
	options := o.root.hostOptions(ctx, host.NoSecrets)
	options.StateDir = o.stateDir
	selection, written := host.Selection{ConfigFile: o.configFile}, host.Kept{OutputDir: o.outputDir}
	if o.plugin != "" {
		selection, written = host.Selection{App: o.plugin}, host.Kept{File: o.file}
	}
	places := []host.Kept{{}, written}
	switch {
	case flags.Changed("state-dir"):
		places = places[:1]
	case flags.Changed("output-dir"), flags.Changed("file"):
		places = places[1:]
	}
	h, err := host.Open(ctx, selection, options)
	return h, places, err
}

func newReviewCommand(root *rootOptions) *cobra.Command {
	options := &keptOptions{root: root}
	var output string
	cmd := &cobra.Command{
		Use:   "review [UPLOAD]",
		Short: "Show what a sync that the change guard refused would have changed",
		Long: `Show why the last sync of an upload was refused by the change guard, and what it
would have changed in ConductorOne (C1): which accounts and other resources would
have been removed, disabled or added, which accounts would have lost their e-mail,
login or name (emptied), which entitlements would have been withdrawn, and who would
have lost which grant (ungranted). At the end is the command that approves it.

It reads files beside the baseline; the host need not run. They are looked for in the
state directory of run, then where sync writes, unless a flag says which. Without
UPLOAD it is the upload of which a sync was refused.

A csv value that a spreadsheet would take for a formula (it begins with = + - @)
gets an apostrophe in front; json is exact.`,
		Example: `  baton-host review
  baton-host review workforce --state-dir /var/lib/baton-host
  baton-host review workforce --output csv > refused.csv`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: perArgument(uploads),
		RunE: func(cmd *cobra.Command, args []string) error {
			upload := ""
			if len(args) == 1 {
				upload = args[0]
			}
			return options.review(cmd.Context(), cmd.OutOrStdout(), cmd.Flags(), output, upload)
		},
	}
	options.addFlags(cmd)
	addOutputFlag(cmd, &output, terminal.Table, terminal.JSON, terminal.CSV)
	return cmd
}

func (o *keptOptions) review(ctx context.Context, w io.Writer, flags *pflag.FlagSet, output, upload string) error {
	h, places, err := o.open(ctx, flags)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	found, at, err := h.FindReview(ctx, upload, "", places...)
	if err != nil {
		return err
	}
	return show.Review(ctx, w, output, found, h.Command("approve", at, found.Upload, found.ID))
}
