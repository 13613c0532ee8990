package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/plugin"
)

// offered returns what a shell offers to complete the last of the words with, with the
// directive of what else it may offer.
func offered(t *testing.T, dir string, words ...string) (names []string, directive string) {
	t.Helper()
	cmd := command(t.Context(), t, nil, "baton-host", append([]string{"__complete"}, words...)...)
	if dir != "" {
		cmd.Dir = dir
	}
	result := finish(t, cmd)
	require.Equal(t, 0, result.status, result.stderr)
	lines := strings.Split(strings.TrimSpace(result.stdout), "\n")
	for _, line := range lines[:len(lines)-1] {
		name, _, _ := strings.Cut(line, "\t")
		names = append(names, name)
	}
	return names, lines[len(lines)-1]
}

// commands returns all commands of the binary, with those below others.
func commands(t *testing.T) [][]string {
	t.Helper()
	var all [][]string
	names, _ := offered(t, "", "")
	require.Greater(t, len(names), 10)
	for _, name := range names {
		all = append(all, []string{name})
		if name == "completion" {
			shells, _ := offered(t, "", name, "")
			for _, shell := range shells {
				all = append(all, []string{name, shell})
			}
		}
	}
	return all
}

var (
	usedFlag  = regexp.MustCompile(`\s(--?[a-z][a-z-]*)`)
	knownFlag = regexp.MustCompile(`(?m)^ {2,6}(?:(-[a-z]), )?(--[a-z][a-z-]*)`)
)

func TestCommands_HaveExamplesWithFlagsThatTheyHave(t *testing.T) {
	t.Parallel()
	for _, words := range append(commands(t), nil) {
		help := execute(t, nil, "baton-host", append(words, "--help")...)
		require.Equal(t, 0, help.status, help.stderr)
		_, rest, ok := strings.Cut(help.stdout, "\nExamples:\n")
		require.True(t, ok, "%s has no examples", words)
		examples, rest, _ := strings.Cut(rest, "\n\n")
		flags := map[string]bool{}
		for _, found := range knownFlag.FindAllStringSubmatch(rest, -1) {
			flags[found[1]], flags[found[2]] = true, true
		}
		for line := range strings.SplitSeq(examples, "\n") {
			require.Contains(t, line, strings.Join(append([]string{"baton-host"}, words...), " "))
			for _, used := range usedFlag.FindAllStringSubmatch(line, -1) {
				if len(words) > 0 {
					require.True(t, flags[used[1]], "%s: its help does not have %s", words, used[1])
				}
			}
		}
	}
}

// TestFlags_AreTheSameInEveryCommand: who has learned one command knows the others.
func TestFlags_AreTheSameInEveryCommand(t *testing.T) {
	t.Parallel()
	short := map[string]string{} // of a long name
	long := map[string]string{}  // of a short one
	for _, words := range commands(t) {
		help := execute(t, nil, "baton-host", append(words, "--help")...)
		_, flags, _ := strings.Cut(help.stdout, "\nFlags:\n")
		for _, found := range knownFlag.FindAllStringSubmatch(flags, -1) {
			shorthand, name := found[1], found[2]
			if before, ok := short[name]; ok {
				require.Equal(t, before, shorthand, "%s %s", words, name)
			}
			short[name] = shorthand
			if shorthand != "" {
				if before, ok := long[shorthand]; ok {
					require.Equal(t, before, name, "%s %s", words, shorthand)
				}
				long[shorthand] = name
			}
		}
	}
	require.Equal(t, "-c", short["--config"])
	require.Equal(t, "-o", short["--output"])
	require.Equal(t, "-f", short["--file"])
}

