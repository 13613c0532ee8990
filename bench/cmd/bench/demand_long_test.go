//go:build linux && long

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/bench/meter"
)

// demanded is what a sync of these apps takes where so many plugins run at a time.
func demanded(t *testing.T, services *services, apps, maxRunning int) meter.Usage {
	t.Helper()
	dir := t.TempDir()
	var text strings.Builder
	var all []string
	fmt.Fprintf(&text, "plugin-dirs: [%q]\nmax-running: %d\nplugins:\n", withProduct(t), maxRunning)
	for i := range apps {
		fmt.Fprintf(&text, "  %s:\n    app: fullstory\n    config:\n      scim-base-url: %s\n      scim-token: %s\n", instance(i), services.url("product", i), services.token)
		all = append(all, instance(i))
	}
	fmt.Fprintf(&text, "uploads:\n  bench:\n    plugins: [%s]\n", strings.Join(all, ", "))
	config := filepath.Join(dir, "baton-host.yaml")
	command, err := command(dir, config, text.String(), filepath.Join(withProduct(t), "baton-host"), "sync", "--config", config, "--output-dir", dir)
	require.NoError(t, err)
	usage, err := meter.Measure(t.Context(), meter.Work{Commands: []meter.Command{command}, Limit: 10 * time.Minute})
	require.NoError(t, err)
	accounts, err := os.Stat(filepath.Join(dir, "bench.c1z"))
	require.NoError(t, err)
	require.NotZero(t, accounts.Size())
	return usage
}

// TestLongDemand_TakesTheMemoryOfThoseThatRun measures one upload of 200 apps × 1,000 accounts
// at 20 ms a page, with 32 plugins at a time and with all; see docs/measurements.md. Times are
// for a person to read: they are those of the machine too.
func TestLongDemand_TakesTheMemoryOfThoseThatRun(t *testing.T) { //nolint:paralleltest // It measures memory.
	const apps, users, maxRunning, mostMemory = 200, 1000, 32, 600 << 20
	services, err := startServices(t.Context(), filepath.Join(withProduct(t), "bench-scim"), row{apps: apps, users: users, latency: 20 * time.Millisecond}, "")
	require.NoError(t, err)
	defer services.stop()
	load, _ := os.ReadFile("/proc/loadavg")
	few, all := demanded(t, services, apps, maxRunning), demanded(t, services, apps, apps)
	t.Logf("load before: %s32 at a time: %v, %v of CPU, %d MiB; all: %v, %v of CPU, %d MiB", load,
		few.Wall, few.CPU, few.Memory>>20, all.Wall, all.CPU, all.Memory>>20)
	require.Less(t, few.Memory, int64(mostMemory))
	require.Less(t, few.Memory, all.Memory/2)
}
