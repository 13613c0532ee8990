package main_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/sandbox/scim"
)

func TestAccounts_AreShownInThreeForms(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 30, Seed: 1})
	file := filepath.Join(t.TempDir(), "x.c1z")
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	result := execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", file)
	require.Equal(t, 0, result.status, result.stderr)

	table := execute(t, nil, "baton-host", "accounts", file)
	require.Equal(t, 0, table.status, table.stderr)
	lines := strings.Split(strings.TrimSpace(table.stdout), "\n")
	require.Len(t, lines, 33)
	require.Equal(t, []string{"", "fullstory: 30 accounts; evidence: proven"}, lines[31:], "the record beside the file has it")
	require.Regexp(t, `^APP +LOGIN +NAME +E-MAIL +STATUS +LAST LOGIN$`, lines[0])

	records, err := csv.NewReader(strings.NewReader(execute(t, nil, "baton-host", "accounts", file, "--output", "csv").stdout)).ReadAll()
	require.NoError(t, err)
	require.Len(t, records, 31)
	require.Equal(t, []string{"app", "resource_type", "id", "login", "display_name", "email", "status", "last_login"}, records[0])
	require.Len(t, accountsIn(t, file), 30)
}

// TestAccounts_ShowTheEvidence: the grade is in the record beside the file, which a sync
// under last-good writes.
func TestAccounts_ShowTheEvidence(t *testing.T) {
	t.Parallel()
	fullstory, design := startApp(t, scim.Options{App: "fullstory", Accounts: 7, Seed: 1}), startApp(t, scim.Options{App: "design-tool", Accounts: 3, Seed: 2})
	path, env := twoApps(t, fullstory, design)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(text, "    on-plugin-failure: last-good\n"...), 0o600))
	dir := t.TempDir()
	result := execute(t, env, "baton-host", "sync", "--config", path, "--output-dir", dir)
	require.Equal(t, 0, result.status, result.stderr)

	file := filepath.Join(dir, "workforce.c1z")
	require.Regexp(t, `\n\ndesign-tool: 3 accounts; evidence: proven\nfullstory: 7 accounts; evidence: proven\n$`, execute(t, nil, "baton-host", "accounts", file).stdout)
	var accounts []struct{ App, Evidence string }
	require.NoError(t, json.Unmarshal([]byte(execute(t, nil, "baton-host", "accounts", file, "--app", "fullstory", "-o", "json").stdout), &accounts))
	require.Len(t, accounts, 7)
	for _, account := range accounts {
		require.Equal(t, struct{ App, Evidence string }{"fullstory", "proven"}, account)
	}
}

