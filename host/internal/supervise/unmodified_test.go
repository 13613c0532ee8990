//go:build unix

package supervise_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/config"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/viper"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/supervise"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// unmodifiedSchema is longer than that of the plugins, to see each kind of value
// arrive.
var unmodifiedSchema = field.NewConfiguration([]field.SchemaField{
	field.StringField("token", field.WithIsSecret(true), field.WithRequired(true)),
	field.StringField("base-url", field.WithDisplayName("Base URL"), field.WithString(func(r *field.StringRuler) { r.IsURI() })),
	field.IntField("port", field.WithDefaultValue(443)),
	field.BoolField("deep"),
	field.StringSliceField("tags"),
	field.StringMapField("labels"),
	field.FileUploadField("key-file", []string{".pem"}, field.WithIsSecret(true)),
}, field.WithConnectorDisplayName("Unmodified"))

// unmodifiedRole is a connector as the SDK alone makes it, with bad habits. What it
// was given is its description.
func unmodifiedRole() {
	role := strings.TrimPrefix(os.Args[1], "unmodified-")
	os.Args = append(os.Args[:1], os.Args[2:]...)
	if era, ok := strings.CutPrefix(role, "era:"); ok {
		era, told, _ := strings.Cut(era, ":")
		eraRole(era, told)
		return
	}
	switch {
	case role == "old" && (slices.Contains(os.Args, "config") || slices.Contains(os.Args, "--help")):
		fmt.Fprintln(os.Stderr, `unknown command "config" for "baton-old"`)
		os.Exit(2)
	case role == "garbled" && (slices.Contains(os.Args, "config") || slices.Contains(os.Args, "--help")):
		fmt.Println("usage: garbled")
		return
	case role == "slow" && slices.Contains(os.Args, "_connector-service"):
		time.Sleep(time.Hour)
	}
	config.RunConnector(context.Background(), "baton-unmodified", "v1.2.3", unmodifiedSchema,
		func(_ context.Context, v *viper.Viper, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
			if role == "panic" {
				var none []string
				return nil, nil, errors.New(none[v.GetInt("port")]) //nolint:gosec // It is to panic.
			}
			if role == "refuse" {
				return nil, nil, fmt.Errorf("the app does not know %s", v.GetString("token"))
			}
			if path, ok := strings.CutPrefix(role, "tell:"); ok {
				key, _ := os.ReadFile(v.GetString("key-file"))
				told := fmt.Sprintf("%s|%s|%d|%t|%q|%s|%s", v.GetString("token"), v.GetString("base-url"), v.GetInt("port"), v.GetBool("deep"),
					v.GetStringSlice("tags"), key, strings.Join(os.Args, " "))
				if err := os.WriteFile(path, []byte(told), 0o600); err != nil {
					return nil, nil, err
				}
			}
			if err := trust(role); err != nil {
				return nil, nil, err
			}
			if path, ok := strings.CutPrefix(role, "collections:"); ok {
				got, err := json.Marshal(map[string]any{"tags": v.GetStringSlice("tags"), "labels": v.GetStringMap("labels")})
				if err != nil {
					return nil, nil, err
				}
				if err := os.WriteFile(path, got, 0o600); err != nil {
					return nil, nil, err
				}
			}
			return &testConnector{token: v.GetString("token"), role: role}, nil, nil
		})
}

func unmodifiedSpec(role string) supervise.Spec {
	return supervise.Spec{Instance: "test", Path: self, Args: []string{"unmodified-" + role}, Unmodified: true}
}

