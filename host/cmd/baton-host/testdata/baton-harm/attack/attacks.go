//go:build linux

package attack

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// patience is how long an answer is waited for that may never come.
const patience = 10 * time.Second

// attack tries everything, and returns what came of it by the name of the attack.
func (s *Soldier) attack(t Targets) map[string]Loot {
	loot := map[string]Loot{}
	try := func(name string, do func() (string, error)) {
		got, err := do()
		if err != nil {
			loot[name] = Loot{Err: err.Error()}
			return
		}
		loot[name] = Loot{Got: got}
	}
	for whose, pid := range map[string]int{"the host": t.Host, "another plugin": t.Victim.PID} {
		try("memory of "+whose, func() (string, error) { return memory(pid, t.Prefix) })
		try("memory of "+whose+" by a call", func() (string, error) { return memoryByCall(pid) })
		try("memory map of "+whose, func() (string, error) { return readFor(of(pid, "maps"), "[stack]") })
		try("environment of "+whose, func() (string, error) { return readFor(of(pid, "environ"), t.Prefix) })
		try("list of descriptors of "+whose, func() (string, error) { return descriptors(pid) })
		try("descriptor of "+whose+" by a call", func() (string, error) { return descriptorByCall(pid) })
		try("ptrace of "+whose, func() (string, error) { return "", ptrace(pid) })
		try("arguments of "+whose, func() (string, error) { return readFor(of(pid, "cmdline"), "") })
		try("signal to "+whose, func() (string, error) { return "", unix.Kill(pid, 0) })
		try("limits of "+whose, func() (string, error) { return "", limits(pid) })
		try("priority of "+whose, func() (string, error) { return "", priority(pid) })
		try("processors of "+whose, func() (string, error) { return "", processors(pid) })
	}
	try("descriptor of another plugin", func() (string, error) {
		return readFor(of(t.Victim.PID, "fd/"+strconv.Itoa(t.Victim.Descriptor)), t.Prefix)
	})
	s.attackFiles(t, try)
	s.attackSockets(t, try)
	s.attackSystem(t, try)
	return loot
}

// attackFiles tries what is a file or a directory.
func (*Soldier) attackFiles(t Targets, try func(string, func() (string, error))) {
	try("listing the state directory", func() (string, error) { return list(t.State) })
	try("control.token", func() (string, error) { return readFor(filepath.Join(t.State, "control.token"), "") })
	try("writing to the state directory", func() (string, error) { return "", forge(filepath.Join(t.State, "forged")) })
	try("configuration", func() (string, error) { return readFor(t.Config, t.Prefix) })
	try("writing to the configuration", func() (string, error) {
		file, err := os.OpenFile(t.Config, os.O_WRONLY, 0)
		if err == nil {
			err = file.Close()
		}
		return "", err
	})
	try("replacing the configuration", func() (string, error) { return "", moveAndBack(t.Config) })
	try("/etc/shadow", func() (string, error) { return readFor("/etc/shadow", "root:") })
	try("listing another plugin's scratch directory", func() (string, error) { return list(t.Victim.Scratch) })
	try("another plugin's scratch directory", func() (string, error) {
		return readFor(filepath.Join(t.Victim.Scratch, SecretName), t.Prefix)
	})
	try("writing to another plugin's scratch directory", func() (string, error) { return "", forge(filepath.Join(t.Victim.Scratch, "forged")) })
	try("listing another plugin's directory of sockets", func() (string, error) { return list(t.Victim.Sockets) })
	try("writing to another plugin's directory of sockets", func() (string, error) { return "", forge(filepath.Join(t.Victim.Sockets, "forged")) })
	for i, whose := range []string{"its own program", "another plugin's program", "the host's program"} {
		try("a file beside "+whose, func() (string, error) { return "", forge(t.Programs[i] + ".forged") })
		try("replacing "+whose, func() (string, error) { return "", moveAndBack(t.Programs[i]) })
	}
	try("leaving its control group", func() (string, error) { return "", leaveGroup() })
	try("size and times of a file of the host", func() (string, error) {
		info, err := os.Lstat(filepath.Join(t.State, "control.token"))
		if err != nil {
			return "", err
		}
		return strconv.FormatInt(info.Size(), 10), nil
	})
	try("watching the state directory", func() (string, error) { return "", watch(t.State) })
	try("mode of the state directory", func() (string, error) { return "", os.Chmod(t.State, 0o700) }) //nolint:gosec // It is a directory.
	try("a large file", func() (string, error) { return "", largeFile(t.FileSize) })
	try("many open files", func() (string, error) {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return "", err
		}
		if limit.Max < t.Files {
			return "", fmt.Errorf("the limit is %d", limit.Max)
		}
		return "", nil
	})
	try("a core file", func() (string, error) {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
			return "", err
		}
		if limit.Max == 0 {
			return "", errors.New("the limit is 0")
		}
		return "", nil
	})
}

