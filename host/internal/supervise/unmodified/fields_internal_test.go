package unmodified

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

func TestReadHelp_HasTheFlagsOfTheConnector(t *testing.T) {
	t.Parallel()
	const begins = "baton-app\n\nUsage:\n  baton-app [flags]\n  baton-app [command]\n\nAvailable Commands:\n  capabilities       Get connector capabilities\n  help               Help about any command\n\n"
	const sdk = `      --client-id string          The client ID used to authenticate with ConductorOne ($BATON_CLIENT_ID)
      --client-secret string      The client secret used to authenticate with ConductorOne ($BATON_CLIENT_SECRET)
  -f, --file string               The path to the c1z file to sync with ($BATON_FILE) (default "sync.c1z")
  -h, --help                      help for baton-app
      --log-level string          The log level: debug, info, warn, error ($BATON_LOG_LEVEL) (default "info")
  -p, --provisioning              This must be set in order for provisioning actions to be enabled. ($BATON_PROVISIONING)
  -v, --version                   version for baton-app
`
	secret := func(name string, is pluginv1.FieldType, help string) *pluginv1.Field {
		return &pluginv1.Field{Name: name, Type: is, Secret: true, Help: help}
	}
	const text, list = pluginv1.FieldType_FIELD_TYPE_STRING, pluginv1.FieldType_FIELD_TYPE_STRING_LIST
	for name, c := range map[string]struct {
		help string
		want []*pluginv1.Field
		none bool // It is no help of a connector.
	}{
		"H4: no flags but the SDK's": {help: begins + "Flags:\n" + sdk},
		"H4: every type": {
			help: begins + "Flags:\n" + sdk + `      --deep                      Look deeper ($BATON_DEEP)
      --labels stringToString     Labels ($BATON_LABELS) (default [])
      --port int                  The port ($BATON_PORT) (default 443)
      --tags strings              Tags  with  blanks ($BATON_TAGS)
  -t, --token string              required: The token ($BATON_TOKEN)
      --wait duration             How long to wait (default 1s)
`,
			want: []*pluginv1.Field{
				{Name: "deep", Type: pluginv1.FieldType_FIELD_TYPE_BOOL, Help: "Look deeper"},
				secret("labels", pluginv1.FieldType_FIELD_TYPE_MAP, "Labels"),
				secret("port", pluginv1.FieldType_FIELD_TYPE_INT, "The port"),
				secret("tags", list, "Tags  with  blanks"),
				{Name: "token", Type: text, Secret: true, Required: true, Help: "The token"},
				secret("wait", text, "How long to wait"),
			},
		},
		"H4: names of values, and what follows": {
			help: begins + "Flags:\n" + sdk + `      --key file of the key       The file of the key
      --orgs.ids strings          Several lines: the first
                                  --not-a-flag string   the second ($BATON_ORGS)
      --developerKey string       ($BATON_BILL_DEVELOPER_KEY)
      --optional string[="x"]     An optional value
      --bare string

Use "baton-app [command] --help" for more information about a command.
`,
			want: []*pluginv1.Field{
				secret("key", text, "The file of the key"), secret("orgs.ids", list, "Several lines: the first"),
				secret("developerKey", text, ""), secret("optional", text, "An optional value"), secret("bare", text, ""),
			},
		},
		"H4: line ends of Windows":        {help: "Flags:\r\n      --client-id string   x\r\n      --url string         The address\r\n", want: []*pluginv1.Field{secret("url", text, "The address")}},
		"H4: the help of another program": {help: begins + "Flags:\n      --url string   The address\n", none: true},
		"H4: a text":                      {help: "usage: app --client-id X\n", none: true},
		"H4: nothing":                     {none: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read, ok := readHelp(c.help)
			require.Equal(t, !c.none, ok)
			if ok {
				require.Empty(t, cmp.Diff(c.want, read.fields, protocmp.Transform()))
			}
		})
	}
}
