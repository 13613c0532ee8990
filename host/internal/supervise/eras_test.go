//go:build unix

package supervise_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/host/internal/supervise"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// eraSettings is what the connectors of the eras are configured with.
type eraSettings struct {
	Token  string         `json:"token" mapstructure:"token"`
	Port   int            `json:"port" mapstructure:"port"`
	Deep   bool           `json:"deep" mapstructure:"deep"`
	Wait   time.Duration  `json:"wait" mapstructure:"wait"`
	Hidden string         `json:"hidden" mapstructure:"hidden-option"`
	Tags   []string       `json:"tags" mapstructure:"tags"`
	Labels map[string]any `json:"labels" mapstructure:"labels"`
}

// eraSchema is what the connectors print that describe themselves.
var eraSchema = field.NewConfiguration([]field.SchemaField{
	field.StringField("token", field.WithIsSecret(true), field.WithRequired(true)),
	field.IntField("port", field.WithDefaultValue(443)),
	field.BoolField("deep"),
	field.StringSliceField("tags"),
	field.StringMapField("labels"),
})

// early are the eras of SDKs that print no schema.
var early = []string{"decoded", "viper", "untried", "arrays", "flags"}

// eraRole is a connector that reads its configuration as those of one era of the SDK do,
// and prints its help as they do. It writes what it has read to a file. The eras:
// decoded (to v0.1), viper (v0.2.0; untried: not looked at), arrays (to v0.2.24), flags (to v0.2.67), text (to v0.8.18), flat (to
// v0.11.1), nested.
func eraRole(era, told string) {
	if era == "mute" { // None: it has no commands, and no help.
		fmt.Fprintln(os.Stderr, "unknown command")
		os.Exit(1)
	}
	ctx := context.Background()
	v := viper.New()
	v.SetConfigType("yaml")
	readFile := func() {
		dir, name := filepath.Split(os.Getenv("BATON_CONFIG_PATH"))
		v.SetConfigName(strings.TrimSuffix(name, ".yaml"))
		v.AddConfigPath(dir)
		_ = v.ReadInConfig()
	}
	connector := func(context.Context, *viper.Viper, cli.RunTimeOpts) (types.ConnectorServer, error) {
		got := eraSettings{
			Token: v.GetString("token"), Port: v.GetInt("port"), Deep: v.GetBool("deep"), Wait: v.GetDuration("wait"),
			Hidden: v.GetString("hidden-option"), Tags: v.GetStringSlice("tags"), Labels: v.GetStringMap("labels"),
		}
		if era == "decoded" {
			got = eraSettings{}
			if err := v.Unmarshal(&got); err != nil {
				return nil, err
			}
		}
		encoded, err := json.Marshal(got)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(told, encoded, 0o600); err != nil {
			return nil, err
		}
		return connectorbuilder.NewConnector(ctx, &testConnector{token: got.Token})
	}

	root := &cobra.Command{Use: "baton-era", Short: "baton-era", Version: "v1.2.3", SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error {
		return os.WriteFile(told, []byte("run by hand"), 0o600)
	}}
	flags := root.PersistentFlags()
	flags.String("client-id", "", "The client ID used to authenticate with ConductorOne ($BATON_CLIENT_ID)")
	flags.String("client-secret", "", "The client secret used to authenticate with ConductorOne ($BATON_CLIENT_SECRET)")
	flags.StringP("file", "f", "sync.c1z", "The path to the c1z file to sync with ($BATON_FILE)")
	flags.String("log-format", "json", "The output format for logs: json, console ($BATON_LOG_FORMAT)")
	flags.String("log-level", "info", "The log level: debug, info, warn, error ($BATON_LOG_LEVEL)")
	flags.BoolP("provisioning", "p", false, "This must be set in order for provisioning actions to be enabled ($BATON_PROVISIONING)")
	flags.String("revoke-grant", "", "The grant to revoke ($BATON_REVOKE_GRANT)")
	_ = flags.MarkHidden("revoke-grant")
	own := func(flags *pflag.FlagSet) {
		flags.String("token", "", "required: The token of the API,\nas the app shows it ($BATON_TOKEN)")
		flags.Int("port", 443, "The port of the app ($BATON_PORT)")
		flags.Bool("deep", false, "Whether to look deeper ($BATON_DEEP)")
		flags.Duration("wait", time.Second, "How long to `wait` ($BATON_WAIT)")
		if era == "arrays" {
			flags.StringArray("tags", nil, "Tags to limit the sync to ($BATON_TAGS)")
		} else {
			flags.StringSlice("tags", nil, "Tags to limit the sync to ($BATON_TAGS)")
		}
		flags.String("hidden-option", "", "Not for everyone ($BATON_HIDDEN_OPTION)")
		_ = flags.MarkHidden("hidden-option")
		if !slices.Contains(early, era) {
			flags.StringToString("labels", nil, "Labels ($BATON_LABELS)")
		}
	}
	service := &cobra.Command{Use: "_connector-service", Hidden: true, RunE: func(cmd *cobra.Command, args []string) error {
		if era == "decoded" {
			readFile()
		}
		v.SetDefault(field.HttpTimeoutField.GetName(), 60)
		return cli.MakeGRPCServerCommand(ctx, "baton-era", v, field.NewConfiguration(nil), connector)(cmd, args)
	}}
	capabilities := &cobra.Command{Use: "capabilities", Short: "Get connector capabilities", RunE: func(*cobra.Command, []string) error {
		return fmt.Errorf("field token of type string is marked as required but it has a zero-value")
	}}
	root.AddCommand(service, capabilities)
	own(root.Flags())
	own(service.Flags())
	if era != "decoded" {
		readFile()
	}
	switch era {
	case "arrays", "flags", "text":
		service.Flags().VisitAll(func(flag *pflag.Flag) {
			if v.IsSet(flag.Name) {
				_ = service.Flags().Set(flag.Name, v.GetString(flag.Name))
			}
		})
	case "flat":
		cli.VisitFlags(service, v)
		if pairs := v.GetStringMapString("labels"); len(pairs) > 0 && !service.Flags().Changed("labels") {
			var joined []string
			for key, value := range pairs {
				joined = append(joined, key+"="+value)
			}
			_ = service.Flags().Set("labels", strings.Join(joined, ","))
		}
	case "nested":
		cli.VisitFlags(service, v)
	}
	if !slices.Contains(early, era) {
		root.AddCommand(&cobra.Command{Use: "config", RunE: cli.MakeConfigSchemaCommand(ctx, "baton-era", v, eraSchema, connector)})
	}
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// launcher returns a program that a toolchain has built with a version of the SDK, and
// that starts this test binary in its place.
func launcher(t *testing.T, version string) string {
	t.Helper()
	program, err := builtLauncher()
	require.NoError(t, err)
	const module = "\tgithub.com/conductorone/baton-sdk\t"
	built := module + launcherVersion + "\t" // and no checksum
	require.Contains(t, string(program), built)
	wanted := module + version + "\t"
	wanted += strings.Repeat("x", len(built)-len(wanted)) // A checksum, which is not looked at.
	path := filepath.Join(t.TempDir(), "baton-era")
	program = bytes.ReplaceAll(program, []byte(built), []byte(wanted))
	require.NoError(t, os.WriteFile(path, program, 0o700)) //nolint:gosec // A program.
	return path
}

const launcherVersion = "v0.8.18"

// builtLauncher builds the launcher, with a package of ours in the place of the SDK.
var builtLauncher = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "launcher")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	const sdk = "github.com/conductorone/baton-sdk"
	for path, text := range map[string]string{
		"go.mod":                          "module example.com/baton-era\n\ngo 1.24\n\nrequire " + sdk + " " + launcherVersion + "\n",
		"vendor/modules.txt":              "# " + sdk + " " + launcherVersion + "\n## explicit; go 1.24\n" + sdk + "/pkg/cli\n",
		"vendor/" + sdk + "/pkg/cli/c.go": "package cli\n",
		"main.go": `package main

import (
	"os"
	"syscall"

	_ "` + sdk + `/pkg/cli"
)

func main() {
	_ = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	os.Exit(127)
}
`,
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	build := exec.Command("go", "build", "-mod=vendor", "-ldflags=-s -w", "-o", "launcher", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOPROXY=off")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "launcher"))
})

