package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
)

// TestServe_TakesOverWithAMemory: a second host, with another state directory, guards
// against what the first one had C1 accept, and falls back on it. What it refuses is approved
// from anywhere, and counts once.
func TestServe_TakesOverWithAMemory(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, fallBack)
	shared := t.TempDir()
	rewrite(t, p.config, func(text string) string { return "state: " + shared + "\n" + text })
	first := p.serve(t, host.ServeOptions{})
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
	first.stop()
	before := p.seeded()

	p.fullstory.keepOnly(t, 5)
	p.state = stateDir(t)
	second := p.serve(t, host.ServeOptions{})
	require.Equal(t, before, p.synced(t, p.fullSync(t, "workforce")))
	second.says("the change guard refused this sync, which is kept for review")
	second.stop()

	// Neither the user nor the machine of the hosts need be the approver's.
	open := func() *host.Host {
		h, err := host.Open(t.Context(), host.Selection{ConfigFile: p.config}, host.Options{StateDir: filepath.Join(t.TempDir(), "none"), Secrets: host.NoSecrets})
		require.NoError(t, err)
		t.Cleanup(func() { h.Close(t.Context()) })
		return h
	}
	waits, place, err := open().FindReview(t.Context(), "", "", host.Kept{})
	require.NoError(t, err)
	require.Equal(t, host.Kept{}, place)
	removed := 0
	require.NoError(t, waits.Each(t.Context(), func(change host.Change) error {
		removed++
		return nil
	}))
	require.Equal(t, 35, removed)
	_, err = open().Approve(t.Context(), "workforce", waits.ID, host.ApproveOptions{By: "ada"})
	require.NoError(t, err)

	third := p.serve(t, host.ServeOptions{})
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
	third.says("an approval is used up")
	_, _, err = open().FindReview(t.Context(), "", "", host.Kept{})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, shared)

	// A reload cannot move the state, and a place that is not there is no state at all.
	rewrite(t, p.config, func(text string) string { return strings.Replace(text, shared, shared+"-moved", 1) })
	_, err = third.Reload(t.Context())
	require.ErrorContains(t, err, "that needs a restart of the host")
	third.stop()
	fourth := p.serve(t, host.ServeOptions{})
	require.ErrorContains(t, fourth.ends(), "the directory "+shared+"-moved of the shared state does not exist: mount it, or make it")
}
