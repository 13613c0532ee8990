package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/batonhost/baton-host/sandbox/built"
	sandbox "github.com/batonhost/baton-host/sandbox/scim"
)

const token = "canary-7f3a9c51d2e84b60b1c9"

// binary is the real program, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "baton-fullstory")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		binary = filepath.Join(dir, "baton-fullstory")
		if err := built.Into(context.Background(), dir, ".", "build", "-ldflags", "-s -w -X main.version=v1.2.3", "."); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// outcome is what a run of the program left.
type outcome struct {
	stdout, stderr bytes.Buffer
	err            error
}

// run runs the program in a separate directory and with nothing in its
// environment but env.
func run(t *testing.T, env []string, args ...string) *outcome {
	t.Helper()
	dir := t.TempDir()
	o := &outcome{}
	command := exec.CommandContext(t.Context(), binary, args...) //nolint:gosec // the program under test
	command.Dir = dir
	command.Env = append([]string{"HOME=" + dir, "TMPDIR=" + dir, "PATH=" + os.Getenv("PATH")}, env...)
	command.Stdout, command.Stderr = &o.stdout, &o.stderr
	o.err = command.Run()
	require.NotContains(t, o.stdout.String()+o.stderr.String(), token)
	return o
}

// organization runs the SCIM service of a Fullstory organization of that many
// people.
func organization(t *testing.T, people int) (baseURL string, service *sandbox.Server) {
	t.Helper()
	service, err := sandbox.New(sandbox.Options{App: "fullstory", Accounts: people, Seed: 5, Token: token})
	require.NoError(t, err)
	running := httptest.NewServer(service)
	t.Cleanup(running.Close)
	return running.URL + service.BasePath(), service
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
		page, err := store.ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{PageToken: next}.Build())
		require.NoError(t, err)
		for _, account := range page.GetList() {
			require.Equal(t, "user", account.GetId().GetResourceType())
			accounts[account.GetId().GetResource()] = account
		}
		next = page.GetNextPageToken()
	}
	return accounts
}

// TestSync runs the program as the user guide describes and compares the file with
// the people of the organization.
func TestSync(t *testing.T) {
	t.Parallel()
	baseURL, service := organization(t, 2345)
	people := service.Accounts()
	t.Cleanup(func() {
		for _, request := range service.Requests() {
			require.Equal(t, "/scim/v2/Users", request.Path, "no other endpoint is needed")
		}
	})
	for name, c := range map[string]struct{ env, args []string }{
		"by flags":          {nil, []string{"--scim-base-url", baseURL, "--scim-token", token}},
		"by variables":      {[]string{"BATON_SCIM_BASE_URL=" + baseURL, "BATON_SCIM_TOKEN=" + token}, nil},
		"everything logged": {[]string{"BATON_SCIM_BASE_URL=" + baseURL + "/Users/", "BATON_SCIM_TOKEN=Bearer " + token, "BATON_DEBUG_PRINT_RESPONSE_BODY=1"}, []string{"--log-level", "debug"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "out.c1z")
			o := run(t, c.env, append(c.args, "-f", file)...)
			require.NoError(t, o.err, o.stderr.String())

			accounts := readSyncFile(t, file)
			require.Len(t, accounts, len(people))
			for _, person := range people {
				requireAccount(t, person, accounts[person.ID])
			}
		})
	}
}

// requireAccount compares an account with the person it stands for.
func requireAccount(t *testing.T, person sandbox.Account, account *v2.Resource) {
	t.Helper()
	require.NotNil(t, account, "%s is missing", person.ID)
	require.NotContains(t, protojson.Format(account), token)

	status := v2.Status_RESOURCE_STATUS_DISABLED
	switch {
	case person.OmitActive: // the service sends it for others
		status = v2.Status_RESOURCE_STATUS_UNSPECIFIED
	case person.Active:
		status = v2.Status_RESOURCE_STATUS_ENABLED
	}
	require.Equal(t, status, account.GetStatus().GetStatus())
	if person.DisplayName != "" {
		require.Equal(t, person.DisplayName, account.GetDisplayName())
	}
	trait, err := resource.GetUserTrait(account)
	require.NoError(t, err)
	require.Equal(t, person.UserName, trait.GetLogin())
	if len(person.Emails) > 0 {
		require.Len(t, trait.GetEmails(), len(person.Emails))
		require.True(t, trait.GetEmails()[0].GetIsPrimary())
		require.Equal(t, person.Emails[0], trait.GetEmails()[0].GetAddress())
	}
	profile := resource.GetProfile(account).AsMap()
	require.Equal(t, person.ID, profile["scim_id"])
	if len(person.Roles) > 0 {
		require.Equal(t, strings.Join(person.Roles, ", "), profile["roles"])
	}
}

