//go:build unix

package plugin

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// followLifeline ends this process when its host dies, however it dies: the
// kernel closes the host's end of the pipe even after SIGKILL. The process
// group goes too where the plugin leads it, so that children do not stay
// behind. The variable goes, as the descriptor does, so that a child does not
// take another descriptor of that number for its lifeline.
func followLifeline() error {
	value := os.Getenv(LifelineEnv)
	if value == "" {
		return nil
	}
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 3 {
		return fmt.Errorf("%s is %q, not the number of an inherited file descriptor", LifelineEnv, value)
	}
	syscall.CloseOnExec(fd)
	lifeline := os.NewFile(uintptr(fd), "lifeline")
	if _, err := lifeline.Stat(); err != nil {
		return fmt.Errorf("%s names descriptor %d: %w", LifelineEnv, fd, err)
	}
	_ = os.Unsetenv(LifelineEnv)
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		endGroup()
		os.Exit(1)
	}()
	return nil
}

// outliveSignals leaves the signals that ask a process to end to the host: a
// terminal and systemd send them to every process of a group, while it is for the
// host to decide when the work in hand is over. They count if the host is gone.
func outliveSignals() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for range asked {
			if strconv.Itoa(os.Getppid()) != os.Getenv(HostPIDEnv) {
				endGroup()
				os.Exit(1)
			}
		}
	}()
}

// endGroup ends the process group at once, this process with it, if it leads one.
func endGroup() {
	if pid := os.Getpid(); syscall.Getpgrp() == pid {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}
