package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/releases"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// thisPlatform is this system as a release has it.
const thisPlatform = runtime.GOOS + "-" + runtime.GOARCH

var sigstore = sync.OnceValues(releases.NewSigstore)

// publication is where connectors are published, over TLS, and a machine that has a
// configuration, a store that is empty and none of the connectors.
type publication struct {
	*releases.Server
	t                   *testing.T
	dir                 string
	config, lock, store string
	env                 []string
}

// newPublication publishes nothing yet. The configuration says where connectors are from, and
// goes on with the text.
func newPublication(t *testing.T, text string, env ...string) *publication {
	t.Helper()
	signs, err := sigstore()
	require.NoError(t, err)
	root, err := signs.TrustedRoot()
	require.NoError(t, err)
	dir := t.TempDir()
	p := &publication{
		Server: releases.Start(signs), t: t, dir: dir,
		config: filepath.Join(dir, "baton-host.yaml"), lock: filepath.Join(dir, "baton-host.lock"), store: filepath.Join(dir, "store"),
	}
	t.Cleanup(p.Close)
	authority := filepath.Join(dir, "authority.pem")
	for path, content := range map[string][]byte{
		authority: releases.Authority(p.Server.Server), filepath.Join(dir, "trusted_root.json"): root,
		p.config: []byte("plugin-releases: " + p.Base() + "\nplugin-store: store\ntrust: { trusted-root: trusted_root.json }\n" + text),
	} {
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
	p.env = append([]string{"SSL_CERT_FILE=" + authority}, env...)
	return p
}

// publish publishes, as the connector of that name, a script that becomes baton-scim. more
// makes it another program.
func (p *publication) publish(connector, version, more string) releases.Release {
	p.t.Helper()
	release := releases.Release{Connector: connector, Version: version, Binaries: map[string][]byte{
		thisPlatform:   []byte("#!/bin/sh\n# " + version + more + "\nexec '" + filepath.Join(bin, "baton-scim") + "' \"$@\"\n"),
		"darwin-arm64": []byte("for another system " + version + more),
	}}
	require.NoError(p.t, p.Publish(release))
	return release
}

// publishProgram publishes one of our programs as the connector of that name.
func (p *publication) publishProgram(connector, version, program string) {
	p.t.Helper()
	named := filepath.Join(p.t.TempDir(), connector)
	// Not a hard link: tar refuses a file whose links change while it reads.
	require.NoError(p.t, os.Symlink(filepath.Join(bin, program), named))
	require.NoError(p.t, p.Publish(releases.Release{Connector: connector, Version: version, Archives: map[string][]byte{thisPlatform: archived(p.t, named)}}))
}

// archived returns a program that was built, packed as it is published.
func archived(t *testing.T, path string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "tar", "-chzf", "-", "-C", filepath.Dir(path), filepath.Base(path)) //nolint:gosec // Our own program.
	cmd.Env = append(os.Environ(), "GZIP=-1")
	content, err := cmd.Output()
	require.NoError(t, err)
	return content
}

// do runs a command with the configuration.
func (p *publication) do(args ...string) run {
	p.t.Helper()
	return execute(p.t, p.env, "baton-host", append(args, "--config", p.config)...)
}

// does is do, and the command must succeed.
func (p *publication) does(args ...string) run {
	p.t.Helper()
	result := p.do(args...)
	require.Equal(p.t, 0, result.status, result.stderr)
	return result
}

func edit(t *testing.T, path, old, with string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), old)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), old, with)), 0o600))
}

// scimEntry is the entry of the plugin design-tool of this version of baton-scim.
func scimEntry(version string, of app) string {
	return "  design-tool:\n    app: scim\n    version: " + version + "\n    sandbox: { read: [" + bin + "] } # for the script\n    config: { scim-groups: false, scim-base-url: " + of.url + ", scim-token: \"${env:TOKEN}\" }\n"
}

const here = runtime.GOOS + "/" + runtime.GOARCH

