package plugin

import (
	"context"
	"os"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/conductorone/baton-sdk/pkg/exit"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/spf13/viper"
)

// Run is the whole main function of a connector. It takes the parameters of
// the SDK's config.RunConnector, so that an existing connector becomes a plugin
// by changing that one call. [DefineConfiguration] and [DefineConfigurationV2] do the
// same for the SDK's older entry points.
//
// Started by baton-host it serves the plugin contract until the host stops it
// or dies; the configuration arrives over the wire and flags and BATON_*
// variables are not read. Started by a person it is the SDK's ordinary command
// line, with one fault fixed: the exit status of a one-shot sync is 0 only if
// the sync came to its end. Both build the connector with newConnector.
//
// Under a host the connector has the session store, the decryption of passwords and
// the ConnectorOpts that it has stand-alone, as far as they mean anything there:
// docs/decisions/0007-offered-to-plugins.md lists what does not. With --debug-plugin it
// waits for a host to attach, in a person's debugger.
//
// The manifest has a connector's capabilities before it is configured only if
// options hold one of the SDK's default-capabilities options
// (connectorrunner.WithDefaultCapabilities...).
//
// Nothing may be written to standard output before Run is called: under a host
// it carries the handshake.
func Run[T field.Configurable](
	ctx context.Context,
	connectorName string,
	version string,
	schema field.Configuration,
	newConnector cli.NewConnector[T],
	options ...connectorrunner.Option,
) {
	a := newAuthor(connectorName, version, schema, newConnector, options)
	if startedByHost() {
		serve(ctx, a)
		return
	}
	_, command, err := a.define(ctx)
	if err != nil {
		exit.LogExit(err)
	}
	command.Version = version
	if err := command.Execute(); err != nil {
		exit.LogExit(err)
	}
}

// author is what the author of a connector gave to an entry point.
type author[T field.Configurable] struct {
	name    string
	version string
	schema  field.Configuration
	connect connect[T]
	options []connectorrunner.Option
	// settings are what an older entry point has returned to the author, which under a
	// host get the values when they arrive; nil if there is none.
	settings *viper.Viper
}

// connect makes the connector as the author wants it. The validator is the author's own
// code behind the connector's Validate; nil if only the connector has it.
type connect[T field.Configurable] func(ctx context.Context, configuration T, with cli.RunTimeOpts) (server types.ConnectorServer, validator connectorbuilder.ValidateProvider, err error)

func newAuthor[T field.Configurable](
	connectorName, version string, schema field.Configuration, newConnector cli.NewConnector[T], options []connectorrunner.Option,
) *author[T] {
	return &author[T]{
		name: connectorName, version: version, schema: schema, options: options,
		connect: func(ctx context.Context, configuration T, with cli.RunTimeOpts) (types.ConnectorServer, connectorbuilder.ValidateProvider, error) {
			builder, options, err := newConnector(ctx, configuration, &cli.ConnectorOpts{
				TokenSource: with.TokenSource, SelectedAuthMethod: with.SelectedAuthMethod,
				SyncResourceTypeIDs: with.SyncResourceTypeIDs, EgressPolicy: with.EgressPolicy,
			})
			if err != nil {
				return nil, nil, err
			}
			server, err := connectorbuilder.NewConnector(ctx, builder, append(options, connectorbuilder.WithSessionStore(with.SessionStore))...)
			return server, builder, err
		},
	}
}

// connectAlone is connect as the SDK's command line takes it.
func (a *author[T]) connectAlone(ctx context.Context, configuration T, with cli.RunTimeOpts) (types.ConnectorServer, error) {
	server, _, err := a.connect(ctx, configuration, with)
	return server, err
}

func startedByHost() bool {
	return os.Getenv(Handshake.MagicCookieKey) == Handshake.MagicCookieValue
}
