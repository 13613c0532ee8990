package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// script writes an executable that is no plugin.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "baton-script")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700)) //nolint:gosec // It must be executable.
	return path
}

// TestCommands_ExplainBadInputWithANonZeroStatus has one of each kind: the file, a
// secret, a plugin's schema, a plugin that fails, an app that refuses, and gRPC's words.
// Package host has them all.
func TestCommands_ExplainBadInputWithANonZeroStatus(t *testing.T) {
	t.Parallel()
	good := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1, Token: "right"})
	plugin := func(lines string) string {
		return "plugins:\n  fullstory:\n" + lines + "\nuploads: { workforce: { plugins: [fullstory] } }\n"
	}
	settings := func(token string) string {
		return plugin("    config: { scim-base-url: \"" + good.url + "\", scim-token: \"" + token + "\" }")
	}
	cases := map[string]struct {
		config string
		args   []string
		want   []string
	}{
		"unknown key":                 {plugin("    conifg: {}"), nil, []string{"baton-host.yaml:3:5: ", `"conifg"`, `"config"`, "see " + errtext.Runbook + "#configuration\n"}},
		"unknown field of the plugin": {plugin("    config: { scim-base-url: \"" + good.url + "\", scim-token: right, scim-tokn: x }"), nil, []string{"baton-host.yaml:3:", `"scim-tokn"`, `"scim-token"`}},
		"missing secret reference":    {settings("${env:NOT_SET_ANYWHERE}"), nil, []string{"baton-host.yaml:3:", "NOT_SET_ANYWHERE", "see " + errtext.Runbook + "#secrets\n"}},
		"plugin that exits at start":  {plugin("    path: " + script(t, "echo where are my shoes >&2; exit 4")), nil, []string{`plugin "fullstory"`, "exit status 4", "where are my shoes", "see " + errtext.Runbook + "#a-plugin-ends-or-hangs\n"}},
		"wrong token":                 {settings("wrong"), nil, []string{`plugin "fullstory"`, "SCIM Token", "see " + errtext.Runbook + "#the-app-refuses-the-credentials\n"}},
		"unknown upload":              {settings("right"), []string{"--upload", "workfroce"}, []string{`no upload "workfroce"`, `did you mean "workforce"?`}},
		"two instances whose resource types clash": {
			"plugins:\n" +
				"  one: { app: fullstory, namespace: \"\", config: { scim-base-url: \"" + good.url + "\", scim-token: right } }\n" +
				"  two: { app: scim, namespace: \"\", config: { scim-base-url: \"" + good.url + "\", scim-token: right } }\n" +
				"uploads: { workforce: { plugins: [one, two] } }\n",
			nil,
			[]string{`"one"`, `"two"`, `"user"`, "see " + errtext.Runbook + "#invalid-rows\n"},
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out")
			args := append([]string{"sync", "--config", writeConfig(t, test.config), "--output-dir", out}, test.args...)
			requireSentence(t, execute(t, nil, "baton-host", args...), test.want)
			entries, _ := os.ReadDir(out)
			require.Empty(t, entries)
		})
	}
}

// requireSentence holds an answer to a person's mistake against what every one
// of them must be: non-zero, on standard error, readable.
func requireSentence(t *testing.T, result run, want []string) {
	t.Helper()
	require.Equal(t, 1, result.status, result.stdout+result.stderr)
	for _, part := range want {
		require.Contains(t, result.stderr, part)
	}
	for _, noise := range []string{"panic:", "goroutine ", "rpc error", "\nEOF", "%!"} {
		require.NotContains(t, result.stderr, noise)
	}
}

func TestCommands_ExplainOtherBadInput(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 40, Seed: 1})
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	dir := t.TempDir()
	file := filepath.Join(dir, "good.c1z")
	require.Equal(t, 0, execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", file).status)
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	config := writeConfig(t, "plugins: { fullstory: { config: { scim-base-url: \""+app.url+"\", scim-token: x } } }\nuploads: { workforce: { plugins: [fullstory] } }\n")

	cases := map[string]struct {
		args []string
		want []string
	}{
		"output directory is a file":   {[]string{"sync", "--config", config, "--output-dir", file}, []string{file, "not a directory"}},
		"no configuration file":        {[]string{"sync", "--config", filepath.Join(dir, "none.yaml")}, []string{"none.yaml", "--config"}},
		"a plugin's variable missing":  {[]string{"sync", "--plugin", "scim", "-f", filepath.Join(dir, "x.c1z"), "--retry-for", "0s"}, []string{"BATON_SCIM_BASE_URL", "BATON_SCIM_TOKEN"}},
		"no time to answer":            {[]string{"check", "--timeout", "0s"}, []string{"--timeout must be more than 0, such as 30s, not 0s"}},
		"a negative time to retry":     {[]string{"sync", "--plugin", "fullstory", "--retry-for", "-5s"}, []string{"--retry-for", "negative", "-5s"}},
		"a plugin name that is a path": {[]string{"sync", "--plugin", "../baton-fullstory"}, []string{"../baton-fullstory"}},
		"--plugin with --config":       {[]string{"sync", "--plugin", "fullstory", "--config", config}, []string{"plugin", "config"}},
		"accounts of no file":          {[]string{"accounts", filepath.Join(dir, "none.c1z")}, []string{"there is no file", "none.c1z"}},
		"accounts of a directory":      {[]string{"accounts", dir}, []string{"no sync file"}},
		"accounts of an empty file":    {[]string{"accounts", write("empty.c1z", nil)}, []string{"empty.c1z", "empty"}},
		"accounts of garbage":          {[]string{"accounts", write("garbage.c1z", []byte(strings.Repeat("garbage", 1000)))}, []string{"garbage.c1z", "sync file"}},
		"accounts of a file cut short": {[]string{"accounts", write("short.c1z", whole[:len(whole)/2])}, []string{"short.c1z", "cut short"}},
		"accounts of a damaged file":   {[]string{"accounts", write("damaged.c1z", damagedCopy(whole))}, []string{"damaged.c1z", "damaged"}},
		"accounts in an unknown form":  {[]string{"accounts", file, "--output", "xml"}, []string{"--output", "xml", "json"}},
		"inspect of an unknown app":    {[]string{"inspect", "nobody-has-this"}, []string{"baton-nobody-has-this"}},
		"an unknown log level":         {[]string{"plugins", "--log-level", "loud"}, []string{"log level", "loud"}},
		"an empty --file":              {[]string{"sync", "--plugin", "fullstory", "-f", ""}, []string{"--file is empty"}},
		"an empty --plugin":            {[]string{"sync", "--plugin", ""}, []string{"--plugin is empty"}},
		"an empty --plugin-dir":        {[]string{"plugins", "--plugin-dir", ""}, []string{"--plugin-dir is empty"}},
		"an unknown command":           {[]string{"snyc"}, []string{"snyc", "sync"}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireSentence(t, execute(t, nil, "baton-host", test.args...), test.want)
		})
	}
}

// damagedCopy flips bytes in the middle of the packed rows.
func damagedCopy(whole []byte) []byte {
	copied := append([]byte(nil), whole...)
	for i := len(copied) / 2; i < len(copied)/2+64; i++ {
		copied[i] ^= 0xff
	}
	return copied
}