// TestSync_RefusesWrongSettings: what is wrong is reported in a sentence and by the exit status.
func TestSync_RefusesWrongSettings(t *testing.T) {
	t.Parallel()
	baseURL, _ := organization(t, 3)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<!DOCTYPE html><html></html>"))
	}))
	t.Cleanup(page.Close)
	const where = "In Fullstory the SCIM Base URL and the SCIM Token are under Settings > Account Management > SSO"
	for name, c := range map[string]struct {
		baseURL, token string
		message        []string
	}{
		"wrong token":    {baseURL, token[:20], []string{"answered 401 Unauthorized", `"SCIM Token" (scim-token)`, where}},
		"wrong path":     {baseURL + "/wrong", token, []string{"answered 404 Not Found", `"SCIM Base URL" (scim-base-url)`, where}},
		"a web page":     {page.URL, token, []string{"web page (HTML)", "/scim/v2", where}},
		"in clear text":  {"http://app.example.com/scim/v2", token, []string{"clear text"}},
		"no base URL":    {"", token, []string{"scim-base-url"}},
		"no token":       {baseURL, "", []string{"scim-token"}},
		"token too long": {baseURL, token + " " + token, []string{`"SCIM Token" (scim-token) has a space`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := run(t, []string{"BATON_SCIM_BASE_URL=" + c.baseURL, "BATON_SCIM_TOKEN=" + c.token})
			require.Error(t, o.err)
			// The SDK (v0.25.0) ends the process while it reports a failed sync: then
			// the error is only in the log, where JSON escapes its quotation marks.
			printed := strings.ReplaceAll(o.stderr.String()+o.stdout.String(), `\"`, `"`)
			for _, message := range c.message {
				require.Contains(t, printed, message)
			}
		})
	}
}

// TestCommands: the rest of the SDK's command line, which needs no
// configuration.
func TestCommands(t *testing.T) {
	t.Parallel()

	t.Run("help", func(t *testing.T) {
		t.Parallel()
		o := run(t, nil, "--help")
		require.NoError(t, o.err)
		for _, message := range []string{"--scim-base-url", "$BATON_SCIM_BASE_URL", "--scim-token", "$BATON_SCIM_TOKEN", "Settings > Account Management > SSO"} {
			require.Contains(t, o.stdout.String(), message)
		}
	})

	t.Run("version", func(t *testing.T) {
		t.Parallel()
		o := run(t, nil, "--version")
		require.NoError(t, o.err)
		require.Contains(t, o.stdout.String(), "v1.2.3")
	})

	t.Run("capabilities", func(t *testing.T) {
		t.Parallel()
		o := run(t, nil, "capabilities")
		require.NoError(t, o.err)
		var capabilities struct {
			ConnectorCapabilities    []string
			ResourceTypeCapabilities []struct {
				ResourceType struct{ ID string }
				Capabilities []string
			}
		}
		require.NoError(t, json.Unmarshal(o.stdout.Bytes(), &capabilities))
		require.Equal(t, []string{"CAPABILITY_SYNC"}, capabilities.ConnectorCapabilities)
		require.Len(t, capabilities.ResourceTypeCapabilities, 1)
		require.Equal(t, "user", capabilities.ResourceTypeCapabilities[0].ResourceType.ID)
		require.Equal(t, []string{"CAPABILITY_SYNC"}, capabilities.ResourceTypeCapabilities[0].Capabilities)
	})

	t.Run("config", func(t *testing.T) {
		t.Parallel()
		o := run(t, nil, "config")
		require.NoError(t, o.err)
		type configField struct {
			Name, DisplayName, Description, Placeholder string
			IsRequired, IsSecret, IsOps                 bool
		}
		var schema struct {
			DisplayName, HelpURL string
			Fields               []configField
		}
		require.NoError(t, json.Unmarshal(o.stdout.Bytes(), &schema))
		require.Equal(t, "Fullstory", schema.DisplayName)
		require.Contains(t, schema.HelpURL, "https://help.fullstory.com/")
		var own []configField
		for _, f := range schema.Fields {
			if !f.IsOps {
				require.NotEmpty(t, f.Description)
				f.Description = ""
				own = append(own, f)
			}
		}
		require.Equal(t, []configField{
			{Name: "scim-base-url", DisplayName: "SCIM Base URL", Placeholder: "https://app.fullstory.com/scim/v2", IsRequired: true},
			{Name: "scim-token", DisplayName: "SCIM Token", Placeholder: "Paste the token", IsRequired: true, IsSecret: true},
		}, own)
	})
}