// attackSockets tries what can be connected to.
func (s *Soldier) attackSockets(t Targets, try func(string, func() (string, error))) {
	try("abstract socket of another plugin", func() (string, error) { return "", dial("unix", t.Victim.Abstract) })
	control := filepath.Join(t.State, "control.sock")
	try("connecting to control.sock", func() (string, error) { return "", dial("unix", control) })
	try("connecting to another plugin's socket", func() (string, error) { return "", dial("unix", t.Victim.Socket) })
	try("a command to the host without the token", func() (string, error) { return command(control, "") })
	try("a command to the host", func() (string, error) {
		token, err := os.ReadFile(filepath.Join(t.State, "control.token"))
		if err != nil {
			return "", err
		}
		return command(control, string(token))
	})
	try("calls of another plugin", func() (string, error) { return "", callPlugin(t.Victim.Socket) })
	try("a port that connect does not name", func() (string, error) { return "", dial("tcp", t.Port) })
	try("MPTCP", func() (string, error) {
		const protocolMPTCP = 262
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, protocolMPTCP)
		if err == nil {
			err = unix.Close(fd)
		}
		return "", err
	})
	try("UDP", func() (string, error) { return "", echo(t.Echo) })
	try("its own token", func() (string, error) { return s.Token, nil })
}

// attackSystem tries calls of the kernel, and what it can take of the machine.
func (*Soldier) attackSystem(_ Targets, try func(string, func() (string, error))) {
	for name, attr := range map[string]*syscall.SysProcAttr{
		"a child in a session of its own": {Setsid: true},
		"a child in a group of its own":   {Setpgid: true},
		"a child in its group":            {},
	} {
		try(name, func() (string, error) { return child(attr) })
	}
	try("a user namespace", func() (string, error) {
		cmd := exec.Command("/bin/true") //nolint:noctx // It ends at once.
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
		return "", cmd.Run()
	})
	buffer := make([]byte, 4096)
	at := uintptr(unsafe.Pointer(&buffer[0])) //nolint:gosec // The kernel reads and writes there.
	const all = ^uintptr(0)
	for name, call := range map[string][4]uintptr{
		"mount":           {unix.SYS_MOUNT, 0, 0, 0},
		"BPF":             {unix.SYS_BPF, 0, at, 0},
		"perf":            {unix.SYS_PERF_EVENT_OPEN, at, 0, all},
		"the keyring":     {unix.SYS_KEYCTL, 0, all - 2, 0}, // KEYCTL_GET_KEYRING_ID of the session
		"io_uring":        {unix.SYS_IO_URING_SETUP, 1, at, 0},
		"userfaultfd":     {unix.SYS_USERFAULTFD, 0, 0, 0},
		"a kernel module": {unix.SYS_DELETE_MODULE, at, 0, 0},
	} {
		try(name, func() (string, error) {
			_, _, errno := syscall.Syscall(call[0], call[1], call[2], call[3])
			if errno == unix.EPERM || errno == unix.ENOSYS {
				return "", errno
			}
			return "", nil // It was refused for its arguments, if at all.
		})
	}
	runtime.KeepAlive(buffer)
	try("processor time", func() (string, error) { return "", unlimited(unix.RLIMIT_CPU) })
	try("memory", func() (string, error) { return "", unlimited(unix.RLIMIT_AS) })
}

func of(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }

// readFor returns what begins with a text in a file.
func readFor(path, text string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return word(content, text)
}

// word returns the first word in data that begins with a text.
func word(data []byte, text string) (string, error) {
	at := bytes.Index(data, []byte(text))
	if at < 0 {
		return "", errors.New("it has something else")
	}
	found := data[at:]
	end := bytes.IndexFunc(found, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if end > 0 {
		found = found[:end]
	}
	const longest = 100
	return string(found[:min(len(found), longest)]), nil
}

// memory looks for a text in the memory of a process.
func memory(pid int, text string) (string, error) {
	from, err := os.Open(of(pid, "mem"))
	if err != nil {
		return "", err
	}
	defer func() { _ = from.Close() }()
	regions, err := writable(pid)
	if err != nil {
		return "", nil // It can read it, and has to guess where.
	}
	secret := regexp.MustCompile(regexp.QuoteMeta(text) + `[a-z]+-[0-9a-f]{10}`)
	const page, step = 4 << 10, 1 << 20
	buffer := make([]byte, step+page) // A text may be on two steps.
	for _, region := range regions {
		for at := region.from; at < region.to; at += step {
			n, _ := from.ReadAt(buffer[:min(int64(len(buffer)), region.to-at)], at)
			if found := secret.Find(buffer[:n]); found != nil {
				return string(found), nil
			}
		}
	}
	return "", errors.New("it is not in its memory")
}

type region struct{ from, to int64 }

// writable returns where a process has what it has allocated itself.
func writable(pid int) ([]region, error) {
	maps, err := os.ReadFile(of(pid, "maps"))
	if err != nil {
		return nil, err
	}
	var found []region
	for line := range strings.Lines(string(maps)) {
		const largest = 1 << 28 // The race detector has larger ones.
		var one region
		var access, inode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s %s %s %s", &one.from, &one.to, &access, new(string), new(string), &inode); n == 6 &&
			access == "rw-p" && inode == "0" && one.to-one.from <= largest {
			found = append(found, one)
		}
	}
	return found, nil
}

// memoryByCall reads where nothing is: a process that may not read gets another error.
func memoryByCall(pid int) (string, error) {
	found := make([]byte, 64)
	local := []unix.Iovec{{Base: &found[0], Len: uint64(len(found))}}
	_, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: 1, Len: len(found)}}, 0)
	if errors.Is(err, unix.EFAULT) {
		err = nil
	}
	return "", err
}

