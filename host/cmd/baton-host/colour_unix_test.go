//go:build unix

package main_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// sgr are the sequences that colour a text.
var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func TestColour_MarksOnlyStatesAndOnlyOnATerminal(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1})
	design := startApp(t, scim.Options{App: "design-tool", Accounts: 3, Seed: 2})
	path, env := twoApps(t, fullstory, design)
	env[1] = "DESIGN_TOKEN=wrong"
	for name, c := range map[string]struct {
		env  []string
		args []string
		want []string // sequences in the order in which they come
	}{
		"a terminal":             {nil, nil, []string{"\x1b[32mok\x1b[0m", "\x1b[31mFAILED\x1b[0m"}},
		"NO_COLOR":               {[]string{"NO_COLOR=1"}, nil, nil},
		"an empty NO_COLOR":      {[]string{"NO_COLOR="}, nil, []string{"\x1b[32mok\x1b[0m", "\x1b[31mFAILED\x1b[0m"}},
		"json":                   {nil, []string{"--output", "json"}, nil},
		"csv":                    {nil, []string{"--output", "csv"}, nil},
		"a log on the terminal":  {[]string{"NO_COLOR=1"}, []string{"--log-level", "debug", "--log-format", "console"}, nil},
		"a log without NO_COLOR": {nil, []string{"--log-level", "debug", "--log-format", "console", "--output", "json"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t.Context(), t, append(append([]string{}, env...), c.env...), "baton-host", append([]string{"check", "--config", path}, c.args...)...)
			status, shown := startOnTerminal(t, cmd).end()
			require.Equal(t, 1, status, shown)
			for _, part := range c.want {
				require.Contains(t, shown, part)
			}
			require.Len(t, sgr.FindAllString(shown, -1), 2*len(c.want), shown)
		})
	}
	elsewhere := execute(t, append(env, "TERM=xterm"), "baton-host", "check", "--config", path, "--log-format", "console", "--log-level", "debug")
	require.NotContains(t, elsewhere.stdout+elsewhere.stderr, "\x1b")
}

func TestColour_IsLeftOutOnATerminalWithoutIt(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1})
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	cmd := command(t.Context(), t, env, "baton-host", "sync", "--plugin", "fullstory")
	person := startOnTerminalOf(t, cmd, "dumb")
	status, shown := person.end()
	require.Equal(t, 0, status, shown)
	require.NotContains(t, shown, "\x1b")
	require.Regexp(t, `fullstory +fullstory +3 +complete`, shown)
}

func TestColour_MarksOnlyTheKindOfADifference(t *testing.T) {
	t.Parallel()
	before, after := twoSyncs(t)
	status, shown := startOnTerminal(t, command(t.Context(), t, nil, "baton-host", "diff", before, after)).end()
	require.Equal(t, 0, status, shown)
	require.Contains(t, shown, "\x1b[32madded\x1b[0m")
	require.Contains(t, shown, "\x1b[31mremoved\x1b[0m")
	require.Contains(t, shown, "\x1b[33mchanged\x1b[0m")
	require.Len(t, sgr.FindAllString(shown, -1), 6)
}
