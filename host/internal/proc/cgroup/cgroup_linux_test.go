package cgroup

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// roleVariable has the test binary be a host: one that starts a process and waits to be
// killed, or one that reports what it is offered.
const (
	roleVariable = "CGROUP_TEST_ROLE"
	roleHost     = "host"
	roleOffered  = "offered"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case roleHost:
		pid, _, err := startStray(New(Limits{}))
		if err != nil {
			panic(err)
		}
		fmt.Println(pid)
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	case roleOffered:
		offer := Offered()
		group := New(Limits{})
		pid, leader, err := startStray(group)
		if err != nil {
			panic(err)
		}
		_ = syscall.Kill(-leader.Process.Pid, syscall.SIGKILL)
		_ = leader.Wait()
		group.Remove()
		_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"offer": offer, "ended": !runs(pid)})
		_ = syscall.Kill(pid, syscall.SIGKILL)
	default:
		os.Exit(m.Run())
	}
}

// requireDelegated skips a test where no control group is delegated to this user.
func requireDelegated(t *testing.T) {
	t.Helper()
	if obstacle := Offered().Obstacle; obstacle != "" {
		t.Skip("there is no control group: ", obstacle)
	}
}

// startStray starts a process in a group, nil for none, which has one of its own in another
// session, and returns the number of that, which it reports from there.
func startStray(g *Group) (stray int, leader *exec.Cmd, err error) {
	leader = exec.Command("/bin/sh", "-c", "read -r _; setsid sh -c 'echo $$; exec sleep 600 >/dev/null 2>&1' & wait") //nolint:noctx // It is killed.
	leader.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := leader.StdoutPipe()
	if err != nil {
		return 0, nil, err
	}
	in, err := leader.StdinPipe()
	if err != nil {
		return 0, nil, err
	}
	if err := g.Start(leader, (*exec.Cmd).Start); err != nil {
		return 0, nil, err
	}
	if _, err := in.Write([]byte("\n")); err != nil { // It is in the group now.
		return 0, nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, nil, err
	}
	stray, err = strconv.Atoi(strings.TrimSpace(line))
	return stray, leader, err
}

// runs reports whether a process has not ended; one that no one has waited for has.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// TestGroup_EndsWhatHasLeftItsSession shows first that it outlives the process without one.
func TestGroup_EndsWhatHasLeftItsSession(t *testing.T) {
	t.Parallel()
	requireDelegated(t)
	stray, leader, err := startStray(nil)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(-leader.Process.Pid, syscall.SIGKILL))
	_ = leader.Wait()
	require.True(t, runs(stray))
	require.NoError(t, syscall.Kill(stray, syscall.SIGKILL))

	for name, clones := range map[string]bool{"started in it": here().clones, "moved to it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group := New(Limits{Memory: 1 << 30})
			require.NotNil(t, group)
			group.clones = clones
			stray, leader, err := startStray(group)
			require.NoError(t, err)
			require.True(t, runs(stray))
			for _, pid := range []int{leader.Process.Pid, stray} {
				in, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
				require.NoError(t, err)
				require.Contains(t, string(in), filepath.Base(group.dir))
			}
			group.Remove()
			require.False(t, runs(stray))
			require.Error(t, leader.Wait())
			require.NoDirExists(t, group.dir)
		})
	}
}

// TestSweep_EndsWhatAKilledHostLeft and leaves alone what a living one has.
func TestSweep_EndsWhatAKilledHostLeft(t *testing.T) {
	t.Parallel()
	requireDelegated(t)
	start := func() (host *exec.Cmd, stray int, dir string) {
		host = exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // It is this test.
		host.Env = append(os.Environ(), roleVariable+"="+roleHost)
		host.Stderr = os.Stderr
		_, err := host.StdinPipe()
		require.NoError(t, err)
		out, err := host.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, host.Start())
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		stray, err = strconv.Atoi(strings.TrimSpace(line))
		require.NoError(t, err)
		groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", stray))
		require.NoError(t, err)
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		require.NoError(t, err)
		dir, _, err = place(string(groups), string(mounts))
		require.NoError(t, err)
		return host, stray, filepath.Dir(dir)
	}
	living, livingStray, livingDir := start()
	killed, stray, dir := start()
	require.True(t, strings.HasPrefix(filepath.Base(dir), hostPrefix), dir)
	require.NoError(t, killed.Process.Kill())
	_ = killed.Wait()
	require.True(t, runs(stray), "it outlives the host")

	Sweep()
	require.False(t, runs(stray))
	require.NoDirExists(t, dir)
	require.True(t, runs(livingStray))
	require.DirExists(t, livingDir)

	require.NoError(t, living.Process.Kill())
	_ = living.Wait()
	Sweep()
	require.False(t, runs(livingStray))
}

