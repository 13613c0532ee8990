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
	total, known := 0, 0
	for _, u := range s.Uploads {
		by[u.State] = append(by[u.State], u.Name)
		if !u.Connection.Connected && u.Connection.Why != "" {
			away = append(away, u.Name)
		}
		if len(u.Syncing) > 0 {
			h.syncing = append(h.syncing, u.Name)
		}
		if u.Last != nil && u.Last.Accounts > 0 {
			total += u.Last.Accounts
			known++
		}
	}
	h.lead = fmt.Sprintf("%s, %s", plural(len(s.Uploads), "upload"), plural(len(s.Plugins), "plugin"))
	if known > 1 { // The card of a single one has the number.
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
	down := map[string][]string{}
	for _, plugin := range s.Plugins {
		if plugin.Why != "" {
			down[plugin.State] = append(down[plugin.State], plugin.Name)
		}
	}
	expiring := needingCredentials(s)
	retried, unread := pluginsInTrouble(s)
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
	case len(down["failed"]) > 0:
		return toneBad, some(down["failed"], len(s.Plugins), "plugin", "is not running", "are not running")
	case len(down["refusing"]) > 0:
		return toneWarn, some(down["refusing"], len(s.Plugins), "plugin", "refuses its configuration", "refuse their configuration")
	case len(down["starting"]) > 0:
		return toneWarn, some(down["starting"], len(s.Plugins), "plugin", "is being restarted", "are being restarted")
	case len(unread) > 0:
		return toneWarn, some(unread, len(s.Plugins), "plugin", "cannot be read", "cannot be read")
	case len(retried) > 0:
		return toneWarn, some(retried, len(s.Plugins), "plugin", "is being retried", "are being retried")
	case len(expiring) > 0:
		return toneWarn, "Check the credentials of " + strings.Join(expiring, " and ")
	case len(by[status.Waiting]) == all && isSyncing(s) && slices.ContainsFunc(s.Uploads, hasOnlyHistory):
		return toneBusy, "A sync is under way"
	case len(by[status.Waiting]) == all && isSyncing(s):
		return toneBusy, "The first sync is under way"
	case len(by[status.Waiting]) == all && slices.ContainsFunc(s.Uploads, hasOnlyHistory):
		return toneIdle, "Waiting for a sync"
	case len(by[status.Waiting]) == all:
		return toneIdle, "Waiting for the first sync"
	case slices.ContainsFunc(s.Uploads, hasOnlyHistory):
		return toneIdle, some(by[status.Waiting], all, "upload", "has no baseline", "have no baseline")
	case len(by[status.Waiting]) > 0:
		return toneIdle, some(by[status.Waiting], all, "upload", "has no sync yet", "have no sync yet")
	default:
		return toneGood, "Everything is fresh"
	}
}

// pluginsInTrouble returns the plugins that keep a sync under way waiting, and those that it
// goes on without, or with their baseline.
func pluginsInTrouble(s status.Snapshot) (retried, unread []string) {
	add := func(names []string, name string) []string {
		if slices.Contains(names, name) {
			return names
		}
		return append(names, name)
	}
	for _, u := range s.Uploads {
		for _, sync := range u.Syncing {
			for _, part := range sync.Plugins {
				switch {
				case part.AnsweredFor != "", part.Missing != "":
					unread = add(unread, part.Plugin)
				case part.Waits != "":
					retried = add(retried, part.Plugin)
				}
			}
		}
	}
	return retried, unread
}

// hasOnlyHistory reports whether C1 has taken syncs of the upload before, of which the host
// has no baseline: what C1 has is not known.
func hasOnlyHistory(u status.Upload) bool {
	return u.Last == nil && slices.ContainsFunc(u.History, func(made status.Sync) bool { return made.State != status.Failed })
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
	case len(names) == all && all == 2:
		return fmt.Sprintf("Both %ss %s", thing, are)
	case len(names) == all:
		return fmt.Sprintf("All %d %ss %s", all, thing, are)
	default:
		return fmt.Sprintf("%d of %d %ss %s", len(names), all, thing, are)
	}
}