func TestAccounts_AreComparedWithACSVFile(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 12, Seed: 1})
	people := app.server.Accounts()
	require.NoError(t, app.server.Add(scim.Account{ID: "nameless", UserName: "=guest", DisplayName: "Guest", Active: true}))
	dir := t.TempDir()
	file := filepath.Join(dir, "x.c1z")
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	require.Equal(t, 0, execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", file).status)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	logins := "\ufeffUser name;password\r\n"
	for _, person := range people[1:] {
		logins += person.UserName + ";s3cr3t\r\n"
	}
	whole := write("whole.csv", logins+people[0].UserName+";s3cr3t\r\n=guest;s3cr3t\r\n")
	users := write("users.csv", logins+"\x1b[31mred\u202e;s3cr3t\r\n=1+1;s3cr3t\r\n;s3cr3t\r\n")

	agrees := execute(t, nil, "baton-host", "accounts", file, "--compare", whole, "--by", "login=User Name")
	require.Equal(t, 0, agrees.status, agrees.stderr)
	require.Equal(t, "fullstory: 13 in both, 0 only in the sync file, 0 only in the CSV file, 0 accounts and 0 rows cannot be compared; evidence: proven\n", agrees.stdout)

	const summary = "fullstory: 11 in both, 2 only in the sync file, 2 only in the CSV file, 0 accounts and 1 rows cannot be compared; evidence: proven\n"
	by := []string{"accounts", file, "--compare", users, "--by", "login=User Name"}
	table := execute(t, nil, "baton-host", by...)
	require.Equal(t, 1, table.status, table.stderr)
	require.Empty(t, table.stderr)
	require.Regexp(t, `^WHERE +APP +ID +LOGIN +NAME +E-MAIL +STATUS +LINE\n`, table.stdout)
	require.Regexp(t, `(?m)^only in the sync file +fullstory +nameless +=guest +Guest +enabled$`, table.stdout)
	require.Regexp(t, `(?m)^only in the CSV file +fullstory +\\x1b\[31mred\\u202e +13$`, table.stdout)
	require.Regexp(t, `(?m)^cannot be compared +fullstory +15$`, table.stdout)
	require.True(t, strings.HasSuffix(table.stdout, "\n\n"+summary), table.stdout)

	list := execute(t, nil, "baton-host", append(by, "-o", "csv")...)
	require.Equal(t, 1, list.status)
	require.Equal(t, "baton-host: "+summary, list.stderr)
	records, err := csv.NewReader(strings.NewReader(list.stdout)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"where", "app", "resource_type", "id", "login", "display_name", "email", "status", "line"}, records[0])
	require.Contains(t, records, []string{"only in the CSV file", "fullstory", "", "", "'=1+1", "", "", "", "14"})
	require.Contains(t, records, []string{"only in the sync file", "fullstory", "fullstory.user", "nameless", "'=guest", "Guest", "", "enabled", ""})
	require.Len(t, records, 6)

	encoded := execute(t, nil, "baton-host", append(by, "-o", "json")...)
	require.Equal(t, 1, encoded.status)
	var all struct {
		Differences []struct {
			Where, App string
			Account    *shownAccount
			Row        *struct {
				Line  int
				Value string
			}
		}
		Counts     []map[string]any
		By, Column string
	}
	require.NoError(t, json.Unmarshal([]byte(encoded.stdout), &all))
	require.Len(t, all.Differences, 5)
	require.ElementsMatch(t, []string{people[0].ID, "nameless"}, []string{all.Differences[0].Account.ID, all.Differences[1].Account.ID})
	require.Equal(t, "\x1b[31mred\u202e", all.Differences[2].Row.Value)
	require.Equal(t, "login User name", all.By+" "+all.Column)
	require.InDelta(t, 11, all.Counts[0]["in_both"], 0)
	for _, run := range []run{table, list, encoded} {
		require.NotContains(t, run.stdout+run.stderr, "s3cr3t", "other columns are not shown")
	}

	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"a missing column":   {[]string{"--compare", users, "--by", "email"}, []string{`no column "email"`, `"User name", "password"`}},
		"no such file":       {[]string{"--compare", filepath.Join(dir, "none.csv")}, []string{"none.csv", "does not exist"}},
		"the sync file":      {[]string{"--compare", file}, []string{"cannot be compared with"}},
		"an attribute":       {[]string{"--compare", users, "--by", "phone"}, []string{`"phone"`, "email, login, id, name"}},
		"an app":             {[]string{"--compare", users, "--app", "jira"}, []string{`"jira"`, "fullstory"}},
		"a terminal's order": {[]string{"--compare", write("bad.csv", "a\x1b[2J,b\n"), "--by", "email"}, []string{`no column "email"`}},
	} {
		result := execute(t, nil, "baton-host", append([]string{"accounts", file}, c.args...)...)
		require.Equal(t, 2, result.status, name)
		require.Empty(t, result.stdout, name)
		require.NotContains(t, result.stderr, "\x1b", name)
		for _, want := range c.want {
			require.Contains(t, result.stderr, want, name)
		}
	}
	requireSentence(t, execute(t, nil, "baton-host", "accounts", file, "--by", "email"), []string{"--compare"})
}

func TestSync_WritesAndReportsAnEmptyFileForAnEmptyApp(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 0, Seed: 1})
	file := filepath.Join(t.TempDir(), "x.c1z")
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	result := execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", file)
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `fullstory +fullstory +0 +complete`, result.stdout)
	require.Empty(t, accountsIn(t, file))
}

