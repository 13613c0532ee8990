package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"

	sandbox "github.com/batonhost/baton-host/sandbox/scim"
)

const token = "canary-7f3a9c51d2e84b60b1c9"

// TestProgram builds the real program and runs it.
func TestProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary := filepath.Join(dir, "baton-scim")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "-ldflags", "-s -w -X main.version=v1.2.3", ".") //nolint:gosec // the program under test
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	run := func(t *testing.T, env []string, args ...string) (string, error) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		command := exec.CommandContext(t.Context(), binary, args...) //nolint:gosec // the program under test
		command.Dir = t.TempDir()
		command.Env = append([]string{"HOME=" + command.Dir, "TMPDIR=" + command.Dir, "PATH=" + os.Getenv("PATH")}, env...)
		command.Stdout, command.Stderr = &stdout, &stderr
		err := command.Run()
		require.NotContains(t, stdout.String()+stderr.String(), token)
		if err != nil {
			t.Log(stderr.String())
		}
		return stdout.String(), err
	}

	t.Run("sync", func(t *testing.T) {
		service, err := sandbox.New(sandbox.Options{App: "design-tool", Accounts: 321, Groups: 4, Seed: 3, Token: token, PageCap: 30})
		require.NoError(t, err)
		running := httptest.NewServer(service)
		t.Cleanup(running.Close)
		file := filepath.Join(t.TempDir(), "out.c1z")
		_, err = run(t, []string{
			"BATON_SCIM_BASE_URL=" + running.URL + service.BasePath(), "BATON_SCIM_TOKEN=" + token, "BATON_SCIM_DISPLAY_NAME=Design Tool",
		}, "-f", file)
		require.NoError(t, err)

		logins := map[string]string{}
		for id, account := range readSyncFile(t, file) {
			trait, err := resource.GetUserTrait(account)
			require.NoError(t, err)
			logins[id] = trait.GetLogin()
		}
		want := map[string]string{}
		for _, person := range service.Accounts() {
			want[person.ID] = person.UserName
		}
		require.Equal(t, want, logins)
	})

	t.Run("config", func(t *testing.T) {
		out, err := run(t, nil, "config")
		require.NoError(t, err)
		var schema struct {
			DisplayName string
			Fields      []struct {
				Name, DisplayName           string
				IsRequired, IsSecret, IsOps bool
			}
		}
		require.NoError(t, json.Unmarshal([]byte(out), &schema))
		require.Equal(t, "SCIM", schema.DisplayName)
		labels := map[string]string{}
		for _, f := range schema.Fields {
			if !f.IsOps {
				labels[f.Name] = f.DisplayName
				require.Equal(t, slices.Contains([]string{"scim-token", "scim-password", "scim-client-secret", "scim-headers"}, f.Name), f.IsSecret, f.Name)
				require.Equal(t, f.Name == "scim-base-url", f.IsRequired, f.Name)
			}
		}
		require.Len(t, labels, 15)
		require.Equal(t, "SCIM Base URL", labels["scim-base-url"])
		require.Equal(t, "SCIM Token", labels["scim-token"])
		require.NotContains(t, labels, "scim-read-ahead", "C1's form does not show it")
	})

	for name, args := range map[string][]string{"capabilities": {"capabilities"}, "help": {"--help"}, "version": {"--version"}} {
		t.Run(name, func(t *testing.T) {
			out, err := run(t, nil, args...)
			require.NoError(t, err)
			require.Contains(t, out, map[string]string{
				"capabilities": "CAPABILITY_SYNC", "help": "$BATON_SCIM_DISPLAY_NAME", "version": "v1.2.3",
			}[name])
		})
	}
}

// readSyncFile reads the accounts of a sync file with the SDK.
func readSyncFile(t *testing.T, path string) map[string]*v2.Resource {
	t.Helper()
	ctx := context.Background()
	store, err := dotc1z.NewStore(ctx, path, dotc1z.WithReadOnly(true), dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close(ctx)) }()
	finished, err := store.SyncMeta().LatestFinishedSyncOfAnyType(ctx)
	require.NoError(t, err)
	require.NotNil(t, finished, "the sync is finished")
	require.NoError(t, store.SetCurrentSync(ctx, finished.ID))

	accounts := map[string]*v2.Resource{}
	for next, more := "", true; more; more = next != "" {
		page, err := store.ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user", PageToken: next}.Build())
		require.NoError(t, err)
		for _, account := range page.GetList() {
			accounts[account.GetId().GetResource()] = account
		}
		next = page.GetNextPageToken()
	}
	return accounts
}
