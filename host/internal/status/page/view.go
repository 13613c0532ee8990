package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
)

// Tones are how a state looks; its words say the same.
const (
	toneGood = "good"
	toneIdle = "idle"
	toneWarn = "warn"
	toneBad  = "bad"
	toneBusy = "busy"
)

// moment is a point in time, for people and for browsers.
type moment struct{ RFC3339, Relative, Absolute string }

// badge is a state in one or two words.
type badge struct{ Tone, Words string }

// view is all that the page says.
type view struct {
	Title    string
	Tone     string
	Headline string
	Lead     string
	Host     status.Host
	Started  moment
	Now      moment
	Reload   *reloadView // nil if the configuration was not read again
	Uploads  []uploadView
	Plugins  []pluginView
	Exposure string // what plugins can read that are in no sandbox; "" if there are none
	Errors   []errorView
}

// reloadView is how the configuration was read again last.
type reloadView struct {
	Words, Why string
	At         moment
	Runbook    string
}

func reloadViewOf(reload *status.Reload, now time.Time) *reloadView {
	switch {
	case reload == nil:
		return nil
	case reload.Why != "":
		return &reloadView{Words: "Configuration refused", Why: inSentence(reload.Why, ""), At: momentOf(reload.At, now), Runbook: errtext.Runbook + "#reload"}
	}
	return &reloadView{Words: "Configuration reloaded", At: momentOf(reload.At, now)}
}

// uploadView is an upload's card.
type uploadView struct {
	ID         string // in the page
	Name       string
	Badges     []badge
	Sentence   string
	Why        string
	Until      string // until when the host falls back; "" unless it does
	Runbook    string // where the runbook says what to do; "" where nothing is to be done
	Connection string // what is wrong with it
	C1         string // where the runbook is about that
	Connected  string // in one or two words; "" where the sentence says it
	Syncing    []progressView
	Parts      []partView
	Took       string
	Bytes      int64
	Chart      *chart
	History    []syncView // the newest first
	// Credentials are those with which C1 is called.
	Credentials []credentialView
}

// partView is one plugin's row in a card.
type partView struct {
	Plugin, App string
	Badges      []badge
	Why         string
	Accounts    string
	AsOf        *moment
	Evidence    string // "" if there is no sync
}

// progressView is a sync under way.
type progressView struct {
	Words   string
	For     string
	Plugins []pluginProgress
}

type pluginProgress struct {
	Plugin string
	Words  string
	Note   string // why it waits, or falls back
	// Value and Most are how far it is; Most is 0 if it is unknown.
	Value, Most int
}

// syncView is a row of the table of the last syncs.
type syncView struct {
	At       moment
	Badge    badge
	Accounts string
	Took     string
	Why      string
	Evidence string // "" if it failed or is not known
}

// pluginView is a row of the table of plugins.
type pluginView struct {
	status.Plugin

	Badge   badge
	Note    string
	Runbook string // where the runbook says what to do; "" where nothing is to be done
	For     string
	In      string // its sandbox, in two words
	// Expiring are its credentials of which something is known.
	Expiring []credentialView
}

// credentialView is a credential of which something is known beside its name.
type credentialView struct {
	Name    string
	Badge   *badge // nil: nothing is wrong
	Verb    string // "expires" or "expired"
	Expires *moment
	Problem string
	Runbook string // "" if nothing is wrong
}

// errorView is an entry of the list of errors.
type errorView struct {
	At    moment
	Where string
	What  string
	Why   string
	Times string
	Task  string
	// Runbook is where the runbook says what to do.
	Runbook string
}

// runbookEntries are for the states of uploads in which something is to be done.
var runbookEntries = map[status.State]string{
	status.Incomplete: errtext.Runbook + "#upload-incomplete",
	status.Stale:      errtext.Runbook + "#upload-stale",
	status.Failed:     errtext.Runbook + "#upload-failed",
	status.Stopped:    errtext.Runbook + "#upload-stopped",
}

