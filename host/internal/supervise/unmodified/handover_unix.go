//go:build unix

package unmodified

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// readerPause is how long after one look for a reader the next one follows. To wait in
// the system for the reader, as opening a pipe for writing does, can only be ended with
// another descriptor, of which there may be none left.
const readerPause = 2 * time.Millisecond

// hand makes a pipe with a name, or a file where the file system has no pipes.
func hand(path string, content []byte) (handed, error) {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return handOnDisk(path, content)
	}
	ctx, cancel := context.WithCancel(context.Background())
	pipe := &namedPipe{path: path, cancel: cancel, failure: make(chan error, 1), done: make(chan struct{})}
	go pipe.serve(ctx, content)
	return pipe, nil
}

// namedPipe gives its content to the first who reads it.
type namedPipe struct {
	path    string
	cancel  context.CancelFunc
	failure chan error
	done    chan struct{} // closed when nothing is written any more
}

// serve waits for the reader, and writes.
func (p *namedPipe) serve(ctx context.Context, content []byte) {
	defer close(p.done)
	to, err := p.open(ctx)
	if err != nil {
		p.failure <- err
		return
	}
	closeAtEnd := context.AfterFunc(ctx, func() { _ = to.Close() })
	// A reader that does not read to the end has lost what is left.
	_, _ = to.Write(content)
	closeAtEnd()
	_ = to.Close()
}

// open opens the pipe as soon as it has a reader.
func (p *namedPipe) open(ctx context.Context) (*os.File, error) {
	again := time.NewTicker(readerPause)
	defer again.Stop()
	for {
		// The connector may write to the directory: a link must not lead the host elsewhere.
		to, err := os.OpenFile(p.path, os.O_WRONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
		if err == nil {
			return requirePipe(to)
		}
		if !errors.Is(err, syscall.ENXIO) {
			return nil, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// requirePipe closes what is no pipe: the connector has put it in the place of the one that
// was made.
func requirePipe(opened *os.File) (*os.File, error) {
	info, err := opened.Stat()
	if err == nil && info.Mode().Type() != os.ModeNamedPipe {
		err = errors.New("the connector has replaced the pipe with its configuration by another file, so it gets none")
	}
	if err != nil {
		_ = opened.Close()
		return nil, err
	}
	return opened, nil
}

func (p *namedPipe) failed() <-chan error { return p.failure }

// discard ends the wait for a reader, and what one has not read yet.
func (p *namedPipe) discard() error {
	p.cancel()
	<-p.done
	return os.Remove(p.path)
}
