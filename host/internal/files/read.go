package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

var (
	// ErrNoFile says that there is no file of this name.
	ErrNoFile = errors.New("the file does not exist")
	// ErrNotAllowed says that this user may not read the file.
	ErrNotAllowed = errors.New("the file may not be read; look at its permissions")
	errDirectory  = errors.New("this is a directory, not a file")
	errNotRegular = errors.New("this is not a regular file")
)

// ReadRegular reads a regular file of at most limit bytes. Its errors are
// sentences that do not name the file.
func ReadRegular(path string, limit int64) ([]byte, error) {
	// Before opening: to open a named pipe can wait for ever.
	info, err := os.Stat(path)
	if err != nil {
		return nil, explainFile(err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	return Read(path, limit)
}

// Read is ReadRegular for a file that may also be a pipe or a device.
func Read(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, explainFile(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, explainFile(err)
	}
	if info.IsDir() {
		return nil, errDirectory
	}
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, explainFile(err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("the file is larger than %d MiB", limit>>20)
	}
	return content, nil
}

// ReadPatiently is Read for what may be a pipe or a terminal, which can take
// its time for ever: it returns the context's error when that ends. The read
// itself then stays behind until the process ends.
func ReadPatiently(ctx context.Context, path string, limit int64) ([]byte, error) {
	type outcome struct {
		content []byte
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		content, err := Read(path, limit)
		done <- outcome{content, err}
	}()
	select {
	case read := <-done:
		return read.content, read.err
	case <-ctx.Done():
		return nil, fmt.Errorf("the file was not read to its end: %w", ctx.Err())
	}
}

// Within returns the path, which may be relative to the directory.
func Within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func explainFile(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNoFile
	case errors.Is(err, fs.ErrPermission):
		return ErrNotAllowed
	}
	// The path is the caller's to name.
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathError.Err
	}
	return fmt.Errorf("the file cannot be read: %w", err)
}
