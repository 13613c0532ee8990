package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
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
	addOutputFlag(cmd, &options.output, outputTable, outputJSON, outputCSV)
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
	options.Installing = newInstallProgress(ctx).Installing
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
	if failed := writeSummary(stdout, o.output, results); failed != nil {
		err = errors.Join(err, fmt.Errorf("the summary could not be written to standard output: %w", failed))
	}
	return err
}

// planFlag is the flag that has sync write nothing, and the exit status report the verdict.
const planFlag = "plan"

// refusedError is a plan that would be refused.
type refusedError struct{ error }

func (e *refusedError) Unwrap() error { return e.error }

// plannedSync is the verdict on the sync of one upload, for json.
type plannedSync struct {
	Upload  string             `json:"upload"`
	Refused bool               `json:"refused"`
	Counts  []host.ChangeCount `json:"counts"`
	// Stale are the plugins that would fall back.
	Stale []string `json:"stale_plugins,omitempty"`
	// Missing are the plugins that the sync would go without.
	Missing []string `json:"missing_plugins,omitempty"`
	Note    string   `json:"note,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// showPlan makes the syncs and shows what they would change.
func (o *syncOptions) showPlan(ctx context.Context, stdout io.Writer, h *host.Host) error {
	out := newChangeStream(stdout, o.output)
	results, err := h.Sync(ctx, host.SyncOptions{OutputDir: o.outputDir, File: o.file, Plan: out.change})
	if len(results) == 0 {
		return err
	}
	isRefused := err != nil
	planned := []plannedSync{}
	for _, result := range results {
		one := plannedSync{Upload: result.Upload, Refused: result.IsRefused(), Counts: result.Counts, Note: result.Unguarded}
		if one.Counts == nil {
			one.Counts = []host.ChangeCount{}
		}
		for _, stale := range result.Stale {
			one.Stale = append(one.Stale, stale.Plugin)
		}
		one.Missing = slices.Sorted(maps.Keys(result.Missing))
		if result.Err != nil {
			one.Error = wordsOf(result.Err)
		}
		isRefused = isRefused && (result.Err == nil || one.Refused)
		planned = append(planned, one)
		out.counts(result.Upload, result.Counts)
		out.line("%s: %s", result.Upload, one.verdict())
	}
	if failed := out.end(member{"syncs", planned}); failed != nil {
		return errors.Join(err, failed)
	}
	if isRefused {
		return &refusedError{err}
	}
	return err
}

// verdict returns what would become of the sync, in words.
func (p plannedSync) verdict() string {
	without := ""
	if len(p.Missing) > 0 {
		without = ", without " + joinNames(p.Missing)
	}
	switch {
	case p.Refused:
		return "REFUSED: the sync would be refused"
	case p.Error != "":
		return "FAILED: the sync would fail"
	case len(p.Stale) > 0:
		return "STALE: the sync would be accepted, with the baseline's part of " + joinNames(p.Stale) + without
	case without != "":
		return "INCOMPLETE: the sync would be accepted" + without
	}
	return "the sync would be accepted"
}

// syncedPart is one plugin's part of an upload that was synced, for json.
type syncedPart struct {
	Upload   string `json:"upload"`
	Plugin   string `json:"plugin"`
	Accounts int    `json:"accounts"`
	// Stale is how many of the accounts are of an earlier sync, AsOf of when.
	Stale int        `json:"stale_accounts"`
	AsOf  *time.Time `json:"as_of,omitempty"`
	// Skipped is how many resources lack entitlements or grants.
	Skipped int `json:"skipped_resources"`
	// Missing says that the file is without the plugin, as it is new and failed; Error says
	// why.
	Missing bool `json:"missing,omitempty"`
	// Evidence is what the connector has reported on whether its lists are complete.
	Evidence       string  `json:"evidence,omitempty"`
	EvidenceReason string  `json:"evidence_reason,omitempty"`
	File           string  `json:"file,omitempty"`
	Seconds        float64 `json:"seconds"`
	Error          string  `json:"error,omitempty"`
}

func writeSummary(w io.Writer, output string, results []*host.SyncResult) error {
	out := newStream(w, output, "upload", "plugin", "accounts", "result")
	for _, result := range results {
		whole := syncedPart{Upload: result.Upload, Seconds: result.Took.Seconds()}
		if result.Err != nil {
			whole.Error = wordsOf(result.Err)
			failed := []string{result.Upload, joinNames(result.Plugins), "-", "FAILED: no file was written"}
			out.row(failed...)
			out.record(failed...)
			for _, whole.Plugin = range result.Plugins {
				out.value(whole)
			}
			continue
		}
		whole.File = result.File
		for _, plugin := range slices.Sorted(maps.Keys(result.Accounts)) {
			part := whole
			part.Plugin, part.Accounts = plugin, result.Accounts[plugin]
			part.Evidence, part.EvidenceReason = result.Evidence[plugin].Grade, result.Evidence[plugin].Reason
			outcome := fmt.Sprintf(" in %s: %s (evidence: %s)", result.Took.Round(time.Millisecond*10), result.File, part.Evidence)
			words := "complete" + outcome
			if part.Skipped = result.Skipped[plugin]; part.Skipped > 0 {
				words = fmt.Sprintf("INCOMPLETE%s; %d of its resources lack entitlements or grants, which were skipped", outcome, part.Skipped)
			}
			if i := slices.IndexFunc(result.Stale, func(stale host.StalePart) bool { return stale.Plugin == plugin }); i >= 0 {
				stale := result.Stale[i]
				part.Stale, part.AsOf = stale.Accounts, &stale.AsOf
				words += fmt.Sprintf("; STALE: %d of these are as of %s", stale.Accounts, stale.AsOf.UTC().Format(time.RFC3339))
			}
			out.add(part, result.Upload, plugin, strconv.Itoa(part.Accounts), words)
		}
		for _, plugin := range slices.Sorted(maps.Keys(result.Missing)) {
			part := whole
			part.Plugin, part.Missing, part.Error = plugin, true, wordsOf(result.Missing[plugin])
			out.add(part, result.Upload, plugin, "-", "INCOMPLETE: the file is without this plugin, which is new and failed; it joins when it can be read")
		}
	}
	return out.end()
}
