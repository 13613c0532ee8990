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
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/host/lastgood"
	"github.com/batonhost/baton-host/host/nearest"
	"github.com/batonhost/baton-host/host/supervise"
	"github.com/batonhost/baton-host/host/syncfile"
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
	upload   *config.Upload
	path     string
	accepted map[string]bool // whose deletions are let through
	read     func()          // is called once its plugins are not needed any more; nil: nothing wants to know
}

func (o *syncOptions) run(ctx context.Context, stdout io.Writer) error {
	if o.retryFor < 0 {
		return fmt.Errorf("--retry-for must not be negative, unlike %s", o.retryFor)
	}
	plugins, plans, pluginDirs, err := o.plan(ctx)
	if err != nil {
		return err
	}
	if err := acceptDeletions(ctx, plugins, o.accept, baselinesOf(plans)); err != nil {
		return err
	}
	for i, plan := range plans {
		plans[i].accepted = setOf(o.accept)
		if err := makePlace(plan.path); err != nil {
			return err
		}
	}

	started := fleet.Start(ctx, plugins, o.root.fleetOptions(supervise.NewFinder(pluginDirs)))
	defer started.Stop(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := started.ConfigurationErr(); err != nil {
		return err
	}

	var results []result
	var failed []error
	for i, plan := range plans {
		if i == len(plans)-1 {
			// The plugins end while the last file is packed.
			plan.read = func() { go started.Stop(ctx) }
		}
		result := syncUpload(ctx, started, plan, retryPolicy(o.retryFor))
		results = append(results, result)
		if result.err != nil {
			failed = append(failed, fmt.Errorf("upload %q: %w", plan.upload.Name, result.err))
		}
		if _, ok := errors.AsType[*syncrun.GoneError](result.err); ok && o.plugin != "" {
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
func (o *syncOptions) plan(ctx context.Context) ([]*fleet.Plugin, []uploadPlan, []string, error) {
	if o.plugin != "" {
		entry := byName(o.plugin)
		plugins := fleet.Of([]*config.Plugin{entry})
		if err := attachDebugged(nil, plugins); err != nil {
			return nil, nil, nil, err
		}
		return plugins,
			[]uploadPlan{{upload: &config.Upload{Name: o.plugin, Plugins: []*config.Plugin{entry}}, path: o.file}},
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
	var plans []uploadPlan
	for _, one := range uploads {
		plans = append(plans, uploadPlan{upload: one, path: filepath.Join(o.outputDir, one.Name+".c1z")})
	}
	plugins := fleet.Of(entriesOf(cfg, uploads))
	if err := attachDebugged(cfg, plugins); err != nil {
		return nil, nil, nil, err
	}
	if err := pinned(ctx, cfg, plugins, o.unlocked); err != nil {
		return nil, nil, nil, err
	}
	return plugins, plans, slices.Concat(o.root.pluginDirs, cfg.PluginDirs), nil
}

// namesOf are the plugins of an upload, by name.
func namesOf(upload *config.Upload) []string {
	names := make([]string, 0, len(upload.Plugins))
	for _, entry := range upload.Plugins {
		names = append(names, entry.Name)
	}
	return names
}

// entriesOf are the plugins that these uploads need, each once, in the order of the file.
func entriesOf(cfg *config.Config, uploads []*config.Upload) []*config.Plugin {
	return slices.DeleteFunc(slices.Clone(cfg.Plugins), func(entry *config.Plugin) bool {
		return !slices.ContainsFunc(uploads, func(upload *config.Upload) bool { return slices.Contains(upload.Plugins, entry) })
	})
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
	if near := nearest.To(name, names); near != "" {
		return nil, fmt.Errorf("%s: there is no upload %q; did you mean %q?", cfg.Path, name, near)
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
func syncUpload(ctx context.Context, plugins *fleet.Fleet, plan uploadPlan, retry aggregate.RetryPolicy) result {
	ctx = ctxzap.ToContext(ctx, ctxzap.Extract(ctx).With(zap.String("upload", plan.upload.Name)))
	figures, started := &syncrun.Figures{}, time.Now()
	result := publishUpload(ctx, plugins, plan, retry, figures)
	figures.Log(ctxzap.Extract(ctx), result.err, ctx.Err() != nil, time.Since(started))
	return result
}

// uploadPlugins are plugins as a one-shot sync of their upload wants them.
func uploadPlugins(ctx context.Context, members []*fleet.Plugin, accepted map[string]bool) []syncrun.Plugin {
	all := make([]syncrun.Plugin, 0, len(members))
	for _, p := range members {
		all = append(all, uploadPlugin(p, p.Aggregate(ctx), accepted))
	}
	return all
}

// uploadPlugin is one plugin of an upload's full sync.
func uploadPlugin(p *fleet.Plugin, behind aggregate.Plugin, accepted map[string]bool) syncrun.Plugin {
	return syncrun.Plugin{Plugin: behind, Guard: guardOf(p.DeletionGuard), AcceptDeletions: accepted[p.Name], Restarts: p.Restarts}
}

func publishUpload(ctx context.Context, plugins *fleet.Fleet, plan uploadPlan, retry aggregate.RetryPolicy, figures *syncrun.Figures) result {
	result := result{plan: plan}
	members := plugins.Of(plan.upload)
	if err := fleet.StartErr(members); err != nil && !plan.upload.LastGood {
		result.err = err
		return result
	}
	path, err := syncfile.BehindLinks(plan.path)
	if err != nil {
		result.err = err
		return result
	}

	progress := startProgress(plan.upload.Name, namesOf(plan.upload))
	keep := lastgood.At(path)
	made, err := syncrun.Make(quieter(ctx), syncrun.Spec{
		Upload:   plan.upload.Name,
		Plugins:  uploadPlugins(ctx, members, plan.accepted),
		Accepted: plan.accepted,
		FallBack: plan.upload.LastGood,
		MaxStale: plan.upload.MaxStale,
		Keep:     keep,
		Dir:      filepath.Dir(path),
		Retry:    retry,
		Observer: progress,
		Sessions: plugins.Sessions,
		Figures:  figures,
		Read:     plan.read,
	})
	result.took = progress.end()
	if err != nil {
		result.err = err
		return result
	}
	if made.Unguarded != "" {
		fmt.Fprintf(os.Stderr, "%s: %s\n", plan.upload.Name, printable(made.Unguarded))
	}
	for _, warning := range made.Warnings {
		fmt.Fprintf(os.Stderr, "%s: warning: %s\n", plan.upload.Name, printable(warning))
	}
	if plan.upload.LastGood || slices.ContainsFunc(members, (*fleet.Plugin).IsBare) {
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
		name, whole := result.plan.upload.Name, synced{Upload: result.plan.upload.Name, Seconds: result.took.Seconds()}
		if result.err != nil {
			whole.Error = wordsOf(result.err)
			summary.rows = append(summary.rows, []string{name, joinNames(namesOf(result.plan.upload)), "-", "FAILED: no file was written"})
			for _, whole.Plugin = range namesOf(result.plan.upload) {
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