func TestPluginsShowsWhatIsFoundAndWhere(t *testing.T) {
	t.Parallel()
	result := execute(t, nil, "baton-host", "plugins", "--output", "json")
	require.Equal(t, 0, result.status, result.stderr)
	var found []struct{ App, Path string }
	require.NoError(t, json.Unmarshal([]byte(result.stdout), &found))
	paths := map[string]string{}
	for _, plugin := range found {
		paths[plugin.App] = plugin.Path
	}
	require.Equal(t, filepath.Join(bin, "baton-fullstory"), paths["fullstory"])
	require.Equal(t, filepath.Join(bin, "baton-scim"), paths["scim"])
	require.NotContains(t, paths, "host")

	require.Regexp(t, `(?m)^fullstory +`+filepath.Join(bin, "baton-fullstory"), execute(t, nil, "baton-host", "plugins").stdout)
}

func TestPlugins_ShowsWhatTheConfigurationNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script, link := filepath.Join(dir, "payroll.sh"), filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(script, []byte("exit 1\n"), 0o600))
	require.NoError(t, os.Symlink(filepath.Join(bin, "baton-scim"), link))
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	config := filepath.Join(dir, "baton-host.yaml")
	require.NoError(t, os.WriteFile(config, []byte(`
plugins:
  fullstory: { config: { scim-token: "${env:NOT_SET_ANYWHERE}" } }
  payroll: { command: [sh, ./payroll.sh, s3cr3t], unmodified: true }
  design: { app: scim, path: ./other }
  gone: { command: [./none] }
  text: { command: [./payroll.sh] }
  missing: {}
`), 0o600))
	result := execute(t, nil, "baton-host", "plugins", "--config", config, "--output", "json")
	require.Equal(t, 0, result.status, result.stderr)
	type listed struct {
		Plugin, App, Path, Error string
		Files                    []string
		Unmodified, Shadowed     bool
	}
	var found []listed
	require.NoError(t, json.Unmarshal([]byte(result.stdout), &found))
	require.Equal(t, []listed{
		{Plugin: "fullstory", App: "fullstory", Path: filepath.Join(bin, "baton-fullstory")},
		{Plugin: "payroll", App: "payroll", Path: shell, Files: []string{script}, Unmodified: true},
		{Plugin: "design", App: "scim", Path: link},
		{Plugin: "gone", App: "gone", Path: filepath.Join(dir, "none"), Error: "there is no such program"},
		{Plugin: "text", App: "text", Path: script, Error: "it is not executable; make it so (chmod +x)"},
	}, found[:5])
	require.Equal(t, "missing", found[5].Plugin)
	require.Contains(t, found[5].Error, "there is no plugin binary baton-missing")
	var others []string
	for _, other := range found[6:] {
		require.Empty(t, other.Plugin)
		others = append(others, other.App)
	}
	require.Contains(t, others, "scim", "it is not the program of an entry")
	require.NotContains(t, others, "fullstory", "it is shown already")

	table := execute(t, nil, "baton-host", "plugins", "--config", config)
	require.Equal(t, 0, table.status, table.stderr)
	require.Regexp(t, `^PLUGIN +APP +PATH +NOTE\n`, table.stdout)
	require.Regexp(t, `(?m)^payroll +payroll +`+shell+" "+script+` +unmodified connector$`, table.stdout)
	require.Regexp(t, `(?m)^gone +gone +\S+/none +cannot be started: there is no such program$`, table.stdout)
	require.NotContains(t, table.stdout+result.stdout, "s3cr3t", "an argument may be a secret")

	// The file of the current directory is used too, if it can be.
	cmd := command(t.Context(), t, nil, "baton-host", "plugins")
	cmd.Dir = dir
	require.Equal(t, table.stdout, finish(t, cmd).stdout)
	require.NoError(t, os.WriteFile(config, []byte("plugins: [}"), 0o600))
	cmd = command(t.Context(), t, nil, "baton-host", "plugins")
	cmd.Dir = dir
	broken := finish(t, cmd)
	require.Equal(t, 0, broken.status, broken.stderr)
	require.Contains(t, broken.stderr, "the plugins of baton-host.yaml are not shown: ")
	require.Regexp(t, `(?m)^fullstory +`+filepath.Join(bin, "baton-fullstory"), broken.stdout)
	requireSentence(t, execute(t, nil, "baton-host", "plugins", "--config", config), []string{"baton-host.yaml"})
}

