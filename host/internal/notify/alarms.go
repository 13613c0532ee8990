package notify

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
)

// condition is how one thing is that an alarm may be about.
type condition struct {
	// alarm is what is the matter; nil: nothing is.
	alarm *alarm
	// recalled says that this is from before the host was started: what a receiver was
	// sent of it then counts more.
	recalled bool
}

// conditions returns how everything is of which that is known, by key. What is missing stays
// as it was.
func conditions(is status.Snapshot) map[string]condition {
	found := map[string]condition{}
	for _, u := range is.Uploads {
		recalled := u.Last == nil || u.Last.At.Before(is.Host.StartedAt)
		if alarm, known := ofUpload(u); known {
			found["upload/"+u.Name] = condition{alarm, recalled && u.State != status.Failed && u.State != status.Stopped}
		}
		guard := condition{recalled: recalled}
		if u.Refused != nil {
			guard = condition{alarm: &alarm{Type: GuardTripped, Upload: u.Name, Plugins: u.Refused.Plugins, Since: u.Refused.At, why: u.Why}}
		}
		found["guard/"+u.Name] = guard
		ofCredentials(found, "credential/upload/"+u.Name+"/", alarm{Upload: u.Name}, u.Credentials, is.Now)
	}
	for _, p := range is.Plugins {
		switch p.State {
		case "ready", "idle": // Without a process: the next call starts one.
			found["plugin/"+p.Name] = condition{}
		case "failed", "refusing":
			found["plugin/"+p.Name] = condition{alarm: &alarm{
				Type: PluginFailed, Plugin: p.Name, Since: p.Since, text: because(fmt.Sprintf("plugin %q failed", p.Name), p.Why), why: p.Why,
			}}
		}
		ofCredentials(found, "credential/plugin/"+p.Name+"/", alarm{Plugin: p.Name}, p.Credentials, is.Now)
	}
	return found
}

// ofUpload returns what is the matter with an upload, if that is known: an upload that waits
// for its first sync says nothing of the one before.
func ofUpload(u status.Upload) (_ *alarm, known bool) {
	types := map[status.State]Type{status.Failed: UploadFailed, status.Stopped: UploadStopped, status.Stale: UploadStale, status.Incomplete: UploadIncomplete}
	is := types[u.State]
	if is == "" {
		return nil, u.State == status.Fresh
	}
	said := fmt.Sprintf("upload %q is %s", u.Name, u.State)
	if is == UploadFailed {
		said = fmt.Sprintf("a sync of upload %q failed", u.Name)
	}
	return &alarm{Type: is, Upload: u.Name, Since: u.Since, text: because(said, u.Why), why: u.Why}, true
}

func because(said, why string) string {
	if why == "" {
		return said
	}
	return said + ": " + why
}

// ofCredentials adds how credentials of one owner are.
func ofCredentials(found map[string]condition, prefix string, owner alarm, credentials []secret.Credential, now time.Time) {
	for _, one := range credentials {
		key := prefix + one.Name()
		if !one.ExpiresSoon(now) {
			found[key] = condition{}
			continue
		}
		of := owner
		of.Type, of.Reference, of.Expires = CredentialExpiring, one.Name(), one.Expires
		if one.HasExpired(now) {
			of.Type = CredentialExpired
		}
		of.text = one.Warning(ownerOf(owner.Upload, owner.Plugin), now)
		found[key] = condition{alarm: &of}
	}
}

// event is a message that is to be delivered.
type event struct {
	key     string
	after   *alarm // what a receiver knows once it has it; nil: that nothing is the matter
	message Message
}

// tracker remembers what receivers know, and finds what they must be sent.
type tracker struct {
	// known is what the receiver has accepted, and sent what is on its way to it, by key.
	known map[string]*alarm
	sent  map[string]*event
	// again is when what was lost is sent again, by key.
	again map[string]time.Time
}

// againAfter is how long after an event was lost it is sent again, if it still holds.
const againAfter = 15 * time.Minute

func newTracker(known map[string]*alarm) *tracker {
	if known == nil {
		known = map[string]*alarm{}
	}
	return &tracker{known: known, sent: map[string]*event{}, again: map[string]time.Time{}}
}

// look returns the events that a receiver must be sent, in the order of their keys. configured
// reports whether the configuration still has an upload or a plugin.
func (t *tracker) look(is status.Snapshot, command review.Command, configured func(upload, plugin string) bool) []*event {
	found := conditions(is)
	keys := slices.Sorted(maps.Keys(found))
	for key := range t.known {
		if _, ok := found[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var events []*event
	for _, key := range keys {
		if is.Now.Before(t.again[key]) {
			continue
		}
		knows := t.known[key]
		if sent := t.sent[key]; sent != nil {
			knows = sent.after
		}
		now, ok := found[key]
		one := &event{key: key, after: now.alarm}
		switch {
		case !ok && (knows == nil || configured(knows.Upload, knows.Plugin)):
			continue
		case !ok:
			one.message = knows.end(key, is.Now, is.Host, "the configuration no longer has it")
		case knows == nil && now.alarm == nil, knows != nil && (now.recalled || now.alarm != nil && now.alarm.isSame(knows)):
			continue
		case now.alarm == nil:
			one.message = knows.end(key, is.Now, is.Host, "")
		default:
			one.message = now.alarm.message(key, is.Now, is.Host, command)
		}
		t.sent[key] = one
		events = append(events, one)
	}
	return events
}

// settle takes in what became of an event, and reports whether what the receiver knows has
// changed.
func (t *tracker) settle(one *event, accepted bool, now time.Time) bool {
	if t.sent[one.key] == one {
		delete(t.sent, one.key)
	}
	switch {
	case !accepted:
		t.again[one.key] = now.Add(againAfter)
		return false
	case one.after == nil:
		delete(t.known, one.key)
	default:
		t.known[one.key] = one.after
	}
	delete(t.again, one.key)
	return true
}
