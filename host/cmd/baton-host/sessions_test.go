package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	sdk "github.com/conductorone/baton-sdk/pkg/session"
	"github.com/conductorone/baton-sdk/pkg/types/sessions"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
)

// requireNoted checks that a file has the users of baton-notes and, for each, the
// group that was read from a note, and that no note is left in it.
func requireNoted(t *testing.T, path string, instances ...string) {
	t.Helper()
	const users = 120
	var grants int
	for _, row := range rowsOf(t, path) {
		if strings.HasPrefix(row, "grants ") {
			grants++
		}
	}
	require.Equal(t, users*len(instances), grants)
	byInstance := map[string]int{}
	for _, account := range accountsIn(t, path) {
		instance, _, _ := strings.Cut(account.ResourceType, ".")
		byInstance[instance]++
	}
	for _, instance := range instances {
		require.Equal(t, users, byInstance[instance], instance)
	}

	store, err := dotc1z.NewStore(t.Context(), path, dotc1z.WithReadOnly(true), dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close(t.Context())) }()
	latest, err := store.SyncMeta().LatestFinishedSyncOfAnyType(t.Context())
	require.NoError(t, err)
	left, err := sdk.UnrollGetAll(t.Context(), store.SessionStore(), sessions.WithSyncID(latest.ID))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestSessions_KeepWhatAConnectorNotesInASync: two plugins of one upload have equal
// keys, and one's process ends in the middle of its listing.
func TestSessions_KeepWhatAConnectorNotesInASync(t *testing.T) {
	t.Parallel()
	crashed := filepath.Join(t.TempDir(), "crashed")
	config := writeConfig(t, `
plugins:
  east: { app: notes, sandbox: { write: [`+filepath.Dir(crashed)+`] }, config: { name: east, crash-file: `+crashed+` } }
  west: { app: notes, config: { name: west } }
uploads:
  all: { plugins: [east, west] }
`)
	out := t.TempDir()
	result := execute(t, nil, "baton-host", "sync", "--config", config, "--output-dir", out, "--log-level", "info")
	require.Equal(t, 0, result.status, result.stderr)
	require.FileExists(t, crashed)
	require.Contains(t, result.stderr, "the plugin runs again")
	requireNoted(t, filepath.Join(out, "all.c1z"), "east", "west")

	checked := execute(t, nil, "baton-host", "check", "--config", config)
	require.Equal(t, 0, checked.status, "check gives connectors a session store too: %s%s", checked.stdout, checked.stderr)
}

// TestSessions_KeepNotesOfOverlappingSyncsApart: two uploads are synced over one process of a
// plugin, which may list for both at the same time, and each is in the middle before one
// goes on.
func TestSessions_KeepNotesOfOverlappingSyncsApart(t *testing.T) {
	t.Parallel()
	c := startC1(t, c1.Options{})
	text := "plugins:\n  both: { app: notes, concurrency: 2, config: { name: both, meet: 2 } }\nuploads:\n"
	env := []string{c.trust()}
	var tasks []string
	for _, name := range []string{"first", "second"} {
		credentials := c.client(t, name)
		variable := strings.ToUpper(name)
		text += fmt.Sprintf("  %s: { plugins: [both], client-id: \"${env:%s_ID}\", client-secret: \"${env:%s_SECRET}\" }\n", name, variable, variable)
		env = append(env, variable+"_ID="+credentials.ID, variable+"_SECRET="+credentials.Secret)
		tasks = append(tasks, c.fullSync(t, name))
	}
	state := t.TempDir()
	host := startRun(t, env, "--config", writeConfig(t, text), "--state-dir", state)
	for _, id := range tasks {
		outcome := c.finished(t, id)
		require.True(t, outcome.Succeeded, "%v", outcome.Status)
		require.Equal(t, 1, outcome.Attempts)
		requireNoted(t, outcome.Uploads[0].Path, "both")
	}
	host.stop()
	require.Empty(t, c.Violations())
}

// TestSessions_KeepNotesStandAloneToo is what the two above are measured by.
func TestSessions_KeepNotesStandAloneToo(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "sync.c1z")
	result := execute(t, []string{"BATON_NAME=alone"}, "baton-notes", "-f", out)
	require.Equal(t, 0, result.status, result.stderr)
	info, err := os.Stat(out)
	require.NoError(t, err)
	require.NotZero(t, info.Size())
	requireNoted(t, out, "user")
}