func TestInspectShowsTheManifest(t *testing.T) {
	t.Parallel()
	result := execute(t, nil, "baton-host", "inspect", "fullstory", "--output", "json")
	require.Equal(t, 0, result.status, result.stderr)
	var manifest struct {
		Name          string
		DisplayName   string `json:"display_name"`
		SDKVersion    string `json:"sdk_version"`
		Configuration struct {
			Fields []struct {
				Name, Label      string
				Required, Secret bool
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(result.stdout), &manifest))
	require.Equal(t, "baton-fullstory", manifest.Name)
	require.Equal(t, "Fullstory", manifest.DisplayName)
	require.Equal(t, "v0.25.0", manifest.SDKVersion)
	require.Len(t, manifest.Configuration.Fields, 4)
	require.NotContains(t, strings.ToLower(result.stdout), "role", "Fullstory's guide promises accounts only")
	require.Equal(t, "scim-base-url", manifest.Configuration.Fields[0].Name)
	require.Equal(t, "SCIM Base URL", manifest.Configuration.Fields[0].Label)
	require.Equal(t, "SCIM Token", manifest.Configuration.Fields[1].Label)
	require.True(t, manifest.Configuration.Fields[1].Secret)
	require.Equal(t, "scim-read-ahead", manifest.Configuration.Fields[2].Name)
	require.False(t, manifest.Configuration.Fields[2].Required)
	require.Equal(t, "scim-hidden-users", manifest.Configuration.Fields[3].Name)

	table := execute(t, nil, "baton-host", "inspect", filepath.Join(bin, "baton-fullstory"))
	require.Equal(t, 0, table.status, table.stderr)
	require.Regexp(t, `(?m)^scim-token +SCIM Token +string +required, secret`, table.stdout)
	require.Regexp(t, `(?m)^user +User +accounts +sync`, table.stdout)
}

func TestInspect_ShowsAnInstanceAsTheConfigurationHasIt(t *testing.T) {
	t.Parallel()
	require.NoError(t, buildWorkspace())
	config := writeConfig(t, fmt.Sprintf("plugins: { people: { command: [%q], config: { workspace-token: \"${env:NOT_SET_ANYWHERE}\" } } }\n", filepath.Join(bin, unmodified, "baton-workspace")))
	for _, args := range [][]string{{"people", "--config", config}, {filepath.Join(bin, unmodified, "baton-workspace")}} {
		result := execute(t, nil, "baton-host", append([]string{"inspect"}, args...)...)
		require.Equal(t, 0, result.status, result.stderr)
		require.Regexp(t, `(?m)^workspace-token +.*required, secret`, result.stdout)
		require.NotContains(t, result.stdout, "otel-", "the SDK's own, which are not for everyday use")
	}
}

// helpOfOld is a connector of an SDK that has no command to describe itself.
const helpOfOld = `#!/bin/sh
case "$1" in
--help) cat <<'END'
baton-old

Usage:
  baton-old [flags]

Flags:
      --client-id string   The client ID used to authenticate with ConductorOne ($BATON_CLIENT_ID)
      --deep               Whether to look deeper ($BATON_DEEP)
      --null strings       A name that YAML reads as nothing ($BATON_NULL)
      --port int           The port ($BATON_PORT) (default 443)
      --token string       required: The token ($BATON_TOKEN)
END
;;
--version) echo "baton-old version v0.1.0" ;;
*) echo "unknown command \"$1\" for \"baton-old\"" >&2; exit 1 ;;
esac
`

func TestInspect_PrintsTheFieldsOfAnOldConnectorToCopy(t *testing.T) {
	t.Parallel()
	connector := filepath.Join(t.TempDir(), "baton-old")
	require.NoError(t, os.WriteFile(connector, []byte(helpOfOld), 0o700)) //nolint:gosec // A program.
	inspect := func(entry string, args ...string) run {
		config := writeConfig(t, fmt.Sprintf("plugins:\n  old:\n    command: [%q]\n%s", connector, entry))
		return execute(t, nil, "baton-host", append([]string{"inspect", "old", "--config", config}, args...)...)
	}
	guessed := inspect("    unmodified: true\n")
	require.Equal(t, 0, guessed.status, guessed.stderr)
	require.Regexp(t, `(?m)^token +string +required, secret +The token$`, guessed.stdout)
	_, entry, ok := strings.Cut(guessed.stdout, "\nunmodified: true\n")
	require.True(t, ok, guessed.stdout)
	require.Equal(t, `fields:
  deep: {type: bool}
  "null": {type: string-list, secret: true}
  port: {type: int, secret: true}
  token: {type: string, secret: true, required: true}
`, entry)

	entry = strings.ReplaceAll("unmodified: true\n"+entry, "port: {type: int, secret: true}", "port: {type: int}")
	declared := inspect(regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(entry, "    $1"))
	require.Equal(t, 0, declared.status, declared.stderr)
	require.Regexp(t, `(?m)^port +int *$`, declared.stdout)
	require.Regexp(t, `(?m)^token +string +required, secret *$`, declared.stdout)
	require.NotContains(t, declared.stdout, "unmodified: true")

	wrong := inspect("    unmodified: true\n    fields: { tokn: { secret: true } }\n")
	require.Equal(t, 1, wrong.status)
	require.Contains(t, wrong.stderr, `fields of its entry has tokn, for which the connector has no flag; did you mean token?`)
	asJSON := inspect("    unmodified: true\n", "--output", "json")
	require.True(t, json.Valid([]byte(asJSON.stdout)), asJSON.stdout)
}

// TestInspect_ShowsTheAuthMethodsOfAnUnmodifiedConnector has a script for a connector, which
// prints what the SDK's config command does.
func TestInspect_ShowsTheAuthMethodsOfAnUnmodifiedConnector(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	schema := `{"fields": [{"name": "api-key", "isRequired": true, "isSecret": true, "stringField": {}}, {"name": "user", "isRequired": true, "stringField": {}}],
		"fieldGroups": [{"name": "key", "displayName": "API key", "fields": ["api-key"]}, {"name": "basic", "fields": ["user"], "default": true}]}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "schema.json"), []byte(schema), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.sh"), []byte("[ \"$1\" = config ] && exec cat "+filepath.Join(dir, "schema.json")+"\nexit 1\n"), 0o600))
	config := filepath.Join(dir, "baton-host.yaml")
	require.NoError(t, os.WriteFile(config, []byte("plugins: { x: { command: [sh, ./x.sh], unmodified: true } }\n"), 0o600))
	table := execute(t, nil, "baton-host", "inspect", "x", "--config", config)
	require.Equal(t, 0, table.status, table.stderr)
	require.Regexp(t, `(?m)^\nFields by auth-method\nAUTH-METHOD +LABEL +REQUIRED +OPTIONAL +HELP\nkey +API key +api-key\nbasic +default +user$`, table.stdout)
	result := execute(t, nil, "baton-host", "inspect", "x", "--config", config, "--output", "json")
	require.Equal(t, 0, result.status, result.stderr)
	var manifest struct {
		Configuration struct {
			FieldGroups []struct {
				Name    string
				Fields  []string
				Default bool `json:"is_default"`
			} `json:"field_groups"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(result.stdout), &manifest))
	require.Len(t, manifest.Configuration.FieldGroups, 2)
	require.Equal(t, []string{"api-key"}, manifest.Configuration.FieldGroups[0].Fields)
	require.True(t, manifest.Configuration.FieldGroups[1].Default)
}

