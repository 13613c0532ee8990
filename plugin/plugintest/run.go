package plugintest

import (
	"context"
	"os"
	"testing"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/conductorone/baton-sdk/pkg/field"

	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/plugin/conformance"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Settings describe how a connector is tested.
type Settings struct {
	// Configuration holds valid values by field name, secrets among them: string,
	// bool, int, []string, map[string]any, and for a file its content, string or
	// []byte. The connector is to find an app behind them: a stand-in, with more
	// than one page of rows.
	Configuration map[string]any
	// Environment names variables of the test's environment that the plugin's
	// process sees beyond PATH, HOME, proxies and certificates, as a plugin's env
	// does in baton-host's configuration.
	Environment []string
}

// Run checks a connector, each check in a subtest: over real gRPC in this process,
// and as a real plugin process. It takes what plugin.Run takes. Call it once in a
// test function.
//
// The plugin's process is this test binary, which runs the calling test alone; in
// it Run serves and does not return. So what the test does before it calls Run is
// done there too, and must not write to standard output.
func Run[T field.Configurable](
	t *testing.T,
	settings Settings,
	connectorName string,
	version string,
	schema field.Configuration,
	newConnector cli.NewConnector[T],
	options ...connectorrunner.Option,
) {
	t.Helper()
	if startedAs(t.Name()) {
		plugin.Run(context.Background(), connectorName, version, schema, newConnector, options...)
		os.Exit(0)
	}

	request := func(schema *pluginv1.ConfigurationSchema) (*pluginv1.ConfigureRequest, error) {
		return conformance.Request(schema, settings.Configuration)
	}
	sessions := openSessions(t)
	inProcess := func(ctx context.Context, _ func(conformance.Line)) (conformance.Process, error) {
		return serveHere(ctx, sessions, connectorName, version, schema, newConnector, options...)
	}
	t.Run("in process", func(t *testing.T) {
		check(t, conformance.Subject{Start: inProcess, Request: request, InProcess: true})
	})
	children := ownBinary(t, sessions, settings.Environment)
	t.Run("subprocess", func(t *testing.T) {
		check(t, conformance.Subject{Start: children.start, Request: request})
	})
}

// openSessions makes a session store for the time of the test.
func openSessions(t *testing.T) *conformance.Sessions {
	t.Helper()
	sessions, err := conformance.OpenSessions(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sessions.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return sessions
}

// check runs every check as a subtest.
func check(t *testing.T, subject conformance.Subject) {
	t.Helper()
	suite := conformance.New(subject)
	for _, name := range suite.Names() {
		t.Run(name, func(t *testing.T) {
			switch outcome := suite.Check(t.Context(), name); outcome.Result {
			case conformance.Passed:
				t.Log(outcome.Sentence)
			case conformance.Skipped:
				t.Skip(outcome.Sentence)
			case conformance.Failed:
				t.Error(outcome.Sentence)
			}
		})
	}
}