func TestUnmodified_IsDescribedByItsCommands(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	process, err := supervise.Start(ctx, unmodifiedSpec("good"))
	require.NoError(t, err)
	t.Cleanup(func() { process.Stop(context.Background()) })
	manifest, err := process.Describe(ctx)
	require.NoError(t, err)

	want := &pluginv1.Manifest{}
	require.NoError(t, prototext.Unmarshal([]byte(`
		name: "baton-unmodified" version: "v1.2.3" display_name: "Unmodified"
		configuration {
			fields { name: "token" type: FIELD_TYPE_STRING required: true secret: true }
			fields { name: "base-url" label: "Base URL" type: FIELD_TYPE_STRING rules { format: STRING_FORMAT_URI } }
			fields { name: "port" type: FIELD_TYPE_INT default_value { int_value: 443 } }
			fields { name: "deep" type: FIELD_TYPE_BOOL }
			fields { name: "tags" type: FIELD_TYPE_STRING_LIST }
			fields { name: "labels" type: FIELD_TYPE_MAP }
			fields { name: "key-file" type: FIELD_TYPE_FILE secret: true file_extensions: ".pem" }
		}`), want))
	own := func(f *pluginv1.Field) bool { return f.GetHidden() }
	require.True(t, slices.ContainsFunc(manifest.GetConfiguration().GetFields(), own), "the SDK's own settings are there, but hidden")
	manifest.Configuration.Fields = slices.DeleteFunc(manifest.GetConfiguration().GetFields(), own)
	require.Empty(t, cmp.Diff(want, manifest, protocmp.Transform()))

	require.Equal(t, codes.FailedPrecondition, status.Code(validate(ctx, process)), "it is not configured")
}

func TestFinder_StartsABinaryInARelativeDirectory(t *testing.T) {
	program, err := filepath.Abs(self)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "bin", "other"), 0o700))
	binary := filepath.Join(dir, "bin", "baton-app")
	require.NoError(t, os.Symlink(program, binary))

	for name, c := range map[string]struct{ from, dir string }{
		"H6: a name":                    {".", "bin"},
		"H6: a name with a dot":         {".", "./bin"},
		"H6: a name with a slash":       {".", "bin/"},
		"H6: a detour":                  {".", "bin/../bin"},
		"H6: the current directory":     {"bin", "."},
		"H6: the directory above":       {"bin/other", ".."},
		"H6: a directory beside":        {"bin/other", "../../bin"},
		"H6: an absolute path, as ever": {"bin/other", filepath.Join(dir, "bin")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(filepath.Join(dir, c.from))
			finder := &supervise.Finder{Dirs: []string{c.dir}}
			require.Equal(t, []supervise.Found{{App: "app", Path: binary}}, finder.List())
			found, err := finder.Find("app")
			require.NoError(t, err)
			require.Equal(t, binary, found)
			_, err = finder.Find("none")
			require.ErrorContains(t, err, filepath.Join(dir, "bin"))

			ctx, _ := logged(t)
			for role, spec := range map[string]supervise.Spec{"unmodified": unmodifiedSpec("good"), "plugin": spec("good")} {
				for _, path := range []string{found, filepath.Join(c.dir, "baton-app")} {
					spec.Path = path
					process, err := supervise.Start(ctx, spec)
					require.NoError(t, err, "%s %s", role, path)
					_, err = process.Describe(ctx)
					require.NoError(t, err)
					diagnostics, err := configure(ctx, process)
					require.NoError(t, err)
					require.Empty(t, diagnostics)
					require.NoError(t, validate(ctx, process))
					process.Stop(ctx)
				}
			}
		})
	}
}

func TestUnmodified_GetsItsConfigurationInPrivate(t *testing.T) {
	for _, mode := range []sandbox.Mode{sandbox.Warn, sandbox.On} {
		t.Run(string(mode), func(t *testing.T) {
			told := filepath.Join(t.TempDir(), "told") // Not in what is looked at.
			t.Setenv("TMPDIR", shortDir(t))
			getsItsConfigurationInPrivate(t, mode, told)
		})
	}
}

