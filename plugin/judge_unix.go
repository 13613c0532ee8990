//go:build unix

package plugin

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

const (
	// judgedVariable marks the process of a sync whose parent judges it.
	judgedVariable = "BATON_HOST_JUDGED"
	// returned is the status with which such a process reports that the SDK came
	// back without an error. The SDK's own statuses are gRPC codes.
	returned = 100
)

// beingJudged reports whether this process is a sync's own, and makes it die with the
// one that judges it.
func beingJudged() bool {
	if os.Getenv(judgedVariable) == "" {
		return false
	}
	if err := followLifeline(); err != nil {
		fail("the lifeline to its parent: %v", err)
	}
	// They are not for the processes that the SDK starts.
	_ = os.Unsetenv(judgedVariable)
	_ = os.Unsetenv(LifelineEnv)
	return true
}

// judge runs this very command line in a separate process and exits with a
// status that reports whether the sync into the file came to its end.
//
// When a sync fails, the SDK (v0.25.0) kills the process that it started for the
// connector, and the goroutine that sees it go ends this one with status 0,
// unless the goroutine with the error is faster. After a sync without error the
// same happens. So a bare 0 means nothing: then the file decides.
func judge(ctx context.Context, path string) {
	start := time.Now()
	// The process dies with us when the kernel closes our end.
	theirs, lifeline, err := os.Pipe()
	if err != nil {
		fail("%v", err)
	}
	defer lifeline.Close()
	self, err := os.Executable()
	if err != nil {
		fail("%v", err)
	}
	cmd := exec.Command(self, os.Args[1:]...) //nolint:gosec,noctx // The same program; signals end it.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append(os.Environ(), judgedVariable+"=1", LifelineEnv+"=3")

	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded()...)
	if err := cmd.Start(); err != nil {
		fail("%v", err)
	}
	_ = theirs.Close()
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	stopped := false
	for {
		select {
		case s := <-signals:
			stopped = true
			_ = cmd.Process.Signal(s)
			continue
		case <-ended:
		}
		break
	}

	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch code := cmd.ProcessState.ExitCode(); {
	case status.Signaled():
		dieOf(status.Signal())
	case code == returned, code == 0 && (stopped || holdsSyncSince(ctx, path, start)):
		os.Exit(0)
	case code == 0:
		fmt.Fprintf(os.Stderr, "the sync failed: %s holds no sync that was finished by this run; the log above names the cause\n", path)
		os.Exit(1)
	default:
		os.Exit(code)
	}
}

// forwarded are the signals that a person or a supervisor sends to one process
// and means the sync by it. One that is ignored from the start stays ignored, but
// for SIGINT, which the SDK listens to in any case.
func forwarded() []os.Signal {
	signals := []os.Signal{syscall.SIGINT}
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
}

// dieOf ends this process as the signal ended the other.
func dieOf(s syscall.Signal) {
	signal.Reset(s)
	_ = syscall.Kill(os.Getpid(), s)
	// Signals that Go catches by itself, and ignored ones, do not come back.
	time.Sleep(time.Second)
	os.Exit(128 + int(s))
}
