//go:build unix

package terminal_test

import (
	"bufio"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/terminal"
)

func TestWriteTable_FitsTheTerminalThatItIsWrittenTo(t *testing.T) {
	t.Parallel()
	person, end, err := pty.Open()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = person.Close(), end.Close() })
	require.NoError(t, pty.Setsize(person, &pty.Winsize{Rows: 10, Cols: 30}))
	require.NoError(t, terminal.WriteTable(end, []string{"APP", "WHY"}, [][]string{{"crm", "it ends at 100 users, and no other page comes"}}))
	shown := bufio.NewReader(person)
	for _, want := range []string{"APP  WHY\r\n", "crm  it ends at 100 users, and\r\n", "     no other page comes\r\n"} {
		line, err := shown.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, want, line)
	}
}