func getsItsConfigurationInPrivate(t *testing.T, mode sandbox.Mode, told string) {
	t.Helper()
	ctx, logs := logged(t)
	s := unmodifiedSpec("tell:" + told)
	s.Sandbox.Mode, s.Sandbox.Write = mode, []string{filepath.Dir(told)}
	process, err := supervise.Start(ctx, s)
	require.NoError(t, err)
	t.Cleanup(func() { process.Stop(context.Background()) })
	text := func(value string) *pluginv1.Value {
		return &pluginv1.Value{Kind: &pluginv1.Value_StringValue{StringValue: value}}
	}
	diagnostics, err := process.Configure(ctx, &pluginv1.ConfigureRequest{
		Values: map[string]*pluginv1.Value{
			"base-url": text("https://app.example.com"),
			"port":     {Kind: &pluginv1.Value_IntValue{IntValue: 8443}},
			"deep":     {Kind: &pluginv1.Value_BoolValue{BoolValue: true}},
			"tags":     {Kind: &pluginv1.Value_StringList{StringList: &pluginv1.StringList{Values: []string{"a", "b: c"}}}},
		},
		Secrets: map[string]*pluginv1.Value{
			"token":    text(secretToken),
			"key-file": {Kind: &pluginv1.Value_FileContent{FileContent: []byte("-----KEY-----\n")}},
		},
		Host: &pluginv1.Host{LogLevel: "debug"},
	})
	require.NoError(t, err)
	require.Empty(t, diagnostics)
	require.NoError(t, validate(ctx, process))

	got, err := os.ReadFile(told)
	require.NoError(t, err)
	require.Equal(t, secretToken+`|https://app.example.com|8443|true|["a" "b: c"]|-----KEY-----
|`+self+" _connector-service", string(got))
	for _, file := range []string{"environ", "cmdline"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", process.PID(), file))
		require.NoError(t, err)
		require.NotContains(t, string(content), "s3cr3t", file)
	}
	require.NoError(t, filepath.WalkDir(os.Getenv("TMPDIR"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != ".lock" {
			t.Errorf("%s is left once the connector serves", path)
		}
		return err
	}))
	for _, entry := range logs.All() {
		require.NotContains(t, fmt.Sprint(entry), "s3cr3t")
	}
}

func TestUnmodified_ReceivesListsAndMapsAsWrittenOrRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		// A script does not say with which SDK the connector is built. Nor does a test
		// binary: go test writes no modules into it.
		script bool
		values string
		want   string // what arrives
		field  string // that is refused
		why    string
	}{
		"H1: a list": {
			values: `values { key: "tags" value { string_list { values: ["public", "a,b", " say \"no\"", ""] } } }`,
			want:   `{"labels": {}, "tags": ["public", "a,b", " say \"no\"", ""]}`,
		},
		"H1: a list for a script": {
			script: true,
			values: `values { key: "tags" value { string_list { values: ["public", "a,b", " say \"no\"", ""] } } }`,
			want:   `{"labels": {}, "tags": ["public", "a,b", " say \"no\"", ""]}`,
		},
		"H1: an empty list and an empty map for a script": {
			script: true,
			values: `values { key: "tags" value { string_list { } } } values { key: "labels" value { map_value { } } }`,
			want:   `{"labels": {}, "tags": []}`,
		},
		"H1: a list that would arrive empty": {
			values: `values { key: "tags" value { string_list { values: [""] } } }`,
			field:  "tags", why: "the value is a list of one empty text, which the connector reads as an empty list; leave the text out",
		},
		"H1: a map for a script": {
			script: true,
			values: `values { key: "labels" value { map_value { fields { key: "k" value { string_value: "s3cr3t" } } } } }`,
			field:  "labels", why: "the value is a map, and the program does not say with which release of baton-sdk it is built",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, logs := logged(t)
			told := filepath.Join(t.TempDir(), "told")
			spec := unmodifiedSpec("collections:" + told)
			if c.script {
				spec.Path = filepath.Join(t.TempDir(), "baton-script")
				require.NoError(t, os.WriteFile(spec.Path, []byte("#!/bin/sh\nexec "+self+` "$@"`+"\n"), 0o700)) //nolint:gosec // A program.
			}
			process, err := supervise.Start(ctx, spec)
			require.NoError(t, err)
			t.Cleanup(func() { process.Stop(context.Background()) })
			request := &pluginv1.ConfigureRequest{}
			require.NoError(t, prototext.Unmarshal([]byte(c.values), request))
			request.Secrets = map[string]*pluginv1.Value{"token": {Kind: &pluginv1.Value_StringValue{StringValue: secretToken}}}
			diagnostics, err := process.Configure(ctx, request)
			require.NoError(t, err)
			if c.field != "" {
				require.Len(t, diagnostics, 1)
				require.Equal(t, c.field, diagnostics[0].GetField())
				require.Contains(t, diagnostics[0].GetSummary(), c.why)
				require.NotContains(t, fmt.Sprint(diagnostics, logs.All()), "s3cr3t")
				require.NoFileExists(t, told)
				return
			}
			require.Empty(t, diagnostics)
			got, err := os.ReadFile(told)
			require.NoError(t, err)
			require.JSONEq(t, c.want, string(got))
		})
	}
}

