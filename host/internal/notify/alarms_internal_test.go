package notify

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	workforce  = "workforce"
	fullstory  = "fullstory"
	designTool = "design-tool"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// board returns a snapshot of a host that was started at noon, so many minutes later.
func board(minutes int, uploads []status.Upload, plugins ...status.Plugin) status.Snapshot {
	return status.Snapshot{
		Now: noon.Add(time.Duration(minutes) * time.Minute), Host: status.Host{ID: "host-1", Version: "v1.2.3", StartedAt: noon},
		Uploads: uploads, Plugins: plugins,
	}
}

// upload returns an upload in a state, whose last sync was so many minutes after noon.
func upload(state status.State, minutes int) status.Upload {
	return status.Upload{Name: workforce, State: state, Since: noon, Why: "the answer was 503 Service Unavailable", Last: &status.Sync{At: noon.Add(time.Duration(minutes) * time.Minute)}}
}

func plugin(state string) status.Plugin {
	return status.Plugin{Name: fullstory, State: state, Since: noon, Why: "it ended too often"}
}

var reviewed review.Command

func always(string, string) bool { return true }

// types returns the types of events, each with its key.
func types(events []*event) (all []string) {
	for _, one := range events {
		all = append(all, string(one.message.Type)+" "+one.key)
	}
	return all
}

func TestTracker_SendsEachChangeOnceAndItsEnd(t *testing.T) {
	t.Parallel()
	refused := func(minutes int, plugins ...string) status.Upload {
		u := upload(status.Failed, minutes)
		u.Refused = &status.Refused{At: noon, Plugins: plugins}
		return u
	}
	credential := func(expires time.Time) status.Upload {
		u := upload(status.Fresh, 1)
		u.Credentials = []secret.Credential{{Reference: "${file:secret}", Issued: noon.Add(-365 * 24 * time.Hour), Expires: expires}}
		return u
	}
	of := func(u ...status.Upload) status.Snapshot { return board(1, u) }
	for name, c := range map[string]struct {
		looks []status.Snapshot
		want  []string
	}{
		"nothing is the matter": {[]status.Snapshot{of(upload(status.Waiting, 1)), of(upload(status.Fresh, 1))}, nil},
		"failed, once, and its end": {
			[]status.Snapshot{of(upload(status.Failed, 1)), of(upload(status.Failed, 1)), of(upload(status.Fresh, 1)), of(upload(status.Fresh, 1))},
			[]string{"upload.failed upload/workforce", "upload.recovered upload/workforce"},
		},
		"stale, then failed": {
			[]status.Snapshot{of(upload(status.Stale, 1)), of(upload(status.Failed, 1)), of(upload(status.Incomplete, 1)), of(upload(status.Stopped, 1))},
			[]string{"upload.stale upload/workforce", "upload.failed upload/workforce", "upload.incomplete upload/workforce", "upload.stopped upload/workforce"},
		},
		"refused, also of another plugin": {
			[]status.Snapshot{of(refused(-1, fullstory)), of(refused(-1, fullstory)), of(refused(-1, designTool, fullstory)), of(upload(status.Fresh, 1))},
			[]string{"guard.tripped guard/workforce", "upload.failed upload/workforce", "guard.tripped guard/workforce", "guard.cleared guard/workforce", "upload.recovered upload/workforce"},
		},
		"a plugin that fails, is tried again and is ready": {
			[]status.Snapshot{board(1, nil, plugin("starting")), board(1, nil, plugin("failed")), board(1, nil, plugin("starting")), board(1, nil, plugin("refusing")), board(1, nil, plugin("stopped")), board(1, nil, plugin("ready"))},
			[]string{"plugin.failed plugin/fullstory", "plugin.recovered plugin/fullstory"},
		},
		"a credential that expires, has expired and is renewed": {
			[]status.Snapshot{of(credential(noon.Add(99 * 24 * time.Hour))), of(credential(noon.Add(time.Hour))), board(61, []status.Upload{credential(noon.Add(time.Hour))}), of(credential(noon.Add(99 * 24 * time.Hour)))},
			[]string{"credential.expiring credential/upload/workforce/${file:secret}", "credential.expired credential/upload/workforce/${file:secret}", "credential.renewed credential/upload/workforce/${file:secret}"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tracker := newTracker(nil)
			var got []string
			for _, is := range c.looks {
				events := tracker.look(is, reviewed, always)
				got = append(got, types(events)...)
				for _, one := range events {
					require.True(t, tracker.settle(one, true, is.Now))
				}
			}
			require.Equal(t, c.want, got)
		})
	}
}

