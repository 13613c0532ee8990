package show

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// TestSummary_ShowsAPluginThatIsMissing in each form, with its reason for programs.
func TestSummary_ShowsAPluginThatIsMissing(t *testing.T) {
	t.Parallel()
	results := []*host.SyncResult{{
		Upload: "workforce", File: "workforce.c1z", Plugins: []string{"crm", "wiki"}, Accounts: map[string]int{"wiki": 7},
		Missing: map[string]error{"crm": errors.New("the app is out of order")},
	}}
	var text bytes.Buffer
	require.NoError(t, writeSummary(&text, terminal.Table, results))
	require.Regexp(t, `(?m)^workforce +wiki +7 +complete`, text.String())
	require.Regexp(t, `(?m)^workforce +crm +- +INCOMPLETE: the file is without this plugin, which is new and failed; it joins when it can be read *$`, text.String())

	text.Reset()
	require.NoError(t, writeSummary(&text, terminal.JSON, results))
	var parts []syncedPart
	require.NoError(t, json.Unmarshal(text.Bytes(), &parts))
	require.Len(t, parts, 2)
	require.False(t, parts[0].Missing)
	require.Equal(t, syncedPart{Upload: "workforce", Plugin: "crm", Missing: true, File: "workforce.c1z", Error: "the app is out of order"}, parts[1])

	require.Equal(t, "INCOMPLETE: the sync would be accepted, without crm", plannedSync{Missing: []string{"crm"}}.verdict())
	require.Equal(t, "STALE: the sync would be accepted, with the baseline's part of wiki, without crm", plannedSync{Stale: []string{"wiki"}, Missing: []string{"crm"}}.verdict())
}
