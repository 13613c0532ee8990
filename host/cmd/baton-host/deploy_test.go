package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// deployed is where the files are that people deploy.
const deployed = "../../../deploy"

// manifest is what these tests look at in a manifest; deploy/check looks at the rest.
type manifest struct {
	Data       map[string]string `yaml:"data"`
	StringData map[string]string `yaml:"stringData"`
	Spec       struct {
		Template struct {
			Spec struct {
				Containers []struct {
					Args          []string `yaml:"args"`
					LivenessProbe probe    `yaml:"livenessProbe"`
					Readiness     probe    `yaml:"readinessProbe"`
				} `yaml:"containers"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type probe struct {
	HTTPGet struct {
		Path string `yaml:"path"`
	} `yaml:"httpGet"`
}

func readManifest(t *testing.T, name string) manifest {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deployed, "kubernetes", "baton-host", name))
	require.NoError(t, err)
	var m manifest
	require.NoError(t, yaml.Unmarshal(text, &m))
	return m
}

// mountVolume writes files as the kubelet does: behind a link that it moves when
// they change.
func mountVolume(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	const version = "..2026_11_26_21_00_00.1"
	require.NoError(t, os.MkdirAll(filepath.Join(dir, version), 0o750))
	require.NoError(t, os.Symlink(version, filepath.Join(dir, "..data")))
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, version, name), []byte(content), 0o440)) //nolint:gosec // The mode in the manifest.
		require.NoError(t, os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
	}
}

// pod is what a pod of the manifests has, with the directories in one of the test.
type pod struct {
	args      []string // of the container
	stateDir  string
	tempDir   string
	alive     string // the paths of the probes
	ready     string
	fullstory app
	design    app
}

// newPod sets up a pod of the manifests over stand-ins of the two apps.
func newPod(t *testing.T, tenant *tenant) pod {
	t.Helper()
	p := pod{
		fullstory: startApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 30}),
		design:    startApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 20, Groups: 3}),
	}
	root := t.TempDir()
	inRoot := func(text string) string {
		return regexp.MustCompile(`/(etc|run|var|tmp)\b`).ReplaceAllString(text, root+"/$1")
	}

	credentials := tenant.client(t, "workforce")
	secrets := readManifest(t, "secret.yaml").StringData
	for key, value := range map[string]string{
		"workforce-client-id": credentials.ID, "workforce-client-secret": credentials.Secret,
		"fullstory-scim-token": p.fullstory.token, "design-tool-scim-token": p.design.token,
	} {
		require.Contains(t, secrets, key)
		secrets[key] = value
	}
	mountVolume(t, filepath.Join(root, "run", "secrets", "baton-host"), secrets)

	text := inRoot(strings.ReplaceAll(readManifest(t, "configmap.yaml").Data["baton-host.yaml"], "https://", "\x00"))
	text = strings.NewReplacer("\x00app.fullstory.com/scim/v2", p.fullstory.url, "\x00design.example.com/scim/v2", p.design.url).Replace(text)
	require.NotContains(t, text, "\x00")
	mountVolume(t, filepath.Join(root, "etc", "baton-host"), map[string]string{"baton-host.yaml": text})

	p.tempDir = filepath.Join(root, "tmp")
	require.NoError(t, os.Mkdir(p.tempDir, 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "var", "lib", "baton-host"), 0o750))
	container := readManifest(t, "statefulset.yaml").Spec.Template.Spec.Containers[0]
	p.alive, p.ready = container.LivenessProbe.HTTPGet.Path, container.Readiness.HTTPGet.Path
	for _, arg := range container.Args {
		p.args = append(p.args, inRoot(arg))
	}
	at := slices.IndexFunc(p.args, func(arg string) bool { return strings.HasPrefix(arg, "--state-dir=") })
	require.GreaterOrEqual(t, at, 0)
	p.stateDir = strings.TrimPrefix(p.args[at], "--state-dir=")
	return p
}

func (p pod) config(t *testing.T) string {
	t.Helper()
	at := slices.IndexFunc(p.args, func(arg string) bool { return strings.HasPrefix(arg, "--config=") })
	require.GreaterOrEqual(t, at, 0)
	return p.args[at]
}

func TestManifests_HaveAConfigMapThatPassesTheCheck(t *testing.T) {
	t.Parallel()
	tenant := startC1(t, c1.Options{})
	p := newPod(t, tenant)
	checked := execute(t, []string{"TMPDIR=" + p.tempDir, tenant.trust()}, "baton-host", "check", p.config(t), "--plugin-dir", bin)
	require.Equal(t, 0, checked.status, checked.stderr)
	require.Regexp(t, `(?m)^plugin +fullstory +fullstory +ok +(on: .*|off: only Linux has .*)$`, checked.stdout)
	require.Regexp(t, `(?m)^plugin +design-tool +scim +ok +(on: .*|off: only Linux has .*)$`, checked.stdout)
	if sandbox.Kernel().Landlock > 0 { // Otherwise it warns of the plugins, which can read each other's secrets.
		require.Empty(t, checked.stderr, "it warns of nothing, either")
	}
}

// TestManifests_HaveAPodThatSyncs: the container's own arguments, in directories as
// Kubernetes mounts them; only its address to listen on is another.
func TestManifests_HaveAPodThatSyncs(t *testing.T) {
	t.Parallel()
	tenant := startC1(t, c1.Options{})
	p := newPod(t, tenant)
	at := slices.Index(p.args, "--listen=0.0.0.0:9400")
	require.GreaterOrEqual(t, at, 0)
	p.args[at] = "--listen=127.0.0.1:0"
	require.Equal(t, "run", p.args[0])
	host := startRunIn(t, p.tempDir, []string{tenant.trust(), "BATON_HOST_ID=baton-host-0"}, p.args[1:]...)
	require.Len(t, tenant.synced(t, tenant.fullSync(t, "workforce")), 50)
	require.Equal(t, "baton-host-0", tenant.Uploads("workforce")[0].HostID)

	for _, probe := range []string{p.alive, p.ready} {
		code, _ := host.serves(probe)
		require.Equal(t, http.StatusOK, code, probe)
	}
	host.stop()
	requireOnly(t, p.stateDir, "workforce.c1z", "workforce.c1z.json")
	info, err := os.Stat(p.stateDir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "for no other user, also of those who may look into the volume")
}

// TestSystemd_HasAConfigurationThatPassesTheCheck with its credentials where they are
// for the test.
func TestSystemd_HasAConfigurationThatPassesTheCheck(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Accounts: 5})
	tenant := startC1(t, c1.Options{})
	credentials := tenant.client(t, "workforce")
	dir := t.TempDir()
	for name, content := range map[string]string{
		"fullstory-scim-token": fullstory.token, "workforce-client-id": credentials.ID, "workforce-client-secret": credentials.Secret,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o400))
	}
	text, err := os.ReadFile(filepath.Join(deployed, "baton-host.yaml"))
	require.NoError(t, err)
	config := writeConfig(t, strings.NewReplacer(
		"/run/credentials/baton-host.service", dir, "https://app.fullstory.com/scim/v2", fullstory.url,
	).Replace(string(text)))
	checked := execute(t, []string{tenant.trust()}, "baton-host", "check", "--config", config, "--plugin-dir", bin)
	require.Equal(t, 0, checked.status, checked.stderr)
	require.Empty(t, checked.stderr)
}

// TestSystemd_HasACommandThatIsTheHosts: every flag that the unit gives is one of `run`.
func TestSystemd_HasACommandThatIsTheHosts(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile(filepath.Join(deployed, "baton-host.service"))
	require.NoError(t, err)
	command := regexp.MustCompile(`(?m)^ExecStart=\S+ (run .*)$`).FindSubmatch(unit)
	require.NotNil(t, command)
	help := execute(t, nil, "baton-host", append(strings.Fields(string(command[1])), "--help")...)
	require.Equal(t, 0, help.status, help.stderr)
	require.Contains(t, help.stdout, "Stay connected to ConductorOne")
}

// TestManifests_HaveAnInitContainerThatInstalls: its own arguments, with its configuration and
// a lock file that was written for two platforms.
func TestManifests_HaveAnInitContainerThatInstalls(t *testing.T) {
	t.Parallel()
	const store = "plugin-store: /var/lib/baton-host-plugins\n"
	at := filepath.Join(deployed, "kubernetes", "baton-host-installed")
	text, err := os.ReadFile(filepath.Join(at, "baton-host.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(text), store)
	p := newPublication(t, strings.Replace(string(text), store, "", 1))
	p.publish("baton-github", "v0.2.41", "")
	p.does("install", "--platform", here+",darwin/arm64")
	require.NoError(t, os.RemoveAll(p.store))

	patch, err := os.ReadFile(filepath.Join(at, "install.yaml"))
	require.NoError(t, err)
	var of struct {
		Spec struct {
			Template struct {
				Spec struct {
					InitContainers []struct {
						Args []string `yaml:"args"`
					} `yaml:"initContainers"`
				} `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	require.NoError(t, yaml.Unmarshal(patch, &of))
	args := slices.Clone(of.Spec.Template.Spec.InitContainers[0].Args)
	config := slices.Index(args, "--config=/etc/baton-host/baton-host.yaml")
	require.GreaterOrEqual(t, config, 0)
	args[config] = "--config=" + p.config
	before, err := os.ReadFile(p.lock)
	require.NoError(t, err)
	result := execute(t, p.env, "baton-host", args...)
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `(?m)^github +v0\.2\.41 +`+here+` +unchanged `, result.stdout)
	after, err := os.ReadFile(p.lock)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	p.does("lock", "--check")
}