// After a restart the board knows the last sync that C1 accepted, and not the failures after
// it: what the receiver knows holds until there is a sync.
func TestTracker_GoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	known := map[string]*alarm{
		"upload/workforce": {Type: UploadFailed, Upload: workforce}, "guard/workforce": {Type: GuardTripped, Upload: workforce, Plugins: []string{fullstory}},
		"plugin/fullstory": {Type: PluginFailed, Plugin: fullstory}, "upload/old": {Type: UploadStale, Upload: "old"},
	}
	tracker := newTracker(known)
	configured := func(upload, plugin string) bool { return upload == workforce || plugin == fullstory }

	before := tracker.look(board(1, []status.Upload{upload(status.Fresh, -60)}, plugin("starting")), reviewed, configured)
	require.Equal(t, []string{"upload.recovered upload/old"}, types(before))
	require.Equal(t, `upload "old": the configuration no longer has it`, before[0].message.Text)
	require.Empty(t, tracker.look(board(1, []status.Upload{upload(status.Stale, -60)}, plugin("failed")), reviewed, configured))
	after := tracker.look(board(2, []status.Upload{upload(status.Fresh, 2)}, plugin("ready")), reviewed, configured)
	require.Equal(t, []string{"guard.cleared guard/workforce", "plugin.recovered plugin/fullstory", "upload.recovered upload/workforce"}, types(after))
}

func TestTracker_SendsAgainWhatWasLost(t *testing.T) {
	t.Parallel()
	tracker := newTracker(nil)
	failed := func(minutes int) []*event {
		return tracker.look(board(minutes, []status.Upload{upload(status.Failed, 1)}), reviewed, always)
	}
	lost := failed(1)
	require.Len(t, lost, 1)
	require.Empty(t, failed(1), "it is on its way")
	require.False(t, tracker.settle(lost[0], false, noon.Add(time.Minute)))
	require.Empty(t, failed(15))
	require.Len(t, failed(16), 1)
	lost = tracker.look(board(17, []status.Upload{upload(status.Fresh, 17)}), reviewed, always)
	require.Equal(t, []string{"upload.recovered upload/workforce"}, types(lost))
}

// everything returns events of every type, with all that each can have.
func everything() []Message {
	u := upload(status.Failed, 1)
	u.Refused = &status.Refused{At: noon, Plugins: []string{designTool, fullstory}}
	u.Why = `plugin "fullstory" lists 0 accounts of type "user", but 40 in the baseline (2026-11-29T12:00:00Z)`
	p := plugin("failed")
	p.Credentials = []secret.Credential{{Reference: "${file:/run/secrets/fullstory}", Issued: noon.Add(-365 * 24 * time.Hour), Expires: noon.Add(48 * time.Hour)}}
	worst := []status.Snapshot{board(1, []status.Upload{u}, p)}
	for _, state := range []status.State{status.Stopped, status.Stale, status.Incomplete} {
		worst = append(worst, board(2, []status.Upload{upload(state, 2)}))
	}
	p = plugin("ready")
	p.Why = ""
	worst = append(worst, board(60*49, nil, status.Plugin{Name: fullstory, State: "starting", Credentials: []secret.Credential{{Reference: "${file:/run/secrets/fullstory}", Issued: noon.Add(-365 * 24 * time.Hour), Expires: noon.Add(48 * time.Hour)}}}))
	p.Credentials = []secret.Credential{{Reference: "${file:/run/secrets/fullstory}", Issued: noon, Expires: noon.Add(365 * 24 * time.Hour)}}
	worst = append(worst, board(60*50, []status.Upload{upload(status.Fresh, 60*50)}, p))
	tracker := newTracker(nil)
	var all []Message
	for _, is := range worst {
		for _, one := range tracker.look(is, reviewed, always) {
			all = append(all, one.message)
		}
	}
	return append(all, testMessage(Host{ID: "host-1", Version: "v1.2.3"}, noon))
}

// TestMessage_IsTheContract: a change of this file other than an addition needs another
// version.
func TestMessage_IsTheContract(t *testing.T) {
	t.Parallel()
	got, err := json.MarshalIndent(everything(), "", "  ")
	require.NoError(t, err)
	golden := filepath.Join("testdata", "events.json")
	if *update {
		require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got)+"\n")
	for _, is := range []Type{
		UploadFailed, UploadStopped, UploadStale, UploadIncomplete, UploadRecovered, GuardTripped, GuardCleared,
		PluginFailed, PluginRecovered, CredentialExpiring, CredentialExpired, CredentialRenewed, Test,
	} {
		require.Contains(t, string(got), `"type": "`+string(is)+`"`)
	}
}

// The documents have the event that needs a person most, and every type.
func TestMessage_StandsInTheDocuments(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../../docs/*.md")
	require.NoError(t, err)
	var texts []byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		texts = append(texts, text...)
	}
	example := regexp.MustCompile("(?s)```json\n(\\{\\s*\"version\": 1,\\s*\"type\": \"guard.tripped\".*?)```").FindSubmatch(texts)
	require.NotNil(t, example, "no document has the example")
	var documented, made bytes.Buffer
	require.NoError(t, json.Compact(&documented, example[1]))
	for _, one := range everything() {
		require.Contains(t, string(texts), "`"+string(one.Type)+"`")
		if one.Type == GuardTripped {
			require.NoError(t, json.NewEncoder(&made).Encode(one))
		}
	}
	require.JSONEq(t, made.String(), documented.String())
}
