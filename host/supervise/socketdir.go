package supervise

import (
	"fmt"
	"os"
)

// longestSocketName is what go-plugin appends to the directory: its own
// sub-directory and the socket, each with a random number.
const longestSocketName = len("/plugin-dir4294967295/plugin4294967295")

// longestSocketPath is what the shortest sun_path among the supported systems
// holds, without its closing zero byte (104 bytes on macOS and the BSDs).
const longestSocketPath = 103

// newSocketDir makes a directory that only this user can enter (0700), for the
// sockets of one plugin process.
func newSocketDir() (string, error) {
	pattern := fmt.Sprintf("baton-host-%d-", os.Getpid())
	dir, err := os.MkdirTemp("", pattern)
	if err != nil {
		return "", fmt.Errorf("make a private directory for the plugin's socket: %w", err)
	}
	if len(dir)+longestSocketName <= longestSocketPath {
		return dir, nil
	}

	// A deep TMPDIR does not fit into a socket's address.
	_ = os.Remove(dir)
	dir, err = os.MkdirTemp("/tmp", pattern)
	if err != nil {
		return "", fmt.Errorf("make a private directory for the plugin's socket (TMPDIR is too long a path for one): %w", err)
	}
	return dir, nil
}
