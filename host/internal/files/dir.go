package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// lockName is a file in every directory; its maker holds a lock on it, which
	// the kernel releases when the maker dies, however it dies.
	lockName = ".lock"
	// unfinished ends the name of a directory that is not locked yet, behind the
	// process id of its maker.
	unfinished = ".new"
)

// Dir is a directory that only this user can enter.
type Dir struct {
	path string
	lock *os.File // nil where nothing can be locked
}

// Make makes a directory in parent whose name is the prefix with a random
// number. The name .lock is taken in it.
//
// Where the file system has no locks, the directory is as good, but [Sweep]
// will not remove it.
func Make(parent, prefix string) (*Dir, error) {
	maker := fmt.Sprintf(".%d%s", os.Getpid(), unfinished)
	path, err := os.MkdirTemp(parent, prefix+"*"+maker)
	if err != nil {
		return nil, err
	}
	// A directory that its maker has not locked yet has a name by which Sweep knows
	// it, and the maker.
	finished := strings.TrimSuffix(path, maker)
	lock := lockNew(filepath.Join(path, lockName))
	if err := os.Rename(path, finished); err != nil {
		_ = os.RemoveAll(path)
		release(lock)
		return nil, err
	}
	return &Dir{path: finished, lock: lock}, nil
}

// Path is where the directory is.
func (d *Dir) Path() string { return d.path }

// Remove removes the directory with everything in it.
func (d *Dir) Remove() error {
	defer release(d.lock)
	if err := os.RemoveAll(d.path); err != nil {
		return fmt.Errorf("remove the working directory: %w", err)
	}
	return nil
}

// Sweep removes the directories in parent that [Make] made with this prefix and
// whose maker is dead. It does what it can: what cannot be looked at or removed
// stays.
func Sweep(parent, prefix string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	// Nothing outside the parent can be reached through a root.
	root, err := os.OpenRoot(parent)
	if err != nil {
		return
	}
	defer func() { _ = root.Close() }()
	for _, entry := range entries {
		switch {
		case !entry.IsDir():
		case madeWith(prefix, entry.Name()):
			sweepOne(root, entry.Name())
		case leftUnfinished(prefix, entry.Name()):
			sweepUnfinished(root, entry.Name())
		}
	}
}

func sweepOne(root *os.Root, name string) {
	if !isOurDir(root, name) {
		return
	}
	lock := lockOfDead(root, filepath.Join(name, lockName))
	if lock == nil {
		return
	}
	defer release(lock)
	_ = root.RemoveAll(name)
}

// sweepUnfinished removes a directory whose maker died before it could lock it.
func sweepUnfinished(root *os.Root, name string) {
	if isOurDir(root, name) {
		_ = root.RemoveAll(name)
	}
}

// isOurDir says that there is a directory of this name, and that it is this
// user's.
func isOurDir(root *os.Root, name string) bool {
	info, err := root.Lstat(name)
	return err == nil && info.IsDir() && isOurs(info)
}

// leftUnfinished says that Make gives such names with this prefix to what it has
// not finished, and that the process which made this one is gone.
func leftUnfinished(prefix, name string) bool {
	name, unlocked := strings.CutSuffix(name, unfinished)
	at := max(0, strings.LastIndex(name, ".")) // The prefix may have dots too.
	pid, err := strconv.Atoi(strings.TrimPrefix(name[at:], "."))
	return unlocked && err == nil && madeWith(prefix, name[:at]) && !alive(pid)
}

// madeWith says that Make gives such names with this prefix.
func madeWith(prefix, name string) bool {
	number, ok := strings.CutPrefix(name, prefix)
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

func release(lock *os.File) {
	if lock != nil {
		unlock(lock)
		_ = lock.Close()
	}
}

// ErrHeld says that another process has the lock.
var ErrHeld = errors.New("another process is using it")

// Lock takes a directory for this process alone, until release is called or the
// process ends, however it ends. It returns [ErrHeld] if another one has it. Where
// the file system has no locks, everybody gets it.
func Lock(dir string) (release func(), err error) {
	// The file stays: to remove it would take it from under another process that waits.
	return releaseOf(openLock(filepath.Join(dir, lockName)))
}

// lockWait is how long a lock is waited for before it is tried again.
const lockWait = 20 * time.Millisecond

// AwaitLock takes a directory as [Lock] does, and waits for it. It makes no file there, for
// directories that are not the host's alone; the two do not exclude each other.
func AwaitLock(ctx context.Context, dir string) (release func(), err error) {
	for {
		release, err = releaseOf(openLockOfDir(dir))
		if !errors.Is(err, ErrHeld) {
			return release, err
		}
		select {
		case <-ctx.Done():
			return func() {}, fmt.Errorf("wait for %s: %w", dir, errors.Join(ctx.Err(), ErrHeld))
		case <-time.After(lockWait):
		}
	}
}

func releaseOf(lock *os.File, err error) (release func(), _ error) {
	if err != nil || lock == nil {
		return func() {}, err
	}
	return func() {
		unlock(lock)
		_ = lock.Close()
	}, nil
}
