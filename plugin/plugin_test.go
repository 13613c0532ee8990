package plugin_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/conductorone/baton-sdk/pkg/crypto"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/conductorone/baton-sdk/pkg/uhttp"
	"github.com/go-jose/go-jose/v4"
	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/spf13/viper"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// roleVariable makes the test binary be a connector: the tests start it again
// as a real subprocess.
const roleVariable = "BATON_TEST_CONNECTOR"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "":
		// Built with the race detector, each process would sleep a second at its end.
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
		os.Exit(m.Run())
	case "plain":
		plugin.Run(context.Background(), "baton-test", "v1.2.3", testSchema, newTestConnector,
			connectorrunner.WithDefaultCapabilitiesConnectorBuilderV2(&testConnector{}), plugin.WithConcurrency(3))
	case "groups":
		plugin.Run(context.Background(), "baton-test", "v1.2.3", groupSchema, newTestConnector)
	case "sessions":
		plugin.Run(context.Background(), "baton-test", "v1.2.3", testSchema, newTestConnector, connectorrunner.WithSessionStoreEnabled())
	case "exported":
		plugin.Run(context.Background(), "baton-test", "v1.2.3", exportedSchema, newExportedConnector)
	case "defined", "defined v2", "reads early":
		mainOfOldStyle(os.Getenv(roleVariable))
	case "crowd":
		plugin.Run(context.Background(), "baton-test", "v1.2.3", testSchema, newCrowd)
	}
}

var (
	urlField    = field.StringField("base-url", field.WithRequired(true), field.WithDisplayName("Base URL"), field.WithDescription("Where the app is."), field.WithPlaceholder("https://app.example.com"), field.WithString(func(r *field.StringRuler) { r.IsURI() }))
	tokenField  = field.StringField("api-token", field.WithIsSecret(true), field.WithDisplayName("API token"), field.WithString(func(r *field.StringRuler) { r.Prefix("tok-").MinLen(8) }))
	secretField = field.StringField("client-secret-2", field.WithIsSecret(true))
	portField   = field.IntField("port", field.WithDefaultValue(443), field.WithInt(func(r *field.IntRuler) { r.Gt(0).Lte(65535) }))
	modeField   = field.SelectField("mode", []string{"fast", "slow"})
	deepField   = field.BoolField("deep")
	tagsField   = field.StringSliceField("tags", field.WithStringSlice(func(r *field.StringSliceRuler) { r.MaxItems(2).Unique(true) }))
	labelsField = field.StringMapField("labels")
	keyField    = field.FileUploadField("key-file", []string{".json"}, field.WithIsSecret(true))
	hiddenField = field.StringField("trace-id", field.WithHidden(true), field.WithExportTarget(field.ExportTargetCLIOnly))

	testSchema = field.NewConfiguration(
		[]field.SchemaField{urlField, tokenField, secretField, portField, modeField, deepField, tagsField, labelsField, keyField, hiddenField},
		field.WithConnectorDisplayName("Test App"),
		field.WithHelpUrl("https://docs.example.com/test"),
		field.WithIconUrl("https://docs.example.com/test.svg"),
		field.WithConstraints(
			field.FieldsMutuallyExclusive(secretField, keyField),
			field.FieldsDependentOn([]field.SchemaField{deepField}, []field.SchemaField{modeField}),
		),
	)

	groupSchema = field.NewConfiguration(
		[]field.SchemaField{tokenRequired, userRequired},
		field.WithFieldGroups([]field.SchemaFieldGroup{
			{Name: "token", DisplayName: "Token", Fields: []field.SchemaField{tokenRequired}, Default: true},
			{Name: "user", DisplayName: "User", Fields: []field.SchemaField{userRequired}},
		}),
	)
	tokenRequired = field.StringField("api-token", field.WithIsSecret(true), field.WithRequired(true))
	userRequired  = field.StringField("mode", field.WithRequired(true))
)

// exportedSchema has fields of the SDK's own.
var exportedSchema = field.NewConfiguration([]field.SchemaField{
	field.HttpTimeoutField.ExportAs(field.ExportTargetGUI),
	field.TicketingField.ExportAs(field.ExportTargetGUI),
	field.ServerSessionStoreMaximumSizeField.ExportAs(field.ExportTargetGUI),
})

// newExportedConnector makes a connector that shows what it found when it was made.
func newExportedConnector(ctx context.Context, v *viper.Viper, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
	found := fmt.Sprintf("http %v, ticketing %t", ctx.Value(uhttp.ContextHTTPTimeoutKey), v.GetBool(field.TicketingField.FieldName))
	if key, ok := ctx.Value(crypto.ContextClientSecretKey).(*jose.JSONWebKey); ok {
		found += ", key " + key.KeyID
	} else {
		found += ", no key"
	}
	return &testConnector{settings: &settings{}, opts: &cli.ConnectorOpts{SelectedAuthMethod: found}}, nil, nil
}

// settings is an author's typed configuration.
type settings struct {
	BaseURL      string         `mapstructure:"base-url"`
	APIToken     string         `mapstructure:"api-token"`
	ClientSecret string         `mapstructure:"client-secret-2"`
	Port         int            `mapstructure:"port"`
	Mode         string         `mapstructure:"mode"`
	Deep         bool           `mapstructure:"deep"`
	Tags         []string       `mapstructure:"tags"`
	Labels       map[string]any `mapstructure:"labels"`
	KeyFile      []byte         `mapstructure:"key-file"`
	TraceID      string         `mapstructure:"trace-id"`
}

