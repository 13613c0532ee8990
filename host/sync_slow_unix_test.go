//go:build unix

package host_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// slowly makes the plugin of an entry wait, before it describes itself, until it is
// released.
func slowly(t *testing.T, config, name string) (release func()) {
	t.Helper()
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	require.NoError(t, syscall.Mkfifo(gate, 0o600))
	slow := program(t, dir, "slow", "read -r _ < '"+gate+"'\nexec '"+besides(t, dir)+"'")
	replaceIn(t, config, "  "+name+":\n    path: "+self+"\n", "  "+name+":\n    path: "+slow+"\n")
	// Open for both, it blocks neither end.
	file, err := os.OpenFile(gate, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return func() {
		_, err := file.WriteString("go\n")
		require.NoError(t, err)
	}
}

// endObserver is an observer that announces each sync that ends.
type endObserver chan string

func (endObserver) Warning(string)                                    {}
func (e endObserver) Syncing(upload string, _ []string) host.Progress { return endProgress{e, upload} }

type endProgress struct {
	ends   endObserver
	upload string
}

func (endProgress) Listed(string, host.ListedPage)        {}
func (endProgress) Retrying(string, time.Duration, error) {}
func (endProgress) FellBack(string, time.Time, error)     {}
func (endProgress) Missing(string, error)                 {}
func (e endProgress) End(*host.SyncResult)                { e.ends <- e.upload }

// TestSyncIsNotHeldUpByASlowPlugin: an upload begins when its own plugins have started,
// and the results keep the order of the file.
func TestSyncIsNotHeldUpByASlowPlugin(t *testing.T) {
	t.Parallel()
	slow := startApp(t, scimsandbox.Options{App: "slow", Accounts: 4, Seed: 1})
	quick := startApp(t, scimsandbox.Options{App: "quick", Accounts: 3, Seed: 2})
	path, dir := configuration(t, []string{quick.entry("quick"), slow.entry("slow", "start-timeout: 10m")},
		"first: { plugins: [slow, quick] }", "second: { plugins: [quick] }"), t.TempDir()
	release := slowly(t, path, "slow")

	ended := make(endObserver, 2)
	type synced struct {
		results []*host.SyncResult
		err     error
	}
	done := make(chan synced, 1)
	go func() {
		results, err := oneShot(t, path, dir, host.Options{Observer: ended})
		done <- synced{results, err}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case upload := <-ended:
		require.Equal(t, "second", upload)
	case was := <-done:
		require.Fail(t, "it is not held up", "%v", was.err)
	case <-ctx.Done():
		release()
		require.Fail(t, "the other upload is held up")
	}
	require.Len(t, accountsIn(t, filepath.Join(dir, "second.c1z")), 3)
	require.NoFileExists(t, filepath.Join(dir, "first.c1z"))
	release()
	was := <-done
	require.NoError(t, was.err)
	require.Len(t, was.results, 2)
	require.Equal(t, "first", was.results[0].Upload)
	require.Equal(t, map[string]int{"slow": 4, "quick": 3}, was.results[0].Accounts)
	require.Equal(t, "second", was.results[1].Upload)
}
