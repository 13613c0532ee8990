package main_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/batonhost/baton-host/sandbox/collector"
	"github.com/batonhost/baton-host/sandbox/scim"
)

func startCollector(t *testing.T) (*collector.Server, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // A listener of this test.
	require.NoError(t, err)
	server, kept := grpc.NewServer(), &collector.Server{}
	kept.Register(server)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return kept, listener.Addr().String()
}

// TestTelemetry_TracesThroughHostAndPlugin has a sync traced with the SDK's flags: the
// plugin's part of a call is within the host's.
func TestTelemetry_TracesThroughHostAndPlugin(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 2100, Seed: 1})
	kept, address := startCollector(t)
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token, "BATON_OTEL_COLLECTOR_ENDPOINT_TLS_INSECURE=true"}
	result := execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", filepath.Join(t.TempDir(), "sync.c1z"),
		"--otel-collector-endpoint", address, "--log-level", "info")
	require.Equal(t, 0, result.status, result.stderr)

	spans := map[string]collector.Span{}
	for _, span := range kept.Spans() {
		spans[span.ID] = span
	}
	roots, crossed := map[string]bool{}, 0
	for _, span := range spans {
		if span.Parent == "" {
			roots[span.Service+": "+span.Name] = true
		}
		parent := spans[span.Parent]
		if span.Service == "baton-fullstory" && parent.Service == "baton-host" && strings.HasSuffix(span.Name, "/ListResources") {
			require.Equal(t, parent.Name, span.Name)
			require.Equal(t, parent.Trace, span.Trace)
			crossed++
		}
	}
	require.GreaterOrEqual(t, crossed, 2, "pages of 2,100 accounts")
	require.True(t, roots["baton-host: baton-host sync"], roots)
	require.NotContains(t, kept.Text(), app.token)
	for _, account := range app.server.Accounts()[:3] {
		require.NotContains(t, kept.Text(), account.ID)
	}
}

// TestTelemetry_HoldsNothingUpWhereTheCollectorIsAway: it is no part of a sync.
func TestTelemetry_HoldsNothingUpWhereTheCollectorIsAway(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 10, Seed: 1})
	env := []string{
		"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token,
		"BATON_OTEL_COLLECTOR_ENDPOINT=127.0.0.1:1", "BATON_OTEL_COLLECTOR_ENDPOINT_TLS_INSECURE=true",
	}
	result := execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", filepath.Join(t.TempDir(), "sync.c1z"))
	require.Equal(t, 0, result.status, result.stderr)
}

func TestTelemetry_ExplainsBadSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env, args, want []string
	}{
		"neither true nor false": {
			[]string{"BATON_OTEL_TRACING_DISABLED=maybe"},
			nil,
			[]string{"BATON_OTEL_TRACING_DISABLED must be true or false", `"maybe"`},
		},
		"several that are neither": {
			[]string{"BATON_OTEL_TRACING_DISABLED=maybe", "BATON_OTEL_LOGGING_DISABLED=perhaps"},
			nil,
			[]string{`BATON_OTEL_TRACING_DISABLED must be true or false, not "maybe"`, `BATON_OTEL_LOGGING_DISABLED must be true or false, not "perhaps"`},
		},
		"no certificates": {
			nil,
			[]string{"--otel-collector-endpoint", "127.0.0.1:1", "--otel-collector-endpoint-tls-cert-path", filepath.Join(t.TempDir(), "none.pem")},
			[]string{"the OpenTelemetry collector 127.0.0.1:1", "none.pem"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireSentence(t, execute(t, c.env, "baton-host", append([]string{"plugins"}, c.args...)...), c.want)
		})
	}
}
