package support_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/support"
)

// canaries are parts of what must never be in a file: a secret, an address, a host, a path, and
// names of a person, a company and a machine. Each stands in canary.
var canaries = []string{"hunter2", "tok3n", "lovelace", "acme", "initech", "10.1.2.3", "8675309", "@", "://", "/home"}

const canary = `Ada Lovelace <ada.lovelace@acme.example> hunter2 ghp_Tok3nTok3n https://lovelace:hunter2@scim.acme.example:8443/v2?k=tok3n ` +
	`10.1.2.3:443 /home/lovelace/secret ${env:ACME_TOK3N} ${vault:acme/hr#tok3n} "Lovelace" 'lovelace' (hunter2) hunter2; acme=hunter2, "hunter2 8675309 initech-01`

func textOf(t *testing.T, from support.Source) string {
	t.Helper()
	text, err := support.Text(t.Context(), from)
	require.NoError(t, err)
	for _, one := range canaries {
		require.NotContains(t, strings.ToLower(text), one)
	}
	return text
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// source returns a source from the configuration, whose error of loading it is that of a command.
func source(t *testing.T, text string) support.Source {
	t.Helper()
	path := write(t, t.TempDir(), "baton-host.yaml", text)
	_, err := config.Load(t.Context(), path, config.WithoutReferences())
	return support.Source{Version: "v1.2.3", SDKVersion: "v0.25.0", Protocol: 1, Outline: support.OutlineOf(path), ConfigErr: err}
}

const acme = `
state-dir: /home/lovelace/acme
plugin-dirs: [/home/lovelace/acme, /opt/acme]
secret-stores:
  acme-vault: { address: "https://vault.acme.example", login: { token: hunter2 } }
secret-helpers:
  initech: { command: [/home/lovelace/tok3n, hunter2] }
plugins:
  acme-hr:
    app: scim
    env: [ACME_TOK3N]
    call-timeout: 90s
    memory-limit: 512MiB
    provisioning: true
    change-guard: { keep-percent: 80, resource-types: { acme-user: { min-missing: 3 }, acme-group: off } }
    config:
      scim-base-url: https://scim.acme.example/lovelace
      scim-token: hunter2
      acme-tok3n: ${acme-vault:acme/hr#tok3n}
      ada-lovelace: [ada.lovelace@acme.example]
      scim-display-name: Acme ${env:ACME_TOK3N} and ${initech:tok3n}
  fullstory: { config: { scim-token: "${file:/home/lovelace/tok3n}" } }
uploads:
  initech: { plugins: [acme-hr, fullstory], client-id: lovelace@acme.example, client-secret: "${exec:initech hunter2}", on-plugin-failure: last-good }
`

func TestText_HasTheOutlineOfTheConfigurationWithoutValues(t *testing.T) {
	t.Parallel()
	from := source(t, acme)
	require.Equal(t, "/home/lovelace/acme", from.Outline.StateDir())
	text := textOf(t, from)
	_, outline, _ := strings.Cut(text, "## Configuration, without values")
	for _, want := range []string{
		"state-dir: (text)", "plugin-dirs: (list of 2)", "plugin-1:", "app: (text)", "env: (list of 1)", "call-timeout: 90s", "memory-limit: 512MiB", "provisioning: true",
		"keep-percent: 80", "type-1:", "min-missing: 3", "type-2: off", "scim-base-url: (text)", "scim-token: (text)", "field-1: (reference: store-1)", "field-2: (list of 1)",
		"field-3: (text with references: env, store-2)", "scim-token: (reference: file)", "plugins: [plugin-1, plugin-2]", "client-id: (text)",
		"client-secret: (reference: exec)", "on-plugin-failure: last-good", "helper-1:",
	} {
		require.Contains(t, outline, "  "+want+"\n")
	}
}

func TestText_HasTheKindOfWhatIsWrongWithAConfiguration(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"values": {
			strings.NewReplacer("90s", "hunter2", "true", "lovelace", "last-good", "hunter2", "app: scim", "apq: hunter2\n    hunter2: acme").Replace(acme),
			[]string{"It does not load:", `line 13, column 19: call-timeout must be a duration with its unit, such as 10m, at least 1s and at most 1h`, "call-timeout: (does not fit)", "(a key that is unknown here): (text)", "provisioning must be true or false"},
		},
		"no reference":  {strings.Replace(acme, "${env:ACME_TOK3N}", "${env:hunter2 tok3n}", 1), []string{"${env:…} takes the name of an environment variable", "(a reference that is malformed)"}},
		"no YAML":       {"plugins: [hunter2\nada: lovelace", []string{"It does not load:", "line 1, column 10"}},
		"no mapping":    {"- hunter2", []string{"the file must be a mapping with the key"}},
		"empty":         {"", []string{"the file is empty; it must define plugins"}},
		"aliases":       {"plugins: &acme\n  hunter2: {}\nuploads: *acme\n", []string{"anchors and aliases are not supported"}},
		"keys are maps": {"plugins:\n  {hunter2: tok3n}: {config: {[lovelace]: acme, scim-token: {hunter2: tok3n}}}\n", []string{"(name):", "scim-token: (mapping of 1)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := textOf(t, source(t, tc.text))
			for _, want := range tc.want {
				require.Contains(t, text, want)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "lovelace.yaml")
	_, err := config.Load(t.Context(), missing)
	require.Contains(t, textOf(t, support.Source{Outline: support.OutlineOf(missing), ConfigErr: err}), "there is no such file; say where the configuration is with --config")
	require.Contains(t, textOf(t, support.Source{ConfigErr: errors.New(canary)}), "It does not load: …")
}

// spoiled is a status in which every text has the canary.
func spoiled() status.Snapshot {
	now := time.Now()
	credentials := []secret.Credential{{Reference: "${vault:acme/hr#tok3n}", Expires: now, Problem: canary}, {Field: "hunter2", Problem: canary}}
	made := status.Sync{
		At: now, State: status.Failed, Took: time.Minute, Bytes: 12345678, Accounts: 40, ByPlugin: map[string]int{"ada@acme.example": 40}, Why: "the answer was 401 Unauthorized: " + canary,
		FailedPlugins: map[string]string{"acme-hr": `plugin "acme-hr": ` + canary}, Missing: []string{"hunter2"}, Evidence: canary,
	}
	return status.Snapshot{
		Now:  now,
		Host: status.Host{ID: "initech-01", Version: "v1.2.3", SDKVersion: canary, GoVersion: "go1.26.0", StartedAt: now, LastReload: &status.Reload{At: now, Why: canary}},
		Uploads: []status.Upload{{
			Name: "initech", State: status.Failed, Why: `plugin "ada@acme.example" failed: ` + canary, Connection: status.Connection{Why: canary}, Last: &made, History: []status.Sync{made}, Credentials: credentials,
			Syncing: []status.Progress{{Task: "hunter2", StartedAt: now, Plugins: []status.PluginPart{{Plugin: "acme-hr", Accounts: 7, Waits: canary}}}},
			Parts:   []status.Part{{Plugin: "acme-hr", State: canary, Why: canary, EvidenceReason: canary, Accounts: 40}},
		}},
		Plugins: []status.Plugin{
			{Name: "acme-hr", App: canary, Address: "scim.acme.example:443", State: "ready", Why: canary, Connector: "baton-scim", Version: "v0.2.41", SDKVersion: "v0.25.0", Sandbox: "on", SandboxDetail: canary, Credentials: credentials},
			{Name: "initech", State: "failed", Connector: "baton-acme-hr", Version: "10.1.2.3"},
			{Name: "ada@acme.example", State: canary, Connector: canary, Version: "1.0-hunter2", SDKVersion: "tok3n", Sandbox: canary},
		},
		Errors: []status.Error{{At: now, Times: 3, Upload: "initech", Plugin: "ada@acme.example", What: "task " + canary, Why: "the credentials are refused: " + canary, Task: "hunter2"}},
	}
}

func TestText_HasAHostThatRunsWithoutNames(t *testing.T) {
	t.Parallel()
	from := source(t, acme)
	from.Running = &support.Running{Status: spoiled()}
	for _, label := range []string{"plugin", "upload", "connector", "version", "sdk_version", "reference", "state", "type", "new"} {
		from.Running.Metrics = append(from.Running.Metrics, status.Metric{Name: "baton_host_x", Labels: map[string]string{label: canary}, Value: 1})
	}
	from.Running.Metrics = append(from.Running.Metrics, status.Metric{Name: "baton_host_accounts", Labels: map[string]string{"plugin": "acme-hr", "upload": "initech"}, Value: 40})
	from.Programs = []support.Program{
		{Plugin: "acme-hr", App: "scim", Path: os.Args[0], Locked: "v0.2.41"},
		{Plugin: "initech", App: "acme-hr", Path: "/home/lovelace/baton-acme-hr"},
		{Plugin: "ada@acme.example", App: "acme hunter2", Path: "/home/lovelace/baton-acme", Locked: canary, Err: errors.New(canary)},
	}
	from.LockErr = errors.New("the file is larger: " + canary)
	text := textOf(t, from)
	require.Regexp(t, `(?m)^plugin-1 +baton-scim +v0\.2\.41 +\S+ +\S+ +go1\.`, text, "what stands in its program")
	require.Regexp(t, `(?m)^plugin-3 +… .*\nplugin-4 +… `, text, "a connector may be named after a company")
	require.Regexp(t, `(?m)^host that runs +v1\.2\.3 +- +… +go1\.26\.0$`, text)
	require.Regexp(t, `(?m)^upload-1 +failed .*plugin "plugin-4" failed: `, text)
	require.Contains(t, text, "the answer was 401 Unauthorized: …")
	require.Regexp(t, `(?m)^plugin-1 +ready .* baton-scim +v0\.2\.41 +v0\.25\.0 +on `, text)
	require.Regexp(t, `(?m)^\S+Z +3 +upload-1 +plugin-4 +task ….* +the credentials are refused: …`, text)
	require.Regexp(t, `(?m)^plugin-1 +\$\{store-\d:…\} +20\S+Z`, text)
	require.Contains(t, text, `baton_host_accounts{plugin="plugin-1",upload="upload-1"} 40`+"\n")
	require.Contains(t, text, `baton_host_x{reference="…"} 1`+"\n")
}

func TestText_SaysWhyAHostCannotBeAsked(t *testing.T) {
	t.Parallel()
	text := textOf(t, support.Source{RunningErr: errors.New("/home/lovelace/control.sock is for user lovelace alone, as whom the host runs; run this command as that user")})
	require.Contains(t, text, "It cannot be asked: … is for user … alone, as whom the host runs; run this command as that user\n")
}

// TestText_HasADamagedStateDirectory: what can be read is in it, and of the rest why not.
func TestText_HasADamagedStateDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"acme", "initech", "lovelace"} {
		write(t, dir, name+".c1z", canary)
	}
	write(t, dir, "acme.c1z.json", canary)
	write(t, dir, "initech.c1z.json", `{"version": 99}`)
	write(t, dir, "acme.c1z.refused.hunter2", canary)
	write(t, dir, "acme.c1z.approved", canary)
	write(t, dir, "hunter2", canary)
	write(t, dir, "history.json", canary)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "hunter2.c1z"), 0o700))
	require.NoError(t, os.Symlink("/home/lovelace", filepath.Join(dir, "tok3n.c1z")))
	text := textOf(t, support.Source{StateDir: dir})
	require.Contains(t, text, "No host runs on the state directory.")
	require.Contains(t, text, "refused syncs: 1 files, approvals: 1, other files: 1")
	require.Contains(t, text, "The history cannot be used: … is damaged: ")
	for _, want := range []string{`upload-1 .* damaged, or of another file `, `upload-\d .* of a newer host `, `upload-\d .* none `, `upload-\d .* the file cannot be read `} {
		require.Regexp(t, `(?m)^`+want, text)
	}

	missing := textOf(t, support.Source{StateDir: filepath.Join(dir, "lovelace")})
	require.Contains(t, missing, "It cannot be read: no such file or directory\n")
}

