package main_test

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/sandbox/built"
	"github.com/batonhost/baton-host/sandbox/workspace"
)

// The connector of a workspace is one package, written against the SDK only. The
// mains of the SDK are separate programs, and the host loads them as they are;
// the one with plugin.Run is a plugin. Each is in a folder that is named so.
const (
	unmodified = "unmodified"
	native     = "native"
	older      = "older" // unmodified, by the first version of the SDK's interfaces
)

// hosted are the ways in which the host has the connector.
var hosted = []string{native, unmodified}

var buildWorkspace = sync.OnceValue(func() error {
	for kind, in := range map[string][3]string{ // The module, the package in it, and how go names the program.
		unmodified: {"testdata/baton-workspace", ".", "baton-workspace"},
		older:      {"testdata/baton-workspace", "./older", "older"},
		native:     {"testdata/baton-workspace-plugin", ".", "baton-workspace-plugin"},
	} {
		dir := filepath.Join(bin, kind)
		if err := built.Into(context.Background(), dir, in[0], "build", raceFlag, "-buildvcs=false", "-ldflags=-s -w", in[1]); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(dir, in[2]), filepath.Join(dir, "baton-workspace")); err != nil {
			return err
		}
	}
	return nil
})

// place is a workspace and how a connector is configured for it.
type place struct {
	*workspace.Server
	url, token string
	instance   string            // of the plugin, whose ids begin with it; empty: without a prefix
	more       map[string]string // settings
}

func startWorkspace(t *testing.T, wrap func(http.Handler) http.Handler) place {
	t.Helper()
	return startWorkspaceOf(t, workspace.Options{}, wrap)
}

func startWorkspaceOf(t *testing.T, options workspace.Options, wrap func(http.Handler) http.Handler) place {
	t.Helper()
	require.NoError(t, buildWorkspace())
	options.Token = "tok-" + nameless.ReplaceAllString(t.Name(), "-")
	server := workspace.New(options)
	listener := httptest.NewServer(wrap(server))
	t.Cleanup(listener.Close)
	return place{Server: server, url: listener.URL, token: options.Token}
}

// nameless is what a token must not have of a test's name.
var nameless = regexp.MustCompile(`[^\w-]+`)

func asItIs(handler http.Handler) http.Handler { return handler }

// settings returns what the connector is configured with, the same for every way.
func (p place) settings() map[string]string {
	all := map[string]string{"workspace-url": p.url, "workspace-token": p.token, "page-size": "7", "skip-groups": "empty", "ticketing": "true"}
	maps.Copy(all, p.more)
	return all
}

// env returns the settings as the SDK's command line takes them.
func (p place) env() []string {
	var env []string
	for name, value := range p.settings() {
		env = append(env, "BATON_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"="+value)
	}
	return env
}

// config returns a host's configuration with the connector in one of the ways.
func (p place) config(t *testing.T, way, more string) string {
	t.Helper()
	instance, namespace := p.instance, ""
	if instance == "" {
		instance, namespace = "workspace", `namespace: ""`
	}
	var settings strings.Builder
	for name, value := range p.more {
		fmt.Fprintf(&settings, ", %s: %s", name, value)
	}
	return writeConfig(t, fmt.Sprintf(`
plugins:
  %s:
    %s
    command: [%q]
    provisioning: true
    config: { workspace-url: %q, workspace-token: "${env:TOKEN}", page-size: 7, skip-groups: [empty], ticketing: true%s }
%s
uploads:
  all: { plugins: [%s] }
`, instance, namespace, filepath.Join(bin, way, "baton-workspace"), p.url, &settings, more, instance))
}

// syncAlone returns the file of a sync by the SDK's own command line.
func (p place) syncAlone(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sync.c1z")
	result := execute(t, p.env(), filepath.Join(unmodified, "baton-workspace"), "-f", file)
	require.Equal(t, 0, result.status, result.stderr)
	require.NotContains(t, result.stderr, p.token)
	return file
}

// syncHosted returns the file of a sync by the host.
func (p place) syncHosted(t *testing.T, way, more string) string {
	t.Helper()
	out := t.TempDir()
	result := execute(t, []string{"TOKEN=" + p.token}, "baton-host", "sync", "--config", p.config(t, way, more), "--output-dir", out, "--log-level", "info", "--log-format", "json")
	require.Equal(t, 0, result.status, result.stderr)
	require.NotContains(t, result.stderr, p.token)
	return filepath.Join(out, "all.c1z")
}

// content is all rows of a sync file, by what identifies them.
type content struct {
	Types        map[string]*v2.ResourceType
	Resources    map[string]*v2.Resource
	Entitlements map[string]*v2.Entitlement
	Grants       map[string]*v2.Grant
}

func contentOf(t *testing.T, path string) content {
	t.Helper()
	file, err := syncfile.Open(t.Context(), path, t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close(t.Context())) }()
	require.True(t, file.Full)
	ctx := t.Context()
	return content{
		Types: collect(t, (*v2.ResourceType).GetId, func(token string) ([]*v2.ResourceType, string, error) {
			page, err := file.ListResourceTypes(ctx, v2.ResourceTypesServiceListResourceTypesRequest_builder{PageToken: token}.Build())
			return page.GetList(), page.GetNextPageToken(), err
		}),
		Resources: collect(t, func(r *v2.Resource) string { return r.GetId().GetResourceType() + "/" + r.GetId().GetResource() }, func(token string) ([]*v2.Resource, string, error) {
			page, err := file.ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{PageToken: token}.Build())
			return page.GetList(), page.GetNextPageToken(), err
		}),
		Entitlements: collect(t, (*v2.Entitlement).GetId, func(token string) ([]*v2.Entitlement, string, error) {
			page, err := file.ListEntitlements(ctx, v2.EntitlementsServiceListEntitlementsRequest_builder{PageToken: token}.Build())
			return page.GetList(), page.GetNextPageToken(), err
		}),
		Grants: collect(t, (*v2.Grant).GetId, func(token string) ([]*v2.Grant, string, error) {
			page, err := file.ListGrants(ctx, v2.GrantsServiceListGrantsRequest_builder{PageToken: token}.Build())
			return page.GetList(), page.GetNextPageToken(), err
		}),
	}
}

