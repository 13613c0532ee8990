package wizard_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/config/wizard"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// person answers one question after the other, and writes down what is said.
type person struct {
	t       *testing.T
	answers []string
	said    strings.Builder
}

func (p *person) Say(text string) { p.said.WriteString(text + "\n") }

func (p *person) Ask(prompt string) (string, error) {
	p.said.WriteString(prompt)
	if len(p.answers) == 0 {
		return "", io.EOF
	}
	answer := p.answers[0]
	p.answers = p.answers[1:]
	p.said.WriteString(answer + "\n")
	return answer, nil
}

func (p *person) AskSecret(prompt string) (string, error) {
	answer, err := p.Ask(prompt)
	shown := strings.TrimSuffix(p.said.String(), answer+"\n")
	p.said.Reset()
	p.said.WriteString(shown + "\n")
	return answer, err
}

func text(value string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_StringValue{StringValue: value}}
}

func ptr[T any](value T) *T { return &value }

func schema(fields ...*pluginv1.Field) *pluginv1.ConfigurationSchema {
	return &pluginv1.ConfigurationSchema{Fields: fields}
}

// c1Secret has the form of a client secret of C1. It was made for these tests and
// opens nothing.
const c1Secret = "secret-token:conductorone.com:v1:" +
	"eyJrdHkiOiJPS1AiLCJjcnYiOiJFZDI1NTE5IiwieCI6IkFjYUlNczBKMWJncjdBZmNFSkhpWml1MjdJOEowQzRTdjRPM200WGw2dUUiLCJkIjoibUZrZ3NXaFMwa0x2TmtuSE50ZDFaTjdkMFVGYnBUcG1Wa3luNElDR0MtMCJ9"

var (
	url   = &pluginv1.Field{Name: "url", Label: "Base URL", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true, Rules: &pluginv1.Rules{Format: pluginv1.StringFormat_STRING_FORMAT_URI}}
	token = &pluginv1.Field{Name: "token", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true, Secret: true, Rules: &pluginv1.Rules{MinLength: ptr(uint64(4))}}
)

// request is one for the app acme, whose configuration goes into a directory of its
// own.
func request(t *testing.T, configuration *pluginv1.ConfigurationSchema) wizard.Request {
	t.Helper()
	return wizard.Request{
		App: "acme", Manifest: &pluginv1.Manifest{Name: "baton-acme", Configuration: configuration}, Dir: t.TempDir(),
		Lookup: func(name string) (string, bool) {
			value, ok := map[string]string{"TOKEN": "12345", "SHORT": "123", "BATON_CLIENT_SECRET": c1Secret}[name]
			return value, ok
		},
	}
}

// write has a plan take its place.
func write(ctx context.Context, plan *wizard.Plan, path string) error {
	draft, err := plan.Draft(ctx, path)
	if err == nil {
		_, err = draft.Place(ctx)
	}
	return err
}

// written writes a plan and returns the configuration, as far as it is not comment.
func written(t *testing.T, request wizard.Request, plan *wizard.Plan) string {
	t.Helper()
	path := filepath.Join(request.Dir, "baton-host.yaml")
	err := write(t.Context(), plan, path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(content), "baton-host inspect APP.\n")
	require.True(t, ok)
	return rest
}

// fieldsOf are the lines below config.
func fieldsOf(t *testing.T, document string) string {
	t.Helper()
	_, rest, ok := strings.Cut(document, "    config:\n")
	if !ok {
		return ""
	}
	fields, _, _ := strings.Cut(rest, "uploads:\n")
	return strings.ReplaceAll(fields, "      ", "")
}

// around are the answers before and after the fields: the names, and no credentials.
func around(fields ...string) []string { return append(append([]string{""}, fields...), "", "") }

