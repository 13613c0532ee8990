//go:build unix

package plugin

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
)

// followLifeline ends this process when its host dies, however it dies: the
// kernel closes the host's end of the pipe even after SIGKILL. The process
// group goes too where the plugin leads it, so that children do not stay
// behind.
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

	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		if pid := os.Getpid(); syscall.Getpgrp() == pid {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
		os.Exit(1)
	}()
	return nil
}
