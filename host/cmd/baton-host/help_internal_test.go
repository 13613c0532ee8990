package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHelp_GroupsTheCommands(t *testing.T) {
	t.Parallel()
	root := newRootCommand(&rootOptions{usualLevel: silent})
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion", "help", "version":
			require.Empty(t, cmd.GroupID, cmd.Name())
		default:
			require.NotEmpty(t, cmd.GroupID, cmd.Name())
		}
	}
	var text bytes.Buffer
	root.SetOut(&text)
	root.SetArgs([]string{"--help"})
	require.NoError(t, root.Execute())
	require.Regexp(t, `(?s)\nSet up apps:\n  add .*\n\nSync accounts:\n  run .*\n  sync .*\n\nOperate a running host:\n  approve .*`+
		`\n\nLook at sync files:\n  accounts .*\n\nWrite connectors:\n  call .*\n\nAdditional Commands:\n  completion .*\n\nFlags:\n`, text.String())
}

func TestSentence_BeginsBehindTheProgramsName(t *testing.T) {
	t.Parallel()
	several := errors.Join(errors.New(`plugin "crm": no token`), errors.New("plugin \"hr\": \x1b[2Jno URL"))
	require.Equal(t, "plugin \"crm\": no token\n  plugin \"hr\": \\x1b[2Jno URL", sentence(several))
	require.Equal(t, "no token", sentence(errors.New("no token")))
	require.Equal(t, "x.yaml: two problems:\n  a\n  b", sentence(fmt.Errorf("x.yaml: two problems:\n%w", errors.Join(errors.New("a"), errors.New("b")))))
}
