package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
)

// FuzzLoad: whatever the file holds, the answer is a configuration or problems
// that lie inside the file and are one line each, and binding never panics.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(complete))
	f.Add([]byte("plugins: { a: { config: { map: { a: [1, ~, { b: c }] }, list: [a], file: \"${env:X}\", number: 1 } } }"))
	f.Add([]byte("plugins:\n  a: &x { app: scim }\n  b: *x\n  ? [c]\n  : !!str d\n<<: *x\n"))
	f.Add([]byte("%YAML 1.1\n---\nplugins:\n\ta: |\n  b\n...\n---\n"))
	f.Add([]byte("\xef\xbb\xbfplugins: {a: {config: {token: \"\\u00e4 $${x} ${file:nothing}\"}}}\r\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "baton-host.yaml")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		loaded, err := config.Load(t.Context(), path, config.WithEnvironment(func(name string) (string, bool) {
			return canary, name != "UNSET"
		}))
		if err != nil {
			var problems settings.Problems
			require.ErrorAs(t, err, &problems)
			require.Nil(t, loaded)
			checkProblems(t, problems, content, path)
			return
		}
		require.NotEmpty(t, loaded.Plugins)
		for _, plugin := range loaded.Plugins {
			bound, problems := plugin.Settings.Bind(everyType())
			require.Equal(t, bound == nil, len(problems) > 0)
			checkProblems(t, problems, content, path)
		}
	})
}

func checkProblems(t *testing.T, problems settings.Problems, content []byte, path string) {
	t.Helper()
	// YAML 1.1 has more line breaks than the newline.
	lines := 1
	for _, line := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
		lines += strings.Count(string(content), line)
	}
	for _, problem := range problems {
		require.Equal(t, path, problem.File)
		require.NotEmpty(t, problem.Message)
		require.LessOrEqual(t, problem.Line, lines)
		require.Equal(t, problem.Line > 0, problem.Column > 0)
		require.NotContains(t, problem.String(), "\n")
		if !strings.Contains(string(content), canary) {
			require.NotContains(t, problem.Message, canary)
		}
	}
}