// eraSpec is a connector of an era. Without a version it is started by a script.
func eraSpec(t *testing.T, era, version, told string) supervise.Spec {
	t.Helper()
	spec := unmodifiedSpec("era:" + era + ":" + told)
	if version != "" {
		spec.Unmodified = false // It is recognized.
		spec.Args = append([]string{self}, spec.Args...)
		spec.Path = launcher(t, version)
		return spec
	}
	spec.Path = filepath.Join(t.TempDir(), "baton-script")
	require.NoError(t, os.WriteFile(spec.Path, []byte("#!/bin/sh\nexec "+self+` "$@"`+"\n"), 0o700)) //nolint:gosec // A program.
	return spec
}

func textValue(text string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_StringValue{StringValue: text}}
}

func listValue(list ...string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_StringList{StringList: &pluginv1.StringList{Values: list}}}
}

func mapValue(t *testing.T, items map[string]any) *pluginv1.Value {
	t.Helper()
	value, err := structpb.NewStruct(items)
	require.NoError(t, err)
	return &pluginv1.Value{Kind: &pluginv1.Value_MapValue{MapValue: value}}
}

// requestFor puts values where the schema wants them.
func requestFor(schema *pluginv1.ConfigurationSchema, values map[string]*pluginv1.Value) *pluginv1.ConfigureRequest {
	request := &pluginv1.ConfigureRequest{Values: map[string]*pluginv1.Value{}, Secrets: map[string]*pluginv1.Value{}}
	secret := map[string]bool{}
	for _, field := range schema.GetFields() {
		secret[field.GetName()] = field.GetSecret()
	}
	for name, value := range values {
		if secret[name] {
			request.Secrets[name] = value
		} else {
			request.Values[name] = value
		}
	}
	return request
}

