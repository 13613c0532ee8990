package files

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// NewerError says that a file of the state was written by a newer version of the host. It
// must not be written over: what this version does not know of it would be lost.
type NewerError struct {
	Path string
	// Version is the form of the file, Known the newest one that can be read.
	Version, Known int
	// Without is what happens without the file, in a sentence.
	Without string
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%s was written by a newer baton-host (its form is %d, and this one reads up to %d): update baton-host, or move the file away; then %s",
		e.Path, e.Version, e.Known, e.Without)
}

// Public is the error without the path.
func (e *NewerError) Public() string {
	return "a file of the state was written by a newer baton-host; the log has its name"
}

// Form is the form of a kind of file of the state: JSON with a member "version".
type Form struct {
	// Version is what is written, and the newest that is read.
	Version int
	// Without is what happens without such a file, in a sentence.
	Without string
}

// Decode decodes a file. One without a version is as old as version 1. The error is a
// [NewerError] where a newer host wrote it, and otherwise says that it is damaged.
func (f Form) Decode(path string, data []byte, into any) error {
	if err := f.Check(path, data); err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s is damaged: %w", path, err)
	}
	return nil
}

// Check is Decode without the content: a newer form may differ in all but the version.
func (f Form) Check(path string, data []byte) error {
	var of struct {
		Version int `json:"version"`
	}
	switch err := json.Unmarshal(data, &of); {
	case err != nil:
		return fmt.Errorf("%s is damaged: %w", path, err)
	case of.Version > f.Version:
		return &NewerError{Path: path, Version: of.Version, Known: f.Version, Without: f.Without}
	case of.Version < 0:
		return fmt.Errorf("%s is damaged: its version is %d", path, of.Version)
	}
	return nil
}

// IsNewer reports whether a newer host wrote what an error is about.
func IsNewer(err error) bool {
	_, is := errors.AsType[*NewerError](err)
	return is
}

// Whole is the limit of a sum that all of a file counts for.
const Whole = math.MaxInt64

// Sum returns the SHA-256 of the beginning of a regular file, of this many bytes at most, in
// hexadecimal. Another kind of file is an error, and is not opened: it might never end.
func Sum(path string, limit int64) (string, error) {
	if info, err := os.Stat(path); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, io.LimitReader(file, limit)); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
