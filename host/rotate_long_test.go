//go:build long

package host_test

import (
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// TestLongServe_FiftyRotations is the source of the figures in docs/measurements.md. It runs
// alone, to count what is left behind.
func TestLongServe_FiftyRotations(t *testing.T) { //nolint:paralleltest // It counts processes and goroutines.
	for _, overlap := range []time.Duration{2 * time.Second, 0} {
		t.Run("overlap "+overlap.String(), func(t *testing.T) {
			before := runtime.NumGoroutine()
			r := newRotatedApp(t, scimsandbox.Options{Seed: 1, Accounts: 200, PageCap: 10, Latency: 10 * time.Millisecond})
			syncs, running := r.rotates(t, 50, overlap)
			r.requireNoSecrets(t, running)
			during := runtime.NumGoroutine()
			running.stop()
			replaced := r.replaced(t, running)
			require.NotEmpty(t, replaced)
			for _, pid := range replaced {
				require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
			}
			require.Less(t, during, before+200, "rotations must leave no goroutines behind")
			log := running.log.String()
			t.Logf("overlap %s: 50 rotations, %d syncs, 0 failed; %d processes replaced; %d calls refused and repeated; %d goroutines before, %d at the end",
				overlap, syncs, len(replaced), strings.Count(log, "the call is repeated with the newer credentials"), before, during)
		})
	}
}
