package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/service"
	"github.com/batonhost/baton-host/host/status/history"
	"github.com/batonhost/baton-host/host/supervise"
	"github.com/batonhost/baton-host/host/syncfile"
	"github.com/batonhost/baton-host/host/workdir"
)

// runOptions are the flags of `baton-host run`.
type runOptions struct {
	root         *rootOptions
	configFile   string
	upload       string
	plugin       string
	stateDir     string
	grace        time.Duration
	retryFor     time.Duration
	stallTimeout time.Duration
	accept       []string
	listen       string
	listenAny    bool
	unlocked     bool
}

func newRunCommand(root *rootOptions) *cobra.Command {
	options := &runOptions{root: root}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Stay connected to ConductorOne and do the tasks it hands out",
		Long: `Stay connected to ConductorOne (C1) and do the tasks it hands out: sync the apps
of an upload together and upload one sync, and everything else that C1 asks of a
connector.

With a configuration file, every upload in it is served, each with its own
credentials. Where there is one upload, its credentials may come from
BATON_CLIENT_ID and BATON_CLIENT_SECRET. With --plugin no file is needed: the
plugin's fields are taken from BATON_* variables too. BATON_HOST_ID names this
host to C1; without it, the machine's name does.

A plugin that ends or hangs is started again, and a sync that is under way goes on
where it was. One that ends too often (restart-limit) has failed: mend it, then
restart the host or send it SIGUSR1.

With --listen it serves a status page, metrics for Prometheus and probes. None of
them has a login: an address that other machines reach needs --listen-any.

It runs until it is stopped. SIGTERM and SIGINT let work in hand go on for
--grace; a second one ends it at once.`,
		Example: `  baton-host run --config baton-host.yaml --state-dir /var/lib/baton-host
  baton-host run --listen 127.0.0.1:9400
  BATON_CLIENT_ID=… BATON_CLIENT_SECRET=… BATON_SCIM_BASE_URL=… BATON_SCIM_TOKEN=… baton-host run --plugin fullstory`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{usualLevel: "info"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return options.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.configFile, "config", "c", defaultConfigFile, "the configuration file")
	flags.StringVar(&options.upload, "upload", "", "serve this upload only")
	flags.StringVar(&options.plugin, "plugin", "", "serve this one app, configured by BATON_* variables")
	flags.StringVar(&options.stateDir, "state-dir", "", "where the last good syncs are kept (default the file's state-dir, $STATE_DIRECTORY or ~/.local/state/baton-host)")
	flags.DurationVar(&options.grace, "grace", 30*time.Second, "how long work in hand may go on after a signal to stop")
	flags.DurationVar(&options.retryFor, "retry-for", 5*time.Minute, "how long to go on trying an app that does not answer; its rate limits do not count; 0 tries once")
	flags.DurationVar(&options.stallTimeout, "stall-timeout", service.DefaultStallTimeout, "how long C1 may take nothing more of an upload before it is begun again")
	flags.StringVar(&options.listen, "listen", "", "serve a status page, metrics and probes on this address, such as 127.0.0.1:9400 (default: do not)")
	flags.BoolVar(&options.listenAny, "listen-any", false, "let --listen name an address that other machines reach; what is served has no login")
	addAcceptFlag(flags, &options.accept)
	addUnlockedFlag(flags, &options.unlocked)
	cannotMeet(cmd, "plugin", "config", "upload")
	return cmd
}

