package show

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/batonhost/baton-host/host"
)

// shown has the progress of two plugins, of which one is at its grants.
func shown(of Person) (*progress, *bytes.Buffer) {
	text := &bytes.Buffer{}
	p := newProgress(text, false, "workforce", []string{"github", "payroll"}, of)
	for _, page := range []host.ListedPage{{Accounts: 2}, {Others: 3}, {Entitlements: 4}, {Grants: 5}, {Grants: 6}, {}} {
		p.Listed("github", page)
	}
	return p, text
}

func TestProgress_CountsWhatItNames(t *testing.T) {
	t.Parallel()
	p, text := shown(Person{isSilent: true})
	p.Listed("payroll", host.ListedPage{Accounts: 1})
	p.start = time.Now()
	p.tick()
	require.Equal(t, "workforce: 3 accounts, 3 other resources, 4 entitlements, 11 grants, 7 pages, 0s: "+
		"github 2 accounts, 3 other resources, 4 entitlements, 11 grants; payroll 1 account\n", text.String())
}

func TestProgress_MovesWhileGrantsAreRead(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]host.ListedPage{
		"grants": {Grants: 1}, "entitlements": {Entitlements: 1}, "a page without a row": {}, "resources": {Others: 1}, "accounts": {Accounts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := shown(Person{isSilent: true})
			p.start = time.Now().Add(time.Hour) // The time must not be what differs.
			before, _, _ := strings.Cut(p.words(), " pages, ")
			p.Listed("github", page)
			after, _, _ := strings.Cut(p.words(), " pages, ")
			require.NotEqual(t, before, after)
		})
	}
}

func TestProgress_WritesLinesOfJSON(t *testing.T) {
	t.Parallel()
	for name, silent := range map[string]bool{"the log is silent": true, "the log has what happens": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := &bytes.Buffer{}
			p, text := shown(Person{isSilent: silent, own: jsonTo(lines)})
			p.Retrying("payroll", time.Second, errors.New("503 Service Unavailable"))
			p.tick()
			p.Retrying("payroll", 0, errors.New("it ended"))
			p.FellBack("payroll", time.Unix(0, 0), errors.New("it is away\nit is far"))
			p.End(&host.SyncResult{Unguarded: "First sync.", Warnings: []string{"no accounts"}})
			require.Empty(t, text.String(), "everything is in the log")

			var messages []string
			for line := range strings.Lines(lines.String()) {
				var fields map[string]any
				require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
				require.Equal(t, "workforce", fields["upload"])
				message, _ := fields["msg"].(string)
				messages = append(messages, message)
				if message != "sync under way" {
					continue
				}
				require.InDelta(t, 2, fields["accounts"], 0)
				require.InDelta(t, 3, fields["other_resources"], 0)
				require.InDelta(t, 4, fields["entitlements"], 0)
				require.InDelta(t, 11, fields["grants"], 0)
				require.InDelta(t, 6, fields["pages"], 0)
				require.JSONEq(t, `{
					"github": {"accounts": 2, "other_resources": 3, "entitlements": 4, "grants": 11, "pages": 6},
					"payroll": {"accounts": 0, "other_resources": 0, "entitlements": 0, "grants": 0, "pages": 0,
						"waits": "trying again in 1s (503 Service Unavailable)"}
				}`, marshalled(t, fields["plugins"]))
			}
			if !silent {
				require.Equal(t, []string{"sync under way"}, messages)
				return
			}
			require.Equal(t, []string{
				"payroll: trying again in 1s (503 Service Unavailable)", "sync under way", "payroll: going on with another process (it ended)",
				"payroll failed and falls back to its baseline (1970-01-01T00:00:00Z): it is away; it is far", "First sync.", "no accounts",
			}, messages)
		})
	}
}

func jsonTo(text *bytes.Buffer) *zap.Logger {
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(text), zap.InfoLevel))
}

func marshalled(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}
