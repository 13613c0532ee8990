//go:build long

package syncrun_test

import (
	"testing"

	"github.com/batonhost/baton-host/host/internal/state/objects"
)

// TestLongFailover is TestFailover_IsAsIfOneHostHadDoneItAll, at length.
func TestLongFailover(t *testing.T) { //nolint:paralleltest // It needs the machine.
	for name, store := range map[string]objects.Store{"directory": sharedDirectory(t), "bucket": newServer(t).open(t)} {
		t.Run(name, func(t *testing.T) { failOver(t, store, 2, 50) })
	}
}
