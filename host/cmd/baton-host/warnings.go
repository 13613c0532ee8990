package main

import (
	"context"
	"fmt"

	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/hostlog"
)

// person shows on standard error what the log does not: the commands that a person runs
// log nothing unless they are asked to.
type person struct {
	silent bool        // nothing is logged, not even errors
	log    *zap.Logger // of the command's own lines where these are JSON; else nil
}

// personOf returns the person who runs a command with this context.
func personOf(ctx context.Context) person {
	own, _ := ctx.Value(commandLog{}).(*zap.Logger)
	return person{silent: !ctxzap.Extract(ctx).Core().Enabled(zap.ErrorLevel), log: own}
}

// Warning writes a warning where the log is silent. Who asks for errors alone gets none.
func (p person) Warning(text string) {
	switch {
	case !p.silent:
	case p.log != nil:
		p.log.Warn(text)
	default:
		_, _ = fmt.Fprintf(hostlog.Stderr, "baton-host: warning: %s\n", text)
	}
}

// Syncing shows how a sync goes.
func (p person) Syncing(upload string, plugins []string) host.Progress {
	return startProgress(upload, plugins, p)
}

// hostOptions returns what every host of this command line has.
func (o *rootOptions) hostOptions(ctx context.Context, secrets host.Secrets) host.Options {
	return host.Options{
		Version: version, PluginDirs: o.pluginDirs, LogLevel: o.pluginLogLevel(), Telemetry: o.telemetry,
		Secrets: secrets, Observer: personOf(ctx),
	}
}

// pluginLogLevel returns the level that plugins log at: the host's own, or "error"
// where the host is silent, as a plugin's last words explain its crash.
func (o *rootOptions) pluginLogLevel() string {
	level, err := logging.NormalizeLogLevel(o.level())
	if err != nil || level == silent {
		return "error"
	}
	return level
}

// addAcceptFlag adds the flag that overrules change guards.
func addAcceptFlag(flags *pflag.FlagSet, accept *[]string) {
	flags.StringSliceVar(accept, "accept-deletions", nil, "let through once what the change guard refuses of this plugin, also that it is gone from the upload; may be repeated")
}

// addUnlockedFlag adds the flag that has the lock file ignored.
func addUnlockedFlag(flags *pflag.FlagSet, unlocked *bool) {
	flags.BoolVar(unlocked, "unlocked", false, "start plugins without regard to the lock file; for development only")
}

// addPluginFlags adds the flags of a command that is about one plugin.
func addPluginFlags(flags *pflag.FlagSet, configFile *string, unlocked *bool) {
	flags.StringVarP(configFile, "config", "c", "", "the configuration file (default "+host.DefaultConfigFile+" if there is one)")
	addUnlockedFlag(flags, unlocked)
}