func TestAsk_AsksForEachFieldInItsForm(t *testing.T) {
	t.Parallel()
	place := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(place, []byte("content\n"), 0o600))
	short := filepath.Join(t.TempDir(), "short")
	require.NoError(t, os.WriteFile(short, []byte("123\n"), 0o600))
	list := func(field *pluginv1.Field) *pluginv1.Field {
		field.Type = pluginv1.FieldType_FIELD_TYPE_STRING_LIST
		return field
	}
	for name, c := range map[string]struct {
		field   *pluginv1.Field
		answers []string
		want    string   // below config
		said    []string // among other things
	}{
		"a text":                     {url, []string{"https://acme.example.com"}, "url: https://acme.example.com\n", []string{"Base URL (url)"}},
		"a text that is wrong":       {url, []string{"acme", "https://acme.example.com"}, "url: https://acme.example.com\n", []string{"url must be an absolute URI"}},
		"a text that is left empty":  {url, []string{"", "https://acme.example.com"}, "url: https://acme.example.com\n", []string{"A value is required."}},
		"a text that is a reference": {url, []string{"${env:URL}"}, "url: ${env:URL}\n", nil},
		"a reference that is none":   {url, []string{"${URL}", "${env:URL}"}, "url: ${env:URL}\n", []string{"unknown reference"}},
		"a text like a number":       {&pluginv1.Field{Name: "tenant", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true}, []string{"0123"}, "tenant: \"0123\"\n", nil},
		"a default": {
			&pluginv1.Field{Name: "region", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true, DefaultValue: text("eu")}, []string{""}, "", []string{"[eu]"},
		},
		"another than the default": {
			&pluginv1.Field{Name: "region", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true, DefaultValue: text("eu")}, []string{"us"}, "region: us\n", nil,
		},
		"one of several, by number": {
			&pluginv1.Field{Name: "region", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true, Rules: &pluginv1.Rules{AllowedValues: []string{"eu", "us"}}},
			[]string{"3", "2"},
			"region: us\n",
			[]string{"  1) eu", "  2) us", "from 1 to 2"},
		},
		"one of several, by name": {
			&pluginv1.Field{Name: "region", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true, DefaultValue: text("eu"), Rules: &pluginv1.Rules{AllowedValues: []string{"eu", "us"}}},
			[]string{"us"},
			"region: us\n",
			[]string{"Choose [1]"},
		},
		"a switch": {&pluginv1.Field{Name: "groups", Type: pluginv1.FieldType_FIELD_TYPE_BOOL, Required: true}, []string{"perhaps", "y"}, "groups: true\n", []string{"y for yes"}},
		"a number": {
			&pluginv1.Field{Name: "ahead", Type: pluginv1.FieldType_FIELD_TYPE_INT, Required: true, Rules: &pluginv1.Rules{Maximum: ptr(int64(9))}},
			[]string{"many", "10", "9"},
			"ahead: 9\n",
			[]string{"whole number", "must be at most 9"},
		},
		"a list":                        {list(&pluginv1.Field{Name: "teams", Required: true}), []string{`a,"b,c"`}, "teams:\n  - a\n  - b,c\n", []string{"comma separated"}},
		"pairs":                         {&pluginv1.Field{Name: "headers", Type: pluginv1.FieldType_FIELD_TYPE_MAP, Required: true}, []string{"a", "a=1,b=2"}, "headers:\n  a: \"1\"\n  b: \"2\"\n", []string{"key=value"}},
		"a file":                        {&pluginv1.Field{Name: "key", Type: pluginv1.FieldType_FIELD_TYPE_FILE, Required: true}, []string{"/no/such/file", place}, "key: " + place + "\n", []string{"does not exist"}},
		"an optional field, not wanted": {&pluginv1.Field{Name: "filter", Type: pluginv1.FieldType_FIELD_TYPE_STRING}, []string{""}, "", []string{"can be left out: filter"}},
		"an optional field, wanted":     {&pluginv1.Field{Name: "filter", Type: pluginv1.FieldType_FIELD_TYPE_STRING}, []string{"y", "x eq 1"}, "filter: x eq 1\n", []string{"filter, can be left out"}},
		"an optional field, left out":   {&pluginv1.Field{Name: "filter", Type: pluginv1.FieldType_FIELD_TYPE_STRING}, []string{"y", ""}, "", nil},
		"a hidden field":                {&pluginv1.Field{Name: "debug", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Hidden: true}, nil, "", nil},
		"a secret in a variable":        {token, []string{"", ""}, "token: ${env:BATON_TOKEN}\n", []string{"[BATON_TOKEN]"}},
		"a secret in another variable":  {token, []string{"1", "no name", "TOKEN"}, "token: ${env:TOKEN}\n", []string{"letters, digits and _"}},
		"a secret in a variable that holds something else": {token, []string{"1", "SHORT", "1", "TOKEN"}, "token: ${env:TOKEN}\n", []string{"What SHORT holds now is not right: token must have at least 4 bytes"}},
		"a secret in a file":                         {token, []string{"2", place}, "token: ${file:" + place + "}\n", nil},
		"a secret in a wrong file":                   {token, []string{"2", short, "1", "TOKEN"}, "token: ${env:TOKEN}\n", []string{"the content of " + short + " is not right: token must have at least 4 bytes"}},
		"a secret in a file that is not":             {token, []string{"2", "/run/secrets/none", "n", "2", "/run/secrets/none", "y"}, "token: ${file:/run/secrets/none}\n", []string{"no such file here"}},
		"a secret that is typed":                     {token, []string{"3", "abc", "3", "abcdef"}, "token: ${file:secrets/acme-token}\n", []string{"token must have at least 4 bytes"}},
		"a secret that need not be":                  {&pluginv1.Field{Name: "password", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Secret: true}, []string{"y", ""}, "", []string{"leave it out"}},
		"a secret file":                              {&pluginv1.Field{Name: "key", Type: pluginv1.FieldType_FIELD_TYPE_FILE, Secret: true, Required: true}, []string{"2", place}, "key: ${file:" + place + "}\n", nil},
		"a list of secrets":                          {list(&pluginv1.Field{Name: "headers", Secret: true, Required: true}), []string{"1", "", "3", "X: y", "4"}, "headers:\n  - ${env:BATON_HEADERS_1}\n  - ${file:secrets/acme-headers-2}\n", nil},
		"a list of secrets with a wrong one":         {list(&pluginv1.Field{Name: "keys", Secret: true, Required: true, Rules: &pluginv1.Rules{Prefix: "k-", MinItems: ptr(uint64(2))}}), []string{"3", "x", "3", "k-1", "4", "3", "k-1", "3", "k-2", "4"}, "keys:\n  - ${file:secrets/acme-keys-1}\n  - ${file:secrets/acme-keys-2}\n", []string{`keys must begin with "k-"`, "keys must have at least 2 items"}},
		"a list of references":                       {list(&pluginv1.Field{Name: "teams", Required: true, Rules: &pluginv1.Rules{MinItems: ptr(uint64(2))}}), []string{"${env:A}", "${env:A},${env:B}"}, "teams:\n  - ${env:A}\n  - ${env:B}\n", []string{"teams must have at least 2 items"}},
		"a reference to something wrong":             {url, []string{"${env:TOKEN}", "https://${env:TOKEN}"}, "url: https://${env:TOKEN}\n", []string{"what ${env:TOKEN} stands for now is not right: url must be an absolute URI"}},
		"an arrow key":                               {url, []string{"https://acme.example.com\x1b[D", "https://acme.example.com"}, "url: https://acme.example.com\n", []string{"a character in it that cannot be seen"}},
		"an arrow key in a secret":                   {token, []string{"3", "abcdef\x1b[D", "3", "abcdef"}, "token: ${file:secrets/acme-token}\n", []string{"a character in it that cannot be seen"}},
		"a field whose rules hold where it is empty": {&pluginv1.Field{Name: "tenant", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Rules: &pluginv1.Rules{MinLength: ptr(uint64(2)), CheckEmpty: true}}, []string{"y", "", "ab"}, "tenant: ab\n", []string{"tenant must have at least 2 bytes"}},
		"secret pairs with a key twice":              {&pluginv1.Field{Name: "headers", Type: pluginv1.FieldType_FIELD_TYPE_MAP, Secret: true, Required: true}, []string{"X-Key", "1", "", "X-Key", ""}, "headers:\n  X-Key: ${env:BATON_HEADERS_1}\n", []string{`"X-Key" is there already`}},
		"secret pairs":                               {&pluginv1.Field{Name: "headers", Type: pluginv1.FieldType_FIELD_TYPE_MAP, Secret: true, Required: true}, []string{"X-Key", "1", "", ""}, "headers:\n  X-Key: ${env:BATON_HEADERS_1}\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := request(t, schema(c.field))
			asked := &person{t: t, answers: around(c.answers...)}
			plan, err := wizard.Ask(asked, request)
			require.NoError(t, err, asked.said.String())
			require.Empty(t, asked.answers, asked.said.String())
			for _, part := range c.said {
				require.Contains(t, asked.said.String(), part)
			}
			require.NotContains(t, asked.said.String(), "abcdef")
			document := written(t, request, plan)
			require.Equal(t, c.want, fieldsOf(t, document))
			require.Contains(t, document, "uploads:\n  workforce:\n    plugins: [acme]\n")
		})
	}
}

