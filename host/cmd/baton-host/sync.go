package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/aggregate"
	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/lastgood"
	"github.com/batonhost/baton-host/host/supervise"
	"github.com/batonhost/baton-host/host/syncfile"
	"github.com/batonhost/baton-host/host/upload"
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
	unlocked   bool
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
upload is. A plugin that lists far fewer accounts than the file that is there has
of it counts as failed, and an upload that no longer has a plugin of that file is
refused; --accept-deletions lets that through.`,
		Example: `  baton-host sync --config baton-host.yaml --output-dir out
  baton-host sync --upload workforce
  BATON_SCIM_BASE_URL=… BATON_SCIM_TOKEN=… baton-host sync --plugin fullstory -f sync.c1z`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return options.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.configFile, "config", "c", defaultConfigFile, "the configuration file")
	flags.StringVar(&options.upload, "upload", "", "sync this upload only")
	flags.StringVarP(&options.outputDir, "output-dir", "d", ".", "where the sync files go; made if it does not exist")
	flags.StringVar(&options.plugin, "plugin", "", "sync this one app, configured by BATON_* variables")
	flags.StringVarP(&options.file, "file", "f", "sync.c1z", "with --plugin: the sync file")
	flags.DurationVar(&options.retryFor, "retry-for", 5*time.Minute, "how long to go on trying an app that does not answer; its rate limits do not count; 0 tries once")
	addAcceptFlag(flags, &options.accept)
	addUnlockedFlag(flags, &options.unlocked)
	addOutputFlag(cmd, &options.output, outputTable, outputJSON, outputCSV)
	cannotMeet(cmd, "plugin", "config", "upload", "output-dir")
	cannotMeet(cmd, "file", "config", "upload", "output-dir")
	return cmd
}

// uploadPlan is one sync file to write.
type uploadPlan struct {
	name      string
	instances []string
	path      string
	lastGood  bool            // answers for plugins that fail
	accepted  map[string]bool // whose deletions are let through
	maxStale  time.Duration
	read      func() // is called once its plugins are not needed any more; nil: nobody wants to know
}

func (o *syncOptions) run(ctx context.Context, stdout io.Writer) error {
	plugins, plans, pluginDirs, err := o.plan(ctx)
	if err != nil {
		return err
	}
	if err := acceptDeletions(ctx, plugins, o.accept, baselinesOf(plans, plugins)); err != nil {
		return err
	}
	for i, plan := range plans {
		plans[i].accepted = setOf(o.accept)
		if err := makePlace(plan.path); err != nil {
			return err
		}
	}

	fleet := startFleet(ctx, plugins, fleetOptions{finder: supervise.NewFinder(pluginDirs), logLevel: o.root.pluginLogLevel(), telemetry: o.root.telemetry})
	defer fleet.stop(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := fleet.configurationErr(); err != nil {
		return err
	}

	var results []result
	var failed []error
	for i, plan := range plans {
		if i == len(plans)-1 {
			// The plugins end while the last file is packed.
			plan.read = func() { go fleet.stop(ctx) }
		}
		result := syncUpload(ctx, fleet, plan, retryPolicy(o.retryFor))
		results = append(results, result)
		if result.err != nil {
			failed = append(failed, fmt.Errorf("upload %q: %w", plan.name, result.err))
		}
		if _, ok := errors.AsType[*upload.GoneError](result.err); ok && o.plugin != "" {
			failed = append(failed, fmt.Errorf("%s is the sync file of something else; write another with --file", plan.path))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err := writeSummary(stdout, o.output, results); err != nil {
		failed = append(failed, fmt.Errorf("the summary could not be written to standard output: %w", err))
	}
	return errors.Join(failed...)
}

// plan reads what there is to do: which plugins, which files.
func (o *syncOptions) plan(ctx context.Context) ([]wanted, []uploadPlan, []string, error) {
	if o.plugin != "" {
		plugins := []wanted{wantedByName(o.plugin)}
		if err := attachDebugged(nil, plugins); err != nil {
			return nil, nil, nil, err
		}
		return plugins,
			[]uploadPlan{{name: o.plugin, instances: []string{o.plugin}, path: o.file}},
			o.root.pluginDirs, nil
	}

	cfg, err := config.Load(ctx, o.configFile, config.WithoutCredentials(), warnings(ctx))
	if err != nil {
		return nil, nil, nil, err
	}
	warnUnused(ctx, cfg)
	uploads, err := chooseUploads(cfg, o.upload)
	if err != nil {
		return nil, nil, nil, err
	}
	var plugins []wanted
	var plans []uploadPlan
	seen := map[string]bool{}
	for _, one := range uploads {
		plan := uploadPlan{
			name: one.Name, path: filepath.Join(o.outputDir, one.Name+".c1z"),
			lastGood: one.LastGood, maxStale: one.MaxStale,
		}
		for _, plugin := range one.Plugins {
			plan.instances = append(plan.instances, plugin.Name)
			if !seen[plugin.Name] {
				seen[plugin.Name] = true
				plugins = append(plugins, wantedOf(plugin))
			}
		}
		plans = append(plans, plan)
	}
	if err := attachDebugged(cfg, plugins); err != nil {
		return nil, nil, nil, err
	}
	if err := pinned(ctx, cfg, plugins, o.unlocked); err != nil {
		return nil, nil, nil, err
	}
	return plugins, plans, slices.Concat(o.root.pluginDirs, cfg.PluginDirs), nil
}

func chooseUploads(cfg *config.Config, name string) ([]*config.Upload, error) {
	if len(cfg.Uploads) == 0 {
		return nil, fmt.Errorf("%s: there is nothing to sync: it has no uploads", cfg.Path)
	}
	if name == "" {
		return cfg.Uploads, nil
	}
	var names []string
	for _, upload := range cfg.Uploads {
		if upload.Name == name {
			return []*config.Upload{upload}, nil
		}
		names = append(names, upload.Name)
	}
	return nil, fmt.Errorf("%s: there is no upload %q; it has %s", cfg.Path, name, joinNames(names))
}

// makePlace makes the directory of a sync file, or says why there can be none,
// before any work is done for it.
func makePlace(path string) error {
	if strings.HasSuffix(path, string(filepath.Separator)) {
		return fmt.Errorf("the sync file cannot be written to %s: that names a directory; name the file in it too, such as %s", path, filepath.Join(path, "sync.c1z"))
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return fmt.Errorf("the sync file cannot be written into %s: it is a file, not a directory", dir)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("the directory of the sync file cannot be made: %w", err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the sync file cannot be written: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("the sync file cannot be written to %s: there is something else than a file of that name", path)
	}
	return nil
}

// result is how one upload went.
type result struct {
	plan     uploadPlan
	accounts map[string]int // by instance
	stale    []aggregate.Stale
	took     time.Duration
	err      error
}

// longestCall is for the aggregate, which does not know the call-timeout of a
// plugin: beyond the longest there can be, and the start of a process before it.
const longestCall = 2 * time.Hour

// retryPolicy is the aggregate's own, but for how long it tries.
func retryPolicy(retryFor time.Duration) aggregate.RetryPolicy {
	if retryFor <= 0 {
		return aggregate.RetryPolicy{MaxAttempts: 1, CallTimeout: longestCall}
	}
	return aggregate.RetryPolicy{MaxAttempts: math.MaxInt, MaxElapsed: retryFor, CallTimeout: longestCall}
}

// syncUpload makes and publishes one sync file, and logs how that went.
func syncUpload(ctx context.Context, fleet *fleet, plan uploadPlan, retry aggregate.RetryPolicy) result {
	ctx = ctxzap.ToContext(ctx, ctxzap.Extract(ctx).With(zap.String("upload", plan.name)))
	figures, started := &upload.Figures{}, time.Now()
	result := publishUpload(ctx, fleet, plan, retry, figures)
	figures.Log(ctxzap.Extract(ctx), result.err, ctx.Err() != nil, time.Since(started))
	return result
}

func publishUpload(ctx context.Context, fleet *fleet, plan uploadPlan, retry aggregate.RetryPolicy, figures *upload.Figures) result {
	result := result{plan: plan}
	members := fleet.named(plan.instances)
	if err := startErr(members); err != nil && !plan.lastGood {
		result.err = err
		return result
	}
	path, err := syncfile.BehindLinks(plan.path)
	if err != nil {
		result.err = err
		return result
	}

	progress := startProgress(plan.name, plan.instances)
	keep := lastgood.At(path)
	made, err := upload.Make(quieter(ctx), upload.Spec{
		Upload:   plan.name,
		Plugins:  uploadPlugins(ctx, members),
		Accepted: plan.accepted,
		FallBack: plan.lastGood,
		MaxStale: plan.maxStale,
		Keep:     keep,
		Dir:      filepath.Dir(path),
		Retry:    retry,
		Observer: progress,
		Sessions: fleet.sessionStore,
		Figures:  figures,
		Read:     plan.read,
	})
	result.took = progress.end()
	if err != nil {
		result.err = err
		return result
	}
	if made.Unguarded != "" {
		fmt.Fprintf(os.Stderr, "%s: %s\n", plan.name, printable(made.Unguarded))
	}
	for _, warning := range made.Warnings {
		fmt.Fprintf(os.Stderr, "%s: warning: %s\n", plan.name, printable(warning))
	}
	if plan.lastGood || slices.ContainsFunc(members, (*member).isBare) {
		// The file does not have the names of plugins without a namespace; the record has.
		err = keep.Replace(made.Draft, made.Sync)
	} else {
		err = made.Draft.Publish(path)
	}
	if err != nil {
		made.Draft.Discard()
		result.err = err
		return result
	}
	result.accounts, result.stale = made.Accounts, made.Stale
	return result
}

// synced is one plugin's part of an upload that was synced, for json.
type synced struct {
	Upload   string `json:"upload"`
	Plugin   string `json:"plugin"`
	Accounts int    `json:"accounts"`
	// Stale is how many of the accounts are of an earlier sync, AsOf of when.
	Stale   int        `json:"stale_accounts"`
	AsOf    *time.Time `json:"as_of,omitempty"`
	File    string     `json:"file,omitempty"`
	Seconds float64    `json:"seconds"`
	Error   string     `json:"error,omitempty"`
}

func writeSummary(w io.Writer, output string, results []result) error {
	summary := listing{columns: []string{"upload", "plugin", "accounts", "result"}}
	parts := []synced{}
	for _, result := range results {
		name, whole := result.plan.name, synced{Upload: result.plan.name, Seconds: result.took.Seconds()}
		if result.err != nil {
			whole.Error = wordsOf(result.err)
			summary.rows = append(summary.rows, []string{name, joinNames(result.plan.instances), "-", "FAILED: no file was written"})
			for _, whole.Plugin = range result.plan.instances {
				parts = append(parts, whole)
			}
			continue
		}
		whole.File = result.plan.path
		outcome := fmt.Sprintf("complete in %s: %s", result.took.Round(time.Millisecond*10), result.plan.path)
		for _, instance := range slices.Sorted(maps.Keys(result.accounts)) {
			part := whole
			part.Plugin, part.Accounts = instance, result.accounts[instance]
			said := outcome
			if stale := staleOf(result.stale, instance); stale != nil {
				part.Stale, part.AsOf = stale.Accounts, &stale.AsOf
				said += fmt.Sprintf("; STALE: %d of these are as of %s", stale.Accounts, stale.AsOf.UTC().Format(time.RFC3339))
			}
			parts = append(parts, part)
			summary.rows = append(summary.rows, []string{name, instance, strconv.Itoa(part.Accounts), said})
		}
	}
	summary.value = parts
	return summary.write(w, output)
}

// staleOf says that a plugin's accounts are not of now.
func staleOf(stale []aggregate.Stale, instance string) *aggregate.Stale {
	for i, one := range stale {
		if one.Instance == instance {
			return &stale[i]
		}
	}
	return nil
}
