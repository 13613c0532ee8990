package scim_test

import (
	"os"
	"path/filepath"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/batonhost/baton-host/scim"
)

// process is a new process of a connector with a scratch directory.
func process(t *testing.T, baseURL, scratch string) types.ConnectorServer {
	t.Helper()
	client, err := scim.NewClient(t.Context(), scim.Options{
		BaseURL: baseURL, Token: testToken, UserAgent: "baton-test/v1.2.3", ReadAhead: 1, ScratchDir: scratch,
	})
	require.NoError(t, err)
	return serveConnector(t, client)
}

// batches reads all batches from a token on, each in a separate process.
func batches(t *testing.T, baseURL, scratch, token string) (ids []string) {
	t.Helper()
	for {
		list, next, err := listOnce(t.Context(), process(t, baseURL, scratch), token)
		require.NoError(t, err)
		for _, account := range list {
			ids = append(ids, account.GetId().GetResource())
		}
		if token = next; token == "" {
			return ids
		}
	}
}

func TestJournal_ContinuesWhereAProcessWasKilled(t *testing.T) {
	t.Parallel()
	a, scratch := newApp(5230), t.TempDir()
	require.Equal(t, a.ids, batches(t, start(t, a), scratch, ""))
	var starts []int
	for _, request := range a.requests {
		starts = append(starts, request.start)
	}
	require.IsIncreasing(t, starts, "no page is read twice")
}

// TestJournal_RepeatsALostFinalAnswer: the process dies with its last
// answer.
func TestJournal_RepeatsALostFinalAnswer(t *testing.T) {
	t.Parallel()
	a, scratch := newApp(1500), t.TempDir()
	url := start(t, a)
	_, token, err := listOnce(t.Context(), process(t, url, scratch), "")
	require.NoError(t, err)
	last := batches(t, url, scratch, token)
	a.requests = nil
	require.Equal(t, last, batches(t, url, scratch, token))
	for _, request := range a.requests {
		require.GreaterOrEqual(t, request.start, 1500-len(last))
	}

	_, _, err = listOnce(t.Context(), process(t, url, scratch), "")
	require.NoError(t, err)
	left, err := filepath.Glob(filepath.Join(scratch, "*"))
	require.NoError(t, err)
	require.Len(t, left, 1, "the next listing forgets those that have ended")
}

func TestJournal_ContinuesFromARepeatedToken(t *testing.T) {
	t.Parallel()
	a, scratch := newApp(4000), t.TempDir()
	url := start(t, a)
	begun, first, err := listOnce(t.Context(), process(t, url, scratch), "")
	require.NoError(t, err)
	// The answer to this one is lost with the process.
	lost, second, err := listOnce(t.Context(), process(t, url, scratch), first)
	require.NoError(t, err)
	a.requests = nil
	again, secondAgain, err := listOnce(t.Context(), process(t, url, scratch), first)
	require.NoError(t, err)
	// Of two readings one ends earlier on a machine that is busy.
	same := min(len(lost), len(again))
	require.Empty(t, cmp.Diff(lost[:same], again[:same], protocmp.Transform()))
	if len(lost) == len(again) {
		require.Equal(t, second, secondAgain)
	}
	rest := batches(t, url, scratch, secondAgain)
	require.Equal(t, 4000, len(begun)+len(again)+len(rest))
	for _, request := range a.requests {
		require.GreaterOrEqual(t, request.start, len(begun))
	}
}

// TestJournal_FindsAUserOnTwoPagesAcrossProcesses: the list changes between two
// processes so that only a user who is there twice shows it.
func TestJournal_FindsAUserOnTwoPagesAcrossProcesses(t *testing.T) {
	t.Parallel()
	a, scratch := newApp(3000), t.TempDir()
	url := start(t, a)
	first, token, err := listOnce(t.Context(), process(t, url, scratch), "")
	require.NoError(t, err)
	require.Greater(t, len(first), 500)
	require.Less(t, len(first), 2500)
	// A user that was read goes to the end, and one that was not takes the place:
	// no index moves, and the total stays.
	moved, lost := a.ids[500], a.ids[2500]
	a.mu.Lock()
	ids := append([]string(nil), a.ids...)
	ids[500], ids[2500] = lost, moved
	a.ids = ids
	a.mu.Unlock()
	rest := batches(t, url, scratch, token)
	require.Contains(t, rest, lost, "the list has to be read again")
}

func TestJournal_BrokenCostsAnotherPassOnly(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, path string){
		"gone": func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Remove(path)) },
		"cut": func(t *testing.T, path string) {
			t.Helper()
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.NoError(t, os.Truncate(path, info.Size()-1))
		},
		"other bytes": func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, []byte("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 0o600))
		},
		"a directory that cannot be written to": func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(path, "x"), nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, scratch := newApp(2500), t.TempDir()
			url := start(t, a)
			first, token, err := listOnce(t.Context(), process(t, url, scratch), "")
			require.NoError(t, err)
			journals, err := filepath.Glob(filepath.Join(scratch, "users-*.journal"))
			require.NoError(t, err)
			require.Len(t, journals, 1)
			spoil(t, journals[0])
			all := map[string]bool{}
			for _, account := range first {
				all[account.GetId().GetResource()] = true
			}
			before := len(a.requests)
			for _, id := range batches(t, url, scratch, token) {
				all[id] = true
			}
			require.Len(t, all, 2500)
			require.Greater(t, len(a.requests)-before, 25, "the pass is confirmed by another")
		})
	}
}

func TestJournal_ForgetsAbandonedListings(t *testing.T) {
	t.Parallel()
	a, scratch := newApp(1500), t.TempDir()
	url := start(t, a)
	var token string
	var begun []*v2.Resource
	for range 20 {
		var err error
		begun, token, err = listOnce(t.Context(), process(t, url, scratch), "")
		require.NoError(t, err)
	}
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.LessOrEqual(t, len(left), 4)
	require.Len(t, batches(t, url, scratch, token), 1500-len(begun))
}
