package host_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/registry"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/releases"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// TestTrust_IsByDefaultConductorOnes: the table of keys and the registry have the same.
func TestTrust_IsByDefaultConductorOnes(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "plugins: { a: {} }\n")
	cfg, err := config.Load(t.Context(), path)
	require.NoError(t, err)
	of := cfg.Trust
	trust := registry.Trust{Issuer: of.Issuer, Workflow: of.Workflow, Repositories: of.Repositories, Root: of.Root}
	require.Equal(t, registry.DefaultTrust(), trust)
	require.Equal(t, registry.DefaultReleases, cfg.PluginReleases)
}

var sigstore = sync.OnceValues(releases.NewSigstore)

// published is a configuration of two plugins whose connectors are published, and where.
type published struct {
	*workforce
	server          *releases.Server
	lockFile, store string
	root            string
}

// newPublished publishes baton-fullstory v1.0.0 and baton-scim v2.0.0: scripts that become
// plugins. The servers are of this machine, so that they need no certificates.
func newPublished(t *testing.T) *published {
	t.Helper()
	signs, err := sigstore()
	require.NoError(t, err)
	root, err := signs.TrustedRoot()
	require.NoError(t, err)
	p := &published{
		workforce: newWorkforce(t, scimsandbox.Options{Accounts: 5}, scimsandbox.Options{Accounts: 4}, ""),
		server:    releases.Start(signs), root: writeFile(t, string(root)), store: filepath.Join(t.TempDir(), "plugins"),
	}
	t.Cleanup(p.server.Close)
	plain := httptest.NewServer(p.server)
	t.Cleanup(plain.Close)
	p.server.URL = plain.URL
	p.lockFile = filepath.Join(filepath.Dir(p.config), "baton-host.lock")
	replaceIn(t, p.config, "  fullstory:\n    path: "+self+"\n", "  fullstory:\n    version: v1.0.0\n"+opensSelf())
	replaceIn(t, p.config, "  design-tool:\n    path: "+self+"\n", "  design-tool:\n    app: scim\n    version: v2.0.0\n"+opensSelf())
	text := contentsOf(t, p.config)
	require.NoError(t, os.WriteFile(p.config, []byte("plugin-releases: "+p.server.Base()+"\nplugin-store: "+p.store+"\ntrust:\n  trusted-root: "+p.root+"\n"+text), 0o600))
	p.publish(t, "baton-fullstory", "v1.0.0", "")
	p.publish(t, "baton-scim", "v2.0.0", "")
	return p
}

// opensSelf opens what the scripts execute to their sandboxes.
func opensSelf() string { return "    sandbox: { read: [" + filepath.Dir(self) + "] }\n" }

// binary is a script that becomes a plugin; another comment makes it another program.
func binary(comment string) []byte {
	return []byte("#!/bin/sh\n# " + comment + "\nexport " + pluginVariable + "=1\nexec '" + self + "' \"$@\"\n")
}

// publish publishes a release for this platform and for another one.
func (p *published) publish(t *testing.T, connector, version, comment string) {
	t.Helper()
	p.release(t, releases.Release{Connector: connector, Version: version, Binaries: map[string][]byte{
		strings.ReplaceAll(platform, "/", "-"): binary(connector + version + comment), "darwin-arm64": []byte("for another system " + comment),
	}})
}

func (p *published) release(t *testing.T, release releases.Release) {
	t.Helper()
	require.NoError(t, p.server.Publish(release))
}

// install installs, and returns what became of each plugin and platform.
func (p *published) install(t *testing.T, options host.InstallOptions) (map[string]string, error) {
	t.Helper()
	h, err := host.Open(t.Context(), host.Selection{ConfigFile: p.config}, host.Options{Secrets: host.NoSecrets})
	require.NoError(t, err)
	installed, err := h.Install(t.Context(), options)
	changes := map[string]string{}
	for _, one := range installed {
		name := one.Name
		if one.Platform != platform {
			name += " " + one.Platform
		}
		changes[name] = one.Change
	}
	return changes, err
}

