package plugin_test

import (
	"strings"
	"testing"

	"github.com/conductorone/baton-sdk/pkg/crypto/providers/jwk"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/testing/protocmp"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

func TestConfigure_DeliversTypedValuesAndDefaults(t *testing.T) {
	t.Parallel()
	client := start(t, "plain")
	request := &pluginv1.ConfigureRequest{}
	require.NoError(t, prototext.Unmarshal([]byte(`
		values { key: "base-url" value { string_value: "https://app.example.com" } }
		values { key: "mode" value { string_value: "fast" } }
		values { key: "deep" value { bool_value: true } }
		values { key: "tags" value { string_list { values: "one,with comma" values: "two" } } }
		values { key: "labels" value { map_value { fields { key: "Team" value { string_value: "Blue" } } } } }
		values { key: "trace-id" value {} }
		secrets { key: "api-token" value { string_value: "tok-12345678" } }
		secrets { key: "key-file" value { file_content: "aGVsbG8=" } }
		host { user_agent: "baton-host/test" log_level: "error" }`), request))
	require.Empty(t, configure(t, client, request))

	page, err := listUsers(t, client, "")
	require.NoError(t, err)
	require.Len(t, page.GetList(), 1)
	trait, err := resource.GetUserTrait(page.GetList()[0])
	require.NoError(t, err)
	require.Equal(t, "https://app.example.com", trait.GetLogin())
	require.Equal(t, map[string]any{
		"token":  "tok-12345678",
		"port":   443.0,
		"tags":   2.0,
		"labels": map[string]any{"Team": "Blue"},
		"key":    "aGVsbG8=", // the content, not what it would be if it were base64
	}, trait.GetProfile().AsMap()) //nolint:staticcheck // The trait's profile is what the connector filled.
}

// canary is in every secret of the bad configurations below.
const canary = "c4n4ry/+ \"value\""

func TestConfigure_NamesTheFieldOfEveryFinding(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		role    string
		request string
		want    []string // field: summary
	}{
		"missing required": {
			want: []string{"base-url: a value is required"},
		},
		"all at once, in the schema's order": {
			request: `
				values { key: "zzz" value { string_value: "x" } }
				values { key: "tags" value { string_value: "x" } }
				values { key: "port" value { string_value: "x" } }
				values { key: "deep" value { string_value: "x" } }
				values { key: "labels" value { string_value: "x" } }
				values { key: "base-url" value { int_value: 7 } }
				secrets { key: "key-file" value { string_value: "x" } }`,
			want: []string{
				"base-url: the value must be a string",
				"port: the value must be a whole number",
				"deep: the value must be true or false",
				"tags: the value must be a list of strings",
				"labels: the value must be a map",
				"key-file: the value must be the content of a file",
				"zzz: there is no such field",
			},
		},
		"rules": {
			request: `
				values { key: "base-url" value { string_value: "no url" } }
				values { key: "port" value { int_value: 70000 } }
				values { key: "mode" value { string_value: "medium" } }
				values { key: "tags" value { string_list { values: ["a", "b", "c"] } } }`,
			want: []string{
				"base-url: value must be a valid URL but got 'no url'",
				"port: value must be less than or equal to 65535 but got 70000",
				"mode: value must be one of [fast slow] but got 'medium'",
				"tags: value must have at most 2 items but got 3",
			},
		},
		"a secret that breaks its rules": {
			request: `
				values { key: "base-url" value { string_value: "https://a.example.com" } }
				secrets { key: "api-token" value { string_value: "CANARY" } }`,
			want: []string{"api-token: the value does not have the form that this field takes"},
		},
		"a secret among the values": {
			request: `
				values { key: "base-url" value { string_value: "https://a.example.com" } }
				values { key: "api-token" value { string_value: "CANARY" } }`,
			want: []string{"api-token: the field is secret: its value must travel among the secrets"},
		},
		"a value among the secrets": {
			request: `secrets { key: "base-url" value { string_value: "https://a.example.com" } }`,
			want:    []string{"base-url: the field is not secret: its value must not travel among the secrets"},
		},
		"relations": {
			request: `
				values { key: "base-url" value { string_value: "https://a.example.com" } }
				values { key: "deep" value { bool_value: true } }
				secrets { key: "client-secret-2" value { string_value: "CANARY" } }
				secrets { key: "key-file" value { file_content: "CANARY" } }`,
			want: []string{
				"client-secret-2: fields marked as mutually exclusive were set: ('client-secret-2' and 'key-file')",
				"deep: set fields ('deep') are dependent on ('mode') being set",
			},
		},
		"the author's code refuses and quotes the secret": {
			request: `
				values { key: "base-url" value { string_value: "https://a.example.com" } }
				values { key: "mode" value { string_value: "slow" } }
				secrets { key: "api-token" value { string_value: "tok-CANARY" } }`,
			want: []string{": the connector could not be built from this configuration: the app refuses (secret) at https://a.example.com"},
		},
		"the author's code panics and quotes the secret": {
			request: `
				values { key: "base-url" value { string_value: "https://panic.example.com" } }
				secrets { key: "api-token" value { string_value: "tok-CANARY" } }`,
			want: []string{": the connector could not be built from this configuration: it panicked: an oversight about (secret); the log has the stack"},
		},
		"the default group's field is missing": {
			role: "groups",
			want: []string{"api-token: a value is required"},
		},
		"the chosen group's field is missing": {
			role:    "groups",
			request: `values { key: "auth-method" value { string_value: "user" } }`,
			want:    []string{"mode: a value is required"},
		},
		"a session store is needed and none is offered": {
			role:    "sessions",
			request: `values { key: "base-url" value { string_value: "https://a.example.com" } }`,
			want:    []string{": the connector needs a session store, and the host offers none"},
		},
		"the key for passwords is none": {
			request: `
				values { key: "base-url" value { string_value: "https://a.example.com" } }
				host { password_key: "CANARY" }`,
			want: []string{": the host gave a key for passwords that is no private JSON Web Key with a key id"},
		},
		"the SDK's own field is beyond its rules": {
			role:    "exported",
			request: `values { key: "http-timeout-seconds" value { int_value: 1801 } }`,
			want:    []string{"http-timeout-seconds: value must be less than or equal to 1800 but got 1801"},
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			role := test.role
			if role == "" {
				role = "plain"
			}
			client := start(t, role)
			request := &pluginv1.ConfigureRequest{}
			require.NoError(t, prototext.Unmarshal([]byte(strings.ReplaceAll(test.request, "CANARY", strings.ReplaceAll(canary, `"`, `\"`))), request))

			response, err := client.Configure(t.Context(), request)
			require.NoError(t, err, "bad configuration is answered, not refused")
			var got []string
			for _, diagnostic := range response.GetDiagnostics() {
				require.Equal(t, pluginv1.Severity_SEVERITY_ERROR, diagnostic.GetSeverity())
				line := diagnostic.GetField() + ": " + diagnostic.GetSummary()
				if diagnostic.GetDetail() != "" {
					line += ": " + diagnostic.GetDetail()
				}
				got = append(got, line)
			}
			require.Empty(t, cmp.Diff(test.want, got))
			require.NotContains(t, prototext.Format(response), "c4n4ry")
		})
	}
}

