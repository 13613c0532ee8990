package status

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Report takes in an event of service mode.
func (b *Board) Report(event Event) {
	b.change(func() {
		u := b.upload(event.Upload)
		if u == nil {
			return
		}
		b.metrics.report(event)
		switch event.Kind {
		case Connected:
			u.connection, u.met = Connection{Connected: true, Since: time.Now()}, true
		case Disconnected:
			b.lost(u, event.Err)
		case TaskBegun:
			if event.Task == fullSync {
				b.begin(u, event.ID, event.Whole)
			}
		case Sending:
			if p := u.sync(event.ID); p != nil {
				p.Sending = true
			}
		case Uploaded:
			b.uploaded(u, event)
		case TaskDone:
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
func (b *Board) uploaded(u *uploadState, event Event) {
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
	for _, one := range event.Result.Missing {
		why[one.Instance] = sentence(one.Err, fmt.Sprintf("plugin %q failed", one.Instance))
	}
	u.refused = nil
	for _, one := range event.Result.Stale {
		u.refuse(one.Err)
	}
	made := Sync{At: time.Now(), Took: event.Took, Bytes: event.Bytes}
	b.remember(u, made, event.Result.Sync, why, stale)
	u.add(*u.last)
}

// remember takes in a sync of everything that C1 has; see [uploadState.remember].
func (b *Board) remember(u *uploadState, made Sync, known baseline.Sync, why map[string]string, stale map[string]int) {
	for _, name := range u.remember(made, known, why, stale) {
		b.metrics.forgetPart(u.name, name)
	}
}

// done takes in the end of a task.
func (b *Board) done(u *uploadState, event Event) {
	p := u.sync(event.ID)
	u.syncs = slices.DeleteFunc(u.syncs, func(one *progress) bool { return one == p })
	if event.Err == nil || event.Dropped {
		return
	}
	why := sentence(event.Err, "the task failed")
	what := kindOf(event.Err)
	if event.Task != fullSync {
		what = "task " + event.Task
	}
	b.failed(Error{Upload: u.name, What: what, Why: why, Task: event.ID})
	if event.Whole && (p == nil || !p.uploaded) {
		u.fail(Sync{At: time.Now(), Took: event.Took, Why: why}, errtext.PublicByPlugin(event.Err))
		if syncrun.IsRefused(event.Err) {
			u.refused = nil
			u.refuse(event.Err)
		}
	}
}

// kindOf returns what an error of a sync is about: the change guard, or the sync.
func kindOf(err error) string {
	if _, ok := errors.AsType[*syncrun.GuardError](err); ok {
		return "change guard"
	}
	if _, ok := errors.AsType[*syncrun.GoneError](err); ok {
		return "change guard"
	}
	return "sync"
}

// Remember takes in the baseline of an upload, as it was kept before the host
// was started. A sync that the board has already is left as it is.
func (b *Board) Remember(upload string, known baseline.Sync) {
	if known.StartedAt.IsZero() {
		return
	}
	b.change(func() {
		u := b.upload(upload)
		if u == nil || u.last != nil && known.StartedAt.Equal(u.began) {
			return
		}
		made := Sync{At: known.StartedAt, Bytes: known.Bytes}
		if !known.UploadedAt.IsZero() {
			made.At, made.Took = known.UploadedAt, known.UploadedAt.Sub(known.StartedAt)
		}
		why := map[string]string{}
		for name := range known.Plugins {
			why[name] = "it failed before the host was started; its accounts are those of the baseline"
		}
		b.remember(u, made, known, why, nil)
		if !u.recalls(*u.last) {
			u.add(*u.last)
		}
		u.resume()
		b.metrics.show(u)
	})
}

// Credentials takes in how the credentials of a plugin, or of an upload, are now, in place
// of what was known of them; the other name is empty.
func (b *Board) Credentials(plugin, upload string, credentials []secret.Credential) {
	credentials = slices.Clone(credentials)
	b.change(func() {
		known := false
		if of := b.plugin(plugin); of != nil {
			of.Credentials, known = credentials, true
		}
		if of := b.upload(upload); of != nil {
			of.credentials, known = credentials, true
		}
		if known {
			b.metrics.credentials(plugin, upload, credentials)
		}
		close(b.credentialsChanged)
		b.credentialsChanged = make(chan struct{})
	})
}

// Sandboxed takes in what of a sandbox a plugin is in; see fleet.Observer. A plugin that no
// upload has is left out.
func (b *Board) Sandboxed(name string, state sandbox.State) {
	b.change(func() {
		if plugin := b.plugin(name); plugin != nil && state.Mode != "" {
			plugin.Sandbox, plugin.SandboxDetail, plugin.ExposesSecrets = string(state.Mode), state.Detail, state.Exposes
			b.metrics.sandboxed(name, state.Mode)
		}
	})
}

// PluginChanged takes in a change of a plugin's state; see fleet.Observer. A plugin that
// no upload has is left out.
func (b *Board) PluginChanged(name, state string, restarts int, manifest *pluginv1.Manifest, err error) {
	b.change(func() {
		plugin := b.plugin(name)
		if plugin == nil {
			return
		}
		b.metrics.plugin(name, state, manifest)
		// A plugin is ready again where another process has taken over.
		if plugin.State != state || state == ready {
			plugin.State, plugin.Since = state, time.Now()
		}
		b.metrics.restarts.WithLabelValues(name).Add(float64(max(0, restarts-plugin.Restarts)))
		plugin.Restarts = restarts
		if manifest != nil {
			plugin.Connector, plugin.Version, plugin.SDKVersion = short(manifest.GetName()), short(manifest.GetVersion()), short(manifest.GetSdkVersion())
			if plugin.App == "" {
				plugin.App = appName(manifest.GetDisplayName())
			}
		}
		plugin.Why = ""
		if state == stopped {
			return
		}
		if plugin.Why = sentence(err, "it does not start"); plugin.Why != "" {
			b.failed(Error{Plugin: name, What: "process", Why: plugin.Why})
		}
	})
}

// Name takes in an app's name for people. A plugin that no upload has is left out: an
// earlier configuration had it.
func (b *Board) Name(plugin, app string) {
	if app == "" {
		return
	}
	b.change(func() {
		if one := b.plugin(plugin); one != nil {
			one.App = appName(app)
		}
	})
}

// appName is an app's name, unless it is a person's address: a connector may be
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
	runes := []rune(errtext.Printable(errtext.Cut(name, most*utf8.UTFMax), ""))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}

// Begun takes in that an upload is served, for the first time or again.
func (b *Board) Begun(upload string) {
	b.change(func() {
		if u := b.upload(upload); u != nil && u.refusal != "" {
			u.refusal, u.connection = "", Connection{}
		}
	})
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