// eras are SDKs, at both ends of each era, and scripts that start one.
var eras = []struct{ era, version string }{
	{"decoded", "v0.1.32"},
	{"viper", "v0.2.0"},
	{"untried", "v0.2.8"},
	{"arrays", "v0.2.10"},
	{"flags", "v0.2.24"},
	{"flags", "v0.2.51"},
	{"flags", "v0.2.67"},
	{"text", "v0.2.68"},
	{"text", "v0.8.18"},
	{"flat", "v0.8.19"},
	{"flat", "v0.11.1"},
	{"nested", "v0.11.2"},
	{"nested", "v0.25.0"},
	{"decoded", ""},
	{"arrays", ""},
	{"flags", ""},
	{"text", ""},
	{"flat", ""},
	{"nested", ""},
}

func TestUnmodified_EachSDKReadsWhatTheHostHandsOver(t *testing.T) {
	t.Parallel()
	const untried = "is a list, and how baton-sdk VERSION reads a list is not known"
	const described, known = "text flat nested", "decoded flags text flat nested"
	for name, c := range map[string]struct {
		values map[string]*pluginv1.Value
		want   func(*eraSettings)
		// refused has for eras, or for eras of scripts behind a slash, what is said of a
		// field that they cannot receive. VERSION stands for that of the SDK.
		refused map[string]string
		field   string
	}{
		"single values": {
			values: map[string]*pluginv1.Value{
				"port": {Kind: &pluginv1.Value_IntValue{IntValue: 8443}},
				"deep": {Kind: &pluginv1.Value_BoolValue{BoolValue: true}},
			},
			want: func(s *eraSettings) { s.Port, s.Deep = 8443, true },
		},
		"a list": {
			values: map[string]*pluginv1.Value{"tags": listValue("public", "two words", "ünï")},
			want:   func(s *eraSettings) { s.Tags = []string{"public", "two words", "ünï"} },
			refused: map[string]string{
				"untried": untried, "arrays": "which baton-sdk VERSION may read as one text; give one text, or use a release of the connector that is built with baton-sdk v0.2.25 or later",
				"/arrays": "which the connector's baton-sdk may read as one text",
			},
			field: "tags",
		},
		"a list of one text": {
			values:  map[string]*pluginv1.Value{"tags": listValue(" two words]")},
			want:    func(s *eraSettings) { s.Tags = []string{" two words]"} },
			refused: map[string]string{"untried": untried},
			field:   "tags",
		},
		"a list with commas and quotation marks": {
			values:  map[string]*pluginv1.Value{"tags": listValue("OU=X,DC=Y", `say "no"`, "a\nb", "")},
			want:    func(s *eraSettings) { s.Tags = []string{"OU=X,DC=Y", `say "no"`, "a\nb", ""} },
			refused: map[string]string{"untried": untried, "arrays": "may read as one text", "/arrays": "may read as one text", "/decoded": "does not say with which release of baton-sdk", "/flags": "does not say with which release of baton-sdk"},
			field:   "tags",
		},
		"a list of one empty text": {
			values:  map[string]*pluginv1.Value{"tags": listValue("")},
			want:    func(s *eraSettings) { s.Tags = []string{""} },
			refused: refusedBy("is a list", "untried arrays flags text flat nested", known+" arrays"),
			field:   "tags",
		},
		"a map": {
			values:  map[string]*pluginv1.Value{"labels": mapValue(t, map[string]any{"team": "ops", "tier": "one"})},
			want:    func(s *eraSettings) { s.Labels = map[string]any{"team": "ops", "tier": "one"} },
			refused: refusedBy("does not say with which release of baton-sdk", "", described),
			field:   "labels",
		},
		"a map with dots and capitals": {
			values:  map[string]*pluginv1.Value{"labels": mapValue(t, map[string]any{"Engineering.Team": "ops", "Port": "8080"})},
			want:    func(s *eraSettings) { s.Labels = map[string]any{"Engineering.Team": "ops", "Port": "8080"} },
			refused: refusedBy("does not say with which release of baton-sdk", "", described),
			field:   "labels",
		},
		"a map in a map": {
			values: map[string]*pluginv1.Value{"labels": mapValue(t, map[string]any{"a": map[string]any{"b": []any{"c"}}})},
			want:   func(s *eraSettings) { s.Labels = map[string]any{"a": map[string]any{"b": []any{"c"}}} },
			refused: map[string]string{
				"flat":  "which baton-sdk VERSION reads as an empty text; give texts only, or use a release of the connector that is built with baton-sdk v0.11.2 or later",
				"/text": "does not say with which release", "/flat": "does not say with which release", "/nested": "does not say with which release",
			},
			field: "labels",
		},
	} {
		for _, era := range eras {
			isEarly := slices.Contains(early, era.era)
			if isEarly && c.field == "labels" {
				continue // There was no field for a map.
			}
			id := "H1: "
			switch {
			case isEarly:
				id = "H4: "
			case c.field == "labels":
				id = "H11: "
			}
			version := era.version
			if version == "" {
				version = "a script"
			}
			t.Run(fmt.Sprintf("%s%s, %s, %s", id, name, era.era, version), func(t *testing.T) {
				t.Parallel()
				ctx, _ := logged(t)
				told := filepath.Join(t.TempDir(), "told")
				process, err := supervise.Start(ctx, eraSpec(t, era.era, era.version, told))
				require.NoError(t, err)
				t.Cleanup(func() { process.Stop(context.Background()) })
				require.Equal(t, isEarly, process.FieldsFromHelp())
				manifest, err := process.Describe(ctx)
				require.NoError(t, err)
				require.Equal(t, "v1.2.3", manifest.GetVersion())
				require.Equal(t, era.version, manifest.GetSdkVersion())
				request := requestFor(manifest.GetConfiguration(), c.values)
				request.Secrets["token"] = textValue(secretToken)
				diagnostics, err := process.Configure(ctx, request)
				require.NoError(t, err)

				key := era.era
				if era.version == "" {
					key = "/" + key
				}
				if why := c.refused[key]; why != "" {
					require.Len(t, diagnostics, 1)
					require.Equal(t, c.field, diagnostics[0].GetField())
					require.Contains(t, diagnostics[0].GetSummary(), strings.ReplaceAll(why, "VERSION", era.version))
					require.NoFileExists(t, told)
					return
				}
				require.Empty(t, diagnostics)
				require.NoError(t, validate(ctx, process))
				got, err := os.ReadFile(told)
				require.NoError(t, err)
				want := eraSettings{Token: secretToken, Port: 443, Wait: time.Second, Tags: []string{}, Labels: map[string]any{}}
				if era.era == "decoded" {
					want.Labels = nil
				}
				c.want(&want)
				expected, err := json.Marshal(want)
				require.NoError(t, err)
				require.JSONEq(t, string(expected), string(got))
			})
		}
	}
}

