package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// roleVariable has the test binary be something else: a host of some user with its secrets,
// a plugin that means harm, or one that works.
const (
	roleVariable = "SANDBOX_TEST_ROLE"
	roleHost     = "host"
	roleHarm     = "harm"
	roleWork     = "work"
	roleSibling  = "sibling"
	marker       = "s3cr3t-of-the-host"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case roleHost:
		if os.Getenv(observeVariable) != "" {
			report(observingRole())
			return
		}
		report(hostRole())
	case roleRead:
		report(readingRole())
	case roleNested:
		report(nestedRole())
	case roleCrowded:
		report(crowdedRole())
	case roleTry:
		report(tryRole())
	case roleNames:
		report(namesRole())
	case roleReach:
		report(reachRole())
	case roleHarm:
		report(harmRole())
	case roleWork:
		report(workRole())
	case roleSibling:
		_, _ = io.Copy(io.Discard, os.Stdin)
	default:
		os.Exit(m.Run())
	}
}

// report writes what a role found to standard output.
func report(found any) {
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		panic(err)
	}
}

// outcome is what came of each attempt: empty where it succeeded.
type outcome map[string]string

func (o outcome) try(name string, err error) {
	o[name] = ""
	if err != nil {
		o[name] = err.Error()
	}
}

// secret is in the memory of the host, where plugins are given its address.
var secret = []byte(marker + "-in-memory")

// hostRole runs a plugin without a sandbox and with one.
func hostRole() map[string]outcome {
	policy := &Policy{Read: []string{os.Getenv("READABLE")}, Write: []string{os.Getenv("SCRATCH")}, Hidden: []string{os.Getenv("STATE")}, Connect: []uint16{9}}
	guarded, err := os.Open(filepath.Join(os.Getenv("STATE"), "baseline"))
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("unix", "@"+filepath.Base(filepath.Dir(os.Getenv("STATE")))+strconv.Itoa(os.Getuid())) //nolint:noctx // It ends with the process.
	if err != nil {
		panic(err)
	}
	defer func() { _ = listener.Close() }()
	open, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // As above.
	if err != nil {
		panic(err)
	}
	defer func() { _ = open.Close() }()
	sibling := roleCommand(roleSibling, "SIBLING_TOKEN="+marker)
	if os.Getenv("HIDDEN") != "" {
		// As the host does, which executes what is pinned from memory nevertheless.
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			panic(err)
		}
		sibling.Path, sibling.ExtraFiles = fmt.Sprintf("/proc/self/fd/%d", firstInherited), []*os.File{inMemory(sibling.Path)}
	}
	hold, err := sibling.StdinPipe()
	if err != nil {
		panic(err)
	}
	if _, err := policy.Start(sibling, (*exec.Cmd).Start); err != nil {
		panic(err)
	}
	defer func() { _ = hold.Close(); _ = sibling.Wait() }()

	found := map[string]outcome{}
	for name, mode := range map[string]*Policy{"off": nil, "on": policy} {
		for _, role := range []string{roleHarm, roleWork} {
			address := uintptr(unsafe.Pointer(&secret[0])) //nolint:gosec // Another process is to read it.
			cmd := roleCommand(role,
				"HOST="+strconv.Itoa(os.Getpid()), "SIBLING="+strconv.Itoa(sibling.Process.Pid), "ABSTRACT="+listener.Addr().String(), "PORT="+open.Addr().String(),
				fmt.Sprintf("ADDRESS=%d", address), "DESCRIPTOR="+strconv.Itoa(int(guarded.Fd())),
				"STATE="+os.Getenv("STATE"), "SCRATCH="+os.Getenv("SCRATCH"), "READABLE="+os.Getenv("READABLE"))
			var out bytes.Buffer
			cmd.Stdout = &out
			if mode == nil {
				err = cmd.Start()
			} else {
				_, err = mode.Start(cmd, (*exec.Cmd).Start)
			}
			if err == nil {
				err = cmd.Wait()
			}
			var one outcome
			if err == nil {
				err = json.Unmarshal(out.Bytes(), &one)
			}
			if err != nil {
				one = outcome{"run": err.Error()}
			}
			found[role+" "+name] = one
		}
	}
	runtime.KeepAlive(secret)
	return found
}

