//go:build long

package main_test

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"
)

// trap does something at the first request of a kind, before it is answered, and
// notes who is looked up.
type trap struct {
	path, page string
	spring     func()

	once sync.Once
	mu   sync.Mutex
	seen map[string]bool
}

func (k *trap) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if login, ok := strings.CutPrefix(r.URL.Path, "/v1/logins/"); ok {
			k.mu.Lock()
			k.seen[login] = true
			k.mu.Unlock()
		}
		if r.URL.Path == k.path && r.URL.Query().Get("page") == k.page {
			k.once.Do(k.spring)
		}
		next.ServeHTTP(w, r)
	})
}

// TestLongConnector_LosesNothingWhereItDiesInASync kills or stops the connector
// in the middle of a list. What it had noted in its session until then is still
// there for the next process.
func TestLongConnector_LosesNothingWhereItDiesInASync(t *testing.T) {
	t.Parallel()
	whole := contentOf(t, startWorkspace(t, asItIs).syncAlone(t))
	for _, way := range hosted {
		for name, c := range map[string]struct {
			signal     syscall.Signal
			path, page string
			more       string
		}{
			"killed while it lists users":   {syscall.SIGKILL, "/v1/users", "28", ""},
			"killed while it lists grants":  {syscall.SIGKILL, "/v1/groups/everyone/members", "30", ""},
			"stopped while it lists users":  {syscall.SIGSTOP, "/v1/users", "28", "    health-timeout: 5s"},
			"stopped while it lists grants": {syscall.SIGSTOP, "/v1/groups/everyone/members", "30", "    health-timeout: 5s"},
		} {
			t.Run(way+" "+name, func(t *testing.T) {
				t.Parallel()
				var host atomic.Int64
				var done atomic.Bool
				k := &trap{path: c.path, page: c.page, seen: map[string]bool{}, spring: func() {
					pid := childCalled(int(host.Load()), "baton-workspace")
					done.Store(pid != 0 && syscall.Kill(pid, c.signal) == nil)
				}}
				p := startWorkspace(t, k.wrap)
				temporary, out := t.TempDir(), t.TempDir()
				cmd := command(t.Context(), t, []string{"TOKEN=" + p.token, "TMPDIR=" + temporary},
					"baton-host", "sync", "--config", p.config(t, way, c.more), "--output-dir", out, "--retry-for", "0", "--log-level", "warn", "--log-format", "json")
				var output bytes.Buffer
				cmd.Stdout, cmd.Stderr = &output, &output
				require.NoError(t, cmd.Start())
				host.Store(int64(cmd.Process.Pid))
				require.NoError(t, cmd.Wait(), "%s", &output)

				require.True(t, done.Load(), "nothing was killed")
				require.Empty(t, cmp.Diff(whole, contentOf(t, filepath.Join(out, "all.c1z")), protocmp.Transform()))
				k.mu.Lock()
				defer k.mu.Unlock()
				// Members of roles are looked up, those of groups are in the session.
				require.Equal(t, map[string]bool{"person001@example.com": true, "person021@example.com": true, "person041@example.com": true}, k.seen)
				left, err := filepath.Glob(filepath.Join(temporary, "*"))
				require.NoError(t, err)
				require.Empty(t, left)
			})
		}
	}
}
