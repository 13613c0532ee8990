package status_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
)

func TestSnapshot_HasTheWorstOutlook(t *testing.T) {
	t.Parallel()
	now := time.Now()
	fresh := status.Upload{Name: workforce, State: status.Fresh, Connection: status.Connection{Connected: true}}
	upload := func(state status.State, credentials ...secret.Credential) status.Snapshot {
		changed := fresh
		changed.State, changed.Credentials = state, credentials
		return status.Snapshot{Now: now, Uploads: []status.Upload{fresh, changed}}
	}
	plugin := func(state, why string, credentials ...secret.Credential) status.Snapshot {
		return status.Snapshot{Now: now, Uploads: []status.Upload{fresh}, Plugins: []status.Plugin{{State: "ready"}, {State: state, Why: why, Credentials: credentials}}}
	}
	away := upload(status.Fresh)
	away.Uploads[1].Connection = status.Connection{Why: "C1 cannot be reached"}
	soon, past := secret.Credential{Expires: now.Add(time.Hour)}, secret.Credential{Expires: now}
	for name, c := range map[string]struct {
		is   status.Snapshot
		want status.Outlook
	}{
		"fresh":                      {upload(status.Fresh), status.Good},
		"waiting":                    {upload(status.Waiting), status.Good},
		"incomplete":                 {upload(status.Incomplete), status.Degraded},
		"stale":                      {upload(status.Stale), status.Degraded},
		"failed":                     {upload(status.Failed), status.Bad},
		"stopped":                    {upload(status.Stopped), status.Bad},
		"no connection":              {away, status.Degraded},
		"a plugin starts":            {plugin("starting", ""), status.Good},
		"a plugin starts again":      {plugin("starting", "it ended"), status.Degraded},
		"a plugin refuses":           {plugin("refusing", "a field"), status.Bad},
		"a plugin has failed":        {plugin("failed", "it ended"), status.Bad},
		"a plugin is stopped":        {plugin("stopped", ""), status.Bad},
		"a credential expires soon":  {plugin("ready", "", soon), status.Good},
		"a credential has expired":   {plugin("ready", "", past), status.Degraded},
		"one of an upload has":       {upload(status.Fresh, soon, past), status.Degraded},
		"a credential has a problem": {plugin("ready", "", secret.Credential{Problem: "the store is away"}), status.Degraded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, c.is.Outlook())
		})
	}
}

func TestSnapshot_HasAPartForAnUpload(t *testing.T) {
	t.Parallel()
	b := status.New(status.Options{Uploads: []status.Served{
		{Name: workforce, Plugins: []string{fullstory}}, {Name: "others", Plugins: []string{designTool}},
	}})
	b.Report(status.Event{Upload: "others", Kind: status.Disconnected, Err: errors.New("refused")})
	b.PluginChanged(fullstory, "failed", 1, nil, errors.New("it ended"))
	is := b.Snapshot()
	require.Len(t, is.Errors, 2)
	part, _, ok := is.Of(workforce)
	require.True(t, ok)
	require.Len(t, part.Uploads, 1)
	require.Len(t, part.Plugins, 1)
	require.Equal(t, fullstory, part.Plugins[0].Name)
	require.Len(t, part.Errors, 1)
	require.Equal(t, fullstory, part.Errors[0].Plugin)
	_, near, ok := is.Of("work_force")
	require.False(t, ok)
	require.Equal(t, workforce, near)
	_, near, ok = is.Of("x")
	require.False(t, ok)
	require.Empty(t, near)
}

func TestSnapshot_LeavesItsHistoryToOthers(t *testing.T) {
	t.Parallel()
	is := status.Snapshot{Uploads: []status.Upload{{History: make([]status.Sync, 3)}}}
	require.Empty(t, is.WithoutHistory().Uploads[0].History)
	require.Len(t, is.Uploads[0].History, 3, "the snapshot itself stays as it is")
}

func TestBoard_ShowsCredentials(t *testing.T) {
	t.Parallel()
	b := newBoard()
	changed := b.CredentialsChanged()
	end := time.Unix(1796000000, 0)
	given := []secret.Credential{{Reference: "${file:token}", Expires: end}, {Reference: "${env:OTHER}", Problem: "the store is away"}}
	b.Credentials(fullstory, "", given)
	select {
	case <-changed:
	default:
		require.Fail(t, "it must report the change")
	}
	b.Credentials("", workforce, []secret.Credential{{Reference: "${file:secret}", Expires: end}})
	b.Credentials("removed", "", given)
	is := b.Snapshot()
	require.Equal(t, given, is.Plugins[0].Credentials)
	require.Len(t, is.Uploads[0].Credentials, 1)
	series := func() map[string]float64 {
		found := map[string]float64{}
		for name, family := range metricsOf(t, b) {
			if !strings.HasPrefix(name, "baton_host_credential_") {
				continue
			}
			for _, metric := range family.GetMetric() {
				label := map[string]string{}
				for _, pair := range metric.GetLabel() {
					label[pair.GetName()] = pair.GetValue()
				}
				found[fmt.Sprintf("%s %s%s %s", name, label["plugin"], label["upload"], label["reference"])] = metric.GetGauge().GetValue()
			}
		}
		return found
	}
	require.Equal(t, map[string]float64{
		"baton_host_credential_expiry_timestamp_seconds fullstory ${file:token}":   1796000000,
		"baton_host_credential_warning_timestamp_seconds fullstory ${file:token}":  1796000000 - 14*24*3600,
		"baton_host_credential_warning_timestamp_seconds workforce ${file:secret}": 1796000000 - 14*24*3600,
		"baton_host_credential_problem fullstory ${file:token}":                    0,
		"baton_host_credential_problem fullstory ${env:OTHER}":                     1,
		"baton_host_credential_expiry_timestamp_seconds workforce ${file:secret}":  1796000000,
		"baton_host_credential_problem workforce ${file:secret}":                   0,
	}, series())
	b.Credentials(fullstory, "", nil)
	require.Len(t, series(), 3, "what a plugin no longer has is gone; the upload's stays")
	given[0].Reference = "changed"
	require.NotContains(t, fmt.Sprint(b.Snapshot()), "changed")
}
