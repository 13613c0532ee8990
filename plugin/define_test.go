package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/pagination"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/spf13/cobra"
	"github.com/spf13/viper"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// oldSchema is the configuration of a connector that reads it with viper.
var oldSchema = field.NewConfiguration([]field.SchemaField{
	field.StringField("domain", field.WithRequired(true)),
	field.StringField("token", field.WithIsSecret(true)),
	oldTeams,
	field.IntField("size", field.WithDefaultValue(50)),
	field.FileUploadField("key-file", []string{".json"}),
}, field.WithConstraints(
	// The SDK's own field is not the author's to export, and the host decides on it.
	field.FieldsDependentOn([]field.SchemaField{oldTeams}, []field.SchemaField{field.TicketingField}),
))

var oldTeams = field.StringSliceField("teams")

// oldConnector is a connector of the SDK's first interfaces, with one account that shows
// how its configuration arrived.
type oldConnector struct{ settings, returned *viper.Viper }

// mainOfOldStyle is the main function of a connector that calls one of the SDK's older
// entry points, but for the package.
func mainOfOldStyle(role string) {
	ctx := context.Background()
	var returned *viper.Viper
	connect := func(ctx context.Context, settings *viper.Viper) (types.ConnectorServer, error) {
		if settings.GetString("domain") == "refused.example.com" {
			return nil, errors.New("the app refuses " + settings.GetString("token"))
		}
		if settings.GetString("domain") == "nothing.example.com" {
			return nil, nil //nolint:nilnil // A mistake that an author can make.
		}
		return connectorbuilder.NewConnector(ctx, &oldConnector{settings: settings, returned: returned})
	}
	define := plugin.DefineConfiguration[*viper.Viper]
	if role == "defined v2" {
		define = func(ctx context.Context, name string, _ cli.GetConnectorFunc[*viper.Viper], schema field.Configuration, options ...connectorrunner.Option) (*viper.Viper, *cobra.Command, error) {
			return plugin.DefineConfigurationV2(ctx, name, func(ctx context.Context, settings *viper.Viper, with cli.RunTimeOpts) (types.ConnectorServer, error) {
				if with.SessionStore == nil && os.Getenv(plugin.Handshake.MagicCookieKey) != "" {
					return nil, errors.New("there is no session store")
				}
				return connect(ctx, settings)
			}, schema, options...)
		}
	}
	settings, command, err := define(ctx, "baton-old", connect, oldSchema)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	returned = settings
	if role == "reads early" {
		_, _ = settings.GetString("domain"), settings.IsSet("teams")
	}
	command.Version = "v0.0.7"
	command.MarkFlagsOneRequired("domain", "token") // It refers to flags, as many do.
	if err := command.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (c *oldConnector) Metadata(context.Context) (*connectorv2.ConnectorMetadata, error) {
	return connectorv2.ConnectorMetadata_builder{DisplayName: "Old App"}.Build(), nil
}

func (c *oldConnector) Validate(context.Context) (annotations.Annotations, error) { return nil, nil }

func (c *oldConnector) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncer {
	return []connectorbuilder.ResourceSyncer{c}
}

func (c *oldConnector) ResourceType(context.Context) *connectorv2.ResourceType { return userType }

func (c *oldConnector) List(context.Context, *connectorv2.ResourceId, *pagination.Token) ([]*connectorv2.Resource, string, annotations.Annotations, error) {
	if c.settings.GetString("domain") == "broken.example.com" {
		return nil, "", nil, errors.New("the app refuses to list")
	}
	user, err := resource.NewUserResource("Ann", userType, "u1", []resource.UserTraitOption{resource.WithUserLogin(fmt.Sprint(
		c.settings.GetString("domain"), " ", c.settings.GetString("token"), " ", c.settings.GetStringSlice("teams"), " ", c.settings.GetInt("size"),
		" ", c.returned.GetString("domain"), " ", c.settings.GetBool("ticketing"),
	))})
	return []*connectorv2.Resource{user}, "", nil, err
}

func (c *oldConnector) Entitlements(context.Context, *connectorv2.Resource, *pagination.Token) ([]*connectorv2.Entitlement, string, annotations.Annotations, error) {
	return nil, "", nil, nil
}

func (c *oldConnector) Grants(context.Context, *connectorv2.Resource, *pagination.Token) ([]*connectorv2.Grant, string, annotations.Annotations, error) {
	return nil, "", nil, nil
}

func TestDefineConfiguration_ServesUnderAHost(t *testing.T) {
	t.Parallel()
	for name, role := range map[string]string{"H5: DefineConfiguration": "defined", "H5: DefineConfigurationV2": "defined v2"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			manifest := describe(t, role)
			require.Equal(t, "baton-old", manifest.GetName())
			require.Equal(t, "v0.0.7", manifest.GetVersion(), "main sets it after the definition")
			require.Len(t, manifest.GetConfiguration().GetFields(), len(oldSchema.Fields))
			require.Empty(t, manifest.GetConfiguration().GetRelations(), "no operator can set what the host decides on")

			client := start(t, role)
			require.Empty(t, configure(t, client, &pluginv1.ConfigureRequest{
				Values: map[string]*pluginv1.Value{
					"domain": text("x.example.com"),
					"teams":  {Kind: &pluginv1.Value_StringList{StringList: &pluginv1.StringList{Values: []string{"a", "b c"}}}},
				},
				Secrets: map[string]*pluginv1.Value{"token": text("t0k")},
			}))
			page, err := listUsers(t, client, "")
			require.NoError(t, err)
			require.Len(t, page.GetList(), 1)
			trait, err := resource.GetUserTrait(page.GetList()[0])
			require.NoError(t, err)
			require.Equal(t, "x.example.com t0k [a b c] 50 x.example.com true", trait.GetLogin(), "what main holds has the values too")
		})
	}
}

