package proc_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc"
	"github.com/batonhost/baton-host/host/internal/proc/cgroup"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
)

// TestProcess_ReadsTheLimitsOfItsControlGroup in a sandbox, too: runtimes do. By what a shell
// can itself, as children have no /proc/self there.
func TestProcess_ReadsTheLimitsOfItsControlGroup(t *testing.T) {
	t.Parallel()
	if obstacle := cgroup.Offered().Obstacle; obstacle != "" {
		t.Skip("there is no control group: ", obstacle)
	}
	mounted := "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(mounted, "unified")); err == nil {
		mounted = filepath.Join(mounted, "unified")
	}
	const script = `while read -r line; do case $line in 0::*) group=${line#0::};; esac; done </proc/self/cgroup
while read -r line; do echo "$group $line"; done <"$0$group/cgroup.events"`
	for name, policy := range map[string]*sandbox.Policy{"no sandbox": nil, "a sandbox": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			process := proc.New(proc.Command{Path: "/bin/sh", Args: []string{"-c", script, mounted}, Dir: "/", Sandbox: policy, Output: &out}, pluginlog.New(zap.NewNop(), nil))
			require.NoError(t, process.Start(t.Context()))
			select {
			case <-process.Exited():
			case <-time.After(time.Minute):
				require.Fail(t, "it does not end")
			}
			require.Contains(t, out.String(), "populated 1")
			require.Contains(t, out.String(), "/baton-host-")
		})
	}
}
