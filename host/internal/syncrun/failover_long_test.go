//go:build long || real

package syncrun_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/state/objects"
)

// TestLongFailover is TestFailover_IsAsIfOneHostHadDoneItAll, at length.
func TestLongFailover(t *testing.T) {
	for name, store := range map[string]objects.Store{"directory": sharedDirectory(t), "bucket": newServer(t).open(t)} {
		t.Run(name, func(t *testing.T) { failOver(t, store, 2, 100) })
	}
}

// TestRealFailover is the same with SeaweedFS, which `make real` starts.
func TestRealFailover(t *testing.T) {
	location := os.Getenv("BATON_HOST_TEST_BUCKET")
	require.NotEmpty(t, location, "there is no S3 server: run make real")
	parsed, err := objects.Parse(location, "")
	require.NoError(t, err)
	store, err := objects.Open(parsed)
	require.NoError(t, err)
	failOver(t, store, 3, 100)
}
