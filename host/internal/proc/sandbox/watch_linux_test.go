package sandbox

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	// observeVariable has the host of a user observe plugins, in place of attacking it.
	observeVariable = "SANDBOX_TEST_OBSERVE"
	roleTry         = "try"
	roleNested      = "nested"
	roleCrowded     = "crowded"
	roleRead        = "read"
)

// attempt is what a plugin tries in a directory; base has what [grow] makes.
type attempt func(base string) error

// attempts are tried in directories of every kind.
var attempts = map[string]attempt{
	"read": func(base string) error { return opens(base+"/file", unix.O_RDONLY) },
	"read by a link": func(base string) error {
		return opens(base+"/link", unix.O_RDONLY)
	},
	"read by a way up": func(base string) error { return opens(base+"/sub/../../d/file", unix.O_RDONLY) },
	"read from a descriptor": func(base string) error {
		dir, err := unix.Open(base, unix.O_PATH, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(dir) }()
		fd, err := unix.Openat(dir, "file", unix.O_RDONLY, 0)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	},
	"read by openat2": func(base string) error {
		fd, err := unix.Openat2(unix.AT_FDCWD, base+"/file", &unix.OpenHow{Flags: unix.O_RDONLY})
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	},
	"list":                func(base string) error { return opens(base, unix.O_RDONLY|unix.O_DIRECTORY) },
	"open without access": func(base string) error { return opens(base+"/file", unix.O_PATH) },
	"look":                func(base string) error { return unix.Stat(base+"/file", &unix.Stat_t{}) },
	"read nothing":        func(base string) error { return missing(opens(base+"/none", unix.O_RDONLY)) },
	"read a link, not it": func(base string) error { return expect(unix.ELOOP, opens(base+"/link", unix.O_RDONLY|unix.O_NOFOLLOW)) },
	"write":               func(base string) error { return opens(base+"/file", unix.O_WRONLY) },
	"read and write":      func(base string) error { return opens(base+"/file", unix.O_RDWR|unix.O_APPEND) },
	"write by a link":     func(base string) error { return opens(base+"/link", unix.O_WRONLY) },
	"truncate on opening": func(base string) error { return opens(base+"/file", unix.O_WRONLY|unix.O_TRUNC) },
	"truncate":            func(base string) error { return unix.Truncate(base+"/file", 0) },
	"create":              func(base string) error { return opens(base+"/new", unix.O_WRONLY|unix.O_CREAT) },
	"create what is there": func(base string) error {
		return expect(unix.EEXIST, opens(base+"/file", unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL))
	},
	"create behind a link": func(base string) error { return opens(base+"/dangling", unix.O_WRONLY|unix.O_CREAT) },
	"temporary file":       func(base string) error { return opens(base, unix.O_RDWR|unix.O_TMPFILE) },
	"directory":            func(base string) error { return unix.Mkdir(base+"/new", 0o700) },
	"directory that is":    func(base string) error { return expect(unix.EEXIST, unix.Mkdir(base+"/sub", 0o700)) },
	"pipe":                 func(base string) error { return unix.Mknod(base+"/new", unix.S_IFIFO|0o600, 0) },
	"link":                 func(base string) error { return unix.Symlink("file", base+"/new") },
	"second name":          func(base string) error { return unix.Link(base+"/file", base+"/new") },
	"second name below":    func(base string) error { return unix.Link(base+"/file", base+"/sub/new") },
	"remove":               func(base string) error { return unix.Unlink(base + "/file") },
	"remove a directory":   func(base string) error { return unix.Rmdir(base + "/empty") },
	"remove nothing":       func(base string) error { return missing(unix.Unlink(base + "/none")) },
	"rename":               func(base string) error { return unix.Rename(base+"/file", base+"/new") },
	"rename over another":  func(base string) error { return unix.Rename(base+"/file", base+"/script") },
	"move":                 func(base string) error { return unix.Rename(base+"/file", base+"/sub/new") },
	"exchange": func(base string) error {
		return unix.Renameat2(unix.AT_FDCWD, base+"/file", unix.AT_FDCWD, base+"/empty", unix.RENAME_EXCHANGE)
	},
	"move into the scratch directory":    func(base string) error { return moves(base, "scratch") },
	"move to where it could be executed": func(base string) error { return moves(base, "both") },
	"execute":                            func(base string) error { return executes(base + "/true") },
	"loader": func(base string) error {
		cmd := &exec.Cmd{Path: base + "/true", Dir: base} // It names its loader from its directory.
		err := cmd.Run()
		if failed, ok := errors.AsType[*fs.PathError](err); ok {
			return failed.Err
		}
		return err
	},
	"loader elsewhere": func(base string) error {
		cmd := &exec.Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", "exec $0", strings.Replace(strings.Replace(base, "/closed/", "/both/", 1), "/loader-elsewhere/", "/loader/", 1) + "/true"}, Dir: base}
		return cmd.Run()
	},
	"script": func(base string) error { return executes(base + "/script") },
	"socket": func(base string) error {
		// A path in full is too long for one.
		socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(socket) }()
		if err := os.Chdir(base); err != nil {
			return err
		}
		defer func() { _ = os.Chdir("/") }()
		return unix.Bind(socket, &unix.SockaddrUnix{Name: "new"})
	},
	"change the mode": func(base string) error { return unix.Chmod(base+"/file", 0o600) },
}