// pluginEntries are for the states of processes.
var pluginEntries = map[string]string{
	"starting": errtext.Runbook + "#plugin-starting",
	"refusing": errtext.Runbook + "#plugin-refusing",
	"failed":   errtext.Runbook + "#plugin-failed",
}

// errorEntries are for what went wrong; see status.Error.
var errorEntries = map[string]string{
	"connection to C1": errtext.Runbook + "#c1-cannot-be-reached",
	"sync":             errtext.Runbook + "#upload-failed",
	"change guard":     errtext.Runbook + "#change-guard",
	"process":          errtext.Runbook + "#a-plugin-ends-or-hangs",
}

// entryOf returns where the runbook says what to do about an error.
func entryOf(e status.Error, s status.Snapshot) string {
	if strings.HasPrefix(e.What, "task ") {
		return errtext.Runbook + "#tasks"
	}
	if e.What == "sync" && e.Plugin != "" { // It fell back, or was left out.
		for _, u := range s.Uploads {
			if u.Name == e.Upload && u.State == status.Incomplete {
				return runbookEntries[status.Incomplete]
			}
		}
		return runbookEntries[status.Stale]
	}
	for _, plugin := range s.Plugins {
		if e.What == "process" && plugin.Name == e.Plugin && plugin.Why == e.Why {
			return pluginEntries[plugin.State]
		}
	}
	if e.What == "sync" {
		return cmp.Or(errtext.RunbookEntry(e.Why), errorEntries[e.What])
	}
	return errorEntries[e.What]
}

func viewOf(s status.Snapshot) view {
	v := view{Host: s.Host, Now: momentOf(s.Now, s.Now), Started: momentOf(s.Host.StartedAt, s.Now), Reload: reloadViewOf(s.Host.LastReload, s.Now)}
	apps := map[string]string{}
	for _, plugin := range s.Plugins {
		apps[plugin.Name] = appOf(plugin)
		v.Plugins = append(v.Plugins, pluginViewOf(plugin, s.Now))
	}
	for i, upload := range s.Uploads {
		card := uploadViewOf(upload, apps, s.Now)
		card.ID = fmt.Sprintf("upload-%d", i+1)
		for _, e := range s.Errors {
			if upload.State == status.Failed && e.What == "change guard" && e.Upload == upload.Name && e.Why == upload.Why {
				card.Runbook = entryOf(e, s)
			}
		}
		v.Uploads = append(v.Uploads, card)
	}
	for _, e := range s.Errors {
		v.Errors = append(v.Errors, errorViewOf(e, s))
	}
	v.Exposure = asSentence(s.Exposure())
	h := headlineOf(s)
	v.Tone, v.Headline, v.Lead = h.tone, h.words, h.lead
	v.Title = h.words + " – baton-host"
	if len(h.syncing) > 0 && h.tone != toneBusy {
		v.Title = "Syncing – " + v.Title
	}
	return v
}

func momentOf(t, now time.Time) moment {
	return moment{RFC3339: t.UTC().Format(time.RFC3339), Relative: relative(t, now), Absolute: absolute(t)}
}

func maybe(t, now time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	m := momentOf(t, now)
	return &m
}

var badges = map[status.State]badge{
	status.Fresh:      {toneGood, "Fresh"},
	status.Waiting:    {toneIdle, "No sync yet"},
	status.Incomplete: {toneWarn, "Incomplete"},
	status.Stale:      {toneWarn, "Stale"},
	status.Failed:     {toneBad, "Failed"},
	status.Stopped:    {toneBad, "Stopped"},
}

