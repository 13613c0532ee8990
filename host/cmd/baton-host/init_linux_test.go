package main_test

import (
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestInit_RestoresTheEchoOfTheTerminal when init was interrupted at a secret. The
// terminal is the test's, so that it is there when the command has ended.
func TestInit_RestoresTheEchoOfTheTerminal(t *testing.T) {
	t.Parallel()
	master, terminal, err := pty.Open()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = master.Close(), terminal.Close() })
	echoes := func() bool {
		state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		require.NoError(t, err)
		return state.Lflag&unix.ECHO != 0
	}
	require.True(t, echoes())

	cmd := command(t.Context(), t, nil, "baton-host", "init", "fullstory", "--name", "fs", "--set", "scim-base-url=https://app.example.com/scim/v2")
	person := startAt(t, cmd, master, terminal)
	person.answers("Choose [1]: ", "3")
	person.await("Secret (not shown): ")
	require.False(t, echoes())
	person.types("\x03")
	require.Error(t, cmd.Wait())
	require.Equal(t, 130, cmd.ProcessState.ExitCode())
	require.True(t, echoes())
}
