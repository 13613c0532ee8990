package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/batonhost/baton-host/host/internal/files"
)

// Store is a directory of connectors by the SHA-256 of their binaries. Hosts of one user
// share it.
//
// In it, binaries are at sha256/<sum>/<name>, put there whole by a rename. What an
// installation works with is in a separate directory, which the next one removes should the
// process have died. Below locks is what keeps two processes from fetching the same at once; it
// may be removed at any time at which nothing is being installed.
type Store struct {
	dir string
}

const (
	// workPrefix begins the names of directories that installations work in.
	workPrefix = "install-"
	binaries   = "sha256"
	locks      = "locks"
	// lockWait is how often a lock is tried that another process has.
	lockWait = 100 * time.Millisecond
)

// DefaultStore returns where the store is if the configuration names none:
// ~/.local/share/baton-host/plugins, or below XDG_DATA_HOME.
func DefaultStore() (string, error) {
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "baton-host", "plugins"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("the directory of installed plugins is not known, as there is no home directory; name it with plugin-store")
	}
	return filepath.Join(home, ".local", "share", "baton-host", "plugins"), nil
}

// OpenStore opens the store in a directory, which need not exist: what is only looked up makes
// nothing.
func OpenStore(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return &Store{dir: dir}, nil
}

// Find returns the path of an installed binary by its sum, "sha256:" and 64 hexadecimal
// digits. It does not read the binary: whoever starts it verifies it by the lock file.
func (s *Store) Find(connector, sum string) (path string, isInstalled bool) {
	if !appForm.MatchString(connector) || !digestForm.MatchString(sum) {
		return "", false
	}
	for _, name := range []string{connector, connector + ".exe"} {
		path := s.path(name, sum)
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			return path, true
		}
	}
	return "", false
}

func (s *Store) path(name, sum string) string {
	return filepath.Join(s.dir, binaries, strings.TrimPrefix(sum, algorithm), name)
}

// work makes a directory to work in, and removes those of the dead.
func (s *Store) work() (*files.Dir, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, s.explain(err)
	}
	files.Sweep(s.dir, workPrefix)
	dir, err := files.Make(s.dir, workPrefix)
	return dir, s.explain(err)
}

// lock takes the right to install what has a digest, and waits for it if another process
// installs the same.
func (s *Store) lock(ctx context.Context, digest string, report func()) (release func(), err error) {
	dir := filepath.Join(s.dir, locks, strings.TrimPrefix(digest, algorithm))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, s.explain(err)
	}
	release, err = files.Lock(dir)
	if !errors.Is(err, files.ErrHeld) {
		return release, s.explain(err)
	}
	report()
	again := time.NewTicker(lockWait)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-again.C:
		}
		if release, err = files.Lock(dir); !errors.Is(err, files.ErrHeld) {
			return release, s.explain(err)
		}
	}
}

// put moves a binary into the store.
func (s *Store) put(from *os.File, name, sum string) (string, error) {
	err := from.Chmod(0o555)
	if err = errors.Join(err, from.Sync(), from.Close()); err != nil {
		return "", s.explain(err)
	}
	path := s.path(name, sum)
	if isWhole(path, sum) {
		return path, nil // A process may run it, and some systems replace no such file.
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", s.explain(err)
	}
	// A directory in its place could not be replaced; what else is there is not what it should be.
	if err := errors.Join(os.RemoveAll(path), os.Rename(from.Name(), path)); err != nil {
		return "", s.explain(err)
	}
	_ = files.Flush(filepath.Dir(path)) // Not every file system can.
	return path, nil
}

// isWhole reports whether a binary is what it should be, and a file: a link may lead to
// another one later.
func isWhole(path, sum string) bool {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	found, err := files.Sum(path, files.Whole)
	return err == nil && algorithm+found == sum
}

// explain says what to do about an error of the store's disk.
func (s *Store) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("the disk of the plugin store %s is full: %w; make room there, or name another directory with plugin-store", s.dir, err)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("the plugin store %s cannot be written to: %w; let this user write there, or name another directory with plugin-store", s.dir, err)
	}
	return err
}