// installs installs, and everything must be well.
func (p *published) installs(t *testing.T, options host.InstallOptions) map[string]string {
	t.Helper()
	changes, err := p.install(t, options)
	require.NoError(t, err)
	return changes
}

var (
	bothNew  = map[string]string{"fullstory": "new", "design-tool": "new"}
	bothSame = map[string]string{"fullstory": "unchanged", "design-tool": "unchanged"}
	locked   = host.InstallOptions{Locked: true}
)

func TestInstall_LocksWhatItInstalls(t *testing.T) {
	t.Parallel()
	p := newPublished(t)
	_, err := p.sync(t, host.Options{})
	requireSentence(t, err, `plugin "fullstory": baton-fullstory v1.0.0 is not installed, as there is no lock file `+p.lockFile+" that has it; install it with: baton-host install --config "+p.config+" fullstory",
		`plugin "design-tool": baton-scim v2.0.0 is not installed`)
	_, err = p.install(t, locked)
	requireSentence(t, err, "there is no lock file "+p.lockFile+", and nothing is installed that is not locked; write it with: baton-host install --config "+p.config)
	_, err = p.sync(t, host.Options{Install: true})
	requireSentence(t, err, "there is no lock file "+p.lockFile)
	require.NoDirExists(t, p.store)

	var steps []string
	changes := p.installs(t, host.InstallOptions{Progress: func(event host.InstallEvent) { steps = append(steps, event.Plugin+": "+event.Step) }})
	require.Equal(t, bothNew, changes)
	require.Contains(t, steps, "fullstory: downloading")
	require.Equal(t, "design-tool: ", steps[len(steps)-1], "an installation ends with an event")
	first, signer := contentsOf(t, p.lockFile), releases.ConductorOne("baton-scim", "v2.0.0")
	for _, line := range []string{"version: v2.0.0", "connector: baton-scim", "signer: " + signer.Workflow, "repository: " + signer.Repository, "commit: " + signer.Commit} {
		require.Contains(t, first, line)
	}
	require.NotContains(t, first, p.store, "no path of this machine")

	before := p.server.Requests()
	require.Equal(t, bothSame, p.installs(t, host.InstallOptions{}))
	require.Equal(t, bothSame, p.installs(t, locked))
	require.Equal(t, before, p.server.Requests(), "what is there needs no network")
	for _, only := range []bool{true, false} {
		looked, err := lock(t, p.config, host.Options{}, only)
		require.NoError(t, err)
		require.Equal(t, []host.LockedPlugin{{"fullstory", "v1.0.0", "unchanged"}, {"design-tool", "v2.0.0", "unchanged"}}, looked)
	}
	require.Equal(t, first, contentsOf(t, p.lockFile))
	require.Len(t, p.syncs(t, host.Options{}).Accounts, 2)
	programs, _, err := host.Programs(t.Context(), p.config, host.Options{})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(programs[0].Path, p.store), programs[0].Path)
}

// TestInstall_BeforeASyncInstallsWhatIsLocked on a machine that has the two files alone.
func TestInstall_BeforeASyncInstallsWhatIsLocked(t *testing.T) {
	t.Parallel()
	p := newPublished(t)
	p.installs(t, host.InstallOptions{})
	require.NoError(t, os.RemoveAll(p.store))
	_, err := p.sync(t, host.Options{})
	requireSentence(t, err, `plugin "fullstory": baton-fullstory v1.0.0 is locked and not installed here; install it with: baton-host install --config `+p.config+" --locked fullstory")
	_, err = lock(t, p.config, host.Options{}, true)
	requireSentence(t, err, "is locked and not installed here")
	p.syncs(t, host.Options{Install: true})

	programs, _, err := host.Programs(t.Context(), p.config, host.Options{})
	require.NoError(t, err)
	require.NoError(t, os.Chmod(programs[0].Path, 0o700)) //nolint:gosec // It is a program.
	require.NoError(t, os.WriteFile(programs[0].Path, []byte("#!/bin/sh\necho evil\n"), 0o600))
	_, err = p.sync(t, host.Options{})
	requireSentence(t, err, `plugin "fullstory" is not started: `+programs[0].Path+" is sha256:", "so it is not what was installed; install it again with: baton-host install --config "+p.config+" --locked fullstory")
	_, err = lock(t, p.config, host.Options{}, true)
	requireSentence(t, err, "which is not what was installed")
	require.Equal(t, bothSame, p.installs(t, locked))
	p.syncs(t, host.Options{})
}

