package sandbox

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestJudge_FollowsNamesAsTheKernelDoes compares where names lead, through links of every
// kind, with what the kernel opens.
func TestJudge_FollowsNamesAsTheKernelDoes(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // To be repeated.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	parts := []string{"a", "b", "c", "file", "l1", "l2", "l3", "l4", "..", ".", ""}
	name := func() string {
		var chosen []string
		for range 1 + random.IntN(6) {
			chosen = append(chosen, parts[random.IntN(len(parts))])
		}
		return strings.Join(chosen, "/")
	}
	for _, sub := range []string{"a/b/c", "b/a", "c"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, sub), 0o700))
	}
	for _, sub := range []string{"", "a", "a/b", "a/b/c", "b", "c"} {
		_ = os.WriteFile(filepath.Join(dir, sub, "file"), nil, 0o600)
		for n := 1; n <= 4; n++ {
			target := name()
			if random.IntN(3) == 0 {
				target = filepath.Join(dir, target)
			}
			if target == "" {
				target = "a"
			}
			require.NoError(t, os.Symlink(target, filepath.Join(dir, sub, fmt.Sprintf("l%d", n))))
		}
	}
	from, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer func() { _ = unix.Close(from) }()
	j, self := newJudge(&Policy{}, newest), thread(os.Getpid())
	outcomes := map[string]int{}
	for range 3000 {
		name, follow := name(), random.IntN(2) == 0
		flags := unix.O_PATH | unix.O_CLOEXEC
		if !follow {
			flags |= unix.O_NOFOLLOW
		}
		found, ok := j.find(self, int32(from), name, follow) //nolint:gosec // It is a descriptor.
		fd, err := unix.Openat(from, name, flags, 0)
		what := fmt.Sprintf("%q, follow %t", name, follow)
		switch {
		case err == nil:
			want, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
			require.NoError(t, err)
			_ = unix.Close(fd)
			require.True(t, ok && found.exists, what)
			require.Equal(t, want, found.path, what)
			outcomes["found"]++
		case ok:
			require.Equal(t, unix.ENOENT, err, what)
			require.False(t, found.exists, what)
			outcomes["could be made"]++
		default:
			outcomes["leads nowhere"]++
		}
	}
	require.Len(t, outcomes, 3, "%v", outcomes)
}

// TestJudge_ReportsPrivilegesThatAreNotGained by executing a file of somebody else.
func TestJudge_ReportsPrivilegesThatAreNotGained(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("this needs root")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Chown(file, 65534, 65534))
	require.NoError(t, unix.Chmod(file, 0o755|unix.S_ISUID))
	j := newJudge(&Policy{}, newest)
	require.NoError(t, allow(j, readExecute, dir))
	denied := j.execute(thread(os.Getpid()), unix.AT_FDCWD, file, true)
	require.Len(t, denied, 1)
	require.Equal(t, accessGreater, denied[0].Access)
	require.Equal(t, file, denied[0].Object)
	require.Empty(t, denied[0].Entry())
}

// TestJudge_NamesNoKeyForWhatBelongsToOthers: what it names would be copied into the
// configuration.
func TestJudge_NamesNoKeyForWhatBelongsToOthers(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	state := filepath.Join(dir, "state")
	require.NoError(t, os.MkdirAll(filepath.Join(state, "baseline"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(state, "control.token"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), nil, 0o600))
	j, self := newJudge(&Policy{Hidden: []string{state}}, newest), thread(os.Getpid())
	for name, c := range map[string]struct {
		path  string
		flags uint64
		want  string
	}{
		"the state directory":          {state, unix.O_RDONLY, ""},
		"the control token":            {filepath.Join(state, "control.token"), unix.O_RDONLY, ""},
		"a file for it":                {filepath.Join(state, "forged"), unix.O_WRONLY | unix.O_CREAT, ""},
		"a file beside it":             {filepath.Join(dir, "new"), unix.O_WRONLY | unix.O_CREAT, ""},
		"a file that is beside it":     {filepath.Join(dir, "other"), unix.O_RDONLY, "sandbox: {read: [" + filepath.Join(dir, "other") + "]}"},
		"the directory that it is in":  {dir, unix.O_RDONLY, ""},
		"a temporary file":             {filepath.Join(os.TempDir(), "none"), unix.O_WRONLY | unix.O_CREAT, ""},
		"the status of a process":      {"/proc/self/status", unix.O_RDONLY, ""},
		"the directory of all of them": {"/proc", unix.O_RDONLY, ""},
	} {
		t.Run(name, func(t *testing.T) {
			denied := j.open(self, unix.AT_FDCWD, c.path, c.flags)
			require.Len(t, denied, 1)
			require.Equal(t, c.want, denied[0].Entry())
			require.Equal(t, c.want == "", denied[0].Hint != "")
		})
	}
}