func TestWrite_KeepsATypedSecretInASeparateFileOnly(t *testing.T) {
	t.Parallel()
	request := request(t, schema(url, token))
	plan, err := wizard.Ask(&person{t: t, answers: around("https://acme.example.com", "3", "canary-77aa")}, request)
	require.NoError(t, err)
	document := written(t, request, plan)
	require.NotContains(t, document, "canary")
	dir := filepath.Join(request.Dir, "secrets")
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	file := filepath.Join(dir, "acme-token")
	info, err = os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "canary-77aa\n", string(content))

	var warned []string
	cfg, err := config.Load(t.Context(), filepath.Join(request.Dir, "baton-host.yaml"), config.WithWarnings(func(text string) { warned = append(warned, text) }))
	require.NoError(t, err)
	bound, problems := cfg.Plugins[0].Settings.Bind(request.Manifest.GetConfiguration())
	require.NoError(t, problems.Err())
	require.Equal(t, "canary-77aa", bound.Secrets.Reveal()["token"].GetStringValue())
	require.Empty(t, warned)
	entries, err := os.ReadDir(request.Dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "the configuration and the secrets")
}

func TestAsk_AsksForNamesAndCredentials(t *testing.T) {
	t.Parallel()
	request := request(t, nil)
	request.App = "scim"
	asked := &person{t: t, answers: []string{"Design Tool", "design-tool", "", "contractors", "nobody", "name@acme.conductor.one/ccc", "1", ""}}
	asked.answers = append(asked.answers[:2], asked.answers[3:]...)
	plan, err := wizard.Ask(asked, request)
	require.NoError(t, err, asked.said.String())
	require.Contains(t, asked.said.String(), "lower-case")
	require.Contains(t, asked.said.String(), "the client id is not of the form")
	require.Equal(t, `plugins:
  design-tool:
    app: scim
uploads:
  contractors:
    plugins: [design-tool]
    client-id: name@acme.conductor.one/ccc
    client-secret: ${env:BATON_CLIENT_SECRET}
`, written(t, request, plan))
}

