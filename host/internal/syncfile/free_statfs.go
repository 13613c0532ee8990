//go:build darwin || linux

package syncfile

import "syscall"

// freeOnDisk asks the file system. A quota is not seen.
func freeOnDisk(dir string) (uint64, bool) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil || stat.Blocks == 0 {
		return 0, false
	}
	return stat.Bavail * uint64(stat.Bsize), true //nolint:gosec // A block's size is positive.
}
