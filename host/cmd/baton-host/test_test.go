package main_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/plugin/conformance"
	"github.com/batonhost/baton-host/sandbox/scim"
)

func TestTest_TestsAnInstanceOfTheConfiguration(t *testing.T) {
	t.Parallel()
	design := startApp(t, scim.Options{App: "design-tool", Accounts: 30, Seed: 2})
	config, env := twoApps(t, startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1}), design)
	result := execute(t, env, "baton-host", "test", "design-tool", "--config", config, "--output", "json")
	require.Equal(t, 0, result.status, result.stdout+result.stderr)
	var report conformance.Report
	require.NoError(t, json.Unmarshal([]byte(result.stdout), &report))
	require.Equal(t, "baton-scim", report.Plugin)
	require.Zero(t, report.Count(conformance.Failed))
	require.Equal(t, 1, report.Count(conformance.Skipped), "30 accounts are one page")
	for _, outcome := range report.Checks {
		require.NotEmpty(t, outcome.Sentence, outcome.Check)
	}
}

func TestTest_PassesAConnectorThatKeepsNotes(t *testing.T) {
	t.Parallel()
	result := execute(t, []string{"BATON_NAME=mine"}, "baton-host", "test", filepath.Join(bin, "baton-notes"))
	require.Equal(t, 0, result.status, result.stdout+result.stderr)
	require.Regexp(t, `\nbaton-notes 1.0.0: 23 passed, 0 failed, 3 skipped\n(\nIt needs nothing beyond what every plugin may use.\n)?$`, result.stdout, "it has no secret")
}

func TestTest_FailsACarelessPlugin(t *testing.T) {
	t.Parallel()
	const secret = "canary-9f27d1c04be86a35"
	result := execute(t, []string{"BATON_TOKEN=" + secret, "BATON_HABIT=log"}, "baton-host", "test", filepath.Join(bin, "baton-careless"))
	require.Equal(t, 1, result.status, result.stdout+result.stderr)
	require.Equal(t, "baton-host: 2 of 26 checks failed\n", result.stderr)
	require.Regexp(t, `(?m)^FAILED   writes nothing to standard output `, result.stdout)
	require.Regexp(t, `(?m)^FAILED   logs no secret `, result.stdout)
	require.NotContains(t, result.stdout, secret)
}