func TestAsk_ChecksATypedClientSecret(t *testing.T) {
	t.Parallel()
	request := request(t, nil)
	asked := &person{t: t, answers: []string{"", "", "name@acme.conductor.one/ccc", "3", "half-of-it", "3", c1Secret}}
	plan, err := wizard.Ask(asked, request)
	require.NoError(t, err, asked.said.String())
	require.Contains(t, asked.said.String(), "the client secret is not one that C1 gives out")
	require.NotContains(t, asked.said.String(), "secret-token:")
	require.Contains(t, written(t, request, plan), "client-secret: ${file:secrets/workforce-client-secret}\n")
}

// TestAsk_AsksForFieldsThatBelongTogether: a token, or a name with a password.
func TestAsk_AsksForFieldsThatBelongTogether(t *testing.T) {
	t.Parallel()
	secret := func(name string) *pluginv1.Field {
		return &pluginv1.Field{Name: name, Type: pluginv1.FieldType_FIELD_TYPE_STRING, Secret: true}
	}
	configuration := schema(secret("token"), &pluginv1.Field{Name: "user", Type: pluginv1.FieldType_FIELD_TYPE_STRING}, secret("password"),
		&pluginv1.Field{Name: "filter", Type: pluginv1.FieldType_FIELD_TYPE_STRING})
	configuration.Relations = []*pluginv1.Relation{
		{Kind: pluginv1.RelationKind_RELATION_KIND_AT_LEAST_ONE, Fields: []string{"token", "user"}},
		{Kind: pluginv1.RelationKind_RELATION_KIND_MUTUALLY_EXCLUSIVE, Fields: []string{"token", "user"}},
		{Kind: pluginv1.RelationKind_RELATION_KIND_REQUIRED_TOGETHER, Fields: []string{"user", "password"}},
	}
	for name, c := range map[string]struct {
		answers []string
		want    string
		said    []string
		unsaid  []string
	}{
		"the one":              {[]string{"", "TOKEN", "n"}, "token: ${env:TOKEN}\n", []string{"\ntoken\n"}, []string{"\nuser", "\npassword"}},
		"the others":           {[]string{"4", "ada", "", "TOKEN", "n"}, "user: ada\npassword: ${env:TOKEN}\n", []string{"\nuser\n", "\npassword\n"}, nil},
		"none, and then one":   {[]string{"4", "", "n", "1", "TOKEN"}, "token: ${env:TOKEN}\n", []string{"at least one of token and user must be given"}, []string{"\npassword"}},
		"half, and then whole": {[]string{"4", "ada", "4", "n", "4", "ada", "1", "TOKEN"}, "user: ada\npassword: ${env:TOKEN}\n", []string{"user needs password too"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := request(t, configuration)
			asked := &person{t: t, answers: around(c.answers...)}
			plan, err := wizard.Ask(asked, request)
			require.NoError(t, err, asked.said.String())
			require.Empty(t, asked.answers, asked.said.String())
			for _, part := range c.said {
				require.Contains(t, asked.said.String(), part)
			}
			for _, part := range c.unsaid {
				require.NotContains(t, asked.said.String(), part)
			}
			require.Contains(t, asked.said.String(), "can be left out: filter.")
			require.Equal(t, c.want, fieldsOf(t, written(t, request, plan)))
		})
	}
}

