// Package proc runs one process of the operating system: it launches it, on a lifeline, as the
// leader of a group, and ends it with all of that group.
//
// Package supervise calls it for the processes of plugins, package pin makes images
// that it executes, and the command line has it reap orphans in a container. It must
// never give a process more of the host's environment than is allowed, leave a process
// behind, or lose the last lines of one that has ended.
package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/child"
	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc/cgroup"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/plugin"
)

// The end of a process's log is waited for after the process has gone: for drainTime
// without a byte, and for mostDrain in all. A grandchild that holds standard error would
// keep it open for ever.
const (
	drainTime = time.Second
	mostDrain = 10 * time.Second
)

const (
	// mostPatience bounds how long a program that is being written is waited for.
	mostPatience = 5 * time.Second
	// busyPause is how long after one attempt it is tried again.
	busyPause = 20 * time.Millisecond
)

// FirstDescriptor is the number that the first of the inherited files has in the
// process.
const FirstDescriptor = 3

// softShare is how much of its memory limit a program in Go is asked to keep to
// (GOMEMLIMIT): it collects garbage harder before it would be ended.
const softShare = 0.9

// Command says what a process executes, and how.
type Command struct {
	// Path is the program, as an absolute path.
	Path string
	Args []string
	// Dir is the directory that it is started in; empty is the host's own.
	Dir string
	// Env is its environment; see [Environment].
	Env []string
	// Image is executed in place of the file at Path, which may have changed; nil
	// executes the file.
	Image *Image
	// MemoryLimit is how much memory, in bytes, a program in Go is asked to keep to;
	// zero is no limit.
	MemoryLimit uint64
	// Patience is how long a program that is being written is waited for, within
	// bounds.
	Patience time.Duration
	// Sandbox is what the process may reach; nil is all that this user can.
	Sandbox *sandbox.Policy
	// Inherited are files that the process has from FirstDescriptor on. They are closed
	// here once it has.
	Inherited []*os.File
	// ByInput makes standard input the lifeline, in place of a descriptor that the
	// process finds in its environment.
	ByInput bool
	// Output receives standard output; nil leaves it to the reader of Stdout.
	Output io.Writer
}

// Process is one process of the system with its group. Its methods may be called
// concurrently.
type Process struct {
	// Command may be changed until Start.
	Command

	logs     *pluginlog.Writer
	stdout   *os.File // our end
	lifeline *os.File // our end: held open for as long as the host lives
	held     *os.File // of the sandbox, until the process has ended; may be nil
	group    *cgroup.Group

	mu     sync.Mutex
	cmd    *exec.Cmd // nil until started
	pid    int       // 0 until started
	killed bool      // nothing may be started any more
	reaped bool      // pid may be another's by now

	// exited is closed when the process is gone and its log has been read;
	// state may be read from then on.
	exited chan struct{}
	state  *os.ProcessState
}

// New returns a process that is not started yet. What it writes goes to logs.
func New(command Command, logs *pluginlog.Writer) *Process {
	return &Process{Command: command, logs: logs, exited: make(chan struct{})}
}

// Attached returns a process that something else has started: nothing kills it, and
// Leave declares it gone.
func Attached(pid int) *Process {
	// There is nothing to kill: what is reaped is left alone.
	return &Process{pid: pid, reaped: true, exited: make(chan struct{})}
}

// Leave declares an attached process gone. Call it once.
func (r *Process) Leave() { close(r.exited) }

// PID returns the process id, or 0 if it has not been started.
func (r *Process) PID() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pid
}

// Exited is closed when the process is gone and its log has been read.
func (r *Process) Exited() <-chan struct{} { return r.exited }

// IsGone reports whether Exited is closed.
func (r *Process) IsGone() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

// State returns how the process ended. Call it after it has.
func (r *Process) State() *os.ProcessState { return r.state }