// TestText_HasTheLastErrorsOfTheHistory: where no host runs.
func TestText_HasTheLastErrorsOfTheHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "history.json", fmt.Sprintf(`{"version": 1, "uploads": {"acme": [{"at": "2026-01-02T03:04:05Z", "state": "failed", "seconds": 2, "accounts": 0,
		"why": "plugin \"ada@acme.example\": the disk is full: %[1]s", "failed_plugins": {"ada@acme.example": "no answer came in time; %[1]s"}}]}}`, "hunter2 for Lovelace"))
	text := textOf(t, support.Source{StateDir: dir})
	require.Regexp(t, `(?m)^upload-1 +2026-01-02T03:04:05Z +failed +2s .*plugin "plugin-1": the disk is full: … for …$`, text)
	require.Regexp(t, `(?m)^upload-1 +2026-01-02T03:04:05Z +plugin .*plugin-1: no answer came in time; … for …$`, text)
}

// TestText_HasVersions: those that have the form of one, as a connector may report any text.
func TestText_HasVersions(t *testing.T) {
	t.Parallel()
	for version, isShown := range map[string]bool{
		"v1.2.3": true, "0.2.41": true, "v0.0.0-20240101120000-abcdef123456": true, "v1.2.4-0.20240101120000-abcdef123456+dirty": true, "go1.26rc1": true, "v2.0.0-rc.1": true, "(devel)": true, "dev": true,
		"80af5fb": true, "80af5fb-dirty": true, "v1.2.3-4-g80af5fb-dirty": true,
		"10.1.2.3": false, "1.0-hunter2": false, "v1.0.0-0123456789abcdef0123456789abcdef01234567": false, "acme": false, "8675309": false, "8675309-dirty": false,
	} {
		text := textOf(t, support.Source{Version: version})
		require.Equal(t, isShown, strings.Contains(text, version), version)
	}
}