// singleAttempts are tried once.
var singleAttempts = map[string]func() error{
	"/etc/passwd":                  func() error { return opens("/etc/passwd", unix.O_RDONLY) },
	"/etc/shadow":                  func() error { return opens("/etc/shadow", unix.O_RDONLY) },
	"/etc":                         func() error { return opens("/etc", unix.O_RDONLY) },
	"/":                            func() error { return opens("/", unix.O_RDONLY) },
	"/dev/null":                    func() error { return opens("/dev/null", unix.O_RDWR) },
	"/dev/zero":                    func() error { return opens("/dev/zero", unix.O_RDONLY) },
	"/dev/stdin":                   func() error { return opens("/dev/stdin", unix.O_RDONLY) },
	"/proc":                        func() error { return opens("/proc", unix.O_RDONLY) },
	"/proc/self/status":            func() error { return opens("/proc/self/status", unix.O_RDONLY) },
	"/proc/thread-self/status":     func() error { return opens("/proc/thread-self/status", unix.O_RDONLY) },
	"/proc/mounts":                 func() error { return opens("/proc/mounts", unix.O_RDONLY) },
	"/proc/cpuinfo":                func() error { return opens("/proc/cpuinfo", unix.O_RDONLY) },
	"/proc/sys/net/core/somaxconn": func() error { return opens("/proc/sys/net/core/somaxconn", unix.O_RDONLY) },
	"/proc/HOST/status":            func() error { return opens("/proc/"+os.Getenv("HOST")+"/status", unix.O_RDONLY) },
	"/usr/bin/env":                 func() error { return opens("/usr/bin/env", unix.O_RDONLY) },
	"memory": func() error {
		fd, err := unix.MemfdCreate("m", 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		return opens(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY)
	},
	"port": func() error {
		conn, err := net.Dial("tcp", os.Getenv("PORT"))
		if err == nil {
			_ = conn.Close()
		}
		return err
	},
	"port of UDP": func() error {
		conn, err := net.Dial("udp", os.Getenv("PORT"))
		if err == nil {
			_ = conn.Close()
		}
		return err
	},
	"@": func() error {
		conn, err := net.Dial("unix", os.Getenv("ABSTRACT"))
		if err == nil {
			_ = conn.Close()
		}
		return err
	},
	"abstract socket of its own": func() error {
		listener, err := net.Listen("unix", "@own"+strconv.Itoa(os.Getpid()))
		if err != nil {
			return err
		}
		defer func() { _ = listener.Close() }()
		conn, err := net.Dial("unix", listener.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err
	},
	"keyctl": func() error { return calls(unix.SYS_KEYCTL, 0, ^uintptr(2), 0) },
	"setsid": func() error { return exec.Command("/usr/bin/setsid", "-w", "/bin/true").Run() },
	"filter of its own": func() error {
		runtime.LockOSThread() // The thread ends with the goroutine.
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
		program := unix.SockFprog{Len: 1, Filter: &allow}
		if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil { //nolint:gosec // The kernel reads it.
			return err
		}
		return opens("/etc/passwd", unix.O_RDONLY)
	},
}

// moves moves the file to another root.
func moves(base, root string) error {
	from := filepath.Dir(filepath.Dir(base))
	return unix.Rename(base+"/file", filepath.Join(filepath.Dir(from), root, "from-"+filepath.Base(from)+"-"+filepath.Base(filepath.Dir(base))))
}

func opens(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_NONBLOCK|unix.O_NOCTTY, 0o600)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}

// executes returns the error of a program without its path.
func executes(path string) error {
	err := exec.Command(path).Run() //nolint:noctx // It ends at once.
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}

// expect is an error that is no denial as none.
func expect(want, err error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("not %w, but %w", want, err)
}

func missing(err error) error { return expect(unix.ENOENT, err) }

// roots are the directories of every kind.
var roots = []string{"closed", "readable", "scratch", "both"}

// grow makes for each attempt a directory of its own, in each root below dir.
func grow(dir string) error {
	binary, err := os.ReadFile("/bin/true")
	if err != nil {
		return err
	}
	executable, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return err
	}
	dynamic, system := slices.Clone(binary), []byte{}
	if at := slices.IndexFunc(executable.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }); at >= 0 {
		place := dynamic[executable.Progs[at].Off:][:executable.Progs[at].Filesz]
		if system, err = os.ReadFile(string(bytes.TrimRight(place, "\x00"))); err != nil {
			return err
		}
		clear(place)
		copy(place, "ld")
	}
	for _, root := range roots {
		for name := range attempts {
			base := baseOf(filepath.Join(dir, root), name)
			for _, sub := range []string{"sub", "empty"} {
				if err := os.MkdirAll(filepath.Join(base, sub), 0o700); err != nil {
					return err
				}
			}
			for file, content := range map[string][]byte{"file": []byte("text"), "script": []byte("#!/bin/sh\nexit 0\n"), "true": binary, "ld": system} {
				switch {
				case file == "true" && strings.HasPrefix(name, "loader"):
					content = dynamic
				case file == "true" && name != "execute":
					continue
				case file == "ld" && !strings.HasPrefix(name, "loader"):
					continue
				}
				if err := os.WriteFile(filepath.Join(base, file), content, 0o700); err != nil { //nolint:gosec // They are executed.
					return err
				}
			}
			if err := errors.Join(os.Symlink("file", filepath.Join(base, "link")), os.Symlink("to", filepath.Join(base, "dangling"))); err != nil {
				return err
			}
		}
	}
	return nil
}

