package plugin

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/windows"
)

// followHost ends this process when its host dies. There are no inherited
// descriptors here, so it watches the host's process. Experimental: it has been
// compiled and not run.
func followHost() error {
	value := os.Getenv(HostPIDEnv)
	if value == "" {
		return nil
	}
	pid, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return fmt.Errorf("%s is %q, not a process id", HostPIDEnv, value)
	}
	host, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return fmt.Errorf("the host's process %d cannot be watched: %w", pid, err)
	}
	go func() {
		_, _ = windows.WaitForSingleObject(host, windows.INFINITE)
		os.Exit(1)
	}()
	return nil
}