// inMemory copies a program into memory.
func inMemory(path string) *os.File {
	fd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC)
	if err != nil {
		panic(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	memory := os.NewFile(uintptr(fd), "program")
	if _, err := memory.Write(content); err != nil {
		panic(err)
	}
	return memory
}

func roleCommand(role string, variables ...string) *exec.Cmd {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(path) //nolint:gosec,noctx // It is this test.
	cmd.Env = append(variables, roleVariable+"="+role, "PATH="+os.Getenv("PATH"), "TMPDIR="+os.Getenv("SCRATCH"), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

func number(name string) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		panic(err)
	}
	return n
}

// reads fails unless a file can be read and has the text.
func reads(path, text string) error {
	content, err := os.ReadFile(path)
	if err == nil && !bytes.Contains(content, []byte(text)) {
		err = errors.New("it has something else")
	}
	return err
}

// calls makes a system call.
func calls(number uintptr, args ...uintptr) error {
	args = append(args, 0, 0, 0, 0, 0, 0)
	if _, _, errno := syscall.Syscall6(number, args[0], args[1], args[2], args[3], args[4], args[5]); errno != 0 {
		return errno
	}
	return nil
}

// harmRole tries to reach what is not its own.
func harmRole() outcome {
	o := outcome{}
	host, sibling, state := number("HOST"), number("SIBLING"), os.Getenv("STATE")
	of := func(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }

	o.try("memory of the host", func() error {
		memory, err := os.Open(of(host, "mem"))
		if err != nil {
			return err
		}
		found := make([]byte, len(marker))
		if _, err := memory.ReadAt(found, int64(number("ADDRESS"))); err != nil {
			return err
		}
		if string(found) != marker {
			return errors.New("it has something else")
		}
		return nil
	}())
	o.try("memory of the host by a call", func() error {
		found := make([]byte, len(marker))
		local := []unix.Iovec{{Base: &found[0], Len: uint64(len(found))}}
		_, err := unix.ProcessVMReadv(host, local, []unix.RemoteIovec{{Base: uintptr(number("ADDRESS")), Len: len(found)}}, 0)
		return err
	}())
	o.try("memory map of the host", reads(of(host, "maps"), "[stack]"))
	o.try("environment of the host", reads(of(host, "environ"), marker))
	o.try("environment of another plugin", reads(of(sibling, "environ"), marker))
	o.try("arguments of the host", reads(of(host, "cmdline"), ""))
	o.try("descriptor of the host", reads(of(host, "fd/"+os.Getenv("DESCRIPTOR")), marker))
	o.try("descriptor of the host by a call", func() error {
		pidfd, err := unix.PidfdOpen(host, 0)
		if err != nil {
			return err
		}
		_, err = unix.PidfdGetfd(pidfd, number("DESCRIPTOR"), 0)
		return err
	}())
	o.try("state directory", reads(filepath.Join(state, "baseline"), marker))
	o.try("writing to the state directory", os.WriteFile(filepath.Join(state, "forged"), nil, 0o600))
	o.try("configuration", reads(filepath.Join(filepath.Dir(state), "baton-host.yaml"), marker))
	o.try("/etc/shadow", reads("/etc/shadow", "root:"))
	o.try("ptrace", unix.PtraceSeize(host))
	_ = unix.PtraceDetach(host)
	o.try("signal to the host", unix.Kill(host, 0))
	o.try("signal to another plugin", unix.Kill(sibling, 0))
	o.try("limits of the host", unix.Prlimit(host, unix.RLIMIT_CPU, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, nil))
	o.try("abstract socket", func() error {
		conn, err := net.Dial("unix", os.Getenv("ABSTRACT")) //nolint:noctx // It is on this machine.
		if err == nil {
			_ = conn.Close()
		}
		return err
	}())
	o.try("a port that is not named", func() error {
		conn, err := net.Dial("tcp", os.Getenv("PORT")) //nolint:noctx // It is on this machine.
		if err == nil {
			_ = conn.Close()
		}
		return err
	}())
	leave := func(attr *syscall.SysProcAttr) error {
		cmd := exec.Command("/bin/true") //nolint:noctx // It ends at once.
		cmd.SysProcAttr = attr
		return cmd.Run()
	}
	o.try("session of its own", leave(&syscall.SysProcAttr{Setsid: true}))
	o.try("group of its own", leave(&syscall.SysProcAttr{Setpgid: true}))
	o.try("user namespace", leave(&syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}))
	o.try("replacing its program", func() error {
		path, err := os.Executable()
		if err == nil {
			err = os.WriteFile(path+".forged", nil, 0o600)
		}
		return err
	}())
	o.try("MPTCP", func() error {
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, protocolMPTCP)
		return err
	}())
	o.try("keyring", calls(unix.SYS_KEYCTL, 0, ^uintptr(2), 0))
	o.try("io_uring", calls(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&make([]byte, 256)[0])))) //nolint:gosec // The kernel writes there.
	return o
}

