package files

import (
	"errors"
	"os"
)

// Replace writes a file, for its owner alone, whole or not at all: a reader finds
// what was there before or all of the new content, also after a power failure. One
// process at a time may replace a file.
func Replace(path string, content []byte) error {
	// Always the same name: what a killed run left there is written over.
	fresh := path + ".new"
	file, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh)
	}
	return err
}

// Flush puts a file on the disk, or the names of a directory where the file system can.
func Flush(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