func baseOf(root, name string) string {
	return filepath.Join(root, strings.NewReplacer(" ", "-", ",", "").Replace(name), "d")
}

// tryRole tries everything in one root.
func tryRole() outcome {
	o := outcome{}
	root := os.Getenv("ROOT")
	for name, try := range attempts {
		o.try(name, try(baseOf(root, name)))
	}
	if filepath.Base(root) != "closed" {
		return o
	}
	for name, try := range singleAttempts {
		done := make(chan error)
		go func() { done <- try() }()
		o.try(name, <-done)
	}
	return o
}

// denied collects denials by the attempt that they are of.
type denied struct {
	mu      sync.Mutex
	found   outcome
	unknown []string
	blind   []string
}

func (d *denied) Denied(one Denial) {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := one.Access + " " + one.Entry()
	for name := range attempts {
		if strings.Contains(one.Object, baseOf("/", name)+"/") || strings.HasSuffix(one.Object, baseOf("/", name)) {
			d.found[name] += text + "; "
			return
		}
	}
	name := strings.Replace(one.Object, "/proc/"+strconv.Itoa(os.Getpid())+"/", "/proc/HOST/", 1)
	switch one.Access {
	case accessConnect:
		name = "port"
	case accessAbstract:
		name = "@"
	}
	if singleAttempts[name] == nil {
		d.unknown = append(d.unknown, one.Access+" "+one.Object)
		return
	}
	d.found[name] += text + "; "
}

func (d *denied) Blind(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.blind = append(d.blind, reason)
}

// all returns what was denied, with what was not expected to be.
func (d *denied) all() outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := maps.Clone(d.found)
	for _, text := range slices.Concat(d.unknown, d.blind) {
		all["unexpected: "+text] = text
	}
	return all
}

