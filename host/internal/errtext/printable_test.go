package errtext_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

func TestPrintable_EscapesWhatATerminalObeys(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain text":       "plain text",
		"Zoë 李雷 👩‍💻":       "Zoë 李雷 👩‍💻",
		"\x1b[2J\x07":      `\x1b[2J\a`,
		"\u009b31m":        `\u009b31m`,
		"back\u202ewards":  `back\u202ewards`,
		"\u2066hidden":     `\u2066hidden`,
		"del\x7f\nnext":    `del\x7f\nnext`,
		"not UTF-8: \xff.": "not UTF-8: \uFFFD.",
	} {
		require.Equal(t, want, errtext.Printable(text, ""))
		require.Equal(t, want, errtext.Printable(want, ""), "what is escaped stays so")
	}
	require.Equal(t, "a\tb\\n", errtext.Printable("a\tb\n", "\t"))
}

func TestPrintableJSON_IsTheSameDocument(t *testing.T) {
	t.Parallel()
	const hostile = "\x1b[2J\u009b31m\u202e\x7f Zoë \n\t\\ \u2067"
	document, err := json.MarshalIndent(map[string]any{hostile: []string{hostile, "x"}}, "", "\t")
	require.NoError(t, err)
	shown := errtext.PrintableJSON(string(document))
	require.NotRegexp(t, `[\x00-\x08\x0b-\x1f\x7f\x{80}-\x{9f}\x{202e}\x{2067}]`, shown)
	var read map[string][]string
	require.NoError(t, json.Unmarshal([]byte(shown), &read))
	require.Equal(t, map[string][]string{hostile: {hostile, "x"}}, read)
}

func TestShorten_SaysHowMuchIsCut(t *testing.T) {
	t.Parallel()
	require.Equal(t, "short", errtext.Shorten("short", 5))
	long := errtext.Shorten(strings.Repeat("ä", 5_000), 1_000)
	require.LessOrEqual(t, len(long), 1_000)
	require.Regexp(t, `^ä+ … \(\d+ more bytes cut\)$`, long)
}
