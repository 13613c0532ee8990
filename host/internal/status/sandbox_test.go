package status_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/status"
)

// TestBoard_ShowsTheSandboxOfEachPlugin, and which of them nothing keeps from the secrets of
// the others.
func TestBoard_ShowsTheSandboxOfEachPlugin(t *testing.T) {
	t.Parallel()
	b := newBoard()
	require.Empty(t, b.Snapshot().Exposure(), "nothing has started")
	b.Sandboxed(fullstory, sandbox.State{Mode: sandbox.On, Detail: "Landlock 7, seccomp"})
	b.Sandboxed(designTool, sandbox.State{Mode: sandbox.Off, Exposes: true})
	b.Sandboxed("removed", sandbox.State{Mode: sandbox.Off, Exposes: true})
	plugins := map[string]status.Plugin{}
	for _, one := range b.Snapshot().Plugins {
		plugins[one.Name] = one
	}
	require.Equal(t, []any{"on", "Landlock 7, seccomp", false}, []any{plugins[fullstory].Sandbox, plugins[fullstory].SandboxDetail, plugins[fullstory].ExposesSecrets})
	require.Equal(t, []any{"off", "", true}, []any{plugins[designTool].Sandbox, plugins[designTool].SandboxDetail, plugins[designTool].ExposesSecrets})
	require.Contains(t, b.Snapshot().Exposure(), fmt.Sprintf("plugin %q is in no sandbox that keeps it from the secrets", designTool))
	metrics := get(t, b, "/metrics").Body.String()
	require.NotContains(t, metrics, "removed")
	for _, mode := range sandbox.Modes {
		require.Contains(t, metrics, fmt.Sprintf(`baton_host_plugin_sandbox{mode=%q,plugin=%q}`, mode, fullstory))
	}
	require.Len(t, regexp.MustCompile(`(?m)^baton_host_plugin_sandbox\{.*\} 1$`).FindAllString(metrics, -1), 2, "one mode of each")
	require.Contains(t, metrics, fmt.Sprintf(`baton_host_plugin_sandbox{mode="on",plugin=%q} 1`, fullstory))

	// One that is attached to is not the host's to judge.
	b.Sandboxed(fullstory, sandbox.State{})
	require.Equal(t, "on", b.Snapshot().Plugins[0].Sandbox)

	b.Serve([]status.Served{{Name: workforce, Plugins: []string{fullstory}}})
	require.NotContains(t, get(t, b, "/metrics").Body.String(), designTool)
}