// observingRole runs plugins in a sandbox, in one that is observed too, and observed only.
func observingRole() map[string]outcome {
	found := map[string]outcome{}
	active := Kernel()
	active.Landlock = number(observeVariable)
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil { // As the host does.
		panic(err)
	}
	listener, err := net.Listen("unix", "@observed"+strconv.Itoa(os.Getpid())) //nolint:noctx // It ends with the process.
	if err != nil {
		panic(err)
	}
	defer func() { _ = listener.Close() }()
	open, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // As above.
	if err != nil {
		panic(err)
	}
	defer func() { _ = open.Close() }()
	for _, mode := range []string{"on", "observed", "warn"} {
		dir := filepath.Join(filepath.Dir(os.Getenv("STATE")), mode)
		if err := grow(dir); err != nil {
			panic(err)
		}
		for _, root := range roots {
			observer := &denied{found: outcome{}}
			policy := &Policy{
				Read: []string{filepath.Join(dir, "readable"), filepath.Join(dir, "both")}, Write: []string{filepath.Join(dir, "scratch"), filepath.Join(dir, "both")},
				Connect: []uint16{9}, Permissive: mode == "warn", Observer: observer,
			}
			if mode == "on" {
				policy.Observer = nil
			}
			cmd := roleCommand(roleTry, "ROOT="+filepath.Join(dir, root), "HOST="+strconv.Itoa(os.Getpid()), "ABSTRACT="+listener.Addr().String(), "PORT="+open.Addr().String())
			found[root+" "+mode] = runs(active, policy, cmd)
			found[root+" "+mode+" denials"] = observer.all()
		}
	}
	observer := &denied{found: outcome{}}
	policy := &Policy{Read: []string{os.Getenv("READABLE")}, Write: []string{os.Getenv("SCRATCH")}, Permissive: true, Observer: observer}
	found["work"] = runs(active, policy, roleCommand(roleWork, "SCRATCH="+os.Getenv("SCRATCH"), "READABLE="+os.Getenv("READABLE")))
	found["work denials"] = observer.all()
	found["end"] = outcome{"observers": ended()}
	return found
}

// runs runs a command by a policy, which reports what it found.
func runs(active Active, policy *Policy, cmd *exec.Cmd) outcome {
	var out bytes.Buffer
	cmd.Stdout = &out
	held, err := policy.start(active, cmd, (*exec.Cmd).Start)
	if err == nil {
		err = cmd.Wait()
	}
	_ = held.Close()
	var one outcome
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &one)
	}
	if err != nil {
		return outcome{"run": err.Error()}
	}
	return one
}

// ended waits until nothing is observed any more, and returns what is left of it.
func ended() string {
	var left string
	for range 1000 {
		stacks := make([]byte, 1<<20)
		left = string(stacks[:runtime.Stack(stacks, true)])
		links, _ := filepath.Glob("/proc/self/fd/*")
		isOpen := slices.ContainsFunc(links, func(link string) bool {
			to, _ := os.Readlink(link)
			return strings.Contains(to, "seccomp")
		})
		if !strings.Contains(left, "(*watch).run") && !isOpen {
			return ""
		}
		time.Sleep(10 * time.Millisecond) // There is no event for it.
	}
	return left
}

// TestWarn_AgreesWithTheKernel: what is reported is what Landlock and seccomp deny, and
// nothing else is; and it is denied if the sandbox is on.
func TestWarn_AgreesWithTheKernel(t *testing.T) {
	t.Parallel()
	if Kernel().Landlock < sinceScopes || Unobservable() != "" {
		t.Skip("this kernel offers less: ", Kernel(), Unobservable())
	}
	agrees(t, Kernel().Landlock)
}

// agrees tries everything with a version of Landlock, as every user.
func agrees(t *testing.T, version int) {
	t.Helper()
	for user, as := range users(t) {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			found := runAs(t, as, fmt.Sprintf("%s=%d", observeVariable, version))
			refused := 0
			for _, root := range roots {
				on, observed, warn, reported := found[root+" on"], found[root+" observed"], found[root+" warn"], found[root+" warn denials"]
				require.Greater(t, len(on), 30, "%v", on)
				require.Len(t, warn, len(on), "%v", warn)
				for name, failure := range on {
					if failure != observed[name] {
						t.Errorf("%s, %s: in the sandbox %q, and in one that is observed %q", root, name, failure, observed[name])
					}
					if warn[name] != "" {
						t.Logf("%s, %s: fails anyway: %s", root, name, warn[name])
						require.Empty(t, reported[name], "%s, %s: fails without a sandbox and is reported", root, name)
						continue
					}
					if failure != "" {
						refused++
					}
					if (failure != "") != (reported[name] != "") {
						t.Errorf("%s, %s: in the sandbox %q, reported %q", root, name, failure, reported[name])
					}
				}
				for name := range reported {
					require.NotContains(t, name, "unexpected", root)
				}
			}
			require.Greater(t, refused, 40)
			require.NotEmpty(t, found["work"])
			for work, failure := range found["work"] {
				require.Empty(t, failure, work)
			}
			if version >= sinceRefer { // It moves a file.
				require.Empty(t, found["work denials"])
			}
			require.Empty(t, found["end"]["observers"])
		})
	}
}

