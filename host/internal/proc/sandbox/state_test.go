package sandbox

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDescribeExposure_NamesThePlugins(t *testing.T) {
	t.Parallel()
	for want, plugins := range map[string][]string{
		"": nil,
		`plugin "a" is in no sandbox that keeps it from the secrets of this host and of all plugins; `:                                        {"a"},
		`the plugins "a" and "b" are in no sandbox that keeps them from the secrets of this host and of all plugins; `:                        {"a", "b"},
		`the plugins "a", "b", "c", "d" and "e" are in no sandbox that keeps them from the secrets of this host and of all plugins; `:         {"a", "b", "c", "d", "e"},
		`the plugins "a", "b", "c", "d", "e" and 2 more are in no sandbox that keeps them from the secrets of this host and of all plugins; `: {"a", "b", "c", "d", "e", "f", "g"},
	} {
		sentence := DescribeExposure(plugins)
		if want == "" {
			require.Empty(t, sentence)
			continue
		}
		require.Contains(t, sentence, want)
	}
}

func TestState_HasModeAndDetail(t *testing.T) {
	t.Parallel()
	require.Empty(t, State{}.String())
	require.Equal(t, "off", State{Mode: Off}.String())
	require.Equal(t, "on: Landlock 7, seccomp", State{Mode: On, Detail: "Landlock 7, seccomp"}.String())
}