// TestInstall_RefusesWhatWasPublishedAgain under the version that is locked.
func TestInstall_RefusesWhatWasPublishedAgain(t *testing.T) {
	t.Parallel()
	p := newPublished(t)
	p.installs(t, host.InstallOptions{})
	first := contentsOf(t, p.lockFile)
	p.publish(t, "baton-scim", "v2.0.0", " again")
	require.Equal(t, bothSame, p.installs(t, host.InstallOptions{}), "what is installed is not asked for")
	require.NoError(t, os.RemoveAll(p.store))
	for _, options := range []host.InstallOptions{locked, {}} {
		changes, err := p.install(t, options)
		require.Equal(t, map[string]string{"fullstory": "unchanged"}, changes)
		requireSentence(t, err, `plugin "design-tool": baton-scim v2.0.0 is not what was locked: its digest was sha256:`, " and is sha256:", "--upgrade")
	}
	_, err := p.sync(t, host.Options{Install: true})
	requireSentence(t, err, "is not what was locked")
	require.Equal(t, first, contentsOf(t, p.lockFile))

	changes := p.installs(t, host.InstallOptions{Upgrade: true})
	require.Equal(t, "unchanged", changes["fullstory"])
	require.Regexp(t, `^its digest was sha256:\w+ and is sha256:\w+$`, changes["design-tool"])
	require.NotEqual(t, first, contentsOf(t, p.lockFile))
	p.syncs(t, host.Options{})
}

// TestInstall_UpgradesToTheNewProgram although the store still has the one that is locked.
func TestInstall_UpgradesToTheNewProgram(t *testing.T) {
	t.Parallel()
	p := newPublished(t)
	p.installs(t, host.InstallOptions{})
	p.publish(t, "baton-scim", "v2.0.0", " again")
	p.installs(t, host.InstallOptions{Upgrade: true})
	want := sha256.Sum256(binary("baton-scimv2.0.0 again"))
	require.Contains(t, contentsOf(t, p.lockFile), "executable: sha256:"+hex.EncodeToString(want[:]))
	p.syncs(t, host.Options{})
}

// TestInstall_ChangesVersionsOnDemand: a configuration that was edited is not enough.
func TestInstall_ChangesVersionsOnDemand(t *testing.T) {
	t.Parallel()
	upgrade, downgrade := host.InstallOptions{Upgrade: true}, host.InstallOptions{Downgrade: true}
	for name, c := range map[string]struct {
		to             string
		refused, taken host.InstallOptions
		says           string
	}{
		"newer":                    {"v1.10.0", host.InstallOptions{}, upgrade, " has baton-fullstory v1.9.0, and the configuration baton-fullstory v1.10.0; accept that with: baton-host install --config "},
		"newer, as if it were not": {"v1.10.0", downgrade, upgrade, " --upgrade fullstory"},
		"older":                    {"v1.8.0", host.InstallOptions{}, downgrade, "v1.8.0 is older than v1.9.0, which "},
		"older, as if it were not": {"v1.8.0", upgrade, downgrade, " --downgrade fullstory"},
		"of no order":              {"nightly", host.InstallOptions{}, upgrade, " --upgrade fullstory"},
		"newer, locked":            {"v1.10.0", locked, upgrade, "and nothing is installed that is not locked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPublished(t)
			p.publish(t, "baton-fullstory", "v1.9.0", "")
			p.publish(t, "baton-fullstory", c.to, "")
			replaceIn(t, p.config, "version: v1.0.0", "version: v1.9.0")
			only := func(options host.InstallOptions) host.InstallOptions {
				options.Plugins = []string{"fullstory"}
				return options
			}
			p.installs(t, only(host.InstallOptions{}))
			before := contentsOf(t, p.lockFile)
			replaceIn(t, p.config, "version: v1.9.0", "version: "+c.to)
			_, err := p.sync(t, host.Options{})
			requireSentence(t, err, `plugin "fullstory" is not started: `+p.lockFile+" has baton-fullstory v1.9.0, and the configuration baton-fullstory "+c.to+"; install that with: ")
			_, err = p.install(t, only(c.refused))
			requireSentence(t, err, `plugin "fullstory": `, c.says)
			require.Equal(t, before, contentsOf(t, p.lockFile))
			require.Equal(t, map[string]string{"fullstory": "in place of baton-fullstory v1.9.0"}, p.installs(t, only(c.taken)))
			require.NotContains(t, contentsOf(t, p.lockFile), "v1.9.0")
		})
	}
}