func TestAsk_AsksForTheFieldsOfTheChosenGroupOnly(t *testing.T) {
	t.Parallel()
	method := &pluginv1.Field{Name: "auth-method", Type: pluginv1.FieldType_FIELD_TYPE_STRING}
	configuration := schema(method, url, token)
	configuration.FieldGroups = []*pluginv1.FieldGroup{
		{Name: "open", Label: "Nothing", Fields: []string{"url"}, IsDefault: true},
		{Name: "bearer", Label: "A token", Help: "For most.", Fields: []string{"url", "token"}},
	}
	request := request(t, configuration)
	asked := &person{t: t, answers: around("2", "https://acme.example.com", "1", "TOKEN")}
	plan, err := wizard.Ask(asked, request)
	require.NoError(t, err, asked.said.String())
	require.Contains(t, asked.said.String(), "  2) A token: For most.")
	require.Equal(t, "auth-method: bearer\nurl: https://acme.example.com\ntoken: ${env:TOKEN}\n", fieldsOf(t, written(t, request, plan)))
}

func TestAsk_SkipsWhatIsGiven(t *testing.T) {
	t.Parallel()
	request := request(t, schema(url, token))
	request.Fields = map[string]string{"url": "https://acme.example.com", "token": "${env:TOKEN}"}
	request.Instance, request.Upload, request.ClientID, request.ClientSecret = "one", "two", "${env:ID}", "${env:SECRET}"
	asked := &person{t: t}
	plan, err := wizard.Ask(asked, request)
	require.NoError(t, err)
	require.Empty(t, asked.said.String())
	given, err := wizard.Given(request)
	require.NoError(t, err)
	document := written(t, request, plan)
	require.NoError(t, os.Remove(filepath.Join(request.Dir, "baton-host.yaml")))
	require.Equal(t, document, written(t, request, given))
}

func TestGiven_ReportsWhatIsMissingOrWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*wizard.Request)
		want   []string
	}{
		"a required field missing": {func(r *wizard.Request) { delete(r.Fields, "url") }, []string{"url (Base URL) must be given"}},
		"an unknown field":         {func(r *wizard.Request) { r.Fields["tokn"] = "x" }, []string{`acme has no field "tokn"; did you mean "token"?`}},
		"a field of another app":   {func(r *wizard.Request) { r.Fields["frobnicate"] = "x" }, []string{`acme has no field "frobnicate"; it has url, token`}},
		"an empty field":           {func(r *wizard.Request) { r.Fields["url"] = "" }, []string{"url is empty"}},
		"a wrong value":            {func(r *wizard.Request) { r.Fields["url"] = "acme" }, []string{"url must be an absolute URI"}},
		"a secret itself":          {func(r *wizard.Request) { r.Fields["token"] = "canary-77aa" }, []string{"token is a secret", "${env:NAME}"}},
		"a malformed reference":    {func(r *wizard.Request) { r.Fields["token"] = "${TOKEN}" }, []string{"unknown reference"}},
		"a client secret itself":   {func(r *wizard.Request) { r.ClientID, r.ClientSecret = "name@acme.conductor.one/ccc", c1Secret }, []string{"the client secret must be a reference"}},
		"a client id alone":        {func(r *wizard.Request) { r.ClientID = "name@acme.conductor.one/ccc" }, []string{"or neither"}},
		"a client id of no form":   {func(r *wizard.Request) { r.ClientID, r.ClientSecret = "x", "${env:S}" }, []string{"the client id is not of the form"}},
		"a strange name":           {func(r *wizard.Request) { r.Instance = "A B" }, []string{"the instance name must have lower-case"}},
		"everything at once":       {func(r *wizard.Request) { r.Instance, r.Fields["url"], r.Fields["x"] = "A", "acme", "y" }, []string{"instance name", "absolute URI", `no field "x"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := request(t, schema(url, token))
			request.Fields = map[string]string{"url": "https://acme.example.com", "token": "${env:TOKEN}"}
			c.change(&request)
			_, err := wizard.Given(request)
			require.Error(t, err)
			for _, part := range c.want {
				require.ErrorContains(t, err, part)
			}
			require.NotContains(t, err.Error(), "canary")
			require.NotContains(t, err.Error(), "secret-token:")
		})
	}
}

func TestWrite_OverwritesNothingAndLeavesNothingOfAFailure(t *testing.T) {
	t.Parallel()
	planned := func(t *testing.T) (wizard.Request, *wizard.Plan) {
		t.Helper()
		request := request(t, schema(token))
		plan, err := wizard.Ask(&person{t: t, answers: around("3", "canary-77aa")}, request)
		require.NoError(t, err)
		return request, plan
	}
	left := func(t *testing.T, dir string) []string {
		t.Helper()
		var names []string
		require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if path != dir {
				names = append(names, strings.TrimPrefix(path, dir+"/"))
			}
			return err
		}))
		return names
	}
	t.Run("a configuration is there", func(t *testing.T) {
		t.Parallel()
		request, plan := planned(t)
		path := filepath.Join(request.Dir, "baton-host.yaml")
		require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
		err := write(t.Context(), plan, path)
		require.ErrorContains(t, err, path+" is there already")
		require.Equal(t, []string{"baton-host.yaml"}, left(t, request.Dir))
	})
	t.Run("a link that leads nowhere is there", func(t *testing.T) {
		t.Parallel()
		request, plan := planned(t)
		path := filepath.Join(request.Dir, "baton-host.yaml")
		require.NoError(t, os.Symlink("nowhere", path))
		err := write(t.Context(), plan, path)
		require.ErrorContains(t, err, "is there already")
		require.Equal(t, []string{"baton-host.yaml"}, left(t, request.Dir))
	})
	t.Run("a secret is there", func(t *testing.T) {
		t.Parallel()
		request, plan := planned(t)
		require.NoError(t, os.Mkdir(filepath.Join(request.Dir, "secrets"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(request.Dir, "secrets", "acme-token"), []byte("mine"), 0o600))
		err := write(t.Context(), plan, filepath.Join(request.Dir, "baton-host.yaml"))
		require.ErrorContains(t, err, "acme-token is there already")
		require.Equal(t, []string{"secrets", "secrets/acme-token"}, left(t, request.Dir))
	})
	t.Run("the command is interrupted", func(t *testing.T) {
		t.Parallel()
		request, plan := planned(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := write(ctx, plan, filepath.Join(request.Dir, "baton-host.yaml"))
		require.Error(t, err)
		require.Empty(t, left(t, request.Dir))
	})
	t.Run("there is no directory", func(t *testing.T) {
		t.Parallel()
		request, plan := planned(t)
		err := write(t.Context(), plan, filepath.Join(request.Dir, "none", "baton-host.yaml"))
		require.ErrorContains(t, err, "make it first")
	})
	t.Run("a file holds what the plugin does not take", func(t *testing.T) {
		t.Parallel()
		request := request(t, schema(token))
		require.NoError(t, os.WriteFile(filepath.Join(request.Dir, "token"), []byte("123\n"), 0o600))
		request.Fields = map[string]string{"token": "${file:token}"}
		plan, err := wizard.Given(request)
		require.NoError(t, err)
		err = write(t.Context(), plan, filepath.Join(request.Dir, "baton-host.yaml"))
		require.ErrorContains(t, err, `"token" must have at least 4 bytes`)
		require.Equal(t, []string{"token"}, left(t, request.Dir))
	})
}

// TestAskAbout_CorrectsWhatTheHostOrThePluginObjectsTo.
func TestAskAbout_CorrectsWhatTheHostOrThePluginObjectsTo(t *testing.T) {
	t.Parallel()
	objection := settings.Problems{{File: "/draft.yaml", Line: 3, Column: 9, Field: "token", Message: "the token\nhas ended"}}
	for name, c := range map[string]struct {
		objection error
		mayKeep   bool
		answers   []string
		keep      bool
		meant     error
		said      []string
		fields    string
	}{
		"the field that it is about": {
			objection: errors.Join(objection), mayKeep: true, answers: []string{"", "", "1", "TOKEN"},
			said:   []string{"the token has ended", "1) token (now ${env:LATER})", "2) url (now https://acme.example.com)", "2) write the file nevertheless"},
			fields: "url: https://acme.example.com\ntoken: ${env:TOKEN}\n",
		},
		"another field": {
			objection: errors.New("no answer"), mayKeep: true, answers: []string{"1", "", "foo", "https://b.example.com"},
			said: []string{"1) url", "2) token", "url must be an absolute URI"}, fields: "url: https://b.example.com\ntoken: ${env:LATER}\n",
		},
		"kept":                 {objection: objection, mayKeep: true, answers: []string{"2"}, keep: true},
		"stopped":              {objection: objection, mayKeep: true, answers: []string{"3"}, meant: wizard.ErrStopped},
		"nothing to be kept":   {objection: &wizard.RefusedError{Err: objection}, answers: []string{"2"}, meant: wizard.ErrStopped},
		"the end of the input": {objection: objection, answers: nil, meant: wizard.ErrEnded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := request(t, schema(url, token))
			request.Fields = map[string]string{"url": "https://acme.example.com", "token": "${env:LATER}"}
			plan, err := wizard.Given(request)
			require.NoError(t, err)
			asked := &person{t: t, answers: c.answers}
			keep, err := plan.AskAbout(asked, c.objection, c.mayKeep)
			require.ErrorIs(t, err, c.meant)
			require.Equal(t, c.keep, keep)
			for _, said := range c.said {
				require.Contains(t, asked.said.String(), said)
			}
			require.NotContains(t, asked.said.String(), "draft.yaml")
			if c.fields != "" {
				require.Equal(t, c.fields, fieldsOf(t, written(t, request, plan)))
			}
		})
	}
}

// TestAskAbout_CorrectsTheCredentialsAtC1: they are no field of the plugin.
func TestAskAbout_CorrectsTheCredentialsAtC1(t *testing.T) {
	t.Parallel()
	request := request(t, schema())
	request.ClientID, request.ClientSecret = "${env:ID}", "${env:NONE}"
	plan, err := wizard.Given(request)
	require.NoError(t, err)
	asked := &person{t: t, answers: []string{"", "${env:OTHER}", "", "BATON_CLIENT_SECRET"}}
	_, err = plan.AskAbout(asked, errors.New("C1 refuses the client id"), true)
	require.NoError(t, err, asked.said.String())
	require.Contains(t, written(t, request, plan), "client-id: ${env:OTHER}\n    client-secret: ${env:BATON_CLIENT_SECRET}\n")
}

// TestDraft_IsWholeWhereWhatItRefersToIsThere: otherwise the plugin cannot be tried.
func TestDraft_IsWholeWhereWhatItRefersToIsThere(t *testing.T) {
	t.Parallel()
	for reference, isWhole := range map[string]bool{"${env:TOKEN}": true, "${env:NONE}": false, "${file:none}": false} {
		request := request(t, schema(token))
		request.Fields = map[string]string{"token": reference}
		request.ClientID, request.ClientSecret = "${env:ID}", "${env:NO_SECRET}"
		plan, err := wizard.Given(request)
		require.NoError(t, err)
		path := filepath.Join(request.Dir, "baton-host.yaml")
		draft, err := plan.Draft(t.Context(), path)
		require.NoError(t, err)
		require.Equal(t, isWhole, draft.IsWhole, reference)
		require.Empty(t, draft.Upload, "its credentials are not there")
		require.FileExists(t, draft.Path)
		require.NoFileExists(t, path)
		draft.Discard()
		left, err := os.ReadDir(request.Dir)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

func TestAsk_LeavesNothingIfTheInputEnds(t *testing.T) {
	t.Parallel()
	_, err := wizard.Ask(&person{t: t, answers: []string{"", "https://acme.example.com"}}, request(t, schema(url, token)))
	require.ErrorIs(t, err, wizard.ErrEnded)
	_, err = wizard.AskApp(&person{t: t}, []string{"a", "b"})
	require.ErrorIs(t, err, wizard.ErrEnded)
	_, err = wizard.AskApp(&person{t: t}, nil)
	require.ErrorIs(t, err, wizard.ErrEnded)
	_, _, err = wizard.AskRelease(&person{t: t}, "a")
	require.ErrorIs(t, err, wizard.ErrEnded)
}

func TestAskApp_TakesOneThatIsNotThere(t *testing.T) {
	t.Parallel()
	app, err := wizard.AskApp(&person{t: t, answers: []string{"2"}}, []string{"a", "b"})
	require.NoError(t, err)
	require.Equal(t, "b", app)
	for _, apps := range [][]string{nil, {"a"}, {"a", "b"}} {
		answers := []string{"Not This", "baton-github"}
		if len(apps) > 0 {
			answers = append([]string{strconv.Itoa(len(apps) + 1)}, answers...)
		}
		app, err := wizard.AskApp(&person{t: t, answers: answers}, apps)
		require.NoError(t, err)
		require.Equal(t, "github", app)
	}
}

func TestAskRelease_TakesAVersionOrAnImage(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string][2]string{"v1.2.3": {"v1.2.3", ""}, "r.example.com/x:v1": {"", "r.example.com/x:v1"}, "": {}} {
		version, image, err := wizard.AskRelease(&person{t: t, answers: []string{answer}}, "github")
		require.NoError(t, err)
		require.Equal(t, want, [2]string{version, image})
	}
}

// TestDraft_HasWhatIsInstalled in the entry, and the probe before it in a file that is there.
func TestDraft_HasWhatIsInstalled(t *testing.T) {
	t.Parallel()
	for entry, change := range map[string]func(*wizard.Request){
		"  acme:\n    version: v1.2.3\n":                          func(r *wizard.Request) { r.Version = "v1.2.3" },
		"  acme:\n    app: acme\n    image: r.example.com/x:v1\n": func(r *wizard.Request) { r.Image = "r.example.com/x:v1" },
	} {
		of := request(t, schema())
		change(&of)
		probe, err := wizard.NewProbe(of)
		require.NoError(t, err)
		cfg, err := config.Load(t.Context(), probe.Path)
		require.NoError(t, err)
		require.Equal(t, []string{of.Version, of.Image, "acme"}, []string{cfg.Plugins[0].Version, cfg.Plugins[0].Image, cfg.Plugins[0].App})
		probe.Remove()
		require.NoFileExists(t, probe.Path)

		path := filepath.Join(of.Dir, "baton-host.yaml")
		require.NoError(t, os.WriteFile(path, []byte("# ours\nplugin-releases: https://dist.example.com\n"), 0o600))
		of.Existing, err = wizard.OpenExisting(t.Context(), path)
		require.NoError(t, err)
		probe, err = wizard.NewProbe(of)
		require.NoError(t, err)
		cfg, err = config.Load(t.Context(), probe.Path)
		require.NoError(t, err)
		require.Equal(t, "https://dist.example.com", cfg.PluginReleases)
		probe.Remove()

		plan, err := wizard.Given(of)
		require.NoError(t, err)
		draft, err := plan.Draft(t.Context(), path)
		require.NoError(t, err)
		text, err := os.ReadFile(draft.Path)
		require.NoError(t, err)
		require.Contains(t, string(text), entry)
		draft.Discard()
	}
}