func uploadViewOf(u status.Upload, apps map[string]string, now time.Time) uploadView {
	u = whyOnce(u)
	v := uploadView{
		Name: u.Name, Badges: []badge{badges[u.State]}, Sentence: sentenceOf(u, now), Why: asSentence(u.Why), Chart: chartOf(u.History),
		Until: untilOf(u, now), Runbook: runbookEntries[u.State], Connected: "Connected",
	}
	if u.State == status.Waiting {
		v.Why = ""
		if hasOnlyHistory(u) {
			v.Badges = []badge{{toneIdle, "No baseline"}}
		}
	}
	if len(u.Syncing) > 0 {
		if u.State == status.Waiting { // It waits for nothing any more.
			v.Badges = nil
		}
		v.Badges = append(v.Badges, badge{toneBusy, "Syncing"})
	}
	switch {
	case u.State == status.Stopped:
		v.Connected = ""
	case !u.Connection.Connected && u.Connection.Why != "":
		v.Connected, v.C1 = "No answer", errorEntries["connection to C1"]
		v.Connection = fmt.Sprintf("No connection to C1 %s: %s", lasting(u.Connection.Since, now), inSentence(u.Connection.Why, ""))
	case !u.Connection.Connected:
		v.Connected = "Not yet"
	}
	if u.Last != nil {
		v.Bytes = u.Last.Bytes
		if u.Last.Took > 0 {
			v.Took = took(u.Last.Took)
		}
	}
	for _, p := range u.Syncing {
		v.Syncing = append(v.Syncing, progressViewOf(p, now))
	}
	for _, part := range u.Parts {
		row := partView{
			Plugin: part.Plugin, App: apps[part.Plugin], Badges: partBadges(u, part),
			Why: asSentence(withoutName(part.Why, part.Plugin)), AsOf: maybe(part.AsOf, now),
		}
		if row.AsOf != nil {
			row.Accounts, row.Evidence = number(part.Accounts), "evidence "+string(part.Evidence)
		}
		if part.EvidenceReason != "" {
			row.Why = strings.TrimSpace(row.Why + " " + asSentence("nothing proves that its lists are complete: "+part.EvidenceReason))
		}
		v.Parts = append(v.Parts, row)
	}
	v.Credentials = credentialViewsOf(u.Credentials, now)
	for _, made := range slices.Backward(u.History) {
		v.History = append(v.History, syncViewOf(made, now))
	}
	return v
}

// partBadges are the state of what C1 has of a plugin, and what a sync under way does about it.
func partBadges(u status.Upload, part status.Part) []badge {
	all := []badge{badges[part.State]}
	if u.State == status.Stale && part.State == status.Fresh && !slices.ContainsFunc(u.Parts, isStale) {
		all = []badge{badges[status.Stale]} // C1 has asked for no sync for too long.
	}
	for _, sync := range u.Syncing {
		for _, now := range sync.Plugins {
			if now.Plugin != part.Plugin {
				continue
			}
			if part.State == status.Waiting {
				all = nil
			}
			switch {
			case now.Missing != "":
				return append(all, badge{toneWarn, "Left out"})
			case now.AnsweredFor != "":
				return append(all, badge{toneWarn, "Falling back"})
			case now.Waits != "":
				return append(all, badge{toneWarn, "Retrying"})
			case part.State == status.Waiting:
				return append(all, badge{toneBusy, "First sync"})
			}
		}
	}
	return all
}

func isStale(part status.Part) bool { return part.State == status.Stale }

// untilOf says until when the host falls back to the baseline.
func untilOf(u status.Upload, now time.Time) string {
	switch {
	case u.Until.IsZero():
		return ""
	case u.Until.Before(now):
		return fmt.Sprintf("That is older than max-stale allows since %s: the next sync that cannot read the app fails.", absolute(u.Until))
	}
	return fmt.Sprintf("The host falls back until %s (max-stale); from then on a sync that cannot read the app fails.", absolute(u.Until))
}