func TestDefineConfiguration_RefusesWhatCannotBeBuilt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values map[string]*pluginv1.Value
		want   string
	}{
		"a value is missing": {nil, "domain: a value is required"},
		"the author refuses": {
			map[string]*pluginv1.Value{"domain": text("refused.example.com")},
			": the connector could not be built from this configuration",
		},
		"the author returns nothing": {
			map[string]*pluginv1.Value{"domain": text("nothing.example.com")},
			": the connector could not be built from this configuration",
		},
		"the content of a file": {
			map[string]*pluginv1.Value{"domain": text("x.example.com"), "key-file": {Kind: &pluginv1.Value_FileContent{FileContent: []byte("{}")}}},
			"key-file: the connector reads its configuration with viper, which cannot hold the content of a file",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := configure(t, start(t, "defined"), &pluginv1.ConfigureRequest{
				Values: c.values, Secrets: map[string]*pluginv1.Value{"token": text(canary)},
			})
			require.Len(t, found, 1)
			require.Equal(t, c.want, found[0].GetField()+": "+found[0].GetSummary())
			require.NotContains(t, found[0].String(), "c4n4ry")
		})
	}
}

func TestDefineConfiguration_RefusesAMainThatReadsBeforeExecute(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // The test's own binary.
	cmd.Env = []string{
		roleVariable + "=reads early", "HOME=" + t.TempDir(), "GORACE=" + os.Getenv("GORACE"),
		plugin.Handshake.MagicCookieKey + "=" + plugin.Handshake.MagicCookieValue,
	}
	output := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = output, output
	require.Error(t, cmd.Run())
	require.Equal(t, "this plugin cannot start: its main function reads domain, teams from the settings before Execute, "+
		"and under a host the configuration arrives later: read it in the function that makes the connector, from the configuration that it gets\n", output.String())
}

func TestDefineConfiguration_IsTheSDKsCommandLineStandAlone(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"defined", "defined v2", "reads early"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "out.c1z")
			good, output := standAloneAs(t, role, "--domain", "x.example.com", "-f", file)
			require.NoError(t, good.Run(), output)
			require.FileExists(t, file)

			bad, output := standAloneAs(t, role, "--domain", "broken.example.com", "-f", file)
			require.Error(t, bad.Run(), "an older sync in the file must not count")
			require.Positive(t, bad.ProcessState.ExitCode())
			require.Contains(t, output.String(), "the app refuses to list")

			related, output := standAloneAs(t, role, "--domain", "x.example.com", "--teams", "a", "-f", file)
			require.Error(t, related.Run(), "stand-alone the relation holds")
			require.Contains(t, output.String(), "ticketing")

			version, output := standAloneAs(t, role, "--version")
			require.NoError(t, version.Run(), output)
			require.Contains(t, output.String(), "v0.0.7")
		})
	}
}
