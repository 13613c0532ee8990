package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// hostPrefix begins the names of the groups of hosts, in which those of their
	// processes are; the maker of one holds a lock on it.
	hostPrefix = "baton-host-"
	// selfName is the group of a host itself, where it has to leave the one that it was
	// started in: the kernel limits no group whose parent has processes too.
	selfName    = "host"
	groupPrefix = "plugin-"
)

// mostDying is how long the processes of a group may take to end once they are killed. A
// group that is not empty by then is left to the next host.
const mostDying = 2 * time.Second

// host makes the groups of one process, in a group of its own that is there for as long as
// one of them is.
type host struct {
	Offer
	parent string // where that group is made; empty where there is an obstacle
	// clones says that the kernel starts processes in a group; else they are moved to it.
	clones bool
	// controllers are those that are turned on for the groups in dir.
	controllers string

	mu    sync.Mutex
	dir   string   // that group; empty: there is none at this time
	lock  *os.File // of dir, by which Sweep knows that this process lives
	users int      // how many groups are in it
	moved bool     // this process is in it, so that it cannot be removed
}

// here makes the groups of this process.
var here = sync.OnceValue(func() *host {
	parent, isUppermost, err := own()
	if err != nil {
		return &host{Offer: Offer{Obstacle: err.Error()}}
	}
	return open(parent, isUppermost)
})

// Offered returns what control groups offer here.
func Offered() Offer { return here().Offer }

// Sweep ends and removes what hosts have left behind that were killed.
func Sweep() {
	parent, isUppermost, err := own()
	if err != nil || delegated(parent, isUppermost) != "" {
		return
	}
	sweep(parent)
}

func sweep(parent string) {
	left, err := filepath.Glob(filepath.Join(parent, hostPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range left {
		if lock := lock(dir); lock != nil {
			(&Group{dir: dir}).Remove()
			_ = lock.Close()
		}
	}
}

// lock locks a directory for as long as this process lives, or until it is closed; nil:
// another process has it, or it is gone.
func lock(dir string) *os.File {
	file, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		// A host that sweeps may have locked and removed it meanwhile.
		if _, err := os.Stat(dir); err == nil {
			return file
		}
	}
	_ = file.Close()
	return nil
}

// open finds out what groups in another one offer.
func open(parent string, isUppermost bool) *host {
	if obstacle := delegated(parent, isUppermost); obstacle != "" {
		return &host{Offer: Offer{Obstacle: obstacle}}
	}
	h := &host{parent: parent}
	if err := h.enter(); err != nil {
		return &host{Offer: Offer{Obstacle: err.Error()}}
	}
	defer h.leave()
	if _, err := os.Stat(filepath.Join(h.dir, killFile)); err != nil {
		return &host{Offer: Offer{Obstacle: "the kernel cannot end one (Linux 5.14 can)"}}
	}
	h.clones = h.canClone()
	h.limit()
	return h
}

// enter makes the group of this process if it is not there, and leave removes it if no one
// needs it.
func (h *host) enter() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	const attempts = 3 // Who sweeps may remove a group before it is locked.
	var err error
	for n := 0; h.dir == "" && n < attempts; n++ {
		var dir string
		if dir, err = os.MkdirTemp(h.parent, hostPrefix); err != nil {
			return err
		}
		if h.lock = lock(dir); h.lock != nil {
			h.dir = dir
			if h.controllers != "" {
				_ = write(dir, subtreeFile, h.controllers)
			}
		}
	}
	if h.dir == "" {
		return errors.New("another host removes the group of this one")
	}
	h.users++
	return nil
}

func (h *host) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users--; h.users > 0 || h.moved {
		return
	}
	if unix.Rmdir(h.dir) == nil {
		_ = h.lock.Close()
		h.dir = ""
	}
}

// canClone reports whether the kernel starts processes in a group: it tries to, with a program
// that does not exist.
func (h *host) canClone() bool {
	dir, err := os.Open(h.dir)
	if err != nil {
		return false
	}
	defer func() { _ = dir.Close() }()
	_, err = os.StartProcess(filepath.Join(h.dir, "none"), nil, &os.ProcAttr{Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}})
	return errors.Is(err, fs.ErrNotExist)
}

// limit has the groups of processes limited, if that can be.
func (h *host) limit() {
	offered := fields(h.parent, controllersFile)
	h.Memory, h.Processes, h.NoLimits = slices.Contains(offered, "memory"), slices.Contains(offered, "pids"), ""
	var err error
	switch {
	case h.Memory && h.Processes:
		err = h.enable("+memory +pids")
	case h.Memory:
		h.NoLimits, err = "no controller of processes is delegated", h.enable("+memory")
	case h.Processes:
		h.NoLimits, err = "no controller of memory is delegated", h.enable("+pids")
	default:
		h.NoLimits = "no controller of memory or processes is delegated"
	}
	if err != nil {
		h.Memory, h.Processes, h.NoLimits = false, false, err.Error()
	}
}