// TestOffered_ToAUserWhoIsGivenAGroup: a manager of the system gives a user a part of the
// tree; root plays it here.
func TestOffered_ToAUserWhoIsGivenAGroup(t *testing.T) {
	t.Parallel()
	requireDelegated(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can give another user a group")
	}
	const nobody = 65534
	program := filepath.Join(commonDir(t), "cgroup.test")
	content, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, content, 0o755)) //nolint:gosec // Another user executes it.
	for name, isGiven := range map[string]bool{"given": true, "not given": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given, err := os.MkdirTemp(here().parent, "test-")
			require.NoError(t, err)
			t.Cleanup(func() { _ = unix.Rmdir(given) })
			if isGiven {
				for _, path := range []string{".", procsFile, subtreeFile, "cgroup.threads"} {
					require.NoError(t, os.Chown(filepath.Join(given, path), nobody, nobody))
				}
			}
			group := &Group{dir: given, clones: here().clones}
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Env, cmd.Dir, cmd.Stderr = []string{roleVariable + "=" + roleOffered, "PATH=" + os.Getenv("PATH")}, "/", os.Stderr
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			var out strings.Builder
			cmd.Stdout = &out
			require.NoError(t, group.Start(cmd, (*exec.Cmd).Start))
			require.NoError(t, cmd.Wait(), out.String())
			var found struct {
				Offer Offer
				Ended bool
			}
			require.NoError(t, json.Unmarshal([]byte(out.String()), &found))
			require.Equal(t, isGiven, found.Ended, out.String())
			require.Equal(t, isGiven, found.Offer.Obstacle == "", out.String())
			if isGiven {
				left, err := filepath.Glob(filepath.Join(given, hostPrefix+"*"))
				require.NoError(t, err)
				require.Empty(t, left, "it is removed when no group is in it")
			}
		})
	}
}

// commonDir is a directory that every user can enter.
func commonDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "cgroup")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // As its name says.
	return dir
}

func TestPlace_FindsTheGroupOfAProcess(t *testing.T) {
	t.Parallel()
	const (
		whole  = "25 20 0:22 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
		hybrid = "30 25 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n31 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		part   = "40 20 0:22 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
	)
	for name, c := range map[string]struct {
		groups, mounts string
		dir            string
		isUppermost    bool
		err            string
	}{
		"a service":              {"0::/system.slice/baton-host.service\n", whole, "/sys/fs/cgroup/system.slice/baton-host.service", false, ""},
		"a container":            {"0::/\n", whole, "/sys/fs/cgroup", true, ""},
		"both versions":          {"8:pids:/\n0::/x\n", hybrid, "/sys/fs/cgroup/unified/x", false, ""},
		"a part that is mounted": {"0::/docker/1\n", part, "/sys/fs/cgroup", true, ""},
		"below that":             {"0::/docker/1/a\n", part, "/sys/fs/cgroup/a", false, ""},
		"another part":           {"0::/docker/2\n", part, "", false, "not mounted"},
		"version 1":              {"8:pids:/\n", hybrid, "", false, "has no control groups of version 2"},
		"no mount":               {"0::/\n", "", "", false, "not mounted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, isUppermost, err := place(c.groups, c.mounts)
			require.Equal(t, c.dir, dir)
			require.Equal(t, c.isUppermost, isUppermost)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestOffer_SaysWhatThereIs(t *testing.T) {
	t.Parallel()
	for want, offer := range map[string]Offer{
		"no control group: none is delegated to the host":       {Obstacle: "none is delegated to the host"},
		"a control group, its memory, 4096 processes":           {Memory: true, Processes: true},
		"a control group; missing: its limits (there are none)": {NoLimits: "there are none"},
	} {
		require.Equal(t, want, offer.String())
	}
}

// TestGroup_IsNothingWhereThereIsNone: who has none need not ask.
func TestGroup_IsNothingWhereThereIsNone(t *testing.T) {
	t.Parallel()
	group := (&host{Offer: Offer{Obstacle: "none"}}).group(Limits{})
	require.Nil(t, group)
	cmd := exec.CommandContext(t.Context(), "/bin/true")
	require.NoError(t, group.Start(cmd, (*exec.Cmd).Start))
	require.NoError(t, cmd.Wait())
	group.Kill()
	group.Remove()
	require.Empty(t, group.Environment(nil))
}
