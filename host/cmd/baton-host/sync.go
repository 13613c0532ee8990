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

// syncOptions are the flags of `baton-host sync`.
type syncOptions struct {
	root       *rootOptions
	configFile string
	upload     string
	outputDir  string
	plugin     string
	file       string
	retryFor   time.Duration
	accept     []string
	install    bool
	unlocked   bool
	plan       bool
	output     string
}

func newSyncCommand(root *rootOptions) *cobra.Command {
	options := &syncOptions{root: root}
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Read all accounts once and write one sync file per upload",
		Long: `Read all accounts once and write one sync file per upload.

With a configuration file, every upload in it becomes DIR/<upload>.c1z. With
--plugin no file is needed: the plugin's fields are taken from BATON_* variables
(scim-base-url from BATON_SCIM_BASE_URL), as its stand-alone binary takes them.

A file appears only when it is complete. The exit status is 0 only if every
upload is. A plugin of which too much has changed since the file that is there
(resources, accounts, entitlements, grants) counts as failed, and an upload that no
longer has a plugin of that file is refused. baton-host review shows what was refused, and baton-host approve lets that
through; --accept-deletions does it by name, without a review.

With --plan nothing is written: the sync is made, compared with the baseline and
thrown away. Shown is what it would change, as review shows it, and whether it would be
refused. The exit status is 0 if it would be accepted, 1 if it would be refused, and 2 if
it cannot be made.`,
		Example: `  baton-host sync --config baton-host.yaml --output-dir out
  baton-host sync --upload workforce
  baton-host sync --output-dir out --plan
  BATON_SCIM_BASE_URL=… BATON_SCIM_TOKEN=… baton-host sync --plugin fullstory -f sync.c1z`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return options.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.configFile, "config", "c", host.DefaultConfigFile, "the configuration file")
	flags.StringVar(&options.upload, "upload", "", "sync this upload only")
	flags.StringVarP(&options.outputDir, "output-dir", "d", ".", "where the sync files go; made if it does not exist")
	flags.StringVar(&options.plugin, "plugin", "", "sync this one app, configured by BATON_* variables")
	flags.StringVarP(&options.file, "file", "f", "sync.c1z", "with --plugin: the sync file")
	flags.DurationVar(&options.retryFor, "retry-for", 5*time.Minute, "how long to go on trying an app that does not answer; its rate limits do not count; 0 tries once")
	addAcceptFlag(flags, &options.accept)
	addUnlockedFlag(flags, &options.unlocked)
	addInstallFlag(flags, &options.install)
	flags.BoolVar(&options.plan, planFlag, false, "write nothing; show what the sync would change, and whether it would be refused")
	addOutputFlag(cmd, &options.output, terminal.Table, terminal.JSON, terminal.CSV)
	exclude(cmd, planFlag, "accept-deletions")
	exclude(cmd, "install", "plugin", "unlocked")
	exclude(cmd, "plugin", "config", "upload", "output-dir")
	exclude(cmd, "file", "config", "upload", "output-dir")
	return cmd
}

func (o *syncOptions) run(ctx context.Context, stdout io.Writer) error {
	if o.retryFor < 0 {
		return fmt.Errorf("--retry-for must not be negative, unlike %s", o.retryFor)
	}
	options := o.root.hostOptions(ctx, host.PluginSecrets)
	options.Attach, options.Unlocked, options.AcceptDeletions, options.RetryFor = true, o.unlocked, o.accept, o.retryFor
	options.Install = o.install
	selection := host.Selection{ConfigFile: o.configFile, Upload: o.upload}
	if o.plugin != "" {
		selection = host.Selection{App: o.plugin}
	}
	h, err := host.Open(ctx, selection, options)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	if o.plan {
		return o.showPlan(ctx, stdout, h)
	}
	results, err := h.Sync(ctx, host.SyncOptions{OutputDir: o.outputDir, File: o.file})
	if len(results) == 0 {
		return err
	}
	return errors.Join(err, show.Summary(stdout, o.output, results))
}

// planFlag is the flag that has sync write nothing, and the exit status report the verdict.
const planFlag = "plan"

// refusedError is a plan that would be refused.
type refusedError struct{ error }

func (e *refusedError) Unwrap() error { return e.error }

// showPlan makes the syncs and shows what they would change.
func (o *syncOptions) showPlan(ctx context.Context, stdout io.Writer, h *host.Host) error {
	plan := show.NewPlan(stdout, o.output)
	results, err := h.Sync(ctx, host.SyncOptions{OutputDir: o.outputDir, File: o.file, Plan: plan.Change})
	if len(results) == 0 {
		return err
	}
	isRefused, failed := plan.End(results)
	if failed != nil {
		return errors.Join(err, failed)
	}
	if isRefused && err != nil {
		return &refusedError{err}
	}
	return err
}
