package hostlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// maxQueued is how much may wait to be written, in bytes, each line with its
	// lineCost beside its text.
	maxQueued = 1 << 20
	lineCost  = 128
	// patience is how long a line is waited for before the reader counts as behind.
	patience = 250 * time.Millisecond
	// Sync ends after flushIdle without a line that was written, and after
	// flushLimit in any case.
	flushIdle  = 2 * time.Second
	flushLimit = 10 * time.Second
)

const lostLines = "lines of the host's log were lost: standard error was not read"

// errNotRead is that lines are left, as the reader does not read.
var errNotRead = errors.New("standard error is not read, so its last lines are lost; have its reader read it to the end")

// Writer writes whole lines to a file that may not be read. As long as it is read, a
// line is written when Write returns, so that nothing is lost whatever ends the
// process next. Once it is not, lines wait in a queue, those that do not fit are
// dropped and counted, and Write returns at once, until the reader has caught up.
type Writer struct {
	to io.Writer

	mu      sync.Mutex
	queue   []queuedLine // the first one is being written
	size    int          // of the queue
	behind  bool         // the reader is: nothing waits for it
	lost    int          // lines that were dropped since that was last reported
	dropped uint64       // lines that were dropped since the start
	report  func(lines int) []byte
}

// queuedLine is a line that is not written yet.
type queuedLine struct {
	line    []byte
	written chan struct{} // closed when it is
}

// NewWriter returns a Writer to a file.
func NewWriter(to io.Writer) *Writer {
	return &Writer{to: to, report: func(lines int) []byte {
		return fmt.Appendf(nil, "baton-host: warning: %s (lines: %d)\n", lostLines, lines)
	}}
}

// reportLost sets the form of the line that reports lost ones.
func (w *Writer) reportLost(report func(lines int) []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report = report
}

// Dropped returns how many lines were dropped since the start.
func (w *Writer) Dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// Write writes a line, or queues or drops it. It never fails: an error of standard
// error has no place where it could be reported.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	if len(w.queue) > 0 && w.size+len(line)+lineCost > maxQueued {
		w.lost++
		w.dropped++
		w.mu.Unlock()
		return len(line), nil
	}
	if w.lost > 0 {
		w.reportNow()
	}
	written := w.add(bytes.Clone(line))
	behind := w.behind
	w.mu.Unlock()
	if behind {
		return len(line), nil
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-written:
	case <-timer.C:
		w.mu.Lock()
		w.behind = len(w.queue) > 0
		w.mu.Unlock()
	}
	return len(line), nil
}

// reportNow queues the report of lost lines, where they are missing. The caller holds
// the lock.
func (w *Writer) reportNow() {
	lost := w.lost
	w.lost = 0
	w.add(w.report(lost))
}

// add queues a line. The caller holds the lock.
func (w *Writer) add(line []byte) (written <-chan struct{}) {
	one := queuedLine{line: line, written: make(chan struct{})}
	w.queue = append(w.queue, one)
	w.size += len(line) + lineCost
	if len(w.queue) == 1 {
		go w.drain()
	}
	return one.written
}

// drain writes until nothing is queued. Only one goroutine does at a time, begun by
// the first line of a queue.
func (w *Writer) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 {
		first := w.queue[0]
		w.mu.Unlock()
		_, _ = w.to.Write(first.line)
		w.mu.Lock()
		if len(w.queue) == 1 && w.lost > 0 {
			w.reportNow()
		}
		w.queue = w.queue[1:]
		w.size -= len(first.line) + lineCost
		w.behind = w.behind && len(w.queue) > 0
		close(first.written)
	}
	w.queue = nil
}

// Sync waits until all is written, as long as the reader reads. The process may end
// then; nothing else of the Writer has to.
func (w *Writer) Sync() error {
	limit := time.NewTimer(flushLimit)
	defer limit.Stop()
	for {
		w.mu.Lock()
		if len(w.queue) == 0 {
			w.mu.Unlock()
			return nil
		}
		next := w.queue[0].written
		w.mu.Unlock()
		idle := time.NewTimer(flushIdle)
		select {
		case <-next:
			idle.Stop()
		case <-idle.C:
			return errNotRead
		case <-limit.C:
			idle.Stop()
			return errNotRead
		}
	}
}
