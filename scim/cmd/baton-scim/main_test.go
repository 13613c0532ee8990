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
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/built"
	sandbox "github.com/batonhost/baton-host/sandbox/scim"
)

const token = "canary-7f3a9c51d2e84b60b1c9"

// TestProgram builds the real program and runs it.
func TestProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary := filepath.Join(dir, "baton-scim")
	require.NoError(t, built.Into(t.Context(), dir, ".", "build", "-ldflags", "-s -w -X main.version=v1.2.3", "."))

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
		store := openSyncFile(t, file)
		for id, account := range resourcesOf(t, store, "user") {
			trait, err := resource.GetUserTrait(account)
			require.NoError(t, err)
			logins[id] = trait.GetLogin()
		}
		want := map[string]string{}
		for _, person := range service.Accounts() {
			want[person.ID] = person.UserName
		}
		require.Equal(t, want, logins)
		require.Empty(t, resourcesOf(t, store, "role"), "roles are off by default")
	})

	t.Run("roles", func(t *testing.T) {
		service, err := sandbox.New(sandbox.Options{App: "design-tool", Accounts: 1234, Seed: 3, Token: token, PageCap: 100})
		require.NoError(t, err)
		running := httptest.NewServer(service)
		t.Cleanup(running.Close)
		url, file := running.URL+service.BasePath(), filepath.Join(t.TempDir(), "out.c1z")
		_, err = run(t, []string{"BATON_SCIM_BASE_URL=" + url, "BATON_SCIM_TOKEN=" + token, "BATON_SCIM_GROUPS=false"}, "--scim-roles", "-f", file)
		require.NoError(t, err)

		want := map[string]bool{}
		roles := map[string]bool{}
		for _, person := range service.Accounts() {
			for _, role := range person.Roles {
				roles[role], want[role+" to "+person.ID] = true, true
			}
		}
		require.Len(t, roles, 4)
		store := openSyncFile(t, file)
		require.Len(t, resourcesOf(t, store, "user"), 1234)
		require.Equal(t, roles, keysOf(resourcesOf(t, store, "role")))
		entitlements, grants := rightsOf(t, store)
		require.Len(t, entitlements, len(roles))
		for role := range roles {
			require.Contains(t, entitlements, "role:"+role+":assigned")
		}
		require.Equal(t, want, grants)

		_, err = run(t, []string{
			"BATON_SCIM_BASE_URL=" + url, "BATON_SCIM_TOKEN=" + token, "BATON_SCIM_GROUPS=false", "BATON_SCIM_ROLES=true",
		}, "-f", file)
		require.NoError(t, err)
		_, again := rightsOf(t, openSyncFile(t, file))
		require.Equal(t, want, again)
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
		require.Len(t, labels, 17)
		require.Equal(t, "SCIM Hidden Users", labels["scim-hidden-users"])
		require.Equal(t, "Sync Roles", labels["scim-roles"])
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

// openSyncFile opens the finished sync of a sync file with the SDK.
func openSyncFile(t *testing.T, path string) c1zstore.Store {
	t.Helper()
	ctx := context.Background()
	store, err := dotc1z.NewStore(ctx, path, dotc1z.WithReadOnly(true), dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(ctx)) })
	finished, err := store.SyncMeta().LatestFinishedSyncOfAnyType(ctx)
	require.NoError(t, err)
	require.NotNil(t, finished, "the sync is finished")
	require.NoError(t, store.SetCurrentSync(ctx, finished.ID))
	return store
}

// resourcesOf are the resources of a type, by id.
func resourcesOf(t *testing.T, store c1zstore.Store, typeID string) map[string]*v2.Resource {
	t.Helper()
	found := map[string]*v2.Resource{}
	for next, more := "", true; more; more = next != "" {
		page, err := store.ListResources(context.Background(), v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: typeID, PageToken: next}.Build())
		require.NoError(t, err)
		for _, one := range page.GetList() {
			found[one.GetId().GetResource()] = one
		}
		next = page.GetNextPageToken()
	}
	return found
}

// rightsOf are all entitlements by id, and all grants as "resource to principal".
func rightsOf(t *testing.T, store c1zstore.Store) (entitlements, grants map[string]bool) {
	t.Helper()
	entitlements, grants = map[string]bool{}, map[string]bool{}
	for next, more := "", true; more; more = next != "" {
		page, err := store.ListEntitlements(context.Background(), v2.EntitlementsServiceListEntitlementsRequest_builder{PageToken: next}.Build())
		require.NoError(t, err)
		for _, one := range page.GetList() {
			entitlements[one.GetId()] = true
		}
		next = page.GetNextPageToken()
	}
	for next, more := "", true; more; more = next != "" {
		page, err := store.ListGrants(context.Background(), v2.GrantsServiceListGrantsRequest_builder{PageToken: next}.Build())
		require.NoError(t, err)
		for _, one := range page.GetList() {
			grants[one.GetEntitlement().GetResource().GetId().GetResource()+" to "+one.GetPrincipal().GetId().GetResource()] = true
		}
		next = page.GetNextPageToken()
	}
	return entitlements, grants
}

func keysOf(resources map[string]*v2.Resource) map[string]bool {
	keys := map[string]bool{}
	for key := range resources {
		keys[key] = true
	}
	return keys
}
