package fleet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/child"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/registry"
)

// TestLock_StartsWhatTheEntryAsksFor, as the lock file has it and from the store, or nothing.
func TestLock_StartsWhatTheEntryAsksFor(t *testing.T) {
	t.Parallel()
	sum, none := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	proven := pin.Origin{
		Archive: sum, Signer: "https://github.com/ConductorOne/github-workflows/.github/workflows/release.yaml@refs/heads/main",
		Repository: "https://github.com/ConductorOne/baton-app", Commit: "c",
	}
	release := func(change func(*pin.Entry, *pin.Sums)) pin.Entry {
		entry, sums := pin.Entry{Version: "v1", Connector: "baton-app"}, pin.Sums{Executable: sum, Origin: proven}
		change(&entry, &sums)
		return entry.With(sums)
	}
	same := func(*pin.Entry, *pin.Sums) {}
	image := func(entry *pin.Entry, sums *pin.Sums) {
		entry.Image = "localhost/baton-app:v1"
		sums.Origin.Archive, sums.Origin.Image = "", sum
	}
	for name, c := range map[string]struct {
		entry  config.Plugin
		locked *pin.Entry
		says   string
	}{
		"a release":               {config.Plugin{Version: "v1"}, new(release(same)), ""},
		"an image":                {config.Plugin{Image: "localhost/baton-app:v1"}, new(release(image)), ""},
		"no lock file":            {config.Plugin{Version: "v1"}, nil, "baton-app v1 is not installed, as there is no lock file"},
		"another version":         {config.Plugin{Version: "v2"}, new(release(same)), "has baton-app v1, and the configuration baton-app v2; install that with: baton-host install --upgrade app"},
		"another app":             {config.Plugin{App: "other", Version: "v1"}, new(release(same)), "has baton-app v1, and the configuration baton-other v1"},
		"another tag":             {config.Plugin{Image: "localhost/baton-app:v2"}, new(release(image)), "has the image localhost/baton-app:v1, and the configuration the image localhost/baton-app:v2"},
		"an image for a release":  {config.Plugin{Image: "localhost/baton-app:v1"}, new(release(same)), "has baton-app v1, and the configuration the image localhost/baton-app:v1"},
		"a release for an image":  {config.Plugin{Version: "v1"}, new(release(image)), "has the image localhost/baton-app:v1, and the configuration baton-app v1"},
		"a program for a release": {config.Plugin{Version: "v1"}, new(pin.Entry{Version: "v1", Protocol: 1}.With(pin.Sums{Executable: sum})), "has a program that was not installed, and the configuration baton-app v1; install that with: baton-host install app"},
		"for another platform":    {config.Plugin{Version: "v1"}, new(pin.Entry{Version: "v1", Connector: "baton-app"}.WithPlatform("plan9/mips", pin.Sums{Executable: sum, Origin: proven})), "for plan9/mips only, not for " + child.Platform},
		"not in the store":        {config.Plugin{Version: "v1"}, new(release(func(_ *pin.Entry, sums *pin.Sums) { sums.Executable = none })), "is locked and not installed here; install it with: baton-host install --locked app"},
		"no provenance": {config.Plugin{Version: "v1"}, new(release(func(_ *pin.Entry, sums *pin.Sums) {
			sums.Origin = pin.Origin{Archive: sum, Provenance: pin.NoProvenance}
		})), "was installed without provenance"},
		"no provenance, and not said so": {config.Plugin{Version: "v1"}, new(release(func(_ *pin.Entry, sums *pin.Sums) {
			sums.Origin = pin.Origin{Archive: sum}
		})), "has neither signer, repository and commit nor provenance: none"},
		"a signer who is not trusted": {config.Plugin{Version: "v1"}, new(release(func(_ *pin.Entry, sums *pin.Sums) {
			sums.Origin.Signer = "https://github.com/evil/workflows/.github/workflows/release.yaml@refs/heads/main"
		})), `it was signed by "https://github.com/evil/`},
		"a repository that is not trusted": {config.Plugin{Version: "v1"}, new(release(func(_ *pin.Entry, sums *pin.Sums) {
			sums.Origin.Repository = "https://github.com/ConductorOne/baton-other"
		})), `it was built from "https://github.com/ConductorOne/baton-other"`},
		"no provenance, as wanted": {config.Plugin{Version: "v1", Provenance: config.WithoutProvenance}, new(release(func(_ *pin.Entry, sums *pin.Sums) {
			sums.Origin = pin.Origin{Archive: sum, Provenance: pin.NoProvenance}
		})), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			program := filepath.Join(dir, "store", "sha256", strings.TrimPrefix(sum, "sha256:"), "baton-app")
			require.NoError(t, os.MkdirAll(filepath.Dir(program), 0o700))
			require.NoError(t, os.WriteFile(program, nil, 0o600))
			store, err := registry.OpenStore(filepath.Join(dir, "store"))
			require.NoError(t, err)
			lock := &Lock{ConfigFile: filepath.Join(dir, "baton-host.yaml"), Accept: "baton-host lock", Install: "baton-host install", Store: store, Trust: registry.DefaultTrust()}
			if c.locked != nil {
				require.NoError(t, pin.Put(t.Context(), pin.PathFor(lock.ConfigFile), "app", *c.locked))
			}
			c.entry.Name = "app"
			if c.entry.App == "" {
				c.entry.App = "app"
			}
			p := Of([]*config.Plugin{&c.entry})[0]
			err = lock.Pin([]*Plugin{p})
			require.Equal(t, err == nil, lock.Locate(Of([]*config.Plugin{&c.entry})[0]) == nil, "to find it is to be able to pin it")
			if c.says != "" {
				require.ErrorContains(t, err, `plugin "app"`)
				require.ErrorContains(t, err, c.says)
				require.Empty(t, p.Spec().Path)
				return
			}
			require.NoError(t, err)
			require.Equal(t, program, p.Spec().Path)
			require.False(t, p.IsLookedUp())
			require.Equal(t, sum, p.pin.Executable)
			require.Equal(t, "baton-host install --locked app", p.pin.Accept)
		})
	}
}
