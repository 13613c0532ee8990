package proc

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// launcher runs what it is sent on one thread that never ends, which starts all
// processes: a parent-death signal is sent when the thread ends that started the
// process.
var launcher = sync.OnceValue(func() chan<- func() {
	launches := make(chan func())
	go func() {
		runtime.LockOSThread()
		for launch := range launches {
			launch()
		}
	}()
	return launches
})

// launch starts the process, which the kernel kills when this one ends, however
// that comes: the belt beside the lifeline, for plugins that do not follow it.
func launch(cmd *exec.Cmd) error {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan error)
	launcher() <- func() {
		err := cmd.Start()
		if err == nil {
			launched.Store(cmd.Process.Pid, cmd)
		}
		done <- err
	}
	return <-done
}