func descriptors(pid int) (string, error) {
	entries, err := os.ReadDir(of(pid, "fd"))
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if to, err := os.Readlink(filepath.Join(of(pid, "fd"), entry.Name())); err == nil {
			return to, nil
		}
	}
	return "", errors.New("none of them can be read")
}

func descriptorByCall(pid int) (string, error) {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(process) }()
	for number := range 64 {
		var fd int
		if fd, err = unix.PidfdGetfd(process, number, 0); err == nil {
			return strconv.Itoa(number), unix.Close(fd)
		}
	}
	return "", err
}

// ptrace attaches to a process, stops it and lets it go again, all of it on one thread.
func ptrace(pid int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.PtraceSeize(pid); err != nil {
		return err
	}
	err := unix.PtraceInterrupt(pid)
	if err == nil {
		_, err = unix.Wait4(pid, nil, unix.WALL, nil)
	}
	return errors.Join(err, unix.PtraceDetach(pid))
}

// limits, priority and processors change nothing in the end.
func limits(pid int) error {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &now); err != nil {
		return err
	}
	return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &now, nil)
}

func priority(pid int) error {
	const highest = 20
	now, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	if err != nil {
		return err
	}
	return unix.Setpriority(unix.PRIO_PROCESS, pid, highest-now)
}

func processors(pid int) error {
	var now unix.CPUSet
	if err := unix.SchedGetaffinity(pid, &now); err != nil {
		return err
	}
	return unix.SchedSetaffinity(pid, &now)
}

func list(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " "), nil
}

// forge makes a file where it has no business.
func forge(path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	return os.Remove(path)
}

// moveAndBack moves a file, in whose place another could be put then.
func moveAndBack(path string) error {
	if err := os.Rename(path, path+".moved"); err != nil {
		return err
	}
	return os.Rename(path+".moved", path)
}

// leaveGroup opens what it would write its number to, to be in the uppermost control group.
func leaveGroup() (err error) {
	for _, dir := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		var file *os.File
		if file, err = os.OpenFile(filepath.Join(dir, "cgroup.procs"), os.O_WRONLY, 0); err == nil {
			return file.Close()
		}
	}
	return err
}

func watch(dir string) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	_, err = unix.InotifyAddWatch(fd, dir, unix.IN_CREATE)
	return err
}

func largeFile(size int64) error {
	signal.Ignore(syscall.SIGXFSZ) // It would end the process.
	file, err := os.CreateTemp("", "large")
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(size), file.Close(), os.Remove(file.Name()))
}

func unlimited(resource int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(resource, &limit); err != nil {
		return err
	}
	if limit.Cur != unix.RLIM_INFINITY {
		return fmt.Errorf("the limit is %d", limit.Cur)
	}
	return nil
}

func dial(network, address string) error {
	conn, err := net.DialTimeout(network, address, patience)
	if err == nil {
		err = conn.Close()
	}
	return err
}

func echo(address string) error {
	conn, err := net.DialTimeout("udp", address, patience)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("?")); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err = conn.Read(make([]byte, 1))
	return err
}

// command asks the host by its control socket how it is.
func command(socket, token string) (string, error) {
	conn, err := net.DialTimeout("unix", socket, patience)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	const body = `{"version":1,"request":{"upload":"","history":false}}`
	_, err = fmt.Fprintf(conn, "POST /status HTTP/1.1\r\nHost: control.sock\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", token, len(body), body)
	if err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", err
	}
	if status := fmt.Sprintf("HTTP/1.1 %d", http.StatusOK); !strings.HasPrefix(string(answer), status) {
		first, _, _ := strings.Cut(string(answer), "\r\n")
		return "", fmt.Errorf("the host answers %s", first)
	}
	return "", nil
}

// callPlugin begins a connection to a plugin as a host does, without the host's certificate.
func callPlugin(socket string) error {
	plain, err := net.DialTimeout("unix", socket, patience)
	if err != nil {
		return err
	}
	defer func() { _ = plain.Close() }()
	_ = plain.SetDeadline(time.Now().Add(patience))
	conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // An attacker does not verify.
	// The beginning of HTTP/2, with its settings.
	if _, err := conn.Write(slices.Concat([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), []byte{0, 0, 0, 4, 0, 0, 0, 0, 0})); err != nil { //nolint:noctx // It has a deadline.
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 9))
	return err
}

// child starts a process that would outlive this one, and returns its number.
func child(attr *syscall.SysProcAttr) (string, error) {
	cmd := exec.Command("/bin/sleep", "600") //nolint:noctx // That is the point.
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		return "", err
	}
	return strconv.Itoa(cmd.Process.Pid), nil
}
