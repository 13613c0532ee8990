package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/spf13/pflag"

	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/config/lock"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/host/supervise"
	"github.com/batonhost/baton-host/plugin"
)

// byName is a plugin that is configured by BATON_* variables alone.
func byName(app string) *config.Plugin { return config.ByName(app, os.LookupEnv) }

func guardOf(guard config.DeletionGuard) syncrun.Guard {
	byType := map[string]syncrun.Limits{}
	for typeID, limits := range guard.ByType {
		byType[typeID] = syncrun.Limits(limits)
	}
	return syncrun.Guard{Off: guard.Off, Limits: syncrun.Limits(guard.Accounts), ByType: byType}
}

// addAcceptFlag adds the flag that overrules deletion guards.
func addAcceptFlag(flags *pflag.FlagSet, accept *[]string) {
	flags.StringSliceVar(accept, "accept-deletions", nil, "let this plugin list far fewer accounts than last time, or be gone from the upload, once; may be repeated")
}

// addUnlockedFlag adds the flag that has the lock file ignored.
func addUnlockedFlag(flags *pflag.FlagSet, unlocked *bool) {
	flags.BoolVar(unlocked, "unlocked", false, "start plugins whatever the lock file says; for development only")
}

// pinned pins plugins to what is locked beside the configuration; without a lock file
// nothing is pinned.
func pinned(ctx context.Context, cfg *config.Config, plugins []*fleet.Plugin, unlocked bool) error {
	err := fleet.Pin(cfg.Path, acceptCommand(cfg.Path), plugins, unlocked)
	switch {
	case errors.Is(err, os.ErrNotExist):
		ctxzap.Extract(ctx).Debug("there is no lock file, so the plugins' binaries are not verified")
		return nil
	case errors.Is(err, fleet.ErrUnlocked):
		ctxzap.Extract(ctx).Warn("the lock file is ignored (--unlocked): any binary is started and given secrets")
		fmt.Fprintf(os.Stderr, "warning: %s is ignored (--unlocked): any binary is started and given secrets\n", lock.PathFor(cfg.Path))
		return nil
	}
	return err
}

// attachDebugged marks the plugins that run already, in a debugger, and are to be
// attached to (BATON_HOST_REATTACH), and warns of each, also where nothing is logged.
// cfg may be nil.
func attachDebugged(cfg *config.Config, plugins []*fleet.Plugin) error {
	warnings, err := fleet.Attach(os.Getenv(plugin.ReattachEnv), cfg, plugins)
	for _, warning := range warnings {
		fmt.Fprintf(os.Stderr, "warning: %s\n", warning)
	}
	return err
}

// fleetOptions are what every fleet of this command line has.
func (o *rootOptions) fleetOptions(finder *supervise.Finder) fleet.Options {
	return fleet.Options{
		Version: version, Finder: finder, LogLevel: o.pluginLogLevel(), Telemetry: o.telemetry,
	}
}

// pluginLogLevel is the level that plugins log at: the host's own, or "error"
// where the host is silent, as a plugin's last words explain its crash.
func (o *rootOptions) pluginLogLevel() string {
	level, err := logging.NormalizeLogLevel(o.level())
	if err != nil || level == silent {
		return "error"
	}
	return level
}

// joinNames is a list of names as a sentence has it.
func joinNames(names []string) string {
	return strings.Join(names, ", ")
}
