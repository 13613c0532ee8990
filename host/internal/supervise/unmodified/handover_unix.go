//go:build unix

package unmodified

import (
	"os"
	"syscall"
)

// hand makes a pipe with a name, or a file where the file system has no pipes.
func hand(path string, content []byte) (handed, error) {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return handOnDisk(path, content)
	}
	pipe := &namedPipe{path: path, done: make(chan struct{})}
	go pipe.serve(content)
	return pipe, nil
}

// namedPipe gives its content to the first who reads it.
type namedPipe struct {
	path string
	done chan struct{} // closed when nothing is written any more
}

// serve waits for the reader: to open a pipe for writing does.
func (p *namedPipe) serve(content []byte) {
	defer close(p.done)
	to, err := os.OpenFile(p.path, os.O_WRONLY, 0)
	if err != nil {
		return // It has been discarded.
	}
	// A reader that does not read to the end has lost what is left.
	_, _ = to.Write(content)
	_ = to.Close()
}

// discard frees serve, which may still wait for a reader: it becomes one, and
// goes.
func (p *namedPipe) discard() error {
	reader, err := os.OpenFile(p.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	removed := os.Remove(p.path)
	if err == nil {
		_ = reader.Close()
	}
	<-p.done
	return removed
}
