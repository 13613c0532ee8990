package host

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
)

// TestReminder_WarnsOnceADay goes through the days before and after the end of a credential.
func TestReminder_WarnsOnceADay(t *testing.T) {
	t.Parallel()
	core, logged := observer.New(zap.WarnLevel)
	r, end := &reminder{}, time.Date(2026, 12, 24, 12, 0, 0, 0, time.UTC)
	const soon, past = "a credential expires soon; put a new one in its place before then", "a credential has expired; put a new one in its place now"
	at := func(before time.Duration, credentials ...secret.Credential) []observer.LoggedEntry {
		is := status.Snapshot{Now: end.Add(-before), Plugins: []status.Plugin{{Name: "fullstory", Credentials: credentials}}}
		is.Uploads = []status.Upload{{Name: "workforce", Credentials: []secret.Credential{{Reference: "${env:SECRET}"}}}}
		r.remind(zap.New(core), is)
		return logged.TakeAll()
	}
	const day = 24 * time.Hour
	token := secret.Credential{Reference: "${file:token}", Expires: end}
	require.Empty(t, at(15*day, token))
	lines := at(14*day, token)
	require.Len(t, lines, 1)
	require.Equal(t, soon, lines[0].Message)
	require.Equal(t, map[string]any{"plugin": "fullstory", "reference": "${file:token}", "expires": end, "days": int64(14)}, lines[0].ContextMap())
	require.Empty(t, at(14*day-23*time.Hour, token), "once a day")
	require.Len(t, at(13*day, token), 1)
	require.Empty(t, at(12*day+time.Hour), "it is gone")
	require.Empty(t, at(12*day+time.Hour, token), "and back, on the same day")
	lines = at(11*day, token, secret.Credential{Field: "other", Expires: end})
	require.Len(t, lines, 2, "each by itself")
	require.Equal(t, "other", lines[1].ContextMap()["reference"])
	lines = at(0, token)
	require.Len(t, lines, 1)
	require.Equal(t, past, lines[0].Message)
	require.Empty(t, at(-time.Hour, token))
	require.Len(t, at(-day, token), 1)
	token.Expires = end.Add(90 * day)
	require.Empty(t, at(-day, token), "it was renewed")
}

func TestExpiryWarner_WarnsOnce(t *testing.T) {
	t.Parallel()
	var texts []string
	w := &expiryWarner{warn: func(text string) { texts = append(texts, text) }, warned: map[string]bool{}}
	end := time.Now().Add(time.Hour)
	for range 2 {
		w.Credentials("", "workforce", []secret.Credential{{Reference: "${file:secret}", Expires: end}, {Reference: "${env:ID}"}})
	}
	require.Len(t, texts, 1)
	require.Contains(t, texts[0], `upload "workforce": the value of ${file:secret} expires on `+end.UTC().Format("2006-01-02"))
}
