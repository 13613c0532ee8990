package meter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// graceForTheRest is how long processes may live on after the last command has
// ended. The SDK kills its own child just before it ends.
const graceForTheRest = 2 * time.Second

// do runs the work as children of this process and waits for all its processes.
func do(ctx context.Context, work Work) (Usage, error) {
	// What a dead process leaves behind comes to this one, which waits for it.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return Usage{}, fmt.Errorf("becoming the parent of orphans: %w", err)
	}
	// The commands are killed when the thread that started them ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeout(ctx, work.Limit)
	defer cancel()

	sampler := newSampler(os.Getpid())
	go sampler.run()
	defer sampler.stop()
	stopKiller := context.AfterFunc(ctx, killAll)
	defer stopKiller()

	began := time.Now()
	usage, err := waitForAll(work, began)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return Usage{}, fmt.Errorf("not done within %v; its processes are killed", work.Limit)
	case ctx.Err() != nil:
		return Usage{}, ctx.Err()
	case err != nil:
		return Usage{}, err
	}
	sampler.stop()
	usage.Memory, usage.At = sampler.peak, sampler.at
	usage.Resident, usage.Own = sampler.resident, sampler.ownPeak
	usage.Looks, usage.Readings = sampler.looks, sampler.readings
	return usage, nil
}

// waitForAll starts the commands and waits for every process that is or becomes a
// child of this one. If a command fails, it kills the others.
func waitForAll(work Work, began time.Time) (Usage, error) {
	var usage Usage
	var failed []error
	running, waiting := map[int]Command{}, slices.Clone(work.Commands)
	startNext := func() {
		command := waiting[0]
		waiting = waiting[1:]
		pid, err := start(command)
		if err != nil {
			failed = append(failed, err)
			return
		}
		running[pid] = command
	}
	startNext()
	for !work.OneByOne && len(waiting) > 0 && len(failed) == 0 {
		startNext()
	}
	var endRest *time.Timer
	left := make(chan int, 1)
	for {
		if len(failed) > 0 && waiting != nil {
			waiting = nil
			go killAll()
		}
		var status unix.WaitStatus
		var rusage unix.Rusage
		pid, err := unix.Wait4(-1, &status, 0, &rusage)
		now := time.Now()
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			if endRest != nil && !endRest.Stop() {
				usage.Left = <-left
			}
			return usage, errors.Join(failed...)
		case err != nil:
			return usage, fmt.Errorf("waiting for processes: %w", err)
		}
		usage.CPU += time.Duration(rusage.Utime.Nano() + rusage.Stime.Nano())

		command, isCommand := running[pid]
		if !isCommand {
			continue
		}
		delete(running, pid)
		if status.ExitStatus() != 0 && len(failed) == 0 {
			failed = append(failed, &failedError{command, status})
			continue
		}
		if len(waiting) > 0 {
			startNext()
			continue
		}
		if len(running) == 0 {
			usage.Wall = now.Sub(began)
			endRest = time.AfterFunc(graceForTheRest, func() {
				left <- len(descendants(os.Getpid()))
				killAll()
			})
		}
	}
}

func start(command Command) (pid int, err error) {
	output, err := os.OpenFile(filepath.Join(command.Dir, outputFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer output.Close()
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer nothing.Close()
	process, err := os.StartProcess(command.Args[0], command.Args, &os.ProcAttr{
		Dir:   command.Dir,
		Env:   command.Env,
		Files: []*os.File{nothing, output, output},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return 0, err
	}
	pid = process.Pid
	// It is waited for by its number, with the others.
	return pid, process.Release()
}

// killAll kills every process below this one, and those that are made meanwhile.
func killAll() {
	for range 50 {
		below := descendants(os.Getpid())
		if len(below) == 0 {
			return
		}
		for _, pid := range below {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// failedError reports that a command failed, and what it wrote last.
type failedError struct {
	command Command
	status  unix.WaitStatus
}

func (e *failedError) Error() string {
	how := fmt.Sprintf("ended with status %d", e.status.ExitStatus())
	if e.status.Signaled() {
		how = "was ended by " + e.status.Signal().String()
	}
	written, _ := os.ReadFile(filepath.Join(e.command.Dir, outputFile))
	const enough = 2000
	if len(written) > enough {
		written = written[len(written)-enough:]
	}
	return fmt.Sprintf("%s %s: %s", filepath.Base(e.command.Args[0]), how, bytes.TrimSpace(written))
}
