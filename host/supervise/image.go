package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// image is an executable whose content has been verified and cannot change until
// it is executed.
type image struct {
	// file is inherited by the process and executed from there; nil where path is
	// executed.
	file *os.File
	path string
}

// copied is the fallback, in a directory that nobody else can enter.
func copied(spec Spec, path, dir string) (*image, error) {
	name := filepath.Join(dir, "plugin")
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("copy the executable to verify it: %w", err)
	}
	sum, err := sumOf(path, to)
	if err == nil {
		err = to.Chmod(0o500)
	}
	if closing := to.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, fmt.Errorf("copy the executable to verify it: %w", err)
	}
	return &image{path: name}, spec.verify(path, sum, spec.Pin.Executable)
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