// TestInstall_LocksForOtherPlatforms without running what is for them.
func TestInstall_LocksForOtherPlatforms(t *testing.T) {
	t.Parallel()
	p := newPublished(t)
	only := []string{"design-tool"}
	_, err := p.install(t, host.InstallOptions{Platforms: []string{"plan9/mips"}})
	requireSentence(t, err, `"plan9/mips" is not a platform that connectors are released for`)
	require.Equal(t, map[string]string{"design-tool darwin/arm64": "new"}, p.installs(t, host.InstallOptions{Plugins: only, Platforms: []string{"darwin/arm64"}}))
	_, err = p.sync(t, host.Options{})
	requireSentence(t, err, `plugin "design-tool" is locked in `+p.lockFile+" for darwin/arm64 only, not for "+platform)
	_, err = p.install(t, host.InstallOptions{Plugins: only, Locked: true})
	requireSentence(t, err, " does not have it for "+platform+", and nothing is installed that is not locked")
	require.Equal(t, map[string]string{"design-tool": "new", "design-tool darwin/arm64": "unchanged"}, p.installs(t, host.InstallOptions{Plugins: only}))
	require.Equal(t, map[string]string{"design-tool": "unchanged"}, p.installs(t, host.InstallOptions{Plugins: only, Locked: true}))

	p.publish(t, "baton-scim", "v2.1.0", "")
	replaceIn(t, p.config, "version: v2.0.0", "version: v2.1.0")
	change := "in place of baton-scim v2.0.0"
	require.Equal(t, map[string]string{"design-tool": change, "design-tool darwin/arm64": change}, p.installs(t, host.InstallOptions{Plugins: only, Upgrade: true}),
		"an upgrade loses no platform")
}

func TestInstall_TakesADownloadedArchive(t *testing.T) {
	t.Parallel()
	p := newPublished(t)
	here := strings.ReplaceAll(platform, "/", "-")
	at := func(version string) string {
		path, err := p.server.Download(t.TempDir(), releases.Release{Connector: "baton-scim", Version: version}, here)
		require.NoError(t, err)
		return path
	}
	archive := at("v2.0.0")
	replaceIn(t, p.config, p.server.Base(), "http://127.0.0.1:1/nowhere")
	for name, c := range map[string]struct {
		options host.InstallOptions
		says    string
	}{
		"of all":         {host.InstallOptions{From: archive}, "--from has the archive of one connector; name its plugin"},
		"for two":        {host.InstallOptions{From: archive, Plugins: []string{"design-tool"}, Platforms: []string{platform, "darwin/arm64"}}, "--from has the archive for one platform"},
		"of another one": {host.InstallOptions{From: archive, Plugins: []string{"fullstory"}}, `plugin "fullstory": the archive ` + archive + " is not installed: "},
	} {
		_, err := p.install(t, c.options)
		requireSentence(t, err, c.says)
		require.NoFileExists(t, p.lockFile, name)
	}
	options := host.InstallOptions{From: archive, Plugins: []string{"design-tool"}}
	require.Equal(t, map[string]string{"design-tool": "new"}, p.installs(t, options))
	require.Contains(t, contentsOf(t, p.lockFile), "commit: "+releases.ConductorOne("baton-scim", "v2.0.0").Commit)
	options.Locked = true
	require.Equal(t, map[string]string{"design-tool": "unchanged"}, p.installs(t, options))
	p.publish(t, "baton-scim", "v2.0.0", " again")
	options.From = at("v2.0.0")
	_, err := p.install(t, options)
	requireSentence(t, err, "is not what was locked: its digest was sha256:")
}