func (o *runOptions) run(ctx context.Context) error {
	for flag, value := range map[string]time.Duration{"grace": o.grace, "retry-for": o.retryFor, "stall-timeout": o.stallTimeout} {
		if value < 0 {
			return fmt.Errorf("--%s must not be negative, unlike %s", flag, value)
		}
	}
	plan, err := o.plan(ctx)
	if err != nil {
		return err
	}
	stateDir, release, err := takeStateDir(plan.stateDir)
	if err != nil {
		return err
	}
	defer release()
	syncfile.Sweep(stateDir)
	temp, err := workdir.Make(os.TempDir(), "baton-host-run-")
	if err != nil {
		return fmt.Errorf("there must be a directory for temporary files: %w; make room there, or set TMPDIR", err)
	}
	defer func() { _ = temp.Remove() }()
	workdir.Sweep(os.TempDir(), "baton-host-run-")

	board, past := newBoard(plan.uploads), history.In(stateDir)
	recall(ctx, board, past)
	stopListening, err := o.serveStatus(ctx, board)
	if err != nil {
		return err
	}
	defer stopListening()
	defer context.AfterFunc(ctx, board.Stopping)()

	log := ctxzap.Extract(ctx)
	log.Info("starting", zap.String("version", version), zap.String("host_id", service.HostID()), zap.String("state_dir", stateDir))
	options := o.root.fleetOptions(supervise.NewFinder(plan.pluginDirs))
	options.Persistent, options.Changed = true, board.Plugin
	started := fleet.Start(ctx, plan.plugins, options)
	defer started.Stop(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err := started.SchemaErr(); err != nil {
		return err
	}
	defer onRevive(func() {
		log.Info("told to start plugins that are not running")
		started.Revive()
	})()

	served := make([]error, len(plan.uploads))
	var serving sync.WaitGroup
	for i, upload := range plan.uploads {
		dir := filepath.Join(temp.Path(), upload.Name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return fmt.Errorf("upload %q needs a directory for temporary files: %w", upload.Name, err)
		}
		one := newServed(upload, started, stateDir, o, board)
		serving.Go(func() {
			settings := one.config(dir)
			settings.Report = reporting(ctx, board, past)
			served[i] = service.Serve(ctx, settings)
			board.Ended(upload.Name, served[i])
		})
	}
	serving.Wait()
	if ctx.Err() != nil {
		log.Info("stopped")
		return nil
	}
	return fmt.Errorf("no upload can be served any more:\n%w", errors.Join(served...))
}

// runPlan is what there is to serve.
type runPlan struct {
	uploads    []*config.Upload
	plugins    []*fleet.Plugin
	pluginDirs []string
	stateDir   string
}

func (o *runOptions) plan(ctx context.Context) (*runPlan, error) {
	plan := &runPlan{stateDir: o.stateDir, pluginDirs: o.root.pluginDirs}
	if o.plugin != "" {
		entry := byName(o.plugin)
		plan.uploads = []*config.Upload{{Name: o.plugin, MaxStale: config.DefaultMaxStale, Plugins: []*config.Plugin{entry}}}
		plan.plugins = fleet.Of([]*config.Plugin{entry})
		if err := attachDebugged(nil, plan.plugins); err != nil {
			return nil, err
		}
	} else if err := o.planFile(ctx, plan); err != nil {
		return nil, err
	}
	var baselines []baseline
	if dir, err := stateDirOf(plan.stateDir); err == nil {
		for _, one := range plan.uploads {
			baselines = append(baselines, baselineOf(one, dir))
		}
	}
	if err := acceptForService(ctx, plan.plugins, o.accept, baselines); err != nil {
		return nil, err
	}
	return plan, credentials(plan.uploads)
}

func (o *runOptions) planFile(ctx context.Context, plan *runPlan) error {
	cfg, err := config.Load(ctx, o.configFile, warnings(ctx))
	if err != nil {
		return err
	}
	warnUnused(ctx, cfg)
	if plan.uploads, err = chooseUploads(cfg, o.upload); err != nil {
		return err
	}
	plan.plugins = fleet.Of(entriesOf(cfg, plan.uploads))
	if err := attachDebugged(cfg, plan.plugins); err != nil {
		return err
	}
	if err := pinned(ctx, cfg, plan.plugins, o.unlocked); err != nil {
		return err
	}
	plan.pluginDirs = slices.Concat(o.root.pluginDirs, cfg.PluginDirs)
	if plan.stateDir == "" {
		plan.stateDir = cfg.StateDir
	}
	return nil
}

// The variables of the SDK for a connector's credentials.
const (
	clientIDVariable     = "BATON_CLIENT_ID"
	clientSecretVariable = "BATON_CLIENT_SECRET"
)

// credentials gives a single upload without credentials those of the environment,
// and refuses uploads that have none.
func credentials(uploads []*config.Upload) error {
	if len(uploads) == 1 && uploads[0].ClientID == "" {
		return uploads[0].TakeCredentials(os.Getenv(clientIDVariable), os.Getenv(clientSecretVariable))
	}
	var without []string
	for _, upload := range uploads {
		if upload.ClientID == "" {
			without = append(without, fmt.Sprintf("%q", upload.Name))
		}
	}
	if len(without) > 0 {
		return fmt.Errorf("upload %s has no client-id and client-secret; each upload needs its own from C1 (or leave it out of what is run with --upload)", strings.Join(without, ", "))
	}
	return nil
}

// takeStateDir makes the state directory and takes it for this host alone.
func takeStateDir(dir string) (path string, release func(), err error) {
	if dir, err = stateDirOf(dir); err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("the state directory %s cannot be made: %w; name another with --state-dir", dir, err)
	}
	release, err = workdir.Lock(dir)
	if errors.Is(err, workdir.ErrHeld) {
		return "", nil, fmt.Errorf("the state directory %s is in use by another baton-host; give each its own with --state-dir", dir)
	}
	if err == nil {
		err = tryToWrite(dir)
	}
	if errors.Is(err, syscall.ENOSPC) {
		return "", nil, fmt.Errorf("the state directory %s cannot be written to: %w; make room there, or name another with --state-dir", dir, err)
	}
	if err != nil {
		return "", nil, fmt.Errorf("the state directory %s cannot be written to: %w; make it writable, or name another with --state-dir", dir, err)
	}
	return dir, release, nil
}

func tryToWrite(dir string) error {
	file, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return err
	}
	_, err = file.WriteString("x")
	return errors.Join(err, file.Close(), os.Remove(file.Name()))
}

// stateDirOf is the first directory that is named, or else the usual one.
func stateDirOf(named ...string) (string, error) {
	if dir := cmp.Or(named...); dir != "" {
		return dir, nil
	}
	return usualStateDir()
}

// usualStateDir is what systemd gives a service, else the user's own.
func usualStateDir() (string, error) {
	if given := os.Getenv("STATE_DIRECTORY"); given != "" {
		first, _, _ := strings.Cut(given, ":")
		return first, nil
	}
	if given := os.Getenv("XDG_STATE_HOME"); given != "" {
		return filepath.Join(given, "baton-host"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("there is no directory to keep state in; name one with --state-dir")
	}
	return filepath.Join(home, ".local", "state", "baton-host"), nil
}