// Executed returns the path of what is executed, or is to be.
func (r *Process) Executed() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		return r.Path
	}
	return r.cmd.Path
}

// Stdout returns our end of standard output. Call it after Start, and only where the
// command has no Output.
func (r *Process) Stdout() *os.File { return r.stdout }

// Write writes to the lifeline, which is standard input if the command says so.
func (r *Process) Write(p []byte) (int, error) { return r.lifeline.Write(p) }

// CloseInput ends the lifeline, on which the process should end.
func (r *Process) CloseInput() { _ = r.lifeline.Close() }

// Start starts the process with a pipe for its output, one for its log and the
// lifeline.
func (r *Process) Start(ctx context.Context) error {
	theirs := slices.Clone(r.Inherited)
	defer func() {
		for _, file := range theirs {
			_ = file.Close()
		}
	}()

	stdout, theirStdout, err := os.Pipe()
	if err != nil {
		return err
	}
	theirs = append(theirs, theirStdout)
	stderr, theirStderr, err := os.Pipe()
	if err != nil {
		_ = stdout.Close()
		return err
	}
	theirs = append(theirs, theirStderr)
	theirLifeline, lifeline, err := os.Pipe()
	if err != nil {
		_ = stdout.Close()
		_ = stderr.Close()
		return err
	}
	theirs = append(theirs, theirLifeline)

	cmd := &exec.Cmd{
		Path: r.Path, Args: slices.Concat([]string{r.Path}, r.Args), Dir: r.Dir, Env: slices.Clone(r.Env),
		Stdout: theirStdout, Stderr: theirStderr, ExtraFiles: slices.Clone(r.Inherited),
	}
	child.OwnGroup(cmd)
	if r.MemoryLimit > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("GOMEMLIMIT=%d", int64(softShare*float64(r.MemoryLimit))))
	}
	switch {
	case r.ByInput:
		cmd.Stdin = theirLifeline
	case child.InheritsDescriptors:
		cmd.Env = append(cmd.Env, plugin.LifelineEnv+"="+strconv.Itoa(FirstDescriptor+len(cmd.ExtraFiles)))
		cmd.ExtraFiles = append(cmd.ExtraFiles, theirLifeline)
	}
	r.group = cgroup.New(cgroup.Limits{Memory: r.MemoryLimit})
	cmd.Env = append(cmd.Env, r.group.Environment(cmd.Env)...)
	if err := r.launch(ctx, cmd); err != nil {
		r.group.Remove()
		_ = stdout.Close()
		_ = stderr.Close()
		_ = lifeline.Close()
		return err
	}
	r.stdout = stdout
	r.lifeline = lifeline
	r.logs.SetPID(r.pid)
	go r.watch(stderr)
	return nil
}

// launch starts the process. A program that is being written is waited for, a
// moment: by a build or an install, or by a fork of another program, which has the
// files of its parent until it executes something itself.
func (r *Process) launch(ctx context.Context, cmd *exec.Cmd) error {
	ctx, cancel := context.WithTimeout(ctx, min(mostPatience, r.Patience))
	defer cancel()
	err := r.launchOnce(cmd)
	if errors.Is(err, syscall.ETXTBSY) {
		r.logs.Logger().Warn("the plugin's program is being written; trying again", zap.Error(err))
	}
	again := time.NewTicker(busyPause)
	defer again.Stop()
	for errors.Is(err, syscall.ETXTBSY) {
		select {
		case <-again.C:
			err = r.launchOnce(cmd)
		case <-ctx.Done():
			return err
		}
	}
	return err
}

// launchOnce starts the process unless it has been killed before it was born.
func (r *Process) launchOnce(cmd *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.killed {
		return errors.New("stopped before it was started")
	}
	started, err := r.execute(cmd)
	if err != nil {
		return err
	}
	r.cmd, r.pid = started, started.Process.Pid
	return nil
}

