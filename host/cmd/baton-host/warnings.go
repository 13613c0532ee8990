package main

import (
	"context"

	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/show"
)

// personOf returns the person who runs a command with this context.
func personOf(ctx context.Context) show.Person {
	own, _ := ctx.Value(commandLog{}).(*zap.Logger)
	return show.NewPerson(ctx, own)
}

// hostOptions returns what every host of this command line has.
func (o *rootOptions) hostOptions(ctx context.Context, secrets host.Secrets) host.Options {
	person := personOf(ctx)
	return host.Options{
		Version: version, PluginDirs: o.pluginDirs, LogLevel: o.pluginLogLevel(), Telemetry: o.telemetry,
		Secrets: secrets, Observer: person, Installing: person.Installing(),
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
