package terminal

import (
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
	"github.com/stretchr/testify/require"
)

func TestTable_FitsAWidth(t *testing.T) {
	t.Parallel()
	header := []string{"APP", "NAME", "WHY"}
	row := []string{"crm", "Grace Hopper", "the app is out of order, and has been for some time"}
	for name, c := range map[string]struct {
		width int
		rows  [][]string
		want  string
	}{
		"no terminal": {0, [][]string{row}, `
APP  NAME          WHY
crm  Grace Hopper  the app is out of order, and has been for some time
`},
		"room for all": {70, [][]string{row}, `
APP  NAME          WHY
crm  Grace Hopper  the app is out of order, and has been for some time
`},
		"the widest column is made narrower": {45, [][]string{row, {"hr", "Ada", "it is away"}}, `
APP  NAME          WHY
crm  Grace Hopper  the app is out of order,
                   and has been for some time
hr   Ada           it is away
`},
		"a word that is too long": {40, [][]string{{"crm", "Ada", "see /var/lib/baton-host/workforce.c1z.json now"}}, `
APP  NAME  WHY
crm  Ada   see
           /var/lib/baton-host/workforce
           .c1z.json now
`},
		"several wide columns": {32, [][]string{{"crm", "a name of more words", "a reason of more words"}}, `
APP  NAME          WHY
crm  a name of     a reason of
     more words    more words
`},
		"characters of two columns": {20, [][]string{{"crm", "東京東京東京", "x"}}, `
APP  NAME        WHY
crm  東京東京東  x
     京
`},
		"no room at all": {12, [][]string{row}, `
APP  NAME          WHY
crm  Grace Hopper  the app is out of order, and has been for some time
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			require.NoError(t, writeTable(&text, c.width, header, c.rows))
			require.Equal(t, strings.TrimPrefix(c.want, "\n"), text.String())
			if name == "no room at all" || c.width == 0 {
				return
			}
			for line := range strings.Lines(text.String()) {
				require.LessOrEqual(t, runewidth.StringWidth(strings.TrimSuffix(line, "\n")), c.width, line)
			}
		})
	}
}

func TestTable_LeavesItsRowsAsTheyAre(t *testing.T) {
	t.Parallel()
	header, rows := []string{"APP", "WHY\x1b"}, [][]string{{"crm", "\x1b[31mred"}}
	var text strings.Builder
	require.NoError(t, writeTable(&text, 0, header, rows))
	require.NotContains(t, text.String(), "\x1b")
	require.Equal(t, []string{"APP", "WHY\x1b"}, header)
	require.Equal(t, [][]string{{"crm", "\x1b[31mred"}}, rows)
}
