package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/aggregate"
	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/supervise"
)

// checkOptions are the flags of `baton-host check`.
type checkOptions struct {
	root       *rootOptions
	configFile string
	timeout    time.Duration
	stateDir   string
	outputDir  string
	accept     []string
	unlocked   bool
	output     string
}

func newCheckCommand(root *rootOptions) *cobra.Command {
	options := &checkOptions{root: root}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try the configuration: every plugin, every credential",
		Long: `Read the configuration, start and configure every plugin in it and let each try
its credentials on its app. All problems are reported together; the exit status
is 1 if there is one. Nothing is synced.

It also looks at the last good syncs, those of run in the state directory and those
of sync in the output directory: an upload that no longer has a plugin of them would
be refused.`,
		Example: `  baton-host check
  baton-host check --config deploy/baton-host.yaml --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return options.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.configFile, "config", "c", defaultConfigFile, "the configuration file")
	flags.DurationVar(&options.timeout, "timeout", time.Minute, "how long an app may take to answer")
	flags.StringVar(&options.stateDir, "state-dir", "", "where run keeps the last good syncs (default the file's state-dir, $STATE_DIRECTORY or ~/.local/state/baton-host)")
	flags.StringVarP(&options.outputDir, "output-dir", "d", ".", "where sync puts its files")
	flags.StringSliceVar(&options.accept, "accept-deletions", nil, "do not report that this plugin is gone from an upload, as run and sync with this flag; may be repeated")
	addUnlockedFlag(flags, &options.unlocked)
	addOutputFlag(cmd, &options.output, outputTable, outputJSON, outputCSV)
	return cmd
}

func (o *checkOptions) run(ctx context.Context, stdout io.Writer) error {
	if o.timeout <= 0 {
		return fmt.Errorf("--timeout must be more than 0, such as 30s, not %s", o.timeout)
	}
	cfg, err := config.Load(ctx, o.configFile, warnings(ctx))
	if err != nil {
		return err
	}
	warnUnused(ctx, cfg)
	plugins := fleet.Of(cfg.Plugins)
	var baselines []baseline
	for _, upload := range cfg.Uploads {
		baselines = append(baselines, o.baselines(cfg, upload)...)
	}
	if err := acceptDeletions(ctx, plugins, o.accept, baselines); err != nil {
		return err
	}
	if err := attachDebugged(cfg, plugins); err != nil {
		return err
	}
	if err := pinned(ctx, cfg, plugins, o.unlocked); err != nil {
		return err
	}
	started := fleet.Start(ctx, plugins, o.root.fleetOptions(supervise.NewFinder(slices.Concat(o.root.pluginDirs, cfg.PluginDirs))))
	defer started.Stop(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}

	started.Validate(ctx, o.timeout)
	var failed []error
	results := listing{columns: []string{"plugin", "app", "result"}}
	checked := make([]checkedPlugin, 0, len(plugins))
	for _, p := range plugins {
		one, outcome := checkedPlugin{Plugin: p.Name, App: p.App, OK: p.Failure() == nil}, "ok"
		if err := p.Failure(); err != nil {
			one.Error, outcome = wordsOf(err), "FAILED"
			failed = append(failed, err)
		}
		checked = append(checked, one)
		results.rows = append(results.rows, []string{p.Name, p.App, outcome})
	}
	for _, upload := range cfg.Uploads {
		many, err := checkUpload(ctx, started, upload)
		var owner func(string) string
		if many != nil {
			owner = many.Owner
		}
		failed = append(failed, err, o.checkBaselines(ctx, o.baselines(cfg, upload), owner))
	}
	results.value = checked
	if err := results.write(stdout, o.output); err != nil {
		failed = append(failed, fmt.Errorf("the results could not be written to standard output: %w", err))
	}
	return errors.Join(failed...)
}

// checkedPlugin is what became of one plugin, for json.
type checkedPlugin struct {
	Plugin string `json:"plugin"`
	App    string `json:"app"`
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
}

// checkUpload looks for resource types that two plugins of an upload share. An
// upload with a plugin that has failed is left alone: that was reported. It returns
// the plugins as one, if they can be, which knows whose each resource type is.
func checkUpload(ctx context.Context, started *fleet.Fleet, upload *config.Upload) (*aggregate.Aggregate, error) {
	members := started.Of(upload)
	if slices.ContainsFunc(members, func(p *fleet.Plugin) bool { return p.Failure() != nil }) {
		return nil, nil
	}
	plugins := make([]aggregate.Plugin, 0, len(members))
	for _, p := range members {
		plugins = append(plugins, p.Aggregate(ctx))
	}
	many, err := aggregate.New(plugins)
	if err == nil {
		defer many.Close()
		_, err = many.Client(ctx).ListResourceTypes(ctx, &connectorv2.ResourceTypesServiceListResourceTypesRequest{})
	}
	if err != nil {
		return nil, fmt.Errorf("upload %q: %s", upload.Name, status.Convert(err).Message())
	}
	return many, nil
}
