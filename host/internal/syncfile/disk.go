package syncfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// leastFree is how much must be free on the disk for a sync to begin and go
	// on, and for a file to be unpacked, in bytes: more than a sync writes between
	// two looks.
	leastFree = 32 << 20
	// lookEvery is the time between two looks at the disk.
	lookEvery = 50 * time.Millisecond
)

// freeSpace returns how many bytes a user may still write below a directory; false
// where the system does not know.
type freeSpace func(dir string) (free uint64, known bool)

// watchDisk returns a context that ends, with a cause for a person to read, when
// the directory is gone or its disk nearly full. The SDK's storage engine takes
// either for a reason to end the whole process on the spot, so a sync must stop
// before the engine notices. The context must not be used after stop.
func watchDisk(ctx context.Context, dir string, free freeSpace) (watched context.Context, stop func(), err error) {
	if err := checkDisk(dir, free); err != nil {
		return nil, nil, err
	}
	watched, cancel := context.WithCancelCause(ctx)
	go func() {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for {
			select {
			case <-watched.Done():
				return
			case <-ticker.C:
				if err := checkDisk(dir, free); err != nil {
					cancel(err)
					return
				}
			}
		}
	}()
	return watched, func() { cancel(nil) }, nil
}

// diskError is about a disk with which a sync cannot go on.
type diskError struct {
	text  string
	words string // without paths
}

func (e *diskError) Error() string { return e.text }

// Public returns the error without paths.
func (e *diskError) Public() string { return e.words }

func checkDisk(dir string, free freeSpace) error {
	if _, err := os.Stat(dir); err != nil {
		return &diskError{
			fmt.Sprintf("the working directory %s is gone or cannot be entered (%v); leave it alone until the work is over", dir, err),
			"the working directory is gone or cannot be entered",
		}
	}
	if left, known := free(dir); known && left < leastFree {
		return &diskError{
			fmt.Sprintf("the disk of %s is nearly full: %d MiB are free, and a sync file in work needs at least %d MiB; make room or choose another directory",
				filepath.Dir(dir), left>>20, leastFree>>20),
			fmt.Sprintf("the disk is nearly full: %d MiB are free, and a sync file in work needs at least %d MiB", left>>20, leastFree>>20),
		}
	}
	return nil
}

func isDiskError(err error) bool {
	_, ok := errors.AsType[*diskError](err)
	return ok
}

// becauseOfDisk returns the disk's own reason for an error, where there is one.
func becauseOfDisk(watched context.Context, err error) error {
	if cause := context.Cause(watched); err != nil && isDiskError(cause) {
		return cause
	}
	return err
}
