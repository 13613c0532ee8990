package sandbox

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpened_FindsWhatWasReplaced(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change   func(t *testing.T, file string)
		replaced bool
	}{
		"nothing":           {func(*testing.T, string) {}, false},
		"written into":      {func(t *testing.T, file string) { require.NoError(t, os.WriteFile(file, []byte("new"), 0o600)) }, false},
		"gone for a moment": {func(t *testing.T, file string) { require.NoError(t, os.Remove(file)) }, false},
		"replaced": {func(t *testing.T, file string) {
			require.NoError(t, os.WriteFile(file+".new", []byte("old"), 0o600))
			require.NoError(t, os.Rename(file+".new", file))
		}, true},
		"a link to another file": {func(t *testing.T, file string) {
			require.NoError(t, os.WriteFile(file+".new", []byte("old"), 0o600))
			require.NoError(t, os.Remove(file))
			require.NoError(t, os.Symlink(file+".new", file))
		}, true},
		"made": {func(t *testing.T, file string) { require.NoError(t, os.WriteFile(file+".missing", nil, 0o600)) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "file")
			require.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
			opened := (&Policy{Read: []string{file}, Write: []string{file + ".missing"}}).Opened(nil)
			c.change(t, file)
			if c.replaced {
				require.Contains(t, opened.Replaced(), file)
			} else {
				require.Empty(t, opened.Replaced())
			}
			certificate := (&Policy{}).Opened([]string{"SSL_CERT_FILE=" + file})
			require.Contains(t, certificate, file)
			require.Contains(t, certificate, "/etc/resolv.conf")
		})
	}
}

func TestPolicy_IsNotForWhatIsHiddenAndSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hidden := filepath.Join(dir, "config", "baton-host.yaml")
	require.NoError(t, os.MkdirAll(filepath.Dir(hidden), 0o700))
	require.NoError(t, os.WriteFile(hidden, nil, 0o600))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(filepath.Dir(hidden), link))
	p := &Policy{Hidden: []string{hidden}}
	for path, want := range map[string]bool{
		hidden: true, filepath.Dir(hidden): true, dir: true, filepath.Join(link, "baton-host.yaml"): true, link: true,
		filepath.Join(dir, "config", "other"): false, filepath.Join(dir, "other"): false,
		"/": true, "/etc": true, "/etc/shadow": true, "/etc/../etc/shadow": true, "/etc/ssh/ssh_host_key": true, "/home": true, "/home/alice/.ssh/id_ed25519": true, "/proc/1/environ": true,
		"/etc/hostname": false, "/home/alice/.aws/credentials": false, "/opt/app/cache": false,
	} {
		require.Equal(t, want, p.IsNotFor(path), path)
	}
}

func TestPolicy_RevealsWhatItsEntryOpensOfOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hidden := filepath.Join(dir, "state")
	for name, c := range map[string]struct {
		read, write []string
		want        string
	}{
		"nothing":         {want: ""},
		"beside it":       {read: []string{filepath.Join(dir, "cache")}, want: ""},
		"everything":      {read: []string{"/"}, want: "/"},
		"what has it":     {write: []string{dir}, want: dir},
		"it":              {read: []string{hidden}, want: hidden},
		"something in it": {write: []string{filepath.Join(hidden, "x")}, want: filepath.Join(hidden, "x")},
	} {
		require.Equal(t, c.want, (&Policy{Read: c.read, Write: c.write, Hidden: []string{hidden}}).Reveals(), name)
	}
}
