package errtext_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

func TestRunbookEntry_IsThatOfTheCause(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, entry string }{
		"none":                      {"", ""},
		"foreign words alone":       {"502 Bad Gateway", ""},
		"a reference":               {`a.yaml:2:38: ${env:NOPE}: the environment variable is not set`, "secrets"},
		"a key":                     {`b.yaml:2:16: unknown key "confg"; did you mean "config"?`, "configuration"},
		"an app behind its plugin":  {`upload "workforce": plugin "fullstory": validating: gave up after 1 attempt in 1s: 127.0.0.1:1 cannot be reached, or closes the connection. Check that the app runs, the network, and "SCIM Base URL" (scim-base-url).`, "the-app-cannot-be-reached"},
		"an app out of order":       {`plugin "fullstory": validating: gave up after 1 attempt in 1s: 127.0.0.1:38933 answered 500 Internal Server Error to GET /scim/v2/Users?startIndex=1&count=100: the app, or a proxy before it, is out of order. If it stays so, ask the app's support. It answered: the environment variable is not set`, "the-app-cannot-be-reached"},
		"no such file":              {"there is no file nofile.c1z", ""},
		"no such plugin":            {`the host has no plugin "fulstory"; did you mean "fullstory"?`, ""},
		"no binary":                 {`upload "nope": plugin "nope": there is no plugin binary baton-nope; install it, or say where it is with the plugin's path or --plugin-dir; it was looked for in /usr/bin, /bin`, "a-plugin-does-not-start"},
		"no host":                   {`no host runs on the state directory /nonexistent (no baton-host listens there: there is no /nonexistent/control.sock); if one runs, name its directory with --state-dir`, "control-socket"},
		"a secret of C1":            {"BATON_CLIENT_SECRET is not one that C1 gives out, or not the whole of one; copy it from C1 as it is", "c1-refuses-the-credentials"},
		"the sentence says it all":  {"--retry-for must not be negative, unlike -5s", ""},
		"a flag and a sentence":     {"--unlocked must be true or false", ""},
		"behind a long beginning":   {strings.Repeat("x", 4<<10) + `${env:NOPE}: the environment variable is not set`, ""},
		"the first of several":      {"plugin \"wiki\" failed\n" + `${env:NOPE}: the environment variable is not set` + "\n" + `unknown key "confg"; did you mean "config"?`, "secrets"},
		"a name as long as a gap":   {`unknown key "` + strings.Repeat("k", 300) + `"; did you mean "config"?`, "configuration"},
		"words too far from others": {`unknown key "` + strings.Repeat("k", 3000) + `"; did you mean "config"?`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := ""
			if c.entry != "" {
				want = errtext.Runbook + "#" + c.entry
			}
			require.Equal(t, want, errtext.RunbookEntry(c.text))
		})
	}
}

func BenchmarkRunbookEntry(b *testing.B) {
	text := `upload "workforce": plugin "fullstory": validating: gave up after 1 attempt in 1s: 127.0.0.1:1 cannot be reached, or closes the connection. ` + strings.Repeat("It answered something. ", 100)
	for b.Loop() {
		if errtext.RunbookEntry(text) == "" {
			b.Fatal("no entry")
		}
	}
}
