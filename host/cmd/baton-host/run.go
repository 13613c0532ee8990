package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
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
	watch        bool
	install      bool
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
where it was. One that ends too often (restart-limit) has failed: fix it, then
restart the host or send it SIGUSR1.

With --listen it serves a status page, metrics for Prometheus and probes. None of
them has a login: an address that other machines reach needs --listen-any.

It runs until it is stopped. SIGTERM and SIGINT let work in hand go on for
--grace; a second one ends it at once. SIGHUP, baton-host reload and, with --watch, a
change of its files have it reload the configuration.`,
		Example: `  baton-host run --config baton-host.yaml --state-dir /var/lib/baton-host
  baton-host run --listen 127.0.0.1:9400
  BATON_CLIENT_ID=… BATON_CLIENT_SECRET=… BATON_SCIM_BASE_URL=… BATON_SCIM_TOKEN=… baton-host run --plugin fullstory`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{usualLevel: "info"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return options.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.configFile, "config", "c", host.DefaultConfigFile, "the configuration file")
	flags.StringVar(&options.upload, "upload", "", "serve this upload only")
	flags.StringVar(&options.plugin, "plugin", "", "serve this one app, configured by BATON_* variables")
	flags.StringVar(&options.stateDir, "state-dir", "", "where the baselines are kept (default the file's state-dir, $STATE_DIRECTORY or ~/.local/state/baton-host)")
	flags.DurationVar(&options.grace, "grace", 30*time.Second, "how long work in hand may go on after a signal to stop")
	flags.DurationVar(&options.retryFor, "retry-for", 5*time.Minute, "how long to go on trying an app that does not answer; its rate limits do not count; 0 tries once")
	flags.DurationVar(&options.stallTimeout, "stall-timeout", host.DefaultStallTimeout, "how long C1 may take nothing more of an upload before it is begun again")
	flags.StringVar(&options.listen, "listen", "", "serve a status page, metrics and probes on this address, such as 127.0.0.1:9400 (default: do not)")
	flags.BoolVar(&options.listenAny, "listen-any", false, "let --listen name an address that other machines reach; what is served has no login")
	flags.BoolVar(&options.watch, "watch", false, "reload the configuration when its file, the lock file or a file of a reference changes")
	addAcceptFlag(flags, &options.accept)
	addUnlockedFlag(flags, &options.unlocked)
	addInstallFlag(flags, &options.install)
	exclude(cmd, "install", "plugin", "unlocked")
	exclude(cmd, "plugin", "config", "upload")
	return cmd
}

func (o *runOptions) run(ctx context.Context) error {
	for _, limit := range []struct {
		flag  string
		value time.Duration
	}{{"grace", o.grace}, {"retry-for", o.retryFor}, {"stall-timeout", o.stallTimeout}} {
		if limit.value < 0 {
			return fmt.Errorf("--%s must not be negative, unlike %s", limit.flag, limit.value)
		}
	}
	options := o.root.hostOptions(ctx, host.AllSecrets)
	options.Attach, options.Unlocked, options.AcceptDeletions = true, o.unlocked, o.accept
	options.StoresMayBeAway = true
	options.RetryFor, options.StateDir = o.retryFor, o.stateDir
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
	defer reviveOnSignal(ctx, h)()
	ctx, stop := reloadOnSignal(ctx, h)
	defer stop()
	return h.Serve(ctx, host.ServeOptions{
		Grace: o.grace, StallTimeout: o.stallTimeout, Listen: o.listen, ListenAny: o.listenAny, Watch: o.watch,
	})
}