// whyOnce leaves the reasons to the upload where one plugin is to blame, and to the
// plugins where several are.
func whyOnce(u status.Upload) status.Upload {
	var blamed []int
	for i, part := range u.Parts {
		if part.State == u.State && part.Why != "" {
			blamed = append(blamed, i)
		}
	}
	switch {
	case len(blamed) == 1 && u.Why == u.Parts[blamed[0]].Why:
		u.Parts[blamed[0]].Why = ""
	case len(blamed) > 1:
		u.Why = ""
	}
	return u
}

// sentenceOf says what C1 has.
func sentenceOf(u status.Upload, now time.Time) string {
	has := "C1 has no sync of this upload."
	recalled := hasOnlyHistory(u)
	switch {
	case recalled:
		has = "There is no baseline, so what C1 has is not known."
	case u.Last != nil:
		has = fmt.Sprintf("C1 has %s, as of %s.", accounts(u.Last.Accounts), relative(u.Last.At, now))
	}
	switch u.State {
	case status.Waiting:
		switch {
		case len(u.Syncing) > 0 && recalled:
			return "A sync is under way. " + has
		case len(u.Syncing) > 0:
			return "The first sync is under way. " + has
		case recalled:
			return "C1 has asked for no sync since the host was started. " + has
		}
		return "C1 has asked for no sync yet."
	case status.Failed:
		failed := "The last sync failed " + relative(u.Since, now)
		if last := u.History[len(u.History)-1]; last.At.After(u.Since) {
			failed = "Syncs have failed " + lasting(u.Since, now)
		}
		var because []string
		for _, part := range u.Parts {
			if part.State == status.Failed {
				because = append(because, part.Plugin)
			}
		}
		if len(because) > 0 {
			failed += " because of " + strings.Join(because, " and ")
		}
		if u.Last != nil {
			has = strings.Replace(has, "C1 has", "C1 still has", 1)
		}
		return failed + ". " + has
	case status.Stopped:
		return "This upload is not served any more. " + has
	case status.Stale:
		var old []string
		for _, part := range u.Parts {
			if part.State == status.Stale {
				old = append(old, fmt.Sprintf("those of %s are from %s", part.Plugin, relative(part.AsOf, now)))
			}
		}
		if len(old) > 0 {
			return fmt.Sprintf("C1 has %s, but %s.", accounts(u.Last.Accounts), strings.Join(old, " and "))
		}
		return has
	case status.Fresh, status.Incomplete:
	}
	return has
}

func progressViewOf(p status.Progress, now time.Time) progressView {
	v := progressView{Words: "Reading the apps", For: lasting(p.StartedAt, now)}
	if !p.Whole {
		v.Words = "Reading a part of the apps"
	}
	if p.Sending {
		v.Words = "Sending to C1"
	}
	for _, part := range p.Plugins {
		row := pluginProgress{Plugin: part.Plugin, Value: part.Accounts, Note: asSentence(part.Waits)}
		row.Words = accounts(part.Accounts)
		if part.Before > 0 && p.Whole {
			row.Words = fmt.Sprintf("%s of about %s", number(part.Accounts), accounts(part.Before))
			row.Value, row.Most = min(part.Accounts, part.Before), part.Before
		}
		if part.Grants > 0 {
			row.Words += ", " + plural(part.Grants, "grant")
		}
		row.Words += ", " + plural(part.Pages, "page")
		if part.Skipped > 0 {
			row.Words += ", " + plural(part.Skipped, "resource") + " skipped"
		}
		if part.Pages == 0 {
			row.Words = "nothing read yet"
		}
		if part.AnsweredFor != "" {
			row.Note = "From its part of the baseline: " + inSentence(part.AnsweredFor, part.Plugin)
		}
		if part.Missing != "" {
			row.Note = "The sync goes without it: " + inSentence(part.Missing, part.Plugin)
		}
		v.Plugins = append(v.Plugins, row)
	}
	return v
}