// TestInstall_DemandsProvenance unless the entry does without, and the lock file says so.
func TestInstall_DemandsProvenance(t *testing.T) {
	t.Parallel()
	p := newPublished(t)
	only := []string{"fullstory"}
	p.release(t, releases.Release{Connector: "baton-fullstory", Version: "v0.1.0", Unsigned: true, Unproven: true, Binaries: map[string][]byte{strings.ReplaceAll(platform, "/", "-"): binary("old")}})
	replaceIn(t, p.config, "version: v1.0.0", "version: v0.1.0")
	_, err := p.install(t, host.InstallOptions{Plugins: only})
	requireSentence(t, err, `plugin "fullstory": baton-fullstory v0.1.0 is not installed: `, "provenance: none")
	require.NoFileExists(t, p.lockFile)
	replaceIn(t, p.config, "version: v0.1.0", "version: v0.1.0\n    provenance: none")
	require.Equal(t, map[string]string{"fullstory": "new"}, p.installs(t, host.InstallOptions{Plugins: only}))
	require.Contains(t, contentsOf(t, p.lockFile), "provenance: none")
	p.installs(t, host.InstallOptions{Plugins: []string{"design-tool"}})
	p.syncs(t, host.Options{})

	replaceIn(t, p.config, "version: v0.1.0\n    provenance: none", "version: v0.1.0")
	_, err = p.sync(t, host.Options{})
	requireSentence(t, err, `plugin "fullstory" is not started: baton-fullstory v0.1.0 was installed without provenance, and its entry has no provenance: none`)
	_, err = p.install(t, locked)
	requireSentence(t, err, "has it without provenance, and its entry has no provenance: none")
	p.publish(t, "baton-fullstory", "v0.1.0", "")
	_, err = p.install(t, host.InstallOptions{Plugins: only})
	requireSentence(t, err, "is not what was locked", "--upgrade")
	p.installs(t, host.InstallOptions{Plugins: only, Upgrade: true})
	p.syncs(t, host.Options{})
}

// TestInstall_GoesBetweenWaysToSayWhatIsStarted.
func TestInstall_GoesBetweenWaysToSayWhatIsStarted(t *testing.T) {
	t.Parallel()
	p := newPublished(t)
	dirs := host.Options{PluginDirs: []string{installed(t, "scim")}}
	replaceIn(t, p.config, "    app: scim\n    version: v2.0.0\n", "    app: scim\n")
	p.installs(t, host.InstallOptions{})
	_, err := p.sync(t, dirs)
	requireSentence(t, err, `plugin "design-tool" is not in `+p.lockFile+"; add it with: baton-host lock")
	_, err = p.install(t, host.InstallOptions{Plugins: []string{"design-tool"}})
	requireSentence(t, err, `plugin "design-tool" has neither version nor image in `+p.config)
	_, err = p.install(t, host.InstallOptions{Plugins: []string{"design-tol"}})
	requireSentence(t, err, `has no plugin "design-tol"; did you mean "design-tool"?`)
	_, err = lock(t, p.config, dirs, false)
	require.NoError(t, err)
	p.syncs(t, dirs)
	require.Contains(t, contentsOf(t, p.lockFile), "\nversion: 2\n")

	replaceIn(t, p.config, "    app: scim\n", "    app: scim\n    version: v2.0.0\n")
	_, err = p.sync(t, dirs)
	requireSentence(t, err, " has a program that was not installed, and the configuration baton-scim v2.0.0; install that with: baton-host install --config "+p.config+" design-tool")
	require.Equal(t, map[string]string{"fullstory": "unchanged", "design-tool": "in place of a program that was not installed"}, p.installs(t, host.InstallOptions{}))
	p.syncs(t, dirs)

	replaceIn(t, p.config, "    version: v1.0.0\n", "")
	dirs.PluginDirs = []string{installed(t, "fullstory")}
	_, err = lock(t, p.config, dirs, false)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(contentsOf(t, p.lockFile), "origin:"))
	p.syncs(t, dirs)
	loud := dirs
	loud.Unlocked = true
	p.syncs(t, loud)
}