func TestUnmodified_ExplainsWhatItCannotDo(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "baton-script")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho no >&2\nexit 1\n"), 0o700)) //nolint:gosec // A program.
	elsewhere := builtElsewhere(t)
	for name, c := range map[string]struct {
		spec supervise.Spec
		want string
	}{
		"no config command": {
			unmodifiedSpec("old"),
			`its config command, by which it says what configuration it takes, failed (exit status 2); its last words: unknown command "config" for "baton-old"; and its --help shows no flags; use a release of it that is built with baton-sdk v0.2.68 or later, or list its fields`,
		},
		"another config command": {unmodifiedSpec("garbled"), "its config command, by which it says what configuration it takes, does not print a configuration schema"},
		"no connector at all":    {supervise.Spec{Instance: "test", Path: script, Unmodified: true}, "its config command, by which it says what configuration it takes, failed (exit status 1); its last words: no"},
		"built for another system": {
			supervise.Spec{Instance: "test", Path: elsewhere, Args: []string{"unmodified-good"}, Unmodified: true},
			"it is built for " + runtime.GOOS + "/" + otherProcessor + ", and this is " + runtime.GOOS + "/" + runtime.GOARCH + "; install the release for this system",
		},
		"no program": {supervise.Spec{Instance: "test", Path: filepath.Join(t.TempDir(), "none"), Unmodified: true}, "cannot be started: there is no such program"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			_, err := supervise.Start(ctx, c.spec)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, `start plugin "test"`)
		})
	}
}

// TestUnmodified_RefusesAPluginAtOnce: a program that is a plugin, and whose entry declares
// it unmodified, must not be waited for.
func TestUnmodified_RefusesAPluginAtOnce(t *testing.T) {
	t.Parallel()
	const want = "it is a plugin of baton-host, which runs by itself: remove unmodified: true from its entry"
	for name, c := range map[string]struct{ script, want string }{
		"it refuses to run without its host":       {`echo "This program is a plugin. baton-host starts it: see README.md." >&2; exit 1`, want},
		"it has the words of go-plugin":            {`echo "This binary is a plugin. These are not meant to be executed directly." >&2; exit 1`, want},
		"it serves whatever its arguments are":     {`echo "1|1|unix|/tmp/plugin1|grpc|"; exec sleep 1000`, want},
		"it serves, with the certificate":          {`echo "1|1|tcp|127.0.0.1:1234|grpc|MIIC"; exec sleep 1000`, want},
		"it says nothing of what it is":            {"exit 1", "; if it is a plugin, remove unmodified: true from its entry"},
		"it prints something else":                 {`echo "1|2"; exit 1`, "; if it is a plugin, remove unmodified: true from its entry"},
		"its name has the word, and it is no such": {`echo 'unknown command "config" for "baton-plugin"' >&2; exit 1`, "; if it is a plugin, remove unmodified: true from its entry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "baton-script")
			require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700)) //nolint:gosec // A program.
			ctx, _ := logged(t)
			// Whatever it waits for, the test would end before its time.
			_, err := supervise.Start(ctx, supervise.Spec{Instance: "test", Path: path, Unmodified: true, StartTimeout: time.Hour})
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, `start plugin "test"`)
		})
	}
}

// otherProcessor is a name as long as that of this system's.
var otherProcessor = strings.Repeat("z", len(runtime.GOARCH))

