//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package files

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// lockNew makes and locks the file of a directory that no one else looks at yet.
// Without a lock there is no file either: what has no file is never swept.
func lockNew(path string) *os.File {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil
	}
	if !tryLock(file) {
		_ = file.Close()
		_ = os.Remove(path)
		return nil
	}
	return file
}

// lockOfDead locks the file of a directory whose maker holds it no longer, or
// returns nil.
func lockOfDead(root *os.Root, name string) *os.File {
	// Not blocking: whatever is there of that name must not hold us up.
	file, err := root.OpenFile(name, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || !tryLock(file) {
		_ = file.Close()
		return nil
	}
	return file
}

// tryLock locks the file for as long as it is open. The lock belongs to this
// opening of the file: the same process cannot take it twice either.
func tryLock(file *os.File) bool {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// isOurs says that the directory is this user's.
func isOurs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// ownerOf returns the user that a file belongs to.
func ownerOf(info fs.FileInfo) (uid uint32, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Uid, true
}

// alive says that there is a process of this number, of whatever user.
func alive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// openLock makes the file if there is none, and locks it.
func openLock(path string) (*os.File, error) {
	return lockOpened(os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600))
}

// openLockOfDir locks a directory itself. One that may not be read has no lock.
func openLockOfDir(dir string) (*os.File, error) {
	file, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	return lockOpened(file, err)
}

func lockOpened(file *os.File, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = ErrHeld
	case errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOLCK):
		err = nil
	}
	_ = file.Close()
	return nil, err
}

// unlock gives a lock back at once: it would last beyond the close in a process that is
// being started at that moment, until that executes its program.
func unlock(file *os.File) { _ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) }