// refusedBy has the same for eras of known versions and for those of scripts.
func refusedBy(why, known, scripts string) map[string]string {
	refused := map[string]string{}
	for era := range strings.FieldsSeq(known) {
		refused[era] = why
	}
	for era := range strings.FieldsSeq(scripts) {
		refused["/"+era] = why
	}
	return refused
}

func TestUnmodified_HasTheFieldsOfItsHelp(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]string{"H4: a known SDK": "v0.1.32", "H4: a script": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, logs := logged(t)
			told := filepath.Join(t.TempDir(), "told")
			process, err := supervise.Start(ctx, eraSpec(t, "decoded", version, told))
			require.NoError(t, err)
			t.Cleanup(func() { process.Stop(context.Background()) })
			require.True(t, process.FieldsFromHelp())
			manifest, err := process.Describe(ctx)
			require.NoError(t, err)
			want := &pluginv1.ConfigurationSchema{}
			require.NoError(t, prototext.Unmarshal([]byte(`
				fields { name: "deep" type: FIELD_TYPE_BOOL help: "Whether to look deeper" }
				fields { name: "port" type: FIELD_TYPE_INT secret: true help: "The port of the app" }
				fields { name: "tags" type: FIELD_TYPE_STRING_LIST secret: true help: "Tags to limit the sync to" }
				fields { name: "token" type: FIELD_TYPE_STRING secret: true required: true help: "The token of the API," }
				fields { name: "wait" type: FIELD_TYPE_STRING secret: true help: "How long to wait" }
			`), want))
			require.Empty(t, cmp.Diff(want, manifest.GetConfiguration(), protocmp.Transform()))

			diagnostics, err := process.Configure(ctx, requestFor(manifest.GetConfiguration(), map[string]*pluginv1.Value{
				"token": textValue(secretToken), "wait": textValue("3s"), "tags": listValue("s3cr3t-tag"),
			}))
			require.NoError(t, err)
			require.Empty(t, diagnostics)
			require.NoError(t, validate(ctx, process))
			got, err := os.ReadFile(told)
			require.NoError(t, err)
			require.Contains(t, string(got), `"wait":3000000000`)
			require.NotContains(t, fmt.Sprint(logs.All()), "s3cr3t")
		})
	}
}

