//go:build unix

package wizard

import (
	"os"
	"syscall"
)

// keepOwner gives a file the owner, the group and the mode of another one.
func keepOwner(path string, of os.FileInfo) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	its, owner := statOf(info), statOf(of)
	if its.Uid != owner.Uid || its.Gid != owner.Gid {
		if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(path, of.Mode().Perm())
}

// giveTo gives a file that only its owner may read to the owner of another one.
func giveTo(path string, of os.FileInfo) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if owner := statOf(of); statOf(info).Uid != owner.Uid {
		return os.Chown(path, int(owner.Uid), int(owner.Gid))
	}
	return nil
}

func statOf(info os.FileInfo) *syscall.Stat_t {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat
	}
	return &syscall.Stat_t{}
}