func TestConfigure_CanBeRetriedUntilItSucceeds(t *testing.T) {
	t.Parallel()
	client := start(t, "plain")
	require.NotEmpty(t, configure(t, client, &pluginv1.ConfigureRequest{}))
	_, err := listUsers(t, client, "")
	require.Equal(t, codes.FailedPrecondition, status.Code(err))

	require.Empty(t, configure(t, client, goodRequest()))
	_, err = listUsers(t, client, "")
	require.NoError(t, err)

	_, err = client.Configure(t.Context(), goodRequest())
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
}

// TestConnector_IsBuiltAsOnTheSDKsCommandLine: what the SDK puts into the context, by
// its defaults and by those of its fields that an author has exported.
func TestConnector_IsBuiltAsOnTheSDKsCommandLine(t *testing.T) {
	t.Parallel()
	_, key, err := (&jwk.JWKEncryptionProvider{}).GenerateKey(t.Context())
	require.NoError(t, err)
	key.KeyID = "the-key"
	encoded, err := key.MarshalJSON()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		request *pluginv1.ConfigureRequest
		want    string
	}{
		"nothing is given": {&pluginv1.ConfigureRequest{}, "http 5m0s, ticketing false, no key"},
		"all is given": {&pluginv1.ConfigureRequest{
			Values: map[string]*pluginv1.Value{
				"http-timeout-seconds":       {Kind: &pluginv1.Value_IntValue{IntValue: 7}},
				"ticketing":                  {Kind: &pluginv1.Value_BoolValue{BoolValue: true}},
				"session-store-maximum-size": {Kind: &pluginv1.Value_IntValue{IntValue: 0}},
			},
			Host: &pluginv1.Host{PasswordKey: string(encoded)},
		}, "http 7s, ticketing true, key the-key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := start(t, "exported")
			require.Empty(t, configure(t, client, c.request))
			page, err := listUsers(t, client, "")
			require.NoError(t, err)
			require.Equal(t, c.want, page.GetList()[0].GetDisplayName())
		})
	}
}

func TestConfigure_DeliversTheSelectedFieldGroup(t *testing.T) {
	t.Parallel()
	client := start(t, "groups")
	request := &pluginv1.ConfigureRequest{Values: map[string]*pluginv1.Value{"auth-method": text("user"), "mode": text("fast")}}
	require.Empty(t, configure(t, client, request))
	page, err := listUsers(t, client, "")
	require.NoError(t, err)
	require.Equal(t, "user", page.GetList()[0].GetDisplayName())
	require.Empty(t, cmp.Diff(page.GetList()[0].GetId().GetResourceType(), "user", protocmp.Transform()))
}