// TestUnmodified_RunsEachPluginOfThisProjectToo: a program that is built on package plugin
// is an ordinary connector as well, and is one where its entry says so.
func TestUnmodified_RunsEachPluginOfThisProjectToo(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1})
	for name, c := range map[string]struct{ path, fields string }{
		"fullstory": {filepath.Join(bin, "baton-fullstory"), `{ scim-base-url: "` + app.url + `", scim-token: "${env:APP_TOKEN}" }`},
		"scim":      {filepath.Join(bin, "baton-scim"), `{ scim-base-url: "` + app.url + `", scim-token: "${env:APP_TOKEN}", scim-groups: false }`},
		"ledger":    {filepath.Join(bin, "baton-ledger"), "{ ledger: " + filepath.Join(t.TempDir(), "ledger") + " }"},
		"notes":     {filepath.Join(bin, "baton-notes"), "{ name: x }"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := writeConfig(t, fmt.Sprintf("plugins: { %s: { path: %q, unmodified: true, config: %s } }\nuploads: { workforce: { plugins: [%s] } }\n", name, c.path, c.fields, name))
			dir := t.TempDir()
			result := execute(t, []string{"APP_TOKEN=" + app.token}, "baton-host", "sync", "--config", config, "--output-dir", dir)
			require.Equal(t, 0, result.status, result.stderr)
			require.NotEmpty(t, accountsIn(t, filepath.Join(dir, "workforce.c1z")))
		})
	}
}

