package proc

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
)

// Image is an executable whose content cannot change until it is executed.
type Image struct {
	// memory is inherited by the process and executed from there; nil where path is
	// executed.
	memory *os.File
	path   string
	// onDisk returns the path of a private copy of memory, for systems that do not
	// execute memory.
	onDisk func() (string, error)
}

// InMemory returns the image that sealed memory holds. dir is the process's own.
func InMemory(memory *os.File, dir string) *Image {
	return &Image{memory: memory, onDisk: sync.OnceValues(func() (string, error) {
		return privateCopy(dir, io.NewSectionReader(memory, 0, math.MaxInt64))
	})}
}

// Copy returns an image of what can be read: a copy in a directory that only this user
// can enter.
func Copy(from io.Reader, dir string) (*Image, error) {
	path, err := privateCopy(dir, from)
	if err != nil {
		return nil, err
	}
	return &Image{path: path}, nil
}

// privateCopy writes an executable into a directory that only this user can enter.
func privateCopy(dir string, from io.Reader) (string, error) {
	name := filepath.Join(dir, "plugin")
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("copy the executable to verify it: %w", err)
	}
	_, err = io.Copy(to, from)
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
