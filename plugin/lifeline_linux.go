package plugin

import (
	"os"

	"golang.org/x/sys/unix"
)

// lifelineErr is why the lifeline could not be followed.
var lifelineErr error

// A host on Linux has the kernel send SIGKILL to its plugins when it dies, for
// those that follow no lifeline. It would end this one before it can end its
// children. So once the lifeline is followed, SIGCONT takes its place: it wakes a
// plugin that is stopped, which then sees the end of the lifeline, and does
// nothing else.
//
// This must run before main: the setting belongs to the process's first thread,
// which is sure to be this one only during initialization.
func init() {
	if !startedByHost() || os.Getenv(LifelineEnv) == "" {
		return
	}
	if lifelineErr = followLifeline(); lifelineErr == nil {
		lifelineErr = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGCONT), 0, 0, 0)
	}
}

// followHost ends the plugin with its host, and not before.
func followHost() error {
	outliveSignals()
	return lifelineErr
}