// TestInstall_StartsNothingElse: neither what was edited into the lock file, nor a program of
// that name that lies elsewhere.
func TestInstall_StartsNothingElse(t *testing.T) {
	t.Parallel()
	const signer, evilSigner = "https://github.com/ConductorOne/github-workflows/", "https://github.com/evil/github-workflows/"
	for name, c := range map[string]struct {
		prepare func(t *testing.T, p *published, options *host.Options)
		says    string
	}{
		"another signer in the lock file": {func(t *testing.T, p *published, _ *host.Options) {
			t.Helper()
			replaceIn(t, p.lockFile, signer, evilSigner)
		}, `it was signed by "` + evilSigner},
		"a policy that trusts others": {func(t *testing.T, p *published, _ *host.Options) {
			t.Helper()
			replaceIn(t, p.config, "trust:\n", "trust:\n  repositories: [https://github.com/example/*]\n")
		}, `it was built from "https://github.com/ConductorOne/baton-`},
		"no lock file, unlocked": {func(t *testing.T, p *published, options *host.Options) {
			t.Helper()
			require.NoError(t, os.Remove(p.lockFile))
			options.Unlocked, options.PluginDirs = true, []string{installed(t, "fullstory"), installed(t, "scim")}
		}, "there is no lock file"},
		"another version in the lock file, unlocked": {func(t *testing.T, p *published, options *host.Options) {
			t.Helper()
			replaceIn(t, p.config, "version: v1.0.0", "version: v1.0.1")
			options.Unlocked, options.PluginDirs = true, []string{installed(t, "fullstory"), installed(t, "scim")}
		}, "has baton-fullstory v1.0.0, and the configuration baton-fullstory v1.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPublished(t)
			p.installs(t, host.InstallOptions{})
			options := host.Options{}
			c.prepare(t, p, &options)
			_, err := p.sync(t, options)
			requireSentence(t, err, c.says)
			if !options.Unlocked {
				_, err = p.install(t, host.InstallOptions{})
				requireSentence(t, err, c.says)
			}
		})
	}
}

// TestInstall_ChangesNoSumUnasked: a sum that was edited into the lock file is refused, as what
// is unpacked from the same archive is another one.
func TestInstall_ChangesNoSumUnasked(t *testing.T) {
	t.Parallel()
	p := newPublished(t)
	p.installs(t, host.InstallOptions{})
	good := contentsOf(t, p.lockFile)
	at := strings.Index(good, "executable: sha256:") + len("executable: sha256:")
	edited := good[:at] + strings.Repeat("0", 64) + good[at+64:]
	require.NoError(t, os.WriteFile(p.lockFile, []byte(edited), 0o600))
	for _, options := range []host.InstallOptions{{}, locked} {
		_, err := p.install(t, options)
		requireSentence(t, err, "and "+p.lockFile+" says that it is sha256:"+strings.Repeat("0", 64)+"; restore the lock file from version control, or accept that with: baton-host install --config "+p.config+" --upgrade ")
		require.Equal(t, edited, contentsOf(t, p.lockFile))
	}
	p.installs(t, host.InstallOptions{Upgrade: true})
	require.Equal(t, good, contentsOf(t, p.lockFile))
}

