package supervise

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// A parent-death signal is sent when the thread ends that started the process, so
// one thread that never ends starts them all.
var (
	launching  sync.Once
	launches   = make(chan func())
	launchLoop = func() {
		runtime.LockOSThread()
		for launch := range launches {
			launch()
		}
	}
)

// launch starts the process, which the kernel kills when this one ends, however
// that comes: the belt beside the lifeline, for plugins that do not follow it.
func launch(cmd *exec.Cmd) error {
	launching.Do(func() { go launchLoop() })
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan error)
	launches <- func() { done <- cmd.Start() }
	return <-done
}