// workRole does what connectors do.
func workRole() outcome {
	o := outcome{}
	scratch := os.Getenv("SCRATCH")
	o.try("own environment", reads("/proc/self/environ", roleVariable))
	o.try("own threads", func() error { _, err := os.ReadDir("/proc/self/task"); return err }())
	o.try("no descriptor of the launcher", func() error {
		for n := 3; n < 20; n++ {
			if link, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", n)); strings.Contains(link, "landlock") || strings.HasPrefix(link, "pipe:") {
				return fmt.Errorf("%d is %s", n, link)
			}
		}
		return nil
	}())
	o.try("memory of the machine", reads("/proc/meminfo", "MemTotal"))
	o.try("settings of the kernel", reads("/proc/sys/net/core/somaxconn", ""))
	o.try("users", reads("/etc/passwd", "root:"))
	o.try("name resolution", func() error { _, err := net.LookupHost("localhost"); return err }()) //nolint:noctx // By a file.
	o.try("what was opened for it", reads(filepath.Join(os.Getenv("READABLE"), "extra"), "extra"))
	o.try("a file and a directory of its own", func() error {
		if err := os.MkdirAll(filepath.Join(scratch, "a/b"), 0o700); err != nil {
			return err
		}
		file := filepath.Join(scratch, "a/file")
		if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
			return err
		}
		if err := os.Rename(file, filepath.Join(scratch, "a/b/moved")); err != nil {
			return err
		}
		return os.RemoveAll(filepath.Join(scratch, "a"))
	}())
	o.try("a socket of its own", func() error {
		listener, err := net.Listen("unix", filepath.Join(scratch, "s")) //nolint:noctx // As above.
		if err == nil {
			err = listener.Close()
		}
		return err
	}())
	o.try("a shell", exec.Command("/bin/sh", "-c", "echo text >$TMPDIR/f && cat $TMPDIR/f >/dev/null && rm $TMPDIR/f").Run()) //nolint:noctx // It ends at once.
	o.try("executable memory", func() error {
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
		return err
	}())
	o.try("limits of its own", unix.Getrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{}))
	o.try("signals to itself", unix.Kill(os.Getpid(), 0))
	return o
}

// users are those as whom the attacks are tried: this one, and where that is root one who
// owns nothing.
func users(t *testing.T) map[string]*syscall.Credential {
	t.Helper()
	current, err := user.Current()
	require.NoError(t, err)
	all := map[string]*syscall.Credential{current.Username: nil}
	if os.Getuid() == 0 {
		all["user 65534"] = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	return all
}

// runAs has the test binary be a host of a user, with a state directory and a configuration
// that are that user's.
func runAs(t *testing.T, as *syscall.Credential, variables ...string) map[string]outcome {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandbox") // Not t.TempDir, which no other user can enter.
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	state, scratch, readable, programs := filepath.Join(dir, "state"), filepath.Join(dir, "scratch"), filepath.Join(dir, "readable"), filepath.Join(dir, "programs")
	for path, content := range map[string]string{
		filepath.Join(state, "baseline"): marker, filepath.Join(dir, "baton-host.yaml"): marker, filepath.Join(readable, "extra"): "extra", filepath.Join(scratch, "empty"): "",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	require.NoError(t, os.Mkdir(programs, 0o700))
	program := filepath.Join(programs, "baton-test")
	path, err := os.Executable()
	require.NoError(t, err)
	copyFile(t, path, program)
	if as != nil {
		require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, int(as.Uid), int(as.Gid)) //nolint:gosec // No one else writes there.
		}))
	}
	cmd := exec.CommandContext(t.Context(), program) //nolint:gosec // It is this test.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	cmd.Dir = "/"
	cmd.Env = slices.Concat(variables, []string{
		roleVariable + "=" + roleHost, "STATE=" + state, "SCRATCH=" + scratch, "READABLE=" + readable, "TOKEN=" + marker,
		"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0", "TMPDIR=" + dir,
	})
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var found map[string]outcome
	require.NoError(t, json.Unmarshal(out, &found), "%s", out)
	return found
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	// A process that is started meanwhile would have the file open for writing, so that it
	// could not be executed.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	source, err := os.Open(from)
	require.NoError(t, err)
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700) //nolint:gosec // It is executed.
	require.NoError(t, err)
	_, err = io.Copy(target, source)
	require.NoError(t, err)
	require.NoError(t, target.Close())
}

