//go:build unix

package secret

import (
	"io/fs"
	"os"
	"syscall"
)

// readable are the bits that let others than this process read a file. The group
// counts where the file is our own: else it may be by the group that we read it.
func readable(info fs.FileInfo) fs.FileMode {
	mode := info.Mode().Perm()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		mode &^= 0o040
	}
	return mode
}
