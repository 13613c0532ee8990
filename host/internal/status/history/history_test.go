package history_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/status/history"
)

const upload = "workforce"

func TestHistory_ReadsWhatItWrote(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := time.Date(2026, 11, 24, 0, 45, 24, 0, time.UTC)
	want := []status.Sync{
		{At: at, State: status.Fresh, Took: 90 * time.Second, Bytes: 37753, Accounts: 65, ByPlugin: map[string]int{"fullstory": 40, "design-tool": 25}, Evidence: baseline.Unproven},
		{At: at.Add(time.Hour), State: status.Failed, Took: time.Second, Why: "the app is out of order", FailedPlugins: map[string]string{"wiki": "out of order"}},
		{At: at.Add(2 * time.Hour), State: status.Incomplete, Took: time.Second, Accounts: 65, SkippedResources: 2, Missing: []string{"wiki"}},
	}
	board := status.New(status.Options{Uploads: []status.Served{{Name: upload}}})
	board.Recall(map[string][]status.Sync{upload: want})
	require.NoError(t, history.In(dir).Write(board))
	got, err := history.In(dir).Read()
	require.NoError(t, err)
	require.Equal(t, map[string][]status.Sync{upload: want}, got)

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	info, err := entries[0].Info()
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077, "it is for its owner alone")
}

// TestHistory_ReadsAFileOfAnOlderVersion, which has no grades.
func TestHistory_ReadsAFileOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "history.json"),
		[]byte(`{"version":1,"uploads":{"workforce":[{"at":"2026-11-24T00:45:24Z","state":"fresh","seconds":90,"bytes":37753,"accounts":65}]}}`), 0o600))
	got, err := history.In(dir).Read()
	require.NoError(t, err)
	require.Equal(t, []status.Sync{{At: time.Date(2026, 11, 24, 0, 45, 24, 0, time.UTC), State: status.Fresh, Took: 90 * time.Second, Bytes: 37753, Accounts: 65}}, got[upload])
}

func TestHistory_IsEmptyWithoutAFile(t *testing.T) {
	t.Parallel()
	got, err := history.In(t.TempDir()).Read()
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestHistory_ReportsGarbageAndReplacesIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"nothing":        {"", "is damaged"},
		"cut short":      {`{"version":1,"uploads":{"workforce":[{"at":`, "is damaged"},
		"another form":   {`{"version":1,"uploads":[]}`, "is damaged"},
		"without an end": {`{"version":1,"x":"` + strings.Repeat("x", 17<<20) + `"}`, "is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "history.json"), []byte(c.text), 0o600))
			file := history.In(dir)
			_, err := file.Read()
			require.ErrorContains(t, err, c.want)
			require.NoError(t, file.Write(status.New(status.Options{})))
			_, err = file.Read()
			require.NoError(t, err)
		})
	}
}

// TestHistory_ReadsFilesOfEarlierVersions: the file is one that a host of that version wrote,
// and is not to be written again.
func TestHistory_ReadsFilesOfEarlierVersions(t *testing.T) {
	t.Parallel()
	want := map[string][]status.Sync{upload: {{
		At: time.Date(2026, 11, 29, 10, 57, 31, 344427491, time.UTC), State: status.Fresh, Took: 240300441,
		Bytes: 37801, Accounts: 65, ByPlugin: map[string]int{"design-tool": 25, "fullstory": 40},
	}}}
	dirs, err := filepath.Glob("testdata/state/v*")
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	for _, dir := range dirs {
		got, err := history.In(dir).Read()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}

	text, err := os.ReadFile("testdata/state/v1/history.json")
	require.NoError(t, err)
	without := strings.Replace(string(text), `"version":1,`, "", 1)
	require.NotEqual(t, string(text), without)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "history.json"), []byte(without), 0o600))
	got, err := history.In(dir).Read()
	require.NoError(t, err)
	require.Equal(t, want, got, "a file without a version is of the first one")
}

func TestHistory_LeavesAFileOfALaterVersion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.json")
	const later = `{"version":2,"uploads":[]}`
	require.NoError(t, os.WriteFile(path, []byte(later), 0o600))
	file := history.In(filepath.Dir(path))
	_, failed := file.Read()
	for _, err := range []error{failed, file.Write(status.New(status.Options{}))} {
		require.EqualError(t, err, path+" was written by a newer baton-host (its form is 2, and this one reads up to 1): update baton-host, or move the file away; then the chart of the status page begins with the next sync")
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(later, string(text)), "to the byte")
}