// execute executes the image. Memory may be refused for many reasons
// (vm.memfd_noexec, a security module, no /proc), of which the error says little: a
// private copy of it is executed then, and what fails with the copy too is the
// program's own fault.
func (r *Process) execute(command *exec.Cmd) (*exec.Cmd, error) {
	cmd := unstarted(command)
	switch {
	case r.Image == nil:
		return cmd, r.startIn(cmd)
	case r.Image.memory == nil:
		cmd.Path = r.Image.path
		return cmd, r.startIn(cmd)
	}
	cmd.Path = fmt.Sprintf("/proc/self/fd/%d", FirstDescriptor+len(cmd.ExtraFiles))
	cmd.ExtraFiles = append(cmd.ExtraFiles, r.Image.memory)
	if r.startIn(cmd) == nil {
		return cmd, nil
	}
	path, err := r.Image.onDisk()
	if err != nil {
		return nil, err
	}
	cmd = unstarted(command)
	cmd.Path = path
	return cmd, r.startIn(cmd)
}

// startIn starts the command in the sandbox, if there is one.
func (r *Process) startIn(cmd *exec.Cmd) error {
	if r.Sandbox == nil {
		return r.launchInGroup(cmd)
	}
	policy := *r.Sandbox
	if dir := r.group.Dir(); dir != "" {
		// Runtimes look for their limits there.
		policy.Read = slices.Concat(policy.Read, []string{dir})
	}
	held, err := policy.Start(cmd, r.launchInGroup)
	if err != nil && cmd.Process != nil {
		forget(cmd)
	}
	r.held = held
	return err
}

// launchInGroup starts the command in the control group of the process, if it has one.
func (r *Process) launchInGroup(cmd *exec.Cmd) error { return r.group.Start(cmd, launch) }

// unstarted is a command to be started once, as exec.Cmd wants it.
func unstarted(cmd *exec.Cmd) *exec.Cmd {
	return &exec.Cmd{
		Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir,
		Stdin: cmd.Stdin, Stdout: cmd.Stdout, Stderr: cmd.Stderr,
		ExtraFiles: slices.Clone(cmd.ExtraFiles), SysProcAttr: cmd.SysProcAttr,
	}
}

// counted counts what is read.
type counted struct {
	io.Reader
	bytes *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// drain waits for the end of a log as long as something of it comes: on a busy machine
// its last lines, which say why the process ended, take their time.
func drain(drained <-chan struct{}, read *atomic.Int64) {
	for end := time.Now().Add(mostDrain); time.Now().Before(end); {
		before := read.Load()
		select {
		case <-drained:
			return
		case <-time.After(drainTime):
		}
		if read.Load() == before {
			return
		}
	}
}

// watch reads the log to its end and notices the exit.
func (r *Process) watch(stderr *os.File) {
	var reading sync.WaitGroup
	var read atomic.Int64
	reading.Go(func() { _, _ = io.Copy(r.logs.Stderr, counted{stderr, &read}) })
	if r.Output != nil {
		reading.Go(func() { _, _ = io.Copy(r.Output, counted{r.stdout, &read}) })
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		reading.Wait()
	}()

	r.reap()
	r.group.Remove()
	_ = r.held.Close() // Also of none.
	drain(drained, &read)
	_ = stderr.Close()
	if r.Output != nil {
		_ = r.stdout.Close()
	}
	<-drained
	r.logs.Flush()
	_ = r.stdout.Close()
	_ = r.lifeline.Close()
	r.state = r.cmd.ProcessState
	close(r.exited)
}

// Kill ends the process and those of its children that stayed in its group.
func (r *Process) Kill() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed = true
	if r.pid == 0 || r.reaped {
		return nil
	}
	r.group.Kill()
	return child.KillGroup(r.pid)
}

// IsRunning reports whether the process has not ended; the end of its log may be still
// to come otherwise.
func (r *Process) IsRunning() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pid != 0 && !r.reaped
}
