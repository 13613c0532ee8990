package page

import (
	"fmt"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
)

// headline is the state of the whole host.
type headline struct {
	tone, words, lead string
	syncing           []string
}

// headlineOf is about the worst there is.
func headlineOf(s status.Snapshot) headline {
	h := headline{}
	by := map[status.State][]string{}
	var away []string
	total := 0
	for _, u := range s.Uploads {
		by[u.State] = append(by[u.State], u.Name)
		if !u.Connection.Connected && u.Connection.Why != "" {
			away = append(away, u.Name)
		}
		if len(u.Syncing) > 0 {
			h.syncing = append(h.syncing, u.Name)
		}
		if u.Last != nil {
			total += u.Last.Accounts
		}
	}
	h.lead = fmt.Sprintf("%s, %s", plural(len(s.Uploads), "upload"), plural(len(s.Plugins), "plugin"))
	if len(s.Uploads) > 1 { // The card of a single one has the number.
		h.lead += ", " + accounts(total)
	}
	if len(h.syncing) > 0 {
		h.lead += ". Syncing now: " + strings.Join(h.syncing, ", ")
	}
	h.tone, h.words = worst(s, by, away)
	return h
}

func worst(s status.Snapshot, by map[status.State][]string, away []string) (tone, words string) {
	all := len(s.Uploads)
	var down []string
	for _, plugin := range s.Plugins {
		if plugin.Why != "" {
			down = append(down, plugin.Name)
		}
	}
	expiring, retried := needingCredentials(s), retriedPlugins(s)
	switch {
	case s.Host.Stopping:
		return toneIdle, "The host is stopping"
	case len(by[status.Stopped]) > 0:
		return toneBad, some(by[status.Stopped], all, "upload", "is stopped", "are stopped")
	case len(by[status.Failed]) > 0:
		return toneBad, some(by[status.Failed], all, "upload", "failed", "failed")
	case len(away) == all:
		return toneWarn, "No connection to C1"
	case len(by[status.Stale]) > 0:
		return toneWarn, some(by[status.Stale], all, "upload", "is stale", "are stale")
	case len(by[status.Incomplete]) > 0:
		return toneWarn, some(by[status.Incomplete], all, "upload", "is incomplete", "are incomplete")
	case len(away) > 0:
		return toneWarn, some(away, all, "upload", "has no connection to C1", "have no connection to C1")
	case len(down) > 0:
		return toneWarn, some(down, len(s.Plugins), "plugin", "is not running", "are not running")
	case len(retried) > 0:
		return toneWarn, some(retried, len(s.Plugins), "plugin", "is being retried", "are being retried")
	case len(expiring) > 0:
		return toneWarn, fmt.Sprintf("A credential of %s needs a look", strings.Join(expiring, ", "))
	case len(by[status.Waiting]) == all && isSyncing(s):
		return toneBusy, "The first sync is under way"
	case len(by[status.Waiting]) == all:
		return toneIdle, "Waiting for the first sync"
	case len(by[status.Waiting]) > 0:
		return toneIdle, some(by[status.Waiting], all, "upload", "has no sync yet", "have no sync yet")
	default:
		return toneGood, "Everything is fresh"
	}
}

// retriedPlugins returns the plugins that keep a sync under way waiting, or that it goes on
// without.
func retriedPlugins(s status.Snapshot) []string {
	var names []string
	for _, u := range s.Uploads {
		for _, sync := range u.Syncing {
			for _, part := range sync.Plugins {
				if (part.Waits != "" || part.AnsweredFor != "" || part.Missing != "") && !slices.Contains(names, part.Plugin) {
					names = append(names, part.Plugin)
				}
			}
		}
	}
	return names
}

func isSyncing(s status.Snapshot) bool {
	return slices.ContainsFunc(s.Uploads, func(u status.Upload) bool { return len(u.Syncing) > 0 })
}

// needingCredentials returns whose credentials expire soon, have expired or were not renewed.
func needingCredentials(s status.Snapshot) []string {
	var names []string
	needs := func(name string, credentials []secret.Credential) {
		if slices.ContainsFunc(credentials, func(c secret.Credential) bool { return c.Problem != "" || c.ExpiresSoon(s.Now) }) {
			names = append(names, name)
		}
	}
	for _, u := range s.Uploads {
		needs(u.Name, u.Credentials)
	}
	for _, p := range s.Plugins {
		needs(p.Name, p.Credentials)
	}
	return names
}

// some says how many of all are so; a single one is named.
func some(names []string, all int, thing, is, are string) string {
	switch {
	case len(names) == 1:
		return names[0] + " " + is
	case len(names) == all:
		return fmt.Sprintf("All %d %ss %s", all, thing, are)
	default:
		return fmt.Sprintf("%d of %d %ss %s", len(names), all, thing, are)
	}
}