// TestInstall_ServesWhatIsLocked: installed and locked on one machine, and served by another
// one that has the configuration and the lock file.
func TestInstall_ServesWhatIsLocked(t *testing.T) {
	t.Parallel()
	people, cloud := startApp(t, scim.Options{App: "design-tool", Accounts: 6}), startC1(t, c1.Options{})
	credentials := cloud.client(t, "workforce")
	p := newPublication(t, "plugins:\n"+scimEntry("v1.2.3", people)+
		"uploads:\n  workforce:\n    plugins: [design-tool]\n    client-id: "+credentials.ID+"\n    client-secret: ${env:SECRET}\n",
		"TOKEN="+people.token, "SECRET="+credentials.Secret)
	authorities, err := os.OpenFile(filepath.Join(p.dir, "authority.pem"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = authorities.Write(cloud.CAPEM())
	require.NoError(t, err)
	require.NoError(t, authorities.Close())
	require.NoError(t, p.Publish(releases.Release{Connector: "baton-scim", Version: "v1.2.3", Archives: map[string][]byte{thisPlatform: archived(t, filepath.Join(bin, "baton-scim"))}}))

	requireSentence(t, p.do("sync", "--output-dir", p.dir), []string{`plugin "design-tool": baton-scim v1.2.3 is not installed`, "install it with: baton-host install --config " + p.config + " design-tool"})
	requireSentence(t, p.do("sync", "--install", "--output-dir", p.dir), []string{"there is no lock file " + p.lock})
	require.Empty(t, p.Requests(), "nothing was asked for")

	installed := p.does("install")
	commit := releases.ConductorOne("baton-scim", "v1.2.3").Commit
	require.Regexp(t, `(?m)^design-tool +v1\.2\.3 +`+here+` +new +github\.com/ConductorOne/baton-scim@`+commit+`$`, installed.stdout)
	require.Contains(t, installed.stderr, "design-tool for "+here+": downloading")
	require.NotContains(t, installed.stderr, "warning")
	require.Regexp(t, `design-tool +v1\.2\.3 +unchanged\n`, p.does("lock").stdout)
	p.does("lock", "--check")
	require.Regexp(t, `(?m)^design-tool +scim +`+p.store, p.does("plugins").stdout)

	require.NoError(t, os.RemoveAll(p.store))
	host := startRun(t, p.env, "--config", p.config, "--install", "--state-dir", filepath.Join(p.dir, "state"))
	require.Len(t, cloud.synced(t, cloud.fullSync(t, "workforce")), 6)
	host.stop()
	require.Contains(t, host.output.String(), `"msg":"installing"`)
	require.NotContains(t, host.output.String(), `"level":"error"`)
}

// TestInstall_RefusesAMovedTagInCI: what CI does, once a release was published again.
func TestInstall_RefusesAMovedTagInCI(t *testing.T) {
	t.Parallel()
	people := startApp(t, scim.Options{App: "design-tool", Accounts: 3})
	p := newPublication(t, "plugins:\n"+scimEntry("v1.2.3", people)+"  other: { app: scim, config: {} }\n")
	p.publish("baton-scim", "v1.2.3", "")
	first := p.does("install", "-o", "json")
	require.Contains(t, first.stderr, "warning: the lock file does not have other yet, and what it does not have is not started; add it with: baton-host lock --config "+p.config)
	edit(t, p.config, "  other: { app: scim, config: {} }\n", "")
	ci := t.TempDir()
	edit(t, p.config, "plugin-store: store", "plugin-store: "+ci)
	p.does("install", "--locked")
	p.does("lock", "--check")

	p.publish("baton-scim", "v1.2.3", "again")
	require.NoError(t, os.RemoveAll(ci))
	var was []struct{ Digest, Commit string }
	require.NoError(t, json.Unmarshal([]byte(first.stdout), &was))
	moved := p.do("install", "--locked")
	requireSentence(t, moved, []string{`plugin "design-tool": baton-scim v1.2.3 is not what was locked: its digest was ` + was[0].Digest + " and is sha256:", "--upgrade"})
	require.Empty(t, moved.stdout)
	requireSentence(t, p.do("lock", "--check"), []string{"is locked and not installed here"})
	requireSentence(t, p.do("install", "--locked", "--upgrade"), []string{"--locked and --upgrade exclude each other"})
}

// TestInstall_GoesBackOnDemand to an older release.
func TestInstall_GoesBackOnDemand(t *testing.T) {
	t.Parallel()
	people := startApp(t, scim.Options{App: "design-tool", Accounts: 3})
	p := newPublication(t, "plugins:\n"+scimEntry("v1.10.0", people)+"uploads: { workforce: { plugins: [design-tool] } }\n", "TOKEN="+people.token)
	p.publish("baton-scim", "v1.9.0", "")
	p.publish("baton-scim", "v1.10.0", "")
	p.does("install")
	edit(t, p.config, "v1.10.0", "v1.9.0")
	requireSentence(t, p.do("install", "--upgrade"), []string{"v1.9.0 is older than v1.10.0, which " + p.lock + " has; if that is wanted, accept it with: baton-host install --config " + p.config + " --downgrade design-tool"})
	require.Contains(t, p.does("install", "--downgrade").stdout, "in place of baton-scim v1.10.0")
	p.does("sync", "--output-dir", p.dir)
}

// TestInstall_TakesAFile where there is no network: the archive and its provenance were
// carried there.
func TestInstall_TakesAFile(t *testing.T) {
	t.Parallel()
	people := startApp(t, scim.Options{App: "design-tool", Accounts: 3})
	p := newPublication(t, "plugins:\n"+scimEntry("v1.2.3", people)+"uploads: { workforce: { plugins: [design-tool] } }\n", "TOKEN="+people.token)
	archive, err := p.Download(t.TempDir(), p.publish("baton-scim", "v1.2.3", ""), thisPlatform)
	require.NoError(t, err)
	other, err := p.Download(t.TempDir(), p.publish("baton-scim", "v1.2.4", ""), thisPlatform)
	require.NoError(t, err)
	p.Close()
	requireSentence(t, p.do("install", "--from", other), []string{`plugin "design-tool": the archive ` + other + " is not installed: "})
	require.NoFileExists(t, p.lock)
	p.does("install", "design-tool", "--from", archive)
	p.does("sync", "--output-dir", p.dir)
	require.NoError(t, os.RemoveAll(p.store))
	p.does("install", "design-tool", "--locked", "--from", archive)
	p.does("lock", "--check")
}

// TestInstall_LocksForTwoPlatforms: one lock file serves both.
func TestInstall_LocksForTwoPlatforms(t *testing.T) {
	t.Parallel()
	people := startApp(t, scim.Options{App: "design-tool", Accounts: 3})
	p := newPublication(t, "plugins:\n"+scimEntry("v1.2.3", people)+"uploads: { workforce: { plugins: [design-tool] } }\n", "TOKEN="+people.token)
	p.publish("baton-scim", "v1.2.3", "")
	installed := p.does("install", "--platform", here+",darwin/arm64", "-o", "csv")
	require.Regexp(t, `(?m)^design-tool,v1\.2\.3,`+here+`,new,`, installed.stdout)
	require.Regexp(t, `(?m)^design-tool,v1\.2\.3,darwin/arm64,new,`, installed.stdout)
	lock, err := os.ReadFile(p.lock)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(lock), "origin:"))
	p.does("sync", "--output-dir", p.dir)
	require.NoError(t, os.RemoveAll(p.store))
	p.does("install", "--locked", "--platform", "darwin/arm64")
	requireSentence(t, p.do("sync", "--output-dir", p.dir), []string{"is locked and not installed here"})
	requireSentence(t, p.do("install", "--platform", "linux/mips"), []string{`"linux/mips" is not a platform that connectors are released for`})
}

