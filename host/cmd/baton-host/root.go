package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/hostlog"
	"github.com/batonhost/baton-host/host/internal/terminal"
	"github.com/batonhost/baton-host/internal/telemetry"
)

const (
	// silent is a level at which nothing of ours or the SDK's logs. The commands
	// that a person runs report what matters by themselves, errors above all, so the
	// log is for those who ask for it.
	silent = "fatal"
	// usualLevel is the annotation of a command whose usual log level is another.
	usualLevel = "log-level"
)

// rootOptions are the flags that every command takes.
type rootOptions struct {
	logLevel string
	// usualLevel is the level where nothing else is asked for.
	usualLevel string
	logFormat  string
	pluginDirs []string
	telemetry  telemetry.Settings
}

func newRootCommand(options *rootOptions) *cobra.Command {
	root := &cobra.Command{
		Use:   "baton-host",
		Short: "Run many identity connectors as plugins of one host",
		Long: `baton-host loads identity connectors as plugins, aggregates the accounts they
read and uploads them to ConductorOne (run) or writes them as one sync file per
upload (sync).`,
		Example: `  baton-host plugins
  baton-host inspect fullstory
  baton-host check
  baton-host sync --output-dir out
  baton-host run`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          helpOrUnknown,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(requireValues(cmd.Flags()), checkGroups(cmd)); err != nil {
				return err
			}
			if level, ok := cmd.Annotations[usualLevel]; ok {
				options.usualLevel = level
			}
			if err := options.startLog(cmd); err != nil {
				return err
			}
			if err := options.startTelemetry(cmd); err != nil {
				return err
			}
			ctx, err := hostlog.Use(cmd.Context(), ctxzap.Extract(cmd.Context()))
			if err != nil {
				return fmt.Errorf("start the log: %w", err)
			}
			cmd.SetContext(ctx)
			return nil
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&options.logLevel, "log-level", "", "how much to log: debug, info, warn or error (default $BATON_LOG_LEVEL, else info for run and nothing for the others)")
	flags.StringVar(&options.logFormat, "log-format", "", "console or json (default console on a terminal, else json)")
	flags.StringSliceVar(&options.pluginDirs, "plugin-dir", nil, "a directory to look for plugin binaries in first; may be repeated")

	addTelemetryFlags(flags, &options.telemetry)

	addCommands(root, options)
	describeCompletion(root)
	inWords(root)
	completeFlags(root, options)
	return root
}

// addCommands adds the commands, in groups by what a person wants to do.
func addCommands(root *cobra.Command, options *rootOptions) {
	for _, group := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Set up apps:", []*cobra.Command{
			newInitCommand(options), newAddCommand(options), newPluginsCommand(options), newInspectCommand(options),
			newInstallCommand(options), newLockCommand(options), newCheckCommand(options),
		}},
		{"Sync accounts:", []*cobra.Command{newSyncCommand(options), newRunCommand(options)}},
		{"Operate a running host:", []*cobra.Command{
			newStatusCommand(options), newRestartCommand(options), newReloadCommand(options), newReviewCommand(options), newApproveCommand(options),
			newSupportCommand(options),
		}},
		{"Look at sync files:", []*cobra.Command{newAccountsCommand(), newDiffCommand(), newExploreCommand(options)}},
		{"Write connectors:", []*cobra.Command{newNewCommand(), newTestCommand(options), newCallCommand(options), newSchemaCommand(options)}},
	} {
		root.AddGroup(&cobra.Group{ID: group.title, Title: group.title})
		for _, cmd := range group.commands {
			cmd.GroupID = group.title
			root.AddCommand(cmd)
		}
	}
	root.AddCommand(newVersionCommand())
}

// startLog puts the logger into the command's context, where the SDK and our
// packages look for it.
func (o *rootOptions) startLog(cmd *cobra.Command) error {
	level, err := logging.ParseLogLevel(o.level())
	if err != nil {
		return fmt.Errorf("the log level must be debug, info, warn or error, not %q", o.level())
	}

	format := o.logFormat
	switch format {
	case logging.LogFormatConsole, logging.LogFormatJSON:
	case "":
		format = logging.LogFormatJSON
		if terminal.HasReader() {
			format = logging.LogFormatConsole
		}
	default:
		return fmt.Errorf("the log format must be console or json, not %q", format)
	}

	log := hostlog.New(hostlog.Stderr, format, level)
	zap.ReplaceGlobals(log) // Which telemetry adds the collector to.
	ctx := ctxzap.ToContext(cmd.Context(), log)
	if o.writesJSON(cmd) {
		ctx = context.WithValue(ctx, commandLog{}, hostlog.Command(cmd.Name()))
	}
	cmd.SetContext(ctx)
	return nil
}

// commandLog is the key of the logger of the command's own words, where these are lines
// of JSON.
type commandLog struct{}

// writesJSON reports whether what a command writes beside its log, its last error above
// all, is a line of JSON. It is where the log is JSON, unless that is silent and its form
// the default: the errors of a one-shot command in a script are for people. It holds
// for a command line that could not be read, too.
func (o *rootOptions) writesJSON(cmd *cobra.Command) bool {
	switch cmp.Or(o.logFormat, formatIn(os.Args[1:])) {
	case logging.LogFormatJSON:
		return true
	case "":
		usual := cmp.Or(cmd.Annotations[usualLevel], silent)
		level, err := logging.NormalizeLogLevel(cmp.Or(o.logLevel, os.Getenv("BATON_LOG_LEVEL"), usual))
		return !terminal.HasReader() && (usual != silent || err == nil && level != silent)
	}
	return false
}

// formatIn returns the log format that a command line asks for, also behind a flag that it
// does not have.
func formatIn(args []string) string {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--log-format="); ok {
			return value
		}
		if arg == "--" {
			return ""
		}
		if arg == "--log-format" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// level returns the log level that was asked for. BATON_LOG_LEVEL is the SDK's.
func (o *rootOptions) level() string {
	return cmp.Or(o.logLevel, os.Getenv("BATON_LOG_LEVEL"), o.usualLevel)
}
