package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// TestTours_RunAsWritten runs examples/tours with stand-ins of the test in place of those that
// the tours start by themselves.
func TestTours_RunAsWritten(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 5, Seed: 1})
	tenant := startC1(t, c1.Options{})
	credentials := tenant.client(t, "workforce")
	served := []string{"BATON_CLIENT_ID=" + credentials.ID, "BATON_CLIENT_SECRET=" + credentials.Secret, tenant.trust()}
	for name, environment := range map[string][]string{"file": nil, "alone": nil, "service": served} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task := ""
			if name == "service" {
				task = tenant.fullSync(t, "workforce")
			}
			programs, err := filepath.Abs(bin)
			require.NoError(t, err)
			script := exec.CommandContext(t.Context(), "bash", filepath.Join(repository, "examples", "tours", name+".sh")) //nolint:gosec // Of this repository.
			script.Env = append(environment,
				"PATH="+os.Getenv("PATH"), "PROGRAMS="+programs, "HOME="+t.TempDir(), "TMPDIR="+t.TempDir(),
				"BATON_SCIM_BASE_URL="+app.url, "BATON_SCIM_TOKEN="+app.token)
			end := finish(t, script)
			require.Equal(t, 0, end.status, end.stdout+end.stderr)
			require.Contains(t, end.stdout, "$ baton-")
			require.NotContains(t, end.stdout, app.token)
			if task != "" {
				require.Len(t, tenant.synced(t, task), 5)
			} else {
				require.Contains(t, end.stdout, app.server.Accounts()[4].UserName)
			}
		})
	}
}