// collect reads a list to its end. No two rows may be of one key.
func collect[R proto.Message](t *testing.T, key func(R) string, list func(token string) ([]R, string, error)) map[string]R {
	t.Helper()
	all := map[string]R{}
	for token, first := "", true; first || token != ""; first = false {
		page, next, err := list(token)
		require.NoError(t, err)
		for _, row := range page {
			// NotContains would walk through the map, for every row.
			_, twice := all[key(row)]
			require.False(t, twice, key(row))
			all[key(row)] = row
		}
		token = next
	}
	return all
}

// granted returns who should have what, with all that groups pass on.
func granted(state workspace.State) []string {
	var users func(members []workspace.Member) []string
	ids := map[string]string{}
	for _, user := range state.Users {
		ids[user.Login] = "user:" + user.ID
	}
	users = func(members []workspace.Member) []string {
		var all []string
		for _, one := range members {
			if one.Kind == workspace.GroupKind {
				all = append(all, users(state.Groups[one.Key])...)
				continue
			}
			all = append(all, ids[one.Key])
		}
		return all
	}
	var all []string
	note := func(entitlement string, members []workspace.Member) {
		for _, one := range members {
			if one.Kind == workspace.GroupKind {
				all = append(all, entitlement+":group:"+one.Key)
			}
		}
		for _, one := range users(members) {
			all = append(all, entitlement+":"+one)
		}
	}
	for id, members := range state.Groups {
		if id != "empty" {
			note("group:"+id+":member", members)
		}
	}
	for id, members := range state.Roles {
		note("role:"+id+":assigned", members)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// requireTruth checks that a file holds what is in the workspace.
func requireTruth(t *testing.T, p place, got content) {
	t.Helper()
	state := p.State()
	require.Len(t, got.Types, 4)
	require.Len(t, got.Resources, 1+len(state.Users)+3+3)
	require.Len(t, got.Entitlements, 1+3+3)
	ids := make([]string, 0, len(got.Grants))
	for id := range got.Grants {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	require.Equal(t, granted(state), ids)
}

// TestConnector_ReadsAMapTheSameInEveryWay needs the connector's own executable: the
// host decides by the SDK that is linked into it.
func TestConnector_ReadsAMapTheSameInEveryWay(t *testing.T) {
	t.Parallel()
	for _, way := range append([]string{older}, hosted...) {
		t.Run("H11: "+way, func(t *testing.T) {
			t.Parallel()
			p := startWorkspace(t, asItIs)
			names := `
      display-names: { group.Platform: "Plattform, zürich=1", group.Engineering: 8080, group.everyone: not read }`
			config := p.config(t, way, "")
			text, err := os.ReadFile(config)
			require.NoError(t, err)
			text = []byte(strings.Replace(string(text), "ticketing: true }", "ticketing: true,"+names+" }", 1))
			require.NoError(t, os.WriteFile(config, text, 0o600))
			out := t.TempDir()
			result := execute(t, []string{"TOKEN=" + p.token}, "baton-host", "sync", "--config", config, "--output-dir", out)
			require.Equal(t, 0, result.status, result.stderr)
			shown := map[string]string{}
			for _, one := range contentOf(t, filepath.Join(out, "all.c1z")).Resources {
				if one.GetId().GetResourceType() == "group" {
					shown[one.GetId().GetResource()] = one.GetDisplayName()
				}
			}
			require.Equal(t, map[string]string{"everyone": "Everyone", "engineering": "8080", "platform": "Plattform, zürich=1"}, shown)
		})
	}
}

// TestUnmodifiedConnector_IsFoundInARelativeDirectory starts it by the name of its
// app, in a directory that is seen from where the host runs or from its configuration.
func TestUnmodifiedConnector_IsFoundInARelativeDirectory(t *testing.T) {
	t.Parallel()
	require.NoError(t, buildWorkspace())
	for name, c := range map[string]struct {
		keys string // of the file, which is in the connector's directory
		from string // the host runs here, seen from that directory
		args []string
	}{
		"H6: --plugin-dir":            {from: "..", args: []string{"--plugin-dir", "here"}},
		"H6: plugin-dirs of the file": {keys: "plugin-dirs: [.]", from: "../.."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startWorkspace(t, asItIs)
			at := filepath.Join(t.TempDir(), "installed", "here")
			require.NoError(t, os.MkdirAll(at, 0o700))
			require.NoError(t, os.Symlink(filepath.Join(bin, unmodified, "baton-workspace"), filepath.Join(at, "baton-workspace")))
			config := filepath.Join(at, "hosted.yaml")
			require.NoError(t, os.WriteFile(config, []byte(c.keys+`
plugins: { workspace: { config: { workspace-url: `+p.url+`, workspace-token: "${env:TOKEN}" } } }
uploads: { all: { plugins: [workspace] } }
`), 0o600))
			for _, verb := range [][]string{{"inspect", "workspace"}, {"lock"}, {"check"}, {"call", "workspace", "Validate"}, {"sync", "--output-dir", t.TempDir()}} {
				args := slices.Concat(verb, c.args, []string{"--config", config})
				cmd := command(t.Context(), t, []string{"TOKEN=" + p.token}, "baton-host", args...)
				cmd.Dir = filepath.Join(at, c.from)
				result := finish(t, cmd)
				require.Equal(t, 0, result.status, "%v: %s%s", args, result.stdout, result.stderr)
			}
		})
	}
}

func TestMains_DifferInOneCallAndItsImport(t *testing.T) {
	t.Parallel()
	lines := func(module string) []string {
		text, err := os.ReadFile(filepath.Join("testdata", module, "main.go"))
		require.NoError(t, err)
		return strings.Split(string(text), "\n")
	}
	sdk, plugin := lines("baton-workspace"), lines("baton-workspace-plugin")
	require.Len(t, plugin, len(sdk))
	var changed [][2]string
	for i := range sdk {
		if sdk[i] != plugin[i] {
			changed = append(changed, [2]string{strings.TrimSpace(sdk[i]), strings.TrimSpace(plugin[i])})
		}
	}
	require.Equal(t, [][2]string{
		{`"github.com/conductorone/baton-sdk/pkg/config"`, `"github.com/batonhost/baton-host/plugin"`},
		{
			`config.RunConnector(context.Background(), "baton-workspace", version, connector.Schema, connector.New,`,
			`plugin.Run(context.Background(), "baton-workspace", version, connector.Schema, connector.New,`,
		},
	}, changed)
}

// TestUnmodifiedConnector_HasNothingOfThisModule keeps the proof honest.
func TestUnmodifiedConnector_HasNothingOfThisModule(t *testing.T) {
	t.Parallel()
	require.NoError(t, buildWorkspace())
	const own = "github.com/batonhost/baton-host"
	host, err := buildinfo.ReadFile(filepath.Join(bin, "baton-host"))
	require.NoError(t, err)
	pinned := map[string]string{}
	for _, module := range host.Deps {
		pinned[module.Path] = module.Version
	}
	for way, has := range map[string]bool{unmodified: false, older: false, native: true} {
		info, err := buildinfo.ReadFile(filepath.Join(bin, way, "baton-workspace"))
		require.NoError(t, err)
		require.NotContains(t, info.Main.Path, own)
		modules := map[string]string{}
		for _, module := range info.Deps {
			modules[module.Path] = module.Version
			if version := pinned[module.Path]; version != "" {
				require.Equal(t, version, module.Version, "%s: %s is pinned in two versions", way, module.Path)
			}
		}
		require.Equal(t, "v0.25.0", modules["github.com/conductorone/baton-sdk"])
		require.Equal(t, has, modules[own] != "", way)
	}
}

func TestConnector_PassesTheTestInEveryWay(t *testing.T) {
	t.Parallel()
	for _, way := range append([]string{older}, hosted...) {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			p := startWorkspace(t, asItIs)
			before := p.State()
			result := execute(t, []string{"TOKEN=" + p.token}, "baton-host", "test", "workspace", "--config", p.config(t, way, ""))
			require.Equal(t, 0, result.status, result.stdout+result.stderr)
			require.Regexp(t, `\nbaton-workspace \S+: 26 passed, 0 failed, 0 skipped\n\nIt needs nothing beyond what every plugin may use.\n$`, result.stdout)
			require.NotContains(t, result.stdout+result.stderr, p.token)
			require.Equal(t, before, p.State())
		})
	}
}