// TestInstall_RunsAnUnmodifiedConnectorOfAnImage of a registry with a login.
func TestInstall_RunsAnUnmodifiedConnectorOfAnImage(t *testing.T) {
	t.Parallel()
	app := startWorkspace(t, asItIs)
	signs, err := sigstore()
	require.NoError(t, err)
	registry := releases.StartRegistry(signs, true)
	t.Cleanup(registry.Close)
	digest, err := registry.Push(releases.Image{Repository: "mirror/baton-workspace", Tag: "v0.3.0", Layers: map[string][][]byte{thisPlatform: {archived(t, filepath.Join(bin, unmodified, "baton-workspace"))}}})
	require.NoError(t, err)
	text, err := os.ReadFile(app.config(t, unmodified, ""))
	require.NoError(t, err)
	p := newPublication(t, strings.Replace(string(text), fmt.Sprintf("command: [%q]", filepath.Join(bin, unmodified, "baton-workspace")), fmt.Sprintf("image: %q", registry.Host()+"/mirror/baton-workspace:v0.3.0"), 1), "TOKEN="+app.token)
	requireSentence(t, p.do("install"), []string{`plugin "workspace": the image ` + registry.Host() + "/mirror/baton-workspace:v0.3.0 is not installed: "})
	docker := t.TempDir()
	require.NoError(t, registry.DockerConfig(docker))
	p.env = append(p.env, "DOCKER_CONFIG="+docker)
	p.does("install")
	lock, err := os.ReadFile(p.lock)
	require.NoError(t, err)
	require.Contains(t, string(lock), "image: "+digest)
	require.Contains(t, p.does("plugins").stdout, "unmodified connector")
	p.does("sync", "--output-dir", p.dir)
}