// readers is a shell that reads a file in each of so many directories, and the directory.
func readers(t *testing.T, files int) (policy *Policy, cmd *exec.Cmd) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for n := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, strconv.Itoa(n), "d"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, strconv.Itoa(n), "d", "file"), nil, 0o600))
	}
	const script = `for n in $(seq 0 $1); do read line <$0/$n/d/file; done; exit 7`
	return &Policy{Permissive: true}, &exec.Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", script, strings.TrimPrefix(dir, "/"), strconv.Itoa(files - 1)}, Dir: "/"}
}

// counted counts what it is given.
type counted struct {
	denied, blind chan string
}

func newCounted() counted { return counted{make(chan string, 200), make(chan string, 200)} }

func (c counted) Denied(d Denial)     { c.denied <- d.Object }
func (c counted) Blind(reason string) { c.blind <- reason }

func TestWatch_ReportsSoMuchAndNoMore(t *testing.T) {
	t.Parallel()
	if Unobservable() != "" {
		t.Skip(Unobservable())
	}
	for files, blind := range map[int]int{most - 1: 0, most + 10: 1} {
		t.Run(strconv.Itoa(files), func(t *testing.T) {
			t.Parallel()
			policy, cmd := readers(t, files)
			observer := newCounted()
			policy.Observer = observer
			held, err := policy.Start(cmd, (*exec.Cmd).Start)
			require.NoError(t, err)
			require.Error(t, cmd.Wait())
			_ = held.Close()
			require.Equal(t, 7, cmd.ProcessState.ExitCode())
			require.Len(t, observer.denied, min(files, most))
			require.Len(t, observer.blind, blind)
		})
	}
}

// stuck is an observer that never returns.
type stuck struct{ reached, blind chan struct{} }

func (s stuck) Denied(Denial) {
	s.reached <- struct{}{}
	select {}
}

func (s stuck) Blind(string) { s.blind <- struct{}{} }

// TestWatch_HoldsNothingUp: the program ends while what is reported of it waits for ever.
func TestWatch_HoldsNothingUp(t *testing.T) {
	t.Parallel()
	if Unobservable() != "" {
		t.Skip(Unobservable())
	}
	policy, cmd := readers(t, 20)
	observer := stuck{make(chan struct{}, 1), make(chan struct{}, 1)}
	policy.Observer = observer
	held, err := policy.Start(cmd, (*exec.Cmd).Start)
	require.NoError(t, err)
	defer func() { _ = held.Close() }()
	require.Error(t, cmd.Wait())
	require.Equal(t, 7, cmd.ProcessState.ExitCode())
	<-observer.reached
	<-observer.blind
}

// nestedRole starts a plugin by a host that is observed itself: the kernel allows one
// observer only.
func nestedRole() outcome {
	o := outcome{}
	for mode, isPermissive := range map[string]bool{"warn": true, "on": false} {
		observer := newCounted()
		policy := &Policy{Permissive: isPermissive, Observer: observer}
		cmd := &exec.Cmd{Path: "/bin/cat", Args: []string{"cat", "etc/shadow"}, Dir: "/"}
		held, err := policy.Start(cmd, (*exec.Cmd).Start)
		if err == nil {
			err = cmd.Wait()
		}
		_ = held.Close()
		o.try(mode, err)
		o[mode+" blind"] = <-observer.blind
	}
	return o
}

// TestWatch_StartsProgramsThatItCannotObserve, in their sandbox if they have one.
func TestWatch_StartsProgramsThatItCannotObserve(t *testing.T) {
	t.Parallel()
	if Unobservable() != "" || Kernel().Landlock == 0 || os.Getuid() != 0 {
		t.Skip("this needs root and Landlock: ", Kernel(), Unobservable())
	}
	found := runs(Kernel(), &Policy{Permissive: true, Observer: newCounted()}, roleCommand(roleNested))
	const busy = "something around this host observes it already: device or resource busy"
	require.Equal(t, outcome{"warn": "", "warn blind": busy, "on": "exit status 1", "on blind": busy}, found)
}

