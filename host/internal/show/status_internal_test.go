package show

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// TestStatus_PrintsNoControlCharacters: plugins, apps and errors may call themselves
// anything.
func TestStatus_PrintsNoControlCharacters(t *testing.T) {
	t.Parallel()
	const hostile = "\x1b[2J\nOK\u202e\u009b2J\x7f"
	now := time.Now()
	is := &host.Status{
		Now: now,
		Uploads: []host.UploadStatus{{
			Name: hostile, State: "failed", Why: hostile, Credentials: []host.Credential{{Reference: hostile, Expires: now, Problem: hostile}},
		}},
		Plugins: []host.PluginStatus{{Name: hostile, State: hostile, Why: hostile, Connector: hostile, Version: hostile}},
	}
	is.Host.Version, is.Host.ID = hostile, hostile
	is.Uploads[0].Connection.Why = hostile
	is.Uploads[0].Parts = []status.Part{{Plugin: hostile, State: "failed", Why: hostile}}
	is.Errors = []status.Error{{At: now, Times: 2, Upload: hostile, Plugin: hostile, What: hostile, Why: hostile}}
	var out strings.Builder
	require.NoError(t, writeStatus(&out, is))
	require.NotContains(t, out.String(), "\x1b")
	require.NotContains(t, out.String(), "\u202e")
	require.NotContains(t, out.String(), "\nOK")
	require.Equal(t, 18, strings.Count(out.String(), `\x1b[2J\nOK\u202e\u009b2J\x7f`), out.String())

	// Names of plugins and uploads in a host's answer have the form of names.
	is.Uploads[0].Name, is.Uploads[0].State, is.Uploads[0].Parts[0].Plugin = "workforce", "failed", "fullstory"
	for form, write := range map[string]func(io.Writer, *host.Status) error{
		terminal.CSV: writeStatusRecords, terminal.JSON: func(w io.Writer, is *host.Status) error { return terminal.WriteJSON(w, is) },
	} {
		out.Reset()
		require.NoError(t, write(&out, is), form)
		for _, one := range []string{"\x1b", "\u202e", "\u009b", "\x7f"} {
			require.NotContains(t, out.String(), one, form)
		}
		require.Contains(t, out.String(), "2J", form)
	}
	decoded := &host.Status{}
	out.Reset()
	require.NoError(t, terminal.WriteJSON(&out, is))
	require.NoError(t, json.Unmarshal([]byte(out.String()), decoded))
	require.Equal(t, hostile, decoded.Uploads[0].Why, "nothing is lost")
}