func TestUnmodified_HasTheFieldsOfItsEntry(t *testing.T) {
	t.Parallel()
	fields := []*pluginv1.Field{
		{Name: "token", Type: pluginv1.FieldType_FIELD_TYPE_FILE, Secret: true},
		{Name: "tags", Type: pluginv1.FieldType_FIELD_TYPE_STRING_LIST},
		{Name: "hidden-option", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true},
		{Name: "wait", Type: pluginv1.FieldType_FIELD_TYPE_STRING},
	}
	for _, era := range eras {
		if !slices.Contains(early, era.era) || era.era == "untried" || era.era == "arrays" {
			continue
		}
		t.Run("H4: "+era.era+" "+era.version, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			told := filepath.Join(t.TempDir(), "told")
			spec := eraSpec(t, era.era, era.version, told)
			spec.Fields = fields
			process, err := supervise.Start(ctx, spec)
			require.NoError(t, err)
			t.Cleanup(func() { process.Stop(context.Background()) })
			require.False(t, process.FieldsFromHelp())
			manifest, err := process.Describe(ctx)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(&pluginv1.ConfigurationSchema{Fields: fields}, manifest.GetConfiguration(), protocmp.Transform()))
			require.Equal(t, "baton-era", manifest.GetName())

			diagnostics, err := process.Configure(ctx, requestFor(manifest.GetConfiguration(), map[string]*pluginv1.Value{
				"token":         {Kind: &pluginv1.Value_FileContent{FileContent: []byte("-----KEY-----\n")}},
				"tags":          listValue("a", "b c"),
				"hidden-option": textValue("x: y"),
			}))
			require.NoError(t, err)
			require.Empty(t, diagnostics)
			require.NoError(t, validate(ctx, process))
			var got eraSettings
			encoded, err := os.ReadFile(told)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(encoded, &got))
			require.Equal(t, []string{"a", "b c"}, got.Tags)
			require.Equal(t, "x: y", got.Hidden)
			require.NotEmpty(t, got.Token)
			require.NotContains(t, got.Token, "KEY", "it is a path")
		})
	}
}

