package unmodified

import (
	"fmt"
	"os"
	"path/filepath"
)

// Handover is a configuration on its way to a connector: a file in a directory that
// no one else can enter. Where the system has them, it is a pipe with a name: what
// is written to one is never on a disk, and is gone once it was read.
type Handover struct {
	dir  string
	file handed // nil if there is none, or none any more
}

// handed is a file that waits to be read.
type handed interface {
	// failed receives the error that keeps it from being read.
	failed() <-chan error
	// discard makes that it can be read no more, by whomever.
	discard() error
}

// Path is where the configuration is. The SDK insists on the ending.
func (h *Handover) Path() string { return filepath.Join(h.dir, "configuration.yaml") }

// Failed receives the error that keeps the configuration from being read; it never
// does where nothing is handed over.
func (h *Handover) Failed() <-chan error {
	if h.file == nil {
		return nil
	}
	return h.file.failed()
}

// add makes the file.
func (h *Handover) add(content []byte) error {
	file, err := hand(h.Path(), content)
	if err != nil {
		return fmt.Errorf("hand the configuration over: %w", err)
	}
	h.file = file
	return nil
}

// Discard removes what was not read. Call it when the connector serves, which it
// does only after it has read all of it, and when it never will: when its process
// has been killed.
func (h *Handover) Discard() error {
	if h.file == nil {
		return nil
	}
	file := h.file
	h.file = nil
	return file.discard()
}

// onDisk is a file for where there are no pipes with a name.
type onDisk struct{ path string }

func handOnDisk(path string, content []byte) (handed, error) {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		_ = os.Remove(path)
		return nil, err
	}
	return onDisk{path}, nil
}

// failed receives nothing: a file on the disk can be read once it is there.
func (onDisk) failed() <-chan error { return nil }

func (f onDisk) discard() error { return os.Remove(f.path) }
