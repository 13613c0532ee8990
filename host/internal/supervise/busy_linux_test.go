package supervise_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/supervise"
)

// TestStart_WaitsForAProgramThatIsBeingWritten: the kernel executes no file that is open for writing.
func TestStart_WaitsForAProgramThatIsBeingWritten(t *testing.T) {
	t.Parallel()
	unmodified := func(t *testing.T) supervise.Spec {
		t.Helper()
		s := scripted(t, goodScript())
		s.Unmodified = true
		return s
	}
	plugin := func(t *testing.T) supervise.Spec {
		t.Helper()
		return scripted(t, goodScript())
	}
	for name, program := range map[string]func(t *testing.T) supervise.Spec{"plugin": plugin, "unmodified connector": unmodified} {
		t.Run("H15: text file busy is explained where it stays: "+name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			s := program(t)
			s.StartTimeout = 100 * time.Millisecond
			defer beginWriting(t, s.Path)()
			_, err := supervise.Start(ctx, s)
			require.ErrorContains(t, err, s.Path)
			require.ErrorContains(t, err, "it is still being written, by a build or an install")
			require.ErrorContains(t, err, "text file busy")
			require.NotContains(t, err.Error(), "use a release of it")
		})
	}
	t.Run("H15: text file busy is tried again", func(t *testing.T) {
		t.Parallel()
		ctx, logs := logged(t)
		s := plugin(t)
		end := beginWriting(t, s.Path)
		started := make(chan error, 1)
		go func() {
			process, err := supervise.Start(ctx, s)
			if err == nil {
				process.Stop(ctx)
			}
			started <- err
		}()
		awaitLine(t, logs, "the plugin's program is being written; trying again")
		end()
		require.NoError(t, <-started)
	})
	t.Run("H15: what is pinned is executed although its file is being written", func(t *testing.T) {
		t.Parallel()
		ctx, _ := logged(t)
		s := plugin(t)
		s.Pin = pinned(t, s)
		defer beginWriting(t, s.Path)()
		process := started(t, ctx, s)
		require.NoError(t, validate(ctx, process))
	})
}

// beginWriting opens a program as what writes it does, until end.
func beginWriting(t *testing.T, path string) (end func()) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	return func() { _ = file.Close() }
}