// crowdedRole starts programs and then has no room for the descriptor by which they are
// observed: without it the kernel would fail each of their calls.
func crowdedRole() outcome {
	o := outcome{}
	for mode, isPermissive := range map[string]bool{"warn": true, "on": false} {
		var before unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			panic(err)
		}
		cmd := &exec.Cmd{Path: "/bin/true", Args: []string{"true"}, Dir: "/"}
		policy := &Policy{Permissive: isPermissive, Observer: newCounted()}
		held, err := policy.Start(cmd, func(cmd *exec.Cmd) error {
			return errors.Join(cmd.Start(), unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: before.Max}))
		})
		_ = held.Close() // Also of none.
		o.try(mode, err)
		if cmd.ProcessState == nil {
			o[mode] += " (not waited for)"
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			panic(err)
		}
	}
	return o
}

func TestWatch_ExplainsThatItsDescriptorIsLost(t *testing.T) {
	t.Parallel()
	if Unobservable() != "" {
		t.Skip(Unobservable())
	}
	var found outcome
	out, err := roleCommand(roleCrowded).Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &found))
	const lost = "its calls cannot be observed: the descriptor for it does not arrive, as with too many open files; set sandbox: off in its entry to start it without"
	require.Equal(t, outcome{"warn": lost, "on": lost}, found)
}

func TestWatch_LetsRuntimesWork(t *testing.T) {
	t.Parallel()
	if Unobservable() != "" {
		t.Skip(Unobservable())
	}
	for program, args := range map[string][]string{
		"node":    {"-e", `require("fs").readdirSync("/"); require("child_process").execFileSync("/bin/true"); require("dns").lookup("localhost", e => process.exit(e ? 1 : 7))`},
		"python3": {"-c", `import os, socket, subprocess, threading; os.listdir("/"); subprocess.check_call(["/bin/true"]); socket.getaddrinfo("localhost", 80); t = threading.Thread(target=lambda: None); t.start(); t.join(); os._exit(7)`},
		"bash":    {"-c", `getent hosts localhost >/dev/null; ls / | cat >/dev/null & wait; exit 7`}, // By CGO's way to names.
	} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(program)
			if err != nil {
				t.Skip(err)
			}
			needs := &Needs{}
			policy := &Policy{Permissive: true, Observer: needs}
			cmd := &exec.Cmd{Path: path, Args: append([]string{program}, args...), Env: os.Environ()}
			held, err := policy.Start(cmd, (*exec.Cmd).Start)
			require.NoError(t, err)
			defer func() { _ = held.Close() }()
			require.Error(t, cmd.Wait())
			require.Equal(t, 7, cmd.ProcessState.ExitCode())
			require.Equal(t, []string{"read: / (/ belongs to many; most programs do without a list of it)"}, needs.Needed().Denied)
		})
	}
}

func TestObserving_RefusesNothing(t *testing.T) {
	t.Parallel()
	if architecture == 0 {
		t.Skip("there is no filter for this processor")
	}
	shown := 0
	for _, one := range observingInstructions() {
		if verdict, ok := one.(bpf.RetConstant); ok {
			require.Contains(t, []uint32{unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_USER_NOTIF}, verdict.Val)
			if verdict.Val == unix.SECCOMP_RET_USER_NOTIF {
				shown++
			}
		}
	}
	require.Greater(t, shown, len(refusedCalls)+len(observedCalls))
	require.NotEmpty(t, observing())
}

func TestIsRecent_ReadsReleases(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]bool{"5.8.18": false, "4.18.0-553.el8": false, "5.9-rc1": true, "5.10.0-33-amd64": true, "6.18.44": true, "10.0": true, "": false} {
		require.Equal(t, want, isRecent(release), release)
	}
}

// TestWatch_AnswersBesideTheMainThread: a plugin that stops the first thread of the host, as
// ptrace does, is answered nevertheless.
func TestWatch_AnswersBesideTheMainThread(t *testing.T) {
	t.Parallel()
	var done sync.WaitGroup
	for range 1000 {
		done.Go(func() {
			if !isOnMainThread() {
				return
			}
			besideMainThread(func() {
				for range 100 {
					runtime.Gosched()
					if isOnMainThread() {
						t.Error("it is on the main thread")
					}
				}
			})
		})
	}
	done.Wait()
}