func TestCompletionOffersWhatFits(t *testing.T) {
	t.Parallel()
	config, _ := filepath.Split(writeConfig(t, `
plugins:
  fullstory: { config: { scim-token: "${env:NOT_SET_ANYWHERE}" } }
  design-tool: { app: scim }
uploads: { workforce: { plugins: [fullstory] }, others: { plugins: [design-tool] } }
`))
	broken, _ := filepath.Split(writeConfig(t, "plugins: {"))
	const (
		nothing, nothingElse, endings, directories = ":0", ":4", ":8", ":16"
	)
	for name, c := range map[string]struct {
		dir   string
		words []string
		// want are among what is offered, unless nothing is.
		want      []string
		others    bool
		directive string
	}{
		"commands":                       {words: []string{"ver"}, want: []string{"version"}, directive: nothingElse},
		"plugins":                        {words: []string{"inspect", ""}, want: []string{"fullstory", "scim"}, others: true, directive: nothingElse},
		"instances too":                  {dir: config, words: []string{"call", ""}, want: []string{"fullstory", "design-tool", "scim"}, others: true, directive: nothingElse},
		"a plugin's path":                {words: []string{"inspect", "./"}, directive: nothing},
		"instances of another file":      {words: []string{"test", "--config", config + "baton-host.yaml", "des"}, want: []string{"design-tool"}, directive: nothingElse},
		"plugins beside a broken file":   {dir: broken, words: []string{"inspect", "ful"}, want: []string{"fullstory"}, directive: nothingElse},
		"apps":                           {words: []string{"sync", "--plugin", "full"}, want: []string{"fullstory"}, directive: nothingElse},
		"methods":                        {words: []string{"call", "fullstory", "ListRes"}, want: []string{"ListResources", "ListResourceTypes"}, directive: nothingElse},
		"methods of a service":           {words: []string{"call", "fullstory", "ConnectorService/V"}, want: []string{"ConnectorService/Validate"}, directive: nothingElse},
		"uploads":                        {dir: config, words: []string{"sync", "--upload", ""}, want: []string{"workforce", "others"}, directive: nothingElse},
		"uploads to review":              {dir: config, words: []string{"review", ""}, want: []string{"workforce", "others"}, directive: nothingElse},
		"uploads to approve":             {dir: config, words: []string{"approve", "work"}, want: []string{"workforce"}, directive: nothingElse},
		"uploads to look at":             {dir: config, words: []string{"status", ""}, want: []string{"workforce", "others"}, directive: nothingElse},
		"instances to restart":           {dir: config, words: []string{"restart", ""}, want: []string{"fullstory", "design-tool"}, directive: nothingElse},
		"no id where nothing waits":      {dir: config, words: []string{"approve", "workforce", ""}, directive: nothingElse},
		"instances to accept":            {dir: config, words: []string{"run", "--accept-deletions", "de"}, want: []string{"design-tool"}, directive: nothingElse},
		"uploads of no file":             {words: []string{"sync", "--upload", ""}, directive: nothingElse},
		"sync files":                     {words: []string{"accounts", ""}, want: []string{"c1z"}, directive: endings},
		"a sync file":                    {words: []string{"sync", "--file", ""}, want: []string{"c1z"}, directive: endings},
		"configuration files":            {words: []string{"check", "-c", ""}, want: []string{"yaml", "yml"}, directive: endings},
		"directories":                    {words: []string{"sync", "--output-dir", ""}, directive: directories},
		"forms of output":                {words: []string{"accounts", "x.c1z", "--output", ""}, want: []string{"table", "json", "csv"}, directive: nothingElse},
		"forms of output of another":     {words: []string{"inspect", "x", "-o", ""}, want: []string{"table", "json"}, directive: nothingElse},
		"log levels":                     {words: []string{"sync", "--log-level", ""}, want: []string{"debug", "info", "warn", "error"}, directive: nothingElse},
		"no files where none are wanted": {words: []string{"sync", ""}, directive: nothingElse},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names, directive := offered(t, c.dir, c.words...)
			require.Equal(t, c.directive, directive)
			require.Subset(t, names, c.want)
			if !c.others {
				require.Len(t, names, len(c.want), names)
			}
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(names))), len(names), "each once")
		})
	}
}