// builtElsewhere is this program as if it had been built for another processor.
func builtElsewhere(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile(self)
	require.NoError(t, err)
	const setting = "build\tGOARCH="
	require.True(t, bytes.Contains(program, []byte(setting+runtime.GOARCH)))
	path := filepath.Join(t.TempDir(), "baton-elsewhere")
	program = bytes.ReplaceAll(program, []byte(setting+runtime.GOARCH), []byte(setting+otherProcessor))
	require.NoError(t, os.WriteFile(path, program, 0o700)) //nolint:gosec // A program.
	return path
}

func TestUnmodified_RefusesItsConfigurationInWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		role    string
		request *pluginv1.ConfigureRequest
		field   string
		want    string
	}{
		"a value that the connector does not take": {
			"good",
			&pluginv1.ConfigureRequest{
				Secrets: map[string]*pluginv1.Value{"token": {Kind: &pluginv1.Value_StringValue{StringValue: secretToken}}},
				Values:  map[string]*pluginv1.Value{"base-url": {Kind: &pluginv1.Value_StringValue{StringValue: "no url"}}},
			},
			"base-url", "base-url",
		},
		"no value for a field that needs one": {"good", &pluginv1.ConfigureRequest{}, "token", "token"},
		"a secret that the app does not know": {
			"refuse",
			&pluginv1.ConfigureRequest{Secrets: map[string]*pluginv1.Value{"token": {Kind: &pluginv1.Value_StringValue{StringValue: secretToken}}}},
			"", "the app does not know ",
		},
		"a value on which the connector panics": {
			"panic",
			&pluginv1.ConfigureRequest{Secrets: map[string]*pluginv1.Value{"token": {Kind: &pluginv1.Value_StringValue{StringValue: secretToken}}}},
			"", "panic: runtime error: index out of range",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			process, err := supervise.Start(ctx, unmodifiedSpec(c.role))
			require.NoError(t, err)
			t.Cleanup(func() { process.Stop(context.Background()) })
			diagnostics, err := process.Configure(ctx, c.request)
			require.NoError(t, err)
			require.Len(t, diagnostics, 1)
			require.Contains(t, diagnostics[0].GetSummary(), "the connector does not start with this configuration (exit status 2): ")
			require.Contains(t, diagnostics[0].GetSummary(), c.want)
			require.Equal(t, c.field, diagnostics[0].GetField(), diagnostics[0].GetSummary())
			require.NotContains(t, diagnostics[0].GetSummary(), "s3cr3t")

			_, err = process.Configure(ctx, c.request)
			require.Equal(t, codes.FailedPrecondition, status.Code(err))
		})
	}
}

func TestUnmodified_EndsWhenItDoesNotServeInTime(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	slow := unmodifiedSpec("slow")
	slow.ConfigureTimeout = 2 * time.Second
	process, err := supervise.Start(ctx, slow)
	require.NoError(t, err)
	t.Cleanup(func() { process.Stop(context.Background()) })
	_, err = configure(ctx, process)
	require.ErrorContains(t, err, `plugin "test" has not taken its configuration within 2s; if it needs longer, raise its start-timeout`)
	<-process.Exited()
}

func TestUnmodified_RestartsLikeAPlugin(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			s := settings("good")
			s.Spec = unmodifiedSpec("good")
			s.HealthTimeout = time.Second
			p := made(t, ctx, s)
			require.NoError(t, p.Start(ctx))
			require.NoError(t, ask(ctx, p))
			first := p.Status().PID
			require.NoError(t, syscall.Kill(first, signal))
			require.Eventually(t, func() bool { return p.Status().PID != first && p.Status().State == supervise.Ready }, time.Minute, 10*time.Millisecond)
			require.NoError(t, ask(ctx, p))
			require.Equal(t, 1, p.Status().Restarts)
		})
	}
}

func TestUnmodified_EndsWhenStopped(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"good", "hang", "deaf", "fork"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			process := started(t, ctx, unmodifiedSpec(role))
			if role != "hang" {
				require.NoError(t, validate(ctx, process))
			} else {
				go func() { _ = validate(ctx, process) }()
			}
			stopsInTime(t, ctx, process)
			<-process.Exited()
			require.ErrorIs(t, syscall.Kill(process.PID(), 0), syscall.ESRCH)
		})
	}
}