// TestAdd_InstallsTheConnector that is on no machine yet, and locks it.
func TestAdd_InstallsTheConnector(t *testing.T) {
	t.Parallel()
	people := startApp(t, scim.Options{App: "intranet", Accounts: 3})
	p := newPublication(t, "# ours\n", "TOKEN="+people.token)
	p.publishProgram("baton-intranet", "v0.2.41", "baton-scim")
	fields := []string{"--set", "scim-groups=false", "--set", "scim-base-url=" + people.url, "--set", "scim-token=${env:TOKEN}"}
	requireSentence(t, p.do("add", "intranet", "--no-input"), []string{"there is no plugin binary baton-intranet", "or have it installed with --version or --image"})
	requireSentence(t, p.do(append([]string{"add", "intranet", "--no-input", "--version", "v0.2.40"}, fields...)...), []string{`plugin "intranet": baton-intranet v0.2.40 is not installed: `})
	requireOnly(t, p.dir, "authority.pem", "baton-host.yaml", "store", "trusted_root.json")
	added := p.does(append([]string{"add", "intranet", "--no-input", "--version", "v0.2.41"}, fields...)...)
	require.Contains(t, added.stdout, "Its connector is installed, and locked in "+p.lock)
	require.NotContains(t, added.stdout, "baton-host lock")
	text, err := os.ReadFile(p.config)
	require.NoError(t, err)
	require.Contains(t, string(text), "  intranet:\n    version: v0.2.41\n    config:\n")
	require.Contains(t, string(text), "# ours\n")
	p.does("lock", "--check")
	p.does("sync", "--output-dir", p.dir)

	again := p.does(append([]string{"add", "intranet", "--name", "second", "--no-input", "--version", "v0.2.41"}, fields...)...)
	require.Contains(t, again.stdout, "the plugin second in the upload workforce")
	p.does("lock", "--check")
}

// TestInit_ExplainsThatNothingCanBeInstalled where no server answers, and leaves nothing.
func TestInit_ExplainsThatNothingCanBeInstalled(t *testing.T) {
	t.Parallel()
	const nowhere = "http://127.0.0.1:1"
	cmd := command(t.Context(), t, []string{"HTTPS_PROXY=" + nowhere, "HTTP_PROXY=" + nowhere}, "baton-host", "init", "github", "--no-input", "--version", "v0.2.41")
	result := finish(t, cmd)
	requireSentence(t, result, []string{`plugin "github": baton-github v0.2.41 is not installed: `, "trusted_root.json"})
	left, err := os.ReadDir(cmd.Dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
