package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/discreet"
	"github.com/batonhost/baton-host/host/internal/service"
	"github.com/batonhost/baton-host/host/lastgood"
	"github.com/batonhost/baton-host/host/supervise"
)

// Report takes in an event of service mode.
func (b *Board) Report(event service.Event) {
	b.metrics.report(event)
	b.change(func() {
		u := b.upload(event.Upload)
		if u == nil {
			return
		}
		switch event.Kind {
		case service.Connected:
			u.connection, u.met = Connection{Connected: true, Since: time.Now()}, true
		case service.Disconnected:
			b.lost(u, event.Err)
		case service.TaskBegun:
			if event.Task == fullSync {
				b.begin(u, event.ID, event.Whole)
			}
		case service.Sending:
			if p := u.sync(event.ID); p != nil {
				p.Sending = true
			}
		case service.Uploaded:
			b.uploaded(u, event)
		case service.TaskDone:
			b.done(u, event)
		}
		b.metrics.show(u)
	})
}

// lost takes in that C1 does not answer.
func (b *Board) lost(u *uploadState, err error) {
	why := sentence(err, "C1 cannot be talked to")
	if u.connection.Connected || u.connection.Since.IsZero() {
		u.connection.Since = time.Now()
	}
	u.connection.Connected, u.connection.Why = false, why
	b.failed(Error{Upload: u.name, What: "connection to C1", Why: why})
}

// uploaded takes in a sync that C1 has.
func (b *Board) uploaded(u *uploadState, event service.Event) {
	if p := u.sync(event.ID); p != nil {
		p.uploaded = true
	}
	if !event.Whole {
		return
	}
	why, stale := map[string]string{}, map[string]int{}
	for _, one := range event.Result.Stale {
		why[one.Instance] = sentence(one.Err, fmt.Sprintf("plugin %q failed", one.Instance))
		stale[one.Instance] = one.Accounts
	}
	made := Sync{At: time.Now(), Took: event.Took, Bytes: event.Bytes}
	u.remember(made, event.Result.Sync.Plugins, event.Result.Sync.StartedAt, why, stale)
	u.add(*u.last)
}

// done takes in the end of a task.
func (b *Board) done(u *uploadState, event service.Event) {
	p := u.sync(event.ID)
	u.syncs = slices.DeleteFunc(u.syncs, func(one *progress) bool { return one == p })
	if event.Err == nil || service.Dropped(event.Err) {
		return
	}
	why := sentence(event.Err, "the task failed")
	what := "sync"
	if event.Task != fullSync {
		what = "task " + event.Task
	}
	b.failed(Error{Upload: u.name, What: what, Why: why, Task: event.ID})
	if event.Whole && (p == nil || !p.uploaded) {
		u.fail(Sync{At: time.Now(), Took: event.Took, Why: why}, discreet.ByPlugin(event.Err))
	}
}

// Remember takes in the last good sync of an upload, as it was kept before the host
// was started.
func (b *Board) Remember(upload string, known lastgood.Sync) {
	if known.StartedAt.IsZero() {
		return
	}
	b.change(func() {
		u := b.upload(upload)
		if u == nil {
			return
		}
		made := Sync{At: known.StartedAt, Bytes: known.Bytes}
		if !known.UploadedAt.IsZero() {
			made.At, made.Took = known.UploadedAt, known.UploadedAt.Sub(known.StartedAt)
		}
		why := map[string]string{}
		for name := range known.Plugins {
			why[name] = "it failed before the host was started; its accounts are those of its last good sync"
		}
		u.remember(made, known.Plugins, known.StartedAt, why, nil)
		if !u.has(*u.last) {
			u.add(*u.last)
		}
		b.metrics.show(u)
	})
}

// Plugin takes in a change of a plugin's state.
func (b *Board) Plugin(is supervise.Status) {
	b.metrics.plugin(is)
	b.change(func() {
		plugin := b.plugin(is.Instance)
		if plugin.State != string(is.State) {
			plugin.State, plugin.Since = string(is.State), time.Now()
		}
		b.metrics.restarts.WithLabelValues(is.Instance).Add(float64(max(0, is.Restarts-plugin.Restarts)))
		plugin.Restarts = is.Restarts
		if m := is.Manifest; m != nil {
			plugin.Connector, plugin.Version, plugin.SDKVersion = short(m.GetName()), short(m.GetVersion()), short(m.GetSdkVersion())
			if plugin.App == "" {
				plugin.App = appName(m.GetDisplayName())
			}
		}
		plugin.Why = ""
		if is.State == supervise.Stopped {
			return
		}
		if plugin.Why = sentence(is.Err, "it does not start"); plugin.Why != "" {
			b.failed(Error{Plugin: is.Instance, What: "process", Why: plugin.Why})
		}
	})
}

// Name takes in an app's name for people.
func (b *Board) Name(plugin, app string) {
	if app == "" {
		return
	}
	b.change(func() { b.plugin(plugin).App = appName(app) })
}

// appName is an app's name, unless it is somebody's address: a connector may be
// called by whose it is.
func appName(name string) string {
	if strings.Contains(name, "@") {
		return ""
	}
	return short(name)
}

// short is a name that fits: it is the plugin's own, and may be anything.
func short(name string) string {
	const most = 60
	runes := []rune(name)
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}

// Ended takes in that an upload is not served any more, and why.
func (b *Board) Ended(upload string, err error) {
	if err == nil {
		return
	}
	b.change(func() {
		if u := b.upload(upload); u != nil {
			u.refusal = sentence(err, "the upload cannot be served")
			u.connection = Connection{Since: time.Now(), Why: u.refusal}
		}
	})
}

// Stopping takes in that the host is stopping.
func (b *Board) Stopping() { b.change(func() { b.host.Stopping = true }) }
