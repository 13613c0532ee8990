package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/pluginlog"
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

// firstExtraFile is the number that the first of a command's extra files has in
// the process.
const firstExtraFile = 3

// runner is one subprocess in the shape that go-plugin wants (runner.Runner).
// It is ours, and not go-plugin's own, because that one gives the process the
// host's standard input, parses its log in a way that a hostile line can crash
// the host with, and does not notice an exit while a grandchild holds a pipe.
type runner struct {
	cmd      *exec.Cmd
	image    *image
	patience time.Duration // how long a program that is being written is waited for
	logs     *pluginlog.Writer
	stdout   *os.File // our end
	lifeline *os.File // our end: held open for as long as the host lives
	// inherited are files that the process has from descriptor 3 on. They are
	// closed here once it has.
	inherited []*os.File
	// byInput makes standard input the lifeline, in place of a descriptor that the
	// process is told of.
	byInput bool
	// output takes standard output; nil leaves it to the reader of Stdout.
	output io.Writer

	mu     sync.Mutex
	pid    int  // 0 until started
	killed bool // nothing may be started any more
	reaped bool // pid may be another's by now

	// exited is closed when the process is gone and its log has been read;
	// state may be read from then on.
	exited chan struct{}
	state  *os.ProcessState
}

// newRunner prepares the process that executes the image of a plugin.
func newRunner(spec Spec, logs *pluginlog.Writer, made *image) *runner {
	cmd := exec.Command(spec.Path, spec.Args...) //nolint:gosec,noctx // Starting what the operator configured is the purpose; stop bounds the life of the process.
	if made.memory == nil {
		cmd.Path = made.path
	}
	cmd.Env = append(pluginEnvironment(spec.Env), plugin.HostPIDEnv+"="+strconv.Itoa(os.Getpid()))
	if spec.ScratchDir != "" {
		cmd.Env = append(cmd.Env, plugin.ScratchEnv+"="+spec.ScratchDir)
	}
	cmd.Env = append(cmd.Env, spec.Telemetry.Environment()...)
	if spec.MemoryLimit > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("GOMEMLIMIT=%d", int64(softShare*float64(spec.MemoryLimit))))
	}
	ownGroup(cmd)
	return &runner{
		cmd: cmd, image: made, patience: min(mostPatience, spec.StartTimeout), logs: logs, exited: make(chan struct{}),
	}
}

// Start starts the process with a pipe for its handshake, one for its log and
// the lifeline.
func (r *runner) Start(ctx context.Context) error {
	theirs := slices.Clone(r.inherited)
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

	r.cmd.Stdout = theirStdout
	r.cmd.Stderr = theirStderr
	r.cmd.ExtraFiles = r.inherited
	switch {
	case r.byInput:
		r.cmd.Stdin = theirLifeline
	case inheritsDescriptors:
		r.cmd.Env = append(r.cmd.Env, plugin.LifelineEnv+"="+strconv.Itoa(firstExtraFile+len(r.cmd.ExtraFiles)))
		r.cmd.ExtraFiles = append(r.cmd.ExtraFiles, theirLifeline)
	}
	if err := r.launch(ctx); err != nil {
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
func (r *runner) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	err := r.launchOnce()
	if errors.Is(err, syscall.ETXTBSY) {
		r.logs.Logger().Warn("the plugin's program is being written; trying again", zap.Error(err))
	}
	again := time.NewTicker(busyPause)
	defer again.Stop()
	for errors.Is(err, syscall.ETXTBSY) {
		select {
		case <-again.C:
			err = r.launchOnce()
		case <-ctx.Done():
			return err
		}
	}
	return err
}

// launchOnce starts the process unless it has been killed before it was born.
func (r *runner) launchOnce() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.killed {
		return errors.New("stopped before it was started")
	}
	started, err := r.execute()
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
func (r *runner) execute() (*exec.Cmd, error) {
	cmd := unstarted(r.cmd)
	if r.image.memory == nil {
		return cmd, launch(cmd)
	}
	cmd.Path = fmt.Sprintf("/proc/self/fd/%d", firstExtraFile+len(cmd.ExtraFiles))
	cmd.ExtraFiles = append(cmd.ExtraFiles, r.image.memory)
	if launch(cmd) == nil {
		return cmd, nil
	}
	path, err := r.image.onDisk()
	if err != nil {
		return nil, err
	}
	cmd = unstarted(r.cmd)
	cmd.Path = path
	return cmd, launch(cmd)
}

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
func (r *runner) watch(stderr *os.File) {
	var reading sync.WaitGroup
	var read atomic.Int64
	reading.Go(func() { _, _ = io.Copy(r.logs.Stderr, counted{stderr, &read}) })
	if r.output != nil {
		reading.Go(func() { _, _ = io.Copy(r.output, counted{r.stdout, &read}) })
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		reading.Wait()
	}()

	r.reap()
	drain(drained, &read)
	_ = stderr.Close()
	if r.output != nil {
		_ = r.stdout.Close()
	}
	<-drained
	r.logs.Flush()
	_ = r.stdout.Close()
	_ = r.lifeline.Close()
	r.state = r.cmd.ProcessState
	close(r.exited)
}

// Wait returns when the process is gone.
func (r *runner) Wait(context.Context) error {
	<-r.exited
	if !r.state.Success() {
		return fmt.Errorf("%s", r.state)
	}
	return nil
}

// Kill ends the process and those of its children that stayed in its group.
func (r *runner) Kill(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed = true
	if r.pid == 0 || r.reaped {
		return nil
	}
	return killGroup(r.pid)
}

// running says that the process has not ended; the end of its log may be still to
// come otherwise.
func (r *runner) running() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pid != 0 && !r.reaped
}

// Stdout carries the handshake; what follows it is logged.
func (r *runner) Stdout() io.ReadCloser {
	return &handshakeReader{from: r.stdout, rest: r.logs.Stdout}
}

// Stderr is empty for go-plugin: the log goes to our own reader.
func (r *runner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name is the binary's path.
func (r *runner) Name() string { return r.cmd.Path }

// ID is the process id.
func (r *runner) ID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pid == 0 {
		return ""
	}
	return strconv.Itoa(r.pid)
}

// Diagnose adds nothing: Start's caller tells the person what happened.
func (r *runner) Diagnose(context.Context) string { return "" }

// PluginToHost leaves addresses alone: both sides see the same ones.
func (r *runner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin leaves addresses alone.
func (r *runner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