// TestSandbox_ContainsAPluginThatMeansHarm tries each attack without the sandbox first,
// where it must succeed, as far as this machine and this user allow it.
func TestSandbox_ContainsAPluginThatMeansHarm(t *testing.T) {
	t.Parallel()
	if Kernel().Landlock < sinceScopes || !Kernel().Seccomp {
		t.Skip("this kernel offers less: ", Kernel())
	}
	// What fails without a sandbox too: for a user, on a machine, in a container.
	mayFail := map[string][]string{
		"root":       {"ptrace", "user namespace", "memory of the host", "io_uring", "keyring", "MPTCP"},
		"user 65534": {"/etc/shadow", "ptrace", "user namespace", "memory of the host", "memory of the host by a call", "descriptor of the host by a call", "io_uring", "keyring", "MPTCP"},
	}
	for name, as := range users(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := runAs(t, as)
			for attack, failure := range found["harm off"] {
				if failure != "" && !slices.Contains(mayFail[name], attack) && (name == "root" || name == "user 65534") {
					t.Errorf("without a sandbox, %s fails: %s", attack, failure)
				} else if failure != "" {
					t.Logf("without a sandbox, %s fails: %s", attack, failure)
				}
			}
			require.Greater(t, len(found["harm on"]), 20, "%v", found["harm on"])
			for attack, failure := range found["harm on"] {
				if failure == "" {
					t.Errorf("in the sandbox, %s succeeds", attack)
				}
			}
			for _, mode := range []string{"off", "on"} {
				require.NotEmpty(t, found["work "+mode])
				for work, failure := range found["work "+mode] {
					if failure != "" {
						t.Errorf("%s, %s fails: %s", mode, work, failure)
					}
				}
			}
		})
	}
}

// TestSandbox_WorksUnderAHostThatIsNotDumpable: it hides what it has from other processes of
// an ordinary user, also from those in no sandbox.
func TestSandbox_WorksUnderAHostThatIsNotDumpable(t *testing.T) {
	t.Parallel()
	for name, as := range users(t) {
		if as == nil && os.Getuid() == 0 {
			continue // Root reads it.
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := runAs(t, as, "HIDDEN=1")
			for _, attack := range []string{"memory of the host", "memory of the host by a call", "memory map of the host", "environment of the host", "descriptor of the host", "ptrace"} {
				require.NotEmpty(t, found["harm off"][attack], attack)
			}
			for _, mode := range []string{"off", "on"} {
				require.NotEmpty(t, found["work "+mode])
				for work, failure := range found["work "+mode] {
					require.Empty(t, failure, "%s, %s", mode, work)
				}
			}
		})
	}
}

// TestSandbox_StartsOnOlderKernels: what a kernel does not offer is not asked of it.
func TestSandbox_StartsOnOlderKernels(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, nil, 0o600))
	policy := &Policy{Connect: []uint16{443}}
	for version := range Kernel().Landlock + 1 {
		// A path in full would be opened for it.
		cmd := &exec.Cmd{Path: "/bin/cat", Args: []string{"cat", strings.TrimPrefix(secret, "/")}, Dir: "/"}
		held, err := policy.start(Active{Landlock: version, Seccomp: version%2 == 1}, cmd, (*exec.Cmd).Start)
		require.NoError(t, err, version)
		err = cmd.Wait()
		_ = held.Close()
		require.Equal(t, version == 0, err == nil, "Landlock %d: %v", version, err)
	}
}