// enable turns controllers on for the groups in the parent and in that of the host.
func (h *host) enable(controllers string) error {
	err := write(h.parent, subtreeFile, controllers)
	if errors.Is(err, unix.EBUSY) {
		// The parent has processes; where that is this one alone, it moves.
		if procs := fields(h.parent, procsFile); len(procs) != 1 || procs[0] != strconv.Itoa(os.Getpid()) {
			return errors.New("the host is not alone in its group")
		}
		self := filepath.Join(h.dir, selfName)
		if err = os.Mkdir(self, 0o700); err == nil {
			err = write(self, procsFile, strconv.Itoa(os.Getpid()))
		}
		if err == nil {
			h.moved = true
			err = write(h.parent, subtreeFile, controllers)
		}
	}
	if err == nil {
		err = write(h.dir, subtreeFile, controllers)
	}
	if err == nil {
		h.controllers = controllers
	}
	return err
}

// Group is the control group of one process and of all that it starts; nil is none, and does
// nothing.
type Group struct {
	dir    string
	clones bool
	left   func() // once it is removed
}

// New makes a group; nil: there is none here, for the reason in [Offered].
func New(limits Limits) *Group { return here().group(limits) }

func (h *host) group(limits Limits) *Group {
	if h.parent == "" || h.enter() != nil {
		return nil
	}
	dir, err := os.MkdirTemp(h.dir, groupPrefix)
	if err != nil {
		h.leave()
		return nil // The process does as well without.
	}
	if h.Memory && limits.Memory > 0 {
		// Above the limit at which the host ends a plugin and says so: this is for one that
		// grows faster than the host looks.
		const share = 4
		_ = write(dir, memoryFile, strconv.FormatUint(limits.Memory+limits.Memory/share, 10))
		_ = write(dir, wholeFile, "1")
	}
	if h.Processes {
		_ = write(dir, processesFile, strconv.Itoa(mostProcesses))
	}
	return &Group{dir: dir, clones: h.clones, left: h.leave}
}

// Start starts the command in the group, by launch. What it does after launch has returned
// is in the group; what it does before is too, where the kernel starts processes in one.
func (g *Group) Start(cmd *exec.Cmd, launch func(*exec.Cmd) error) error {
	if g == nil {
		return launch(cmd)
	}
	if !g.clones {
		if err := launch(cmd); err != nil {
			return err
		}
		_ = write(g.dir, procsFile, strconv.Itoa(cmd.Process.Pid)) // It may have ended.
		return nil
	}
	dir, err := os.Open(g.dir)
	if err != nil {
		return launch(cmd)
	}
	defer func() { _ = dir.Close() }()
	attr := *cmd.SysProcAttr
	attr.UseCgroupFD, attr.CgroupFD = true, int(dir.Fd())
	cmd.SysProcAttr = &attr
	return launch(cmd)
}

// Dir is the directory of the group; empty: there is none.
func (g *Group) Dir() string {
	if g == nil {
		return ""
	}
	return g.dir
}

// Environment returns what is to be added to the environment of a program in Go, which looks
// for the limit of processors in its own group alone, while it is that of the host's.
func (g *Group) Environment(of []string) []string {
	const name = "GOMAXPROCS="
	isSet := slices.ContainsFunc(of, func(variable string) bool { return strings.HasPrefix(variable, name) })
	if g == nil || isSet || runtime.GOMAXPROCS(0) >= runtime.NumCPU() {
		return nil
	}
	return []string{name + strconv.Itoa(runtime.GOMAXPROCS(0))}
}

// Kill ends every process in the group and in those below it, at once.
func (g *Group) Kill() {
	if g != nil {
		_ = write(g.dir, killFile, "1")
	}
}

// Remove ends what is in the group and removes it, with those below it.
func (g *Group) Remove() {
	if g == nil {
		return
	}
	g.Kill()
	g.awaitEmpty()
	// From below: the files in it are the kernel's, and go with it.
	var dirs []string
	_ = filepath.WalkDir(g.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for _, dir := range slices.Backward(dirs) {
		_ = unix.Rmdir(dir)
	}
	if g.left != nil {
		g.left()
	}
}

// awaitEmpty waits until no process is in the group any more, within mostDying.
func (g *Group) awaitEmpty() {
	events, err := os.Open(filepath.Join(g.dir, eventsFile))
	if err != nil {
		return
	}
	defer func() { _ = events.Close() }()
	for end := time.Now().Add(mostDying); time.Now().Before(end); {
		text := make([]byte, 256)
		n, err := events.ReadAt(text, 0)
		if n == 0 && err != nil || strings.Contains(string(text[:n]), "populated 0") {
			return
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}, int(time.Until(end).Milliseconds())) //nolint:gosec // It is a descriptor.
	}
}

// fields are the words in a file of a group; none where it cannot be read.
func fields(dir, name string) []string {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text))
}

// write writes to a file of a group, which is there already.
func write(dir, name, text string) error {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("write %s to %s: %w", text, filepath.Join(dir, name), err)
	}
	return nil
}