func syncViewOf(made status.Sync, now time.Time) syncView {
	v := syncView{At: momentOf(made.At, now), Badge: badges[made.State], Why: asSentence(made.Why)}
	if made.State != status.Failed {
		v.Accounts = number(made.Accounts)
	}
	if made.Evidence != "" {
		v.Evidence = "evidence " + string(made.Evidence)
	}
	if len(made.Missing) > 0 {
		v.Why = strings.TrimSpace(v.Why + fmt.Sprintf(" It went without %s.", strings.Join(made.Missing, " and ")))
	}
	if made.SkippedResources > 0 {
		v.Why = strings.TrimSpace(v.Why + fmt.Sprintf(" It lacks entitlements or grants of %s.", plural(made.SkippedResources, "resource")))
	}
	if made.Took > 0 {
		v.Took = took(made.Took)
	}
	return v
}

// pluginBadges are for the states of processes.
var pluginBadges = map[string]badge{
	"starting": {toneBusy, "Starting"},
	"ready":    {toneGood, "Running"},
	"idle":     {toneIdle, "Idle"},
	"refusing": {toneWarn, "Refusing"},
	"failed":   {toneBad, "Failed"},
	"stopped":  {toneIdle, "Stopped"},
}

// sandboxes are for the modes of sandboxes.
var sandboxes = map[string]string{"on": "in a sandbox", "warn": "in a sandbox that only warns", "off": "in no sandbox"}

func pluginViewOf(p status.Plugin, now time.Time) pluginView {
	v := pluginView{Plugin: p, Badge: pluginBadges[p.State], Note: asSentence(withoutName(p.Why, p.Name)), For: lasting(p.Since, now)}
	v.Expiring, v.In = credentialViewsOf(p.Credentials, now), sandboxes[p.Sandbox]
	if p.State == "starting" && p.Why != "" {
		v.Badge = badge{toneWarn, "Restarting"}
	}
	if p.Why != "" {
		v.Runbook = pluginEntries[p.State]
	}
	v.App = appOf(p)
	return v
}

// appOf says which app a plugin reads, and where that is, as far as its name does not.
func appOf(p status.Plugin) string {
	switch {
	case p.App == "" || p.App == p.Name:
		return p.Address
	case p.Address == "":
		return p.App
	}
	return p.App + ", " + p.Address
}

// credentialViewsOf leaves out credentials of which nothing is known beside their names.
func credentialViewsOf(credentials []secret.Credential, now time.Time) []credentialView {
	var views []credentialView
	for _, one := range credentials {
		v := credentialView{Name: one.Name(), Verb: "expires", Problem: asSentence(one.Problem)}
		if !one.Expires.IsZero() {
			v.Expires = &moment{RFC3339: one.Expires.UTC().Format(time.RFC3339), Relative: humanize.RelTime(one.Expires, now, "ago", "from now"), Absolute: absolute(one.Expires)}
		}
		switch {
		case one.HasExpired(now):
			v.Verb, v.Badge = "expired", &badge{toneBad, "Expired"}
		case one.Problem != "":
			v.Badge = &badge{toneWarn, "Not renewed"}
		case one.ExpiresSoon(now):
			v.Badge = &badge{toneWarn, "Expires soon"}
		case one.Expires.IsZero():
			continue
		case !now.Before(one.Expires): // A program renews it; it is read again when it is needed.
			v.Verb = "was good until"
		}
		if v.Badge != nil {
			v.Runbook = errtext.Runbook + "#expiring-credentials"
		}
		views = append(views, v)
	}
	return views
}

func errorViewOf(e status.Error, s status.Snapshot) errorView {
	v := errorView{At: momentOf(e.At, s.Now), What: e.What, Why: asSentence(e.Why), Task: e.Task, Runbook: entryOf(e, s)}
	switch {
	case e.Upload != "" && e.Plugin != "":
		v.Where = e.Plugin + " in " + e.Upload
	default:
		v.Where = e.Upload + e.Plugin
	}
	if e.Times > 1 {
		v.Times = fmt.Sprintf("%s times so far", number(e.Times))
	}
	return v
}