// TestInstall_TakesImages by their tags, of which the lock file keeps the digest.
func TestInstall_TakesImages(t *testing.T) {
	t.Parallel()
	p := newPublished(t)
	signs, err := sigstore()
	require.NoError(t, err)
	of := releases.StartRegistry(signs, true)
	t.Cleanup(of.Close)
	of.Open = true
	plain := httptest.NewServer(of)
	t.Cleanup(plain.Close)
	of.URL = "https://" + strings.TrimPrefix(plain.URL, "http://")
	push := func(tag, version, comment string) string {
		digest, err := of.Push(releases.Image{
			Repository: "mirror/baton-scim", Tag: tag, Signer: releases.ConductorOne("baton-scim", version),
			Binaries: map[string][]byte{strings.ReplaceAll(platform, "/", "-"): binary(comment), "linux-arm64": []byte("for another " + comment)},
		})
		require.NoError(t, err)
		return digest
	}
	reference := func(tag string) string { return fmt.Sprintf("    image: %q\n", of.Host()+"/mirror/baton-scim:"+tag) }
	only := func(options host.InstallOptions) host.InstallOptions {
		options.Plugins = []string{"design-tool"}
		return options
	}
	first := push("stable", "v2.0.0", "one")
	replaceIn(t, p.config, "    app: scim\n    version: v2.0.0\n", reference("stable"))
	require.Equal(t, map[string]string{"design-tool": "new", "design-tool linux/arm64": "new"}, p.installs(t, only(host.InstallOptions{Platforms: []string{platform, "linux/arm64"}})))
	text := contentsOf(t, p.lockFile)
	require.Equal(t, 2, strings.Count(text, "image: "+first))
	require.Contains(t, text, "version: v2.0.0")
	require.Contains(t, text, "image: "+of.Host()+"/mirror/baton-scim:stable")
	p.installs(t, host.InstallOptions{Plugins: []string{"fullstory"}})
	p.syncs(t, host.Options{})

	second := push("stable", "v1.9.0", "older")
	require.NoError(t, os.RemoveAll(p.store))
	_, err = p.install(t, only(locked))
	requireSentence(t, err, "is not what was locked: its digest was "+first+" and is "+second)
	_, err = p.install(t, only(host.InstallOptions{Upgrade: true}))
	requireSentence(t, err, "v1.9.0 is older than v2.0.0, which "+p.lockFile+" has; if that is wanted, accept it with: baton-host install --config "+p.config+" --downgrade design-tool")
	require.Equal(t, 2, strings.Count(contentsOf(t, p.lockFile), "image: "+first))
	p.installs(t, only(host.InstallOptions{Upgrade: true, Downgrade: true}))
	require.Equal(t, 2, strings.Count(contentsOf(t, p.lockFile), "image: "+second))

	third := push("v3.0.0", "v3.0.0", "newer")
	replaceIn(t, p.config, reference("stable"), reference("v3.0.0"))
	_, err = p.install(t, only(host.InstallOptions{}))
	requireSentence(t, err, "and the configuration the image "+of.Host()+"/mirror/baton-scim:v3.0.0; accept that with: ", " --upgrade design-tool")
	p.installs(t, only(host.InstallOptions{Upgrade: true}))
	require.Equal(t, 2, strings.Count(contentsOf(t, p.lockFile), "image: "+third))
	_, err = p.install(t, host.InstallOptions{Plugins: []string{"design-tool"}, From: "x.tar.gz"})
	requireSentence(t, err, `plugin "design-tool" is an image, which is in no archive`)
}

// TestReload_TakesANewReleaseOfAConnector once it is locked, and installs it; the other plugin
// goes on.
func TestReload_TakesANewReleaseOfAConnector(t *testing.T) {
	t.Parallel()
	p, cloud := newPublished(t), startC1(t, c1.Options{})
	replaceIn(t, p.config, "plugins: [fullstory, design-tool]", "plugins: [fullstory, design-tool], "+cloud.credentials(t, "workforce"))
	p.installs(t, host.InstallOptions{})
	running := cloud.serve(t, p.config, host.Options{StateDir: stateDir(t), Install: true}, host.ServeOptions{})
	require.Len(t, cloud.synced(t, cloud.fullSync(t, "workforce")), 9)

	p.publish(t, "baton-scim", "v2.1.0", "")
	replaceIn(t, p.config, "version: v2.0.0", "version: v2.1.0")
	_, err := running.Reload(t.Context())
	requireSentence(t, err, `plugin "design-tool": `, "and nothing is installed that is not locked", "--upgrade design-tool")
	p.installs(t, host.InstallOptions{Upgrade: true})
	require.NoError(t, os.RemoveAll(p.store))
	result, err := running.Reload(t.Context())
	require.NoError(t, err)
	require.Equal(t, []host.ReloadedEntry{{"fullstory", host.ReloadUnchanged}, {"design-tool", host.ReloadChanged}}, result.Plugins)
	require.Len(t, cloud.synced(t, cloud.fullSync(t, "workforce")), 9)
	running.stop()
}
