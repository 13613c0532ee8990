package plugin_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
	secretcanary "github.com/batonhost/baton-host/sandbox/canary"
)

// TestServe_LogsNoSecret reads what the SDK, gRPC and this package log by
// themselves in a plugin, at their chattiest and before any host blanks it.
func TestServe_LogsNoSecret(t *testing.T) {
	t.Parallel()
	const token = "tok-c4n4ry/9f8e7d+51c2 b60"
	output := &buffer{}
	cmd := exec.Command(os.Args[0]) //nolint:gosec,noctx // The test's own binary, ended by Kill.
	cmd.Env = []string{
		roleVariable + "=plain", "HOME=" + t.TempDir(), "GORACE=" + os.Getenv("GORACE"),
		"GRPC_GO_LOG_SEVERITY_LEVEL=info", "GRPC_GO_LOG_VERBOSITY_LEVEL=99",
	}
	host := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake,
		VersionedPlugins: plugin.HostPlugins(),
		Cmd:              cmd,
		Stderr:           output,
		SyncStdout:       output,
		SyncStderr:       output,
		SkipHostEnv:      true,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		GRPCDialOptions:  plugin.DialOptions(),
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: output}),
	})
	t.Cleanup(host.Kill)
	protocol, err := host.Client()
	require.NoError(t, err)
	client, err := plugin.Dispense(protocol)
	require.NoError(t, err)

	request := func(name, value, url, mode string) *pluginv1.ConfigureRequest {
		return &pluginv1.ConfigureRequest{
			Values:  map[string]*pluginv1.Value{"base-url": text(url), "mode": text(mode)},
			Secrets: map[string]*pluginv1.Value{name: text(value)},
			Host:    &pluginv1.Host{LogLevel: "debug"},
		}
	}
	var answers strings.Builder
	for _, refused := range []*pluginv1.ConfigureRequest{
		request("api-token", strings.TrimPrefix(token, "tok-"), "https://app.example.com", "fast"), // a form that the field does not take
		request("key-file", token, "https://app.example.com", "fast"),                              // another type
		request("unknown", token, "https://app.example.com", "fast"),
		request("api-token", token, "https://app.example.com", "slow"), // the connector is not built
	} {
		diagnostics := configure(t, client, refused)
		require.NotEmpty(t, diagnostics)
		for _, diagnostic := range diagnostics {
			answers.WriteString(diagnostic.String())
		}
	}
	require.Empty(t, configure(t, client, request("api-token", token, brokenURL, "fast")))
	_, err = client.Configure(t.Context(), request("api-token", token, brokenURL, "fast"))
	require.Error(t, err, "once is enough")
	answers.WriteString(err.Error())
	_, err = connectorv2.NewConnectorServiceClient(client.Conn).Validate(t.Context(), &connectorv2.ConnectorServiceValidateRequest{})
	require.NoError(t, err)
	_, err = listUsers(t, client, "")
	require.Error(t, err)
	host.Kill()

	for _, planted := range secretcanary.Planted(token) {
		require.NotEmpty(t, secretcanary.Find([]byte(output.String()+planted), token), "the search finds what is planted")
	}
	require.Contains(t, output.String(), "PluginService", "the calls were logged")
	require.Empty(t, secretcanary.Find([]byte(output.String()), token), output.String())
	require.Contains(t, answers.String(), "the app refuses (secret)")
	require.Empty(t, secretcanary.Find([]byte(answers.String()), token), answers.String())
}

// buffer collects what is written.
type buffer struct {
	mu      sync.Mutex
	written bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.written.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.written.String()
}