func TestCheck_ReportsThatAllIsWell(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1})
	design := startApp(t, scim.Options{App: "design-tool", Accounts: 3, Seed: 2})
	config, env := twoApps(t, fullstory, design)
	result := execute(t, env, "baton-host", "check", "--config", config)
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `(?m)^plugin +fullstory +fullstory +ok +on: .*$`, result.stdout)
	require.Regexp(t, `(?m)^plugin +design-tool +scim +ok +on: .*$`, result.stdout)
}

// TestOutput_ShowsResultsInEveryForm: check, sync, lock and plugins show the same in
// each.
func TestOutput_ShowsResultsInEveryForm(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1})
	design := startApp(t, scim.Options{App: "design-tool", Accounts: 4, Seed: 2})
	path, env := twoApps(t, fullstory, design)
	wrong := []string{env[0], "DESIGN_TOKEN=not-the-token"}
	out := t.TempDir()
	type row = map[string]any
	asJSON := func(env []string, status int, args ...string) []row {
		result := execute(t, env, "baton-host", append(args, "--output", "json")...)
		require.Equal(t, status, result.status, result.stderr)
		var rows []row
		require.NoError(t, json.Unmarshal([]byte(result.stdout), &rows))
		return rows
	}
	asCSV := func(env []string, status int, args ...string) [][]string {
		result := execute(t, env, "baton-host", append(args, "--output", "csv")...)
		require.Equal(t, status, result.status, result.stderr)
		records, err := csv.NewReader(strings.NewReader(result.stdout)).ReadAll()
		require.NoError(t, err)
		return records
	}

	inSandbox := "on: " + sandbox.Kernel().String()
	checked := asJSON(wrong, 1, "check", "--config", path)
	require.Equal(t, row{"kind": "plugin", "name": "fullstory", "app": "fullstory", "ok": true, "result": "ok", "sandbox": inSandbox}, checked[0])
	require.Equal(t, false, checked[1]["ok"])
	require.Contains(t, checked[1]["error"], "SCIM Token")
	require.Equal(t, [][]string{
		{"kind", "name", "app", "result", "sandbox"},
		{"plugin", "fullstory", "fullstory", "ok", inSandbox},
		{"plugin", "design-tool", "scim", "FAILED", inSandbox},
		{"upload", "workforce", "", "not checked: no client-id", ""},
	},
		asCSV(wrong, 1, "check", "--config", path))

	table := execute(t, wrong, "baton-host", "check", "--config", path)
	require.Regexp(t, `(?m)^plugin +fullstory +fullstory +ok +on: .*$`, table.stdout)
	require.Regexp(t, `(?m)^plugin +design-tool +scim +FAILED +on: .*$`, table.stdout)
	requireSentence(t, table, []string{`plugin "design-tool"`, "SCIM Token"})

	file := filepath.Join(out, "workforce.c1z")
	failed := asJSON(wrong, 1, "sync", "--config", path, "--output-dir", out)
	require.Len(t, failed, 2)
	require.Contains(t, failed[0]["error"], "SCIM Token")
	synced := asJSON(env, 0, "sync", "--config", path, "--output-dir", out)
	require.Len(t, synced, 2)
	require.Equal(t, "design-tool", synced[0]["plugin"])
	require.InDelta(t, 4, synced[0]["accounts"], 0)
	require.Equal(t, file, synced[1]["file"])
	require.NotContains(t, synced[1], "error")

	require.Equal(t, row{"plugin": "design-tool", "version": "dev", "result": "new"}, asJSON(nil, 0, "lock", "--config", path)[1])
	require.Equal(t, []string{"fullstory", "dev", "unchanged"}, asCSV(nil, 0, "lock", "--config", path)[1])
	require.Contains(t, asCSV(nil, 0, "plugins"), []string{"scim", filepath.Join(bin, "baton-scim"), ""})
}
