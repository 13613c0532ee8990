package supervise

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// image is an executable whose content has been verified and cannot change until
// it is executed.
type image struct {
	// memory is inherited by the process and executed from there; nil where path is
	// executed.
	memory *os.File
	path   string
	// onDisk returns the path of a private copy of memory, for systems that do not
	// execute memory.
	onDisk func() (string, error)
}

// inMemory is the image that sealed memory holds. dir is the process's own.
func inMemory(memory *os.File, dir string) *image {
	return &image{memory: memory, onDisk: sync.OnceValues(func() (string, error) {
		return privateCopy(dir, func(to io.Writer) error {
			_, err := io.Copy(to, io.NewSectionReader(memory, 0, math.MaxInt64))
			return err
		})
	})}
}

// copied is the image where there is no memory that can be sealed: a copy in a
// directory that only this user can enter.
func copied(spec Spec, path, dir string) (*image, error) {
	var sum string
	name, err := privateCopy(dir, func(to io.Writer) (err error) {
		sum, err = sumOf(path, to)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &image{path: name}, spec.verify(path, sum, spec.Pin.Executable)
}

// privateCopy writes an executable into a directory that only this user can enter.
func privateCopy(dir string, write func(to io.Writer) error) (string, error) {
	name := filepath.Join(dir, "plugin")
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("copy the executable to verify it: %w", err)
	}
	err = write(to)
	if err == nil {
		err = to.Chmod(0o500)
	}
	if closing := to.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return "", fmt.Errorf("copy the executable to verify it: %w", err)
	}
	return name, nil
}

// verified finds the executable, verifies it and makes an image of it. dir is the
// process's own.
func verified(spec Spec, dir string) (*image, error) {
	path, err := exec.LookPath(spec.Path)
	if err != nil {
		return nil, fmt.Errorf("start plugin %q (%s): %s%w", spec.Instance, spec.Path, notStartable(spec.Path, err), err)
	}
	made, err := imageOf(spec, path, dir)
	if err != nil {
		return nil, err
	}
	return made, spec.verifyFiles()
}
