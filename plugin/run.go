package plugin

import (
	"context"
	"os"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/config"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/conductorone/baton-sdk/pkg/field"
)

// Run is the whole main function of a connector. It takes the parameters of
// the SDK's config.RunConnector, so that an existing connector becomes a plugin
// by changing that one call.
//
// Started by baton-host it serves the plugin contract until the host stops it
// or dies; the configuration arrives over the wire and flags and BATON_*
// variables are not read. Started by a person it is the SDK's ordinary command
// line, with one thing mended: the exit status of a one-shot sync is 0 only if
// the sync came to its end. Both build the connector with newConnector.
//
// Under a host the connector has the session store, the decryption of passwords and
// the ConnectorOpts that it has stand-alone, as far as they mean anything there:
// docs/architecture.md lists what does not. With --debug-plugin it waits for a host to
// attach, in a person's debugger.
//
// The manifest tells a connector's capabilities before it is configured only if
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
	made := &author[T]{
		name:         connectorName,
		version:      version,
		schema:       schema,
		newConnector: newConnector,
		options:      options,
	}
	if !startedByHost() {
		if wanted, alone := wantsDebug(os.Args[1:]); wanted {
			serveDebugger(ctx, connectorName, made, alone)
			return
		}
		explainDebugFlag()
		judged := beingJudged()
		if !judged {
			if sync := oneShotSync[T](ctx, connectorName, schema, os.Args[1:], options...); sync != nil {
				judge(ctx, sync.GetString("file"))
				return
			}
		}
		config.RunConnector(ctx, connectorName, version, schema, newConnector, options...)
		if judged {
			os.Exit(returned)
		}
		return
	}
	serve(ctx, made)
}

// author is what the author of the connector gave to Run.
type author[T field.Configurable] struct {
	name         string
	version      string
	schema       field.Configuration
	newConnector cli.NewConnector[T]
	options      []connectorrunner.Option
}

func startedByHost() bool {
	return os.Getenv(Handshake.MagicCookieKey) == Handshake.MagicCookieValue
}
