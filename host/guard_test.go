package host_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/raced"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// change changes every account of the app.
func (a *app) change(t *testing.T, change func(*scimsandbox.Account)) {
	t.Helper()
	for _, account := range a.server.Accounts() {
		change(&account)
		require.NoError(t, a.server.Update(account))
	}
}

// withoutEmail takes the addresses away, also the one that the user name is.
func withoutEmail(account *scimsandbox.Account) {
	account.Emails, account.UserName = nil, "user-"+account.ID
}

// renumber gives every account another id.
func (a *app) renumber(t *testing.T) {
	t.Helper()
	for _, account := range a.server.Accounts() {
		require.NoError(t, a.server.Remove(account.ID))
		account.ID = "new-" + account.ID
		require.NoError(t, a.server.Add(account))
	}
}

// TestChangeGuard_OfBothWays has each kind of change once for a one-shot sync and once for a
// service; the rules are tests of package syncrun.
func TestChangeGuard_OfBothWays(t *testing.T) {
	t.Parallel()
	keep := func(n int) func(*testing.T, *app) {
		return func(t *testing.T, a *app) { t.Helper(); a.keepOnly(t, n) }
	}
	all := func(change func(*scimsandbox.Account)) func(*testing.T, *app) {
		return func(t *testing.T, a *app) { t.Helper(); a.change(t, change) }
	}
	for name, c := range map[string]struct {
		entry   string
		changes []func(*testing.T, *app) // a day apart; behind each is a sync
		says    string                   // "" if the last sync does not trip
		warns   string
	}{
		"G1: it shrinks slowly": {
			changes: []func(*testing.T, *app){keep(26), keep(19)},
			says:    `plugin "fullstory" lists 19 accounts of type "fullstory.user", but 40 at the highest of the last 168h (20`,
		},
		"G2: all ids are new": {
			changes: []func(*testing.T, *app){func(t *testing.T, a *app) { t.Helper(); a.renumber(t) }},
			says:    `plugin "fullstory" no longer lists 40 of the 40 ids of type "fullstory.user" that are in the baseline (20`,
		},
		"G2: all are disabled": {
			changes: []func(*testing.T, *app){all(func(account *scimsandbox.Account) { account.Active = false })},
			says:    `accounts of type "fullstory.user" that are enabled in the baseline (20`,
		},
		"G2: all e-mail addresses are gone": {
			changes: []func(*testing.T, *app){all(withoutEmail)},
			warns:   `plugin "fullstory" lists without an e-mail address 38 of the 38 accounts of type "fullstory.user"`,
		},
		"G2: all e-mail addresses are gone, and are required": {
			entry:   "change-guard: { attributes: refuse }",
			changes: []func(*testing.T, *app){all(withoutEmail)},
			says:    `plugin "fullstory" lists without an e-mail address 38 of the 38 accounts of type "fullstory.user"`,
		},
		"G3: none are left": {
			changes: []func(*testing.T, *app){keep(0)},
			says:    `plugin "fullstory" lists 0 accounts of type "fullstory.user", but 40 in the baseline (20`,
		},
		"G7: the members of groups": {
			changes: []func(*testing.T, *app){func(t *testing.T, a *app) {
				t.Helper()
				for _, group := range a.server.Groups() {
					group.Members = nil
					require.NoError(t, a.server.UpdateGroup(group))
				}
			}},
			says: `plugin "fullstory" lists 0 grants of resources of type "fullstory.group", but `,
		},
		"G8: a type that is exempt": {
			entry:   "change-guard: { resource-types: { user: off, group: { min-missing: 1000000 }, role: off } }",
			changes: []func(*testing.T, *app){keep(3)},
		},
	} {
		groups := 0
		if strings.HasPrefix(name, "G7") {
			groups = 6
		}
		start := func(t *testing.T) *app {
			t.Helper()
			return startApp(t, scimsandbox.Options{App: "fullstory", Seed: 1, Accounts: 40, Groups: groups})
		}
		t.Run(name+"/sync", func(t *testing.T) {
			t.Parallel()
			raced.Sample(t, 3)
			a := start(t)
			w := &workforce{fullstory: a, dir: t.TempDir(), config: configuration(t, []string{a.entry("fullstory", c.entry)}, "workforce: { plugins: [fullstory] }")}
			w.syncs(t, host.Options{})
			for i, change := range c.changes {
				makeOld(t, w.path(), 24*time.Hour)
				change(t, a)
				before := contentsOf(t, w.path())
				result, err := w.sync(t, host.Options{})
				if i < len(c.changes)-1 || c.says == "" {
					require.NoError(t, err)
					require.Equal(t, c.warns != "", len(result.Warnings) > 0, "%v", result.Warnings)
					if c.warns != "" {
						require.Contains(t, result.Warnings[0], c.warns)
					}
					continue
				}
				requireSentence(t, err, `upload "workforce": `, c.says, "--accept-deletions fullstory")
				require.Equal(t, before, contentsOf(t, w.path()), "the file of before stays")

				accepted := w.syncs(t, host.Options{AcceptDeletions: []string{"fullstory"}})
				require.True(t, slices.ContainsFunc(accepted.Warnings, func(warning string) bool {
					return strings.Contains(warning, c.says) && strings.HasSuffix(warning, ", as --accept-deletions lets through")
				}), "%v", accepted.Warnings)
				w.syncs(t, host.Options{})
			}
		})
		t.Run(name+"/serve", func(t *testing.T) {
			t.Parallel()
			raced.Sample(t, 3)
			a, tenant, state := start(t), startC1(t, c1.Options{}), t.TempDir()
			path := configuration(t, []string{a.entry("fullstory", c.entry)}, "workforce: { plugins: [fullstory], "+tenant.credentials(t, "workforce")+" }")
			serve := func(accept ...string) *hostService {
				return tenant.serve(t, path, host.Options{StateDir: state, AcceptDeletions: accept}, host.ServeOptions{})
			}
			sync := func() c1.Outcome { return tenant.finished(t, tenant.fullSync(t, "workforce")) }
			running := serve()
			require.True(t, sync().Succeeded)
			for i, change := range c.changes {
				// The host is started again: the window is not in its memory.
				running.stop()
				makeOld(t, filepath.Join(state, "workforce.c1z"), 24*time.Hour)
				running = serve()
				change(t, a)
				outcome := sync()
				if i < len(c.changes)-1 || c.says == "" {
					require.True(t, outcome.Succeeded, "%v", outcome.Status)
					continue
				}
				require.False(t, outcome.Succeeded)
				require.Empty(t, outcome.Uploads)
				require.Contains(t, outcome.Status.GetMessage(), c.says)
				running.stop()
				running = serve("fullstory")
				require.True(t, sync().Succeeded)
				require.True(t, sync().Succeeded, "what was accepted is the new truth")
			}
			running.stop()
			if c.warns != "" {
				require.Contains(t, running.log.String(), jsonText(c.warns))
			}
			if c.says != "" {
				require.Contains(t, running.log.String(), jsonText(c.says), "what was let through")
			}
		})
	}
}

// jsonText is a text as it stands in a line of the log.
func jsonText(text string) string { return strings.Trim(fmt.Sprintf("%q", text), `"`) }
