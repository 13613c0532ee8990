package sdkfast

import (
	"context"
	"sync"
	"time"

	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble"
)

const (
	// flushBytes is how much may be in the engine's memory before it is written to its
	// files. It would do that itself at 32 MiB at the earliest. Less makes more and
	// smaller files, which the engine then merges.
	flushBytes = 16 << 20
	// askEvery is how many resources are put before the engine is asked for how many
	// bytes were written, which takes it a tenth of a millisecond.
	askEvery = 1000
	// flushLimit is how long a flush is waited for.
	flushLimit = 10 * time.Second
)

// flusher keeps the engine's memory small however many rows it is given.
type flusher struct {
	engine *pebble.Engine

	resources int           // put since the engine was asked last
	flushed   uint64        // what had been written when the last flush began, in bytes
	running   chan struct{} // is full while there is a flush
	waiting   sync.Once     // see wait
}

func newFlusher(engine *pebble.Engine) *flusher {
	return &flusher{engine: engine, running: make(chan struct{}, 1)}
}

// added must not be called by two at a time.
func (f *flusher) added(ctx context.Context, resources int) {
	f.resources += resources
	if f.resources < askEvery || len(f.running) > 0 || ctx.Err() != nil {
		return
	}
	f.resources = 0
	written := f.engine.Metrics().WAL.BytesIn
	if written-f.flushed < flushBytes {
		return
	}
	f.flushed = written
	f.running <- struct{}{}
	go func() {
		defer func() { <-f.running }()
		// What cannot be flushed now cannot be at the end of the sync either, which
		// then fails.
		_ = f.engine.Flush(context.WithoutCancel(ctx))
	}()
}

// wait waits for a flush that has begun, but not for ever: where there is no room, none
// ends. No other one begins afterwards.
func (f *flusher) wait() {
	f.waiting.Do(func() {
		select {
		case f.running <- struct{}{}:
		case <-time.After(flushLimit):
		}
	})
}