func (s *settings) GetString(name string) string {
	return map[string]string{
		"base-url": s.BaseURL, "api-token": s.APIToken, "client-secret-2": s.ClientSecret,
		"mode": s.Mode, "key-file": string(s.KeyFile), "trace-id": s.TraceID,
	}[name]
}
func (s *settings) GetBool(string) bool { return s.Deep }
func (s *settings) GetInt(name string) int {
	if name == "port" {
		return s.Port
	}
	return 1 // The SDK's own fields, which a run by a person has too.
}
func (s *settings) GetStringSlice(string) []string     { return s.Tags }
func (s *settings) GetStringMap(string) map[string]any { return s.Labels }

// testConnector lists one account that shows how its configuration arrived.
type testConnector struct {
	settings  *settings
	opts      *cli.ConnectorOpts
	validated atomic.Int32
}

func newTestConnector(_ context.Context, s *settings, opts *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
	if s.BaseURL == panicURL {
		panic("an oversight about " + s.APIToken)
	}
	if s.Mode == "slow" {
		return nil, nil, status.Errorf(codes.InvalidArgument, "the app refuses %s at %s", s.APIToken, s.BaseURL)
	}
	return &testConnector{settings: s, opts: opts}, nil, nil
}

func (c *testConnector) Metadata(context.Context) (*connectorv2.ConnectorMetadata, error) {
	return connectorv2.ConnectorMetadata_builder{DisplayName: "Test App"}.Build(), nil
}

// Validate counts its calls in its errors where the app is away.
func (c *testConnector) Validate(context.Context) (annotations.Annotations, error) {
	if c.settings.BaseURL != awayURL {
		return nil, nil
	}
	return nil, status.Errorf(codes.Unavailable, "the app is away at call %d", c.validated.Add(1))
}

// brokenURL is an app that validates and does not list.
const brokenURL = "https://broken.example.com"

// panicURL is an app at which the author's code panics.
const panicURL = "https://panic.example.com"

const awayURL = "https://away.example.com"

func (c *testConnector) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{c}
}

var userType = connectorv2.ResourceType_builder{
	Id: "user", DisplayName: "User", Traits: []connectorv2.ResourceType_Trait{connectorv2.ResourceType_TRAIT_USER},
}.Build()

func (c *testConnector) ResourceType(context.Context) *connectorv2.ResourceType { return userType }

func (c *testConnector) List(ctx context.Context, _ *connectorv2.ResourceId, opts resource.SyncOpAttrs) ([]*connectorv2.Resource, *resource.SyncOpResults, error) {
	if sign, ok := strings.CutPrefix(opts.PageToken.Token, "hang:"); ok {
		if err := os.WriteFile(sign, nil, 0o600); err != nil {
			return nil, nil, err
		}
		<-ctx.Done()
		return nil, nil, ctx.Err()
	}
	if c.settings.BaseURL == brokenURL {
		return nil, nil, status.Error(codes.PermissionDenied, "the app refuses to list")
	}
	if opts.PageToken.Token == "panic" {
		panic("the author made a mistake")
	}
	account, err := resource.NewUserResource(c.opts.SelectedAuthMethod, userType, "u1", []resource.UserTraitOption{
		resource.WithUserLogin(c.settings.BaseURL),
		resource.WithUserProfile(map[string]any{ //nolint:staticcheck // The trait's profile is what this test reads.
			"token": c.settings.APIToken, "port": c.settings.Port, "tags": len(c.settings.Tags), "labels": c.settings.Labels, "key": string(c.settings.KeyFile),
		}),
	})
	return []*connectorv2.Resource{account}, nil, err
}

func (c *testConnector) Entitlements(context.Context, *connectorv2.Resource, resource.SyncOpAttrs) ([]*connectorv2.Entitlement, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

func (c *testConnector) Grants(context.Context, *connectorv2.Resource, resource.SyncOpAttrs) ([]*connectorv2.Grant, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

// start runs this binary as a plugin in the given role.
func start(t testing.TB, role string) *plugin.Client {
	t.Helper()
	client, _ := startCommand(t, role, exec.Command(os.Args[0])) //nolint:gosec,noctx // The test's own binary, ended by Kill.
	return client
}

func startCommand(t testing.TB, role string, cmd *exec.Cmd) (*plugin.Client, *goplugin.Client) {
	t.Helper()
	cmd.Env = append(cmd.Env, roleVariable+"="+role, "HOME="+t.TempDir(), "GORACE="+os.Getenv("GORACE"))
	host := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake,
		VersionedPlugins: plugin.HostPlugins(),
		Cmd:              cmd,
		SkipHostEnv:      true,
		AutoMTLS:         true,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		GRPCDialOptions:  plugin.DialOptions(),
		Logger:           hclog.NewNullLogger(),
	})
	t.Cleanup(host.Kill)
	protocol, err := host.Client()
	require.NoError(t, err)
	client, err := plugin.Dispense(protocol)
	require.NoError(t, err)
	return client, host
}

func text(value string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_StringValue{StringValue: value}}
}

// goodRequest is the least configuration that the plain connector takes.
func goodRequest() *pluginv1.ConfigureRequest {
	return &pluginv1.ConfigureRequest{Values: map[string]*pluginv1.Value{"base-url": text("https://app.example.com")}}
}

func configure(t *testing.T, client *plugin.Client, request *pluginv1.ConfigureRequest) []*pluginv1.Diagnostic {
	t.Helper()
	response, err := client.Configure(t.Context(), request)
	require.NoError(t, err)
	return response.GetDiagnostics()
}

func listUsers(t *testing.T, client *plugin.Client, token string) (*connectorv2.ResourcesServiceListResourcesResponse, error) {
	t.Helper()
	return connectorv2.NewResourcesServiceClient(client.Conn).ListResources(t.Context(),
		connectorv2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user", PageToken: token}.Build())
}
