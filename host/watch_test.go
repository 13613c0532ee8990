package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
)

// mount is a directory as Kubernetes mounts one: its files are links through ..data, which
// is swapped.
type mount struct {
	t     *testing.T
	dir   string
	times int
}

// put swaps the content of all files.
func (m *mount) put(contents map[string]string) {
	m.t.Helper()
	m.times++
	name := fmt.Sprintf("..2026_%d", m.times)
	require.NoError(m.t, os.Mkdir(filepath.Join(m.dir, name), 0o700))
	for file, text := range contents {
		require.NoError(m.t, os.WriteFile(filepath.Join(m.dir, name, file), []byte(text), 0o600))
	}
	swapped := filepath.Join(m.dir, "..data")
	old, _ := os.Readlink(swapped)
	require.NoError(m.t, os.Symlink(name, swapped+"_tmp"))
	require.NoError(m.t, os.Rename(swapped+"_tmp", swapped))
	for file := range contents {
		if link := filepath.Join(m.dir, file); m.times == 1 {
			require.NoError(m.t, os.Symlink(filepath.Join("..data", file), link))
		}
	}
	if old != "" {
		require.NoError(m.t, os.RemoveAll(filepath.Join(m.dir, old)))
	}
}

// TestServe_WatchesItsFiles: the configuration and a secret, each behind links that are
// swapped. What is wrong is reported, and what is touched is nothing.
func TestServe_WatchesItsFiles(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	l := p.leash(t)
	secrets := &mount{t: t, dir: t.TempDir()}
	secrets.put(map[string]string{"token": p.design.token})
	good := strings.Replace(contentsOf(t, p.config), `"`+p.design.token+`"`, `"${file:`+filepath.Join(secrets.dir, "token")+`}"`, 1)
	configs := &mount{t: t, dir: t.TempDir()}
	configs.put(map[string]string{"baton-host.yaml": good})
	running := p.tenant.serve(t, filepath.Join(configs.dir, "baton-host.yaml"), host.Options{StateDir: p.state}, host.ServeOptions{Watch: true, Listen: listening})
	require.True(t, p.sync(t).Succeeded)
	l.process()

	changed := strings.Replace(good, "  fullstory:\n", "  fullstory:\n    call-timeout: 5m\n", 1)
	configs.put(map[string]string{"baton-host.yaml": changed})
	l.process()
	running.saysTimes(`"msg":"the configuration is reloaded"`, 1)
	require.True(t, p.sync(t).Succeeded)

	configs.put(map[string]string{"baton-host.yaml": "plugins: ["})
	running.says(`"msg":"the configuration is refused; the host goes on with the one before"`)
	configs.put(map[string]string{"baton-host.yaml": changed})
	running.saysTimes(`"msg":"the configuration is reloaded"`, 2)

	// A secret that changes is tried at once, by another process of its plugin.
	secrets.put(map[string]string{"token": "wrong"})
	running.says(`"msg":"new secrets of the plugin do not work; those before stay in use"`)
	secrets.put(map[string]string{"token": p.design.token + "\n"})
	running.says(`"msg":"the secrets of the plugin are in order again"`)
	require.True(t, p.sync(t).Succeeded)
	require.Zero(t, l.processes())

	configs.put(map[string]string{"baton-host.yaml": changed}) // The same, in other files.
	secrets.put(map[string]string{"token": p.design.token + "\n"})
	secrets.put(map[string]string{"token": p.design.token + "\n\n"})
	configs.put(map[string]string{"baton-host.yaml": good})
	running.saysTimes(`"msg":"the configuration is reloaded"`, 3)
	require.Len(t, running.lines(map[string][]string{"msg": {"the configuration is reloaded"}}), 3)
	require.Len(t, running.lines(map[string][]string{"msg": {"secrets of the plugin have new values"}}), 1)
	running.stop()
	require.NotContains(t, running.log.String(), p.design.token)
	require.Empty(t, p.Violations())
}