// TestPolicy_ReportsThatTheProgramIsNotExecuted as it is reported without a sandbox.
func TestPolicy_ReportsThatTheProgramIsNotExecuted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	text := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(text, []byte("text"), 0o700)) //nolint:gosec // It is to be executed.
	for name, c := range map[string]struct {
		path string
		want error
	}{
		"missing":        {filepath.Join(dir, "none"), fs.ErrNotExist},
		"not executable": {plain, fs.ErrPermission},
		"no program":     {text, syscall.ENOEXEC},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := &exec.Cmd{Path: c.path, Args: []string{c.path}}
			_, err := (&Policy{}).Start(cmd, (*exec.Cmd).Start)
			require.ErrorIs(t, err, c.want)
			failed, ok := errors.AsType[*fs.PathError](err)
			require.True(t, ok)
			require.Equal(t, c.path, failed.Path)
			require.Equal(t, "fork/exec", failed.Op)
		})
	}
}

func TestPolicy_OpensTheDirectoryOfAProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{"config/baton-host.yaml", "config/plugin.py", "app/dist/main.js", "app/package.json", "bin/baton-x", "elsewhere/y"} {
		path = filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	require.NoError(t, os.Symlink(filepath.Join(dir, "elsewhere/y"), filepath.Join(dir, "bin/y")))
	policy := &Policy{Hidden: []string{filepath.Join(dir, "config/baton-host.yaml")}}
	for name, c := range map[string]struct {
		command []string
		files   []string
		dirs    []string
	}{
		"a binary":                       {[]string{"bin/baton-x"}, []string{"bin/baton-x"}, []string{"bin"}},
		"a script beside the secrets":    {[]string{"config/plugin.py"}, []string{"config/plugin.py"}, nil},
		"a part of a project":            {[]string{"app/dist/main.js"}, []string{"app/dist/main.js"}, []string{"app"}},
		"a link to another directory":    {[]string{"bin/y"}, []string{"bin/y"}, []string{"bin", "elsewhere"}},
		"a directory as an argument":     {[]string{"bin/baton-x", "app"}, []string{"bin/baton-x"}, []string{"bin", "app"}},
		"the directory with the secrets": {[]string{"bin/baton-x", "config"}, []string{"bin/baton-x"}, []string{"bin"}},
		"what does not exist":            {[]string{"bin/none"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			absolute := func(paths []string) map[string]bool {
				all := map[string]bool{}
				for _, path := range paths {
					all[filepath.Join(dir, path)] = true
				}
				return all
			}
			set := func(paths []string) map[string]bool {
				all := map[string]bool{}
				for _, path := range paths {
					all[path] = true
				}
				return all
			}
			command := make([]string, 0, len(c.command))
			for _, path := range c.command {
				command = append(command, filepath.Join(dir, path))
			}
			files, dirs := policy.own(command[0], command, nil)
			require.Equal(t, absolute(c.files), set(files))
			require.Equal(t, absolute(c.dirs), set(dirs))
		})
	}
	for _, dir := range []string{"/", "/etc", "/proc/self", os.TempDir(), filepath.Dir(os.TempDir())} {
		require.True(t, policy.isTooWide(dir), dir)
	}
}

func TestActive_SaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for want, active := range map[string]Active{
		"Landlock 7, seccomp": {Landlock: 7, Seccomp: true, Capabilities: true},
		"Landlock 3; missing: TCP ports are not limited, signals and abstract sockets are not contained, calls of the kernel are not refused (seccomp)": {Landlock: 3, Capabilities: true},
		"seccomp; missing: the kernel has no Landlock, which hides files and memory, capabilities of root cannot be dropped":                            {Seccomp: true},
		"none: mount /proc":                    {Obstacle: "mount /proc"},
		"Landlock 9, seccomp; a control group": {Landlock: 9, Seccomp: true, Capabilities: true, Group: "a control group"},
	} {
		require.Equal(t, want, active.String())
	}
	require.True(t, Active{Landlock: 7, Seccomp: true, Capabilities: true}.IsComplete())
	require.NotEmpty(t, filter())
}
