package supervise

import (
	"fmt"
	"os"

	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/proc/cgroup"
)

// socketPrefix begins the names of the directories with sockets.
const socketPrefix = "baton-host-sockets-"

// longestSocketName is what go-plugin appends to the directory: its own
// sub-directory and the socket, each with a random number.
const longestSocketName = len("/plugin-dir4294967295/plugin4294967295")

// longestSocketPath is what the shortest sun_path among the supported systems
// holds, without its closing zero byte (104 bytes on macOS and the BSDs).
const longestSocketPath = 103

// shallowTemp is where sockets go if TMPDIR is too deep.
const shallowTemp = "/tmp"

// scratchPrefix begins the names of plugins' scratch directories.
const scratchPrefix = "baton-host-scratch-"

// Sweep ends what hosts that were killed left running in control groups, and removes the
// directories of their plugins. A command that starts plugins calls it first.
func Sweep() {
	cgroup.Sweep()
	files.Sweep(os.TempDir(), scratchPrefix)
	files.Sweep(os.TempDir(), socketPrefix)
	if os.TempDir() != shallowTemp {
		files.Sweep(shallowTemp, socketPrefix)
	}
}

// MakeScratch makes a scratch directory for processes that Start starts; a Plugin
// has its own. Whoever makes it removes it.
func MakeScratch() (*files.Dir, error) { return files.Make(os.TempDir(), scratchPrefix) }

// newSocketDir makes a directory that only this user can enter (0700), for the
// sockets of one plugin process.
func newSocketDir() (*files.Dir, error) {
	dir, err := files.Make(os.TempDir(), socketPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a private directory for the plugin's socket in the directory for temporary files: %w; make that directory, or set TMPDIR to one that can be written to", err)
	}
	if len(dir.Path())+longestSocketName <= longestSocketPath {
		return dir, nil
	}

	// A deep TMPDIR does not fit into a socket's address.
	_ = dir.Remove()
	dir, err = files.Make(shallowTemp, socketPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a private directory for the plugin's socket (TMPDIR is too long a path for one): %w; set TMPDIR to a shorter one", err)
	}
	return dir, nil
}