func TestUnmodified_RefusesFieldsThatDoNotFit(t *testing.T) {
	t.Parallel()
	one := func(name string, is pluginv1.FieldType) []*pluginv1.Field {
		return []*pluginv1.Field{{Name: name, Type: is}}
	}
	const text, list = pluginv1.FieldType_FIELD_TYPE_STRING, pluginv1.FieldType_FIELD_TYPE_STRING_LIST
	for name, c := range map[string]struct {
		era, version string
		fields       []*pluginv1.Field
		want         string
	}{
		"H4: a name that is nearly a flag's":           {"flags", "v0.2.67", one("tokn", text), `fields of its entry has tokn, for which the connector has no flag; did you mean token?`},
		"H4: a name that is no flag's":                 {"decoded", "v0.1.32", one("organization", text), `fields of its entry has organization, for which the connector has no flag; its flags are deep, port, tags, token, wait`},
		"H4: a name that is no flag's, in a script":    {"decoded", "", one("organization", text), `fields of its entry has organization, for which the connector has no flag`},
		"H4: a flag of the SDK":                        {"decoded", "v0.1.32", one("log-level", text), `fields of its entry has log-level, which is the SDK's own and for the host to decide on; leave it out`},
		"H4: a hidden flag of the SDK":                 {"flags", "v0.2.67", one("revoke-grant", text), `fields of its entry has revoke-grant, which is the SDK's own`},
		"H4: another type":                             {"flags", "v0.2.67", one("tags", text), `fields of its entry has tags with type string, and its --help has it with type string-list; write that`},
		"H4: a list for a text":                        {"decoded", "v0.1.32", one("token", list), `fields of its entry has token with type string-list, and its --help has it with type string; write that`},
		"H4: several at once":                          {"flags", "v0.2.67", append(one("tokn", text), one("deep", list)...), `did you mean token?; fields of its entry has deep with type string-list`},
		"H4: a connector that describes itself":        {"nested", "v0.25.0", one("token", text), `it describes its configuration itself, and its entry has fields too; leave fields out of the entry`},
		"H4: a script of one that describes itself":    {"text", "", one("token", text), `it describes its configuration itself, and its entry has fields too`},
		"H4: an older one that describes itself":       {"text", "v0.2.68", one("token", text), `it describes its configuration itself, and its entry has fields too`},
		"H4: fields for a program that shows no flags": {"mute", "", one("log-level", text), `which is the SDK's own`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			told := filepath.Join(t.TempDir(), "told")
			spec := eraSpec(t, c.era, c.version, told)
			spec.Fields = c.fields
			_, err := supervise.Start(ctx, spec)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, `start plugin "test"`)
			require.NoFileExists(t, told, "nothing is run but commands that describe it")
		})
	}
}

func TestUnmodified_NamesTheSDKThatDescribesItself(t *testing.T) {
	t.Parallel()
	const entry = `list its fields under fields in its entry, with unmodified: true`
	for name, c := range map[string]struct {
		era, version string
		want         []string
	}{
		"H4: an old SDK without a help": {"mute", "v0.2.51", []string{
			`it is built with baton-sdk v0.2.51, which has no config command to say what configuration it takes, and its --help shows no flags`,
			`use a release of it that is built with baton-sdk v0.2.68 or later, or ` + entry,
		}},
		"H4: a script without a help": {"mute", "", []string{
			`its config command, by which it says what configuration it takes, failed (exit status 1); its last words: unknown command; and its --help shows no flags`,
			`use a release of it that is built with baton-sdk v0.2.68 or later, or ` + entry,
		}},
		"H4: a later SDK whose command fails": {"flags", "v0.3.18", []string{
			`its config command, by which it says what configuration it takes, failed (exit status 1); its last words: unknown command "config" for "baton-era"`,
			`run it by hand to see why, or ` + entry,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			told := filepath.Join(t.TempDir(), "told")
			_, err := supervise.Start(ctx, eraSpec(t, c.era, c.version, told))
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.NoFileExists(t, told)
		})
	}
}
