package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/batonhost/baton-host/host/internal/files"
)

// place is where a module goes.
type place struct {
	target string
	// there reports that the target is an empty directory. It stays the same one: it
	// may be the working directory of a shell.
	there bool
	// beside is a directory of the same file system, to write a draft in.
	beside string
}

// placeFor finds room for a module, or returns why there is none.
func placeFor(dir string) (place, error) {
	target, err := filepath.Abs(dir)
	if err != nil {
		return place{}, err
	}
	info, err := os.Stat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return placeBeside(dir, target)
	case err != nil:
		return place{}, fmt.Errorf("the module cannot be put into %s: %w", dir, err)
	case !info.IsDir():
		return place{}, fmt.Errorf("%s is there already, and no directory; choose another one with --dir", dir)
	}
	files.Sweep(target, workPrefix)
	entries, err := os.ReadDir(target)
	if err != nil {
		return place{}, fmt.Errorf("the module cannot be put into %s: %w", dir, err)
	}
	if len(entries) > 0 {
		return place{}, fmt.Errorf("%s is there already and not empty, and nothing is written over: choose another directory with --dir, or move it away", dir)
	}
	return place{target: target, there: true, beside: target}, nil
}

// placeBeside returns a place that does not exist yet.
func placeBeside(dir, target string) (place, error) {
	if _, err := os.Lstat(target); err == nil {
		return place{}, fmt.Errorf("%s is a link that leads nowhere; choose another directory with --dir", dir)
	}
	parent := filepath.Dir(target)
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		return place{}, fmt.Errorf("there is no directory %s to put the module into; make it first", filepath.Dir(dir))
	}
	files.Sweep(parent, workPrefix)
	return place{target: target, beside: parent}, nil
}

// fill moves the draft to its place. What is not moved whole is removed again.
func (p place) fill(draft string) error {
	if !p.there {
		return os.Rename(draft, p.target)
	}
	entries, err := os.ReadDir(draft)
	if err != nil {
		return err
	}
	for i, entry := range entries {
		path := filepath.Join(p.target, entry.Name())
		// Another program may have put something there in the meantime.
		_, err := os.Lstat(path)
		if err == nil {
			err = fmt.Errorf("%s: %w", path, fs.ErrExist)
		} else {
			err = os.Rename(filepath.Join(draft, entry.Name()), path)
		}
		if err != nil {
			for _, moved := range entries[:i] {
				_ = os.RemoveAll(filepath.Join(p.target, moved.Name()))
			}
			return err
		}
	}
	return nil
}
