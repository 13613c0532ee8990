package plugin

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/config"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/spf13/cobra"
	"github.com/spf13/viper"
)

// DefineConfiguration takes the parameters of the SDK's config.DefineConfiguration, so
// that a connector whose main function calls that becomes a plugin by changing the one
// call. The main function goes on as before: it sets Version of the returned command and
// calls Execute.
//
// Started by baton-host, Execute serves the plugin contract, as [Run] does, and returns
// when the host has stopped the plugin. The returned settings are empty until then: the
// configuration arrives over the wire. A value of the schema that main reads from them
// before Execute ends the plugin with an error that names it.
//
// A connector whose configuration is *viper.Viper cannot have a field for the content of
// a file under a host: the SDK's viper holds the path of such a file.
func DefineConfiguration[T field.Configurable](
	ctx context.Context,
	connectorName string,
	connector cli.GetConnectorFunc[T],
	schema field.Configuration,
	options ...connectorrunner.Option,
) (*viper.Viper, *cobra.Command, error) {
	return DefineConfigurationV2(ctx, connectorName, func(ctx context.Context, configuration T, _ cli.RunTimeOpts) (types.ConnectorServer, error) {
		return connector(ctx, configuration)
	}, schema, options...)
}

// DefineConfigurationV2 is [DefineConfiguration] for the SDK's entry point of that name,
// whose connector gets the session store and the chosen method of authentication.
func DefineConfigurationV2[T field.Configurable](
	ctx context.Context,
	connectorName string,
	connector cli.GetConnectorFunc2[T],
	schema field.Configuration,
	options ...connectorrunner.Option,
) (*viper.Viper, *cobra.Command, error) {
	a := &author[T]{
		name: connectorName, schema: schema, options: options,
		connect: func(ctx context.Context, configuration T, with cli.RunTimeOpts) (types.ConnectorServer, connectorbuilder.ValidateProvider, error) {
			server, err := connector(ctx, configuration, with)
			return server, nil, err
		},
	}
	return a.define(ctx)
}

// define returns the SDK's command line. Under a host, and with --debug-plugin, its main
// command serves the contract in place of what the SDK does.
func (a *author[T]) define(ctx context.Context) (*viper.Viper, *cobra.Command, error) {
	if !startedByHost() {
		explainDebugFlag()
	}
	settings, command, err := config.DefineConfigurationV2(ctx, a.name, a.connectAlone, a.schema, a.options...)
	if err != nil {
		return nil, nil, err
	}
	debug, alone := wantsDebug(os.Args[1:])
	if !startedByHost() && !debug {
		command.RunE = judged(ctx, settings, command.RunE)
		return settings, command, nil
	}

	reads := &earlyReads{}
	a.settings = reads.watch(a.schema)
	// The command keeps its flags, which main may refer to, and obeys none.
	command.DisableFlagParsing = true
	command.Args = cobra.ArbitraryArgs
	command.RunE = func(*cobra.Command, []string) error {
		if err := reads.err(); err != nil {
			fail("%v", err)
		}
		a.version = command.Version
		if startedByHost() {
			serve(ctx, a)
		} else {
			serveDebugger(ctx, a.name, a, alone)
		}
		return nil
	}
	return a.settings, command, nil
}

// earlyReads are the fields whose values main has read before they are there.
type earlyReads struct{ fields []string }

// watch returns settings that note which fields are read.
func (r *earlyReads) watch(schema field.Configuration) *viper.Viper {
	settings := viper.New()
	for _, f := range schema.Fields {
		// Its only error is for no value.
		_ = settings.BindFlagValue(f.FieldName, watchedField{name: f.FieldName, reads: r})
	}
	return settings
}

func (r *earlyReads) err() error {
	if len(r.fields) == 0 {
		return nil
	}
	slices.Sort(r.fields)
	return fmt.Errorf("its main function reads %s from the settings before Execute, and under a host the configuration arrives later: "+
		"read it in the function that makes the connector, from the configuration that it gets", strings.Join(slices.Compact(r.fields), ", "))
}

// watchedField is a field's value in settings that are watched: viper asks it for each
// reading whether it has changed.
type watchedField struct {
	name  string
	reads *earlyReads
}

func (w watchedField) HasChanged() bool {
	w.reads.fields = append(w.reads.fields, w.name)
	return false
}

func (w watchedField) Name() string        { return w.name }
func (w watchedField) ValueString() string { return "" }
func (w watchedField) ValueType() string   { return "string" }