func TestCompletionIsWrittenForEveryShell(t *testing.T) {
	t.Parallel()
	for shell, check := range map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"-n"}, "powershell": nil} {
		result := execute(t, nil, "baton-host", "completion", shell)
		require.Equal(t, 0, result.status, result.stderr)
		require.Contains(t, result.stdout, "baton-host")
		path, err := exec.LookPath(shell)
		if err != nil || check == nil {
			continue // The shell is not here to read it.
		}
		script := filepath.Join(t.TempDir(), "script")
		require.NoError(t, os.WriteFile(script, []byte(result.stdout), 0o600))
		out, err := exec.CommandContext(t.Context(), path, append(check, script)...).CombinedOutput() //nolint:gosec // A shell.
		require.NoError(t, err, string(out))
	}
}

func TestVersion_ShowsWhatTheHostIs(t *testing.T) {
	t.Parallel()
	table := execute(t, nil, "baton-host", "version")
	require.Equal(t, 0, table.status, table.stderr)
	require.Regexp(t, `(?m)^baton-host +dev$`, table.stdout)
	require.Regexp(t, `(?m)^baton-sdk +v0\.25\.0$`, table.stdout)
	require.Regexp(t, `(?m)^platform +`+runtime.GOOS+"/"+runtime.GOARCH+"$", table.stdout)

	var shown map[string]any
	require.NoError(t, json.Unmarshal([]byte(execute(t, nil, "baton-host", "version", "--output", "json").stdout), &shown))
	require.Equal(t, map[string]any{
		"version": "dev", "protocol": float64(plugin.ProtocolVersion), "sdk_version": "v0.25.0",
		"go_version": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
	}, shown)
}

func TestCommandLine_ExplainsMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"a command nearly":          {[]string{"snyc"}, []string{`no command "snyc"`, "sync?"}},
		"no such command":           {[]string{"frobnicate"}, []string{`no command "frobnicate"`, "accounts, "}},
		"help of no command":        {[]string{"help", "snyc"}, []string{`no command "snyc"`, "sync?"}},
		"a shell of another kind":   {[]string{"completion", "tcsh"}, []string{`no command "tcsh"`, "fish"}},
		"no argument":               {[]string{"accounts"}, []string{"takes FILE.c1z", "no argument was given", "--help"}},
		"an argument too many":      {[]string{"accounts", "a", "b"}, []string{"takes FILE.c1z", "2 arguments were given"}},
		"an argument for nothing":   {[]string{"sync", "out/x.c1z"}, []string{"takes flags only", `"out/x.c1z"`, "--help"}},
		"an upload's name":          {[]string{"sync", "workforce"}, []string{"takes flags only", "did you mean --upload workforce?"}},
		"a flag nearly":             {[]string{"sync", "--confg", "x"}, []string{"no flag --confg", "--config?"}},
		"a flag of every command":   {[]string{"sync", "--log-levle", "debug"}, []string{"no flag --log-levle", "--log-level?"}},
		"the beginning of flags":    {[]string{"sync", "--out", "x"}, []string{"no flag --out", "did you mean --output or --output-dir?"}},
		"no such flag":              {[]string{"sync", "--frobnicate"}, []string{"no flag --frobnicate", "--help"}},
		"no such short flag":        {[]string{"sync", "-q"}, []string{"no flag -q"}},
		"a flag without its value":  {[]string{"sync", "--config"}, []string{"--config", "--help"}},
		"a duration without a unit": {[]string{"sync", "--retry-for", "5"}, []string{"--retry-for must be a duration", `"5"`}},
		"a switch with a value":     {[]string{"sync", "--unlocked=perhaps"}, []string{"--unlocked must be true or false"}},
		"flags that exclude":        {[]string{"sync", "--file", "x.c1z", "--upload", "y"}, []string{"--file and --upload exclude each other"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := execute(t, nil, "baton-host", c.args...)
			requireSentence(t, result, c.want)
			require.Equal(t, 1, strings.Count(result.stderr, "\n"), "one sentence")
		})
	}
}
