package state

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/batonhost/baton-host/host/internal/state/objects"
)

const (
	// answerWithin bounds everything but the content of files.
	answerWithin = 30 * time.Second
	// stalledAfter is how long the content of a file may make no progress.
	stalledAfter = time.Minute
	// longestRecord is how large a generation may be.
	longestRecord = 4 << 20
)

func list(ctx context.Context, store objects.Store, dir, after string) ([]objects.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return store.List(ctx, dir, after)
}

func create(ctx context.Context, store objects.Store, name string, content []byte) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return store.Create(ctx, name, content)
}

func remove(ctx context.Context, store objects.Store, name string) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return store.Remove(ctx, name)
}

// get reads a small object.
func get(ctx context.Context, store objects.Store, name string) (_ []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	content, err := store.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }()
	data, err := io.ReadAll(io.LimitReader(content, longestRecord+1))
	if err == nil && len(data) > longestRecord {
		err = damaged(store.Path(name), "it is too large")
	}
	return data, err
}

// watched passes on what is read, and cancels where that makes no progress.
type watched struct {
	io.ReadSeeker
	timer *time.Timer
}

func (w *watched) Read(into []byte) (int, error) {
	w.timer.Reset(stalledAfter)
	return w.ReadSeeker.Read(into)
}

// patient returns a context that ends, with a sentence, once the timer has not been reset for
// long enough.
func patient(ctx context.Context, name string) (_ context.Context, timer *time.Timer, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer = time.AfterFunc(stalledAfter, func() {
		cancel(&objects.Error{Text: fmt.Sprintf("the transfer of %s to or from the shared state makes no progress for %s", name, stalledAfter), Cause: context.DeadlineExceeded})
	})
	return ctx, timer, func() {
		timer.Stop()
		cancel(nil)
	}
}

// upload puts a file into the store.
func upload(ctx context.Context, store objects.Store, path, name string, of file) error {
	content, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	ctx, timer, stop := patient(ctx, store.Path(name))
	defer stop()
	if err = store.Put(ctx, name, &watched{content, timer}, of.Bytes, of.Sum); err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// download writes an object into a new file, which must be what the generation says.
func download(ctx context.Context, store objects.Store, name string, of file, to string) error {
	ctx, timer, stop := patient(ctx, store.Path(name))
	defer stop()
	content, err := store.Get(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return damagedObject(store, name, "it is not there")
	}
	if err == nil {
		defer func() { _ = content.Close() }()
		hash := sha256.New()
		err = writeFile(to, &counted{io.TeeReader(io.LimitReader(content, of.Bytes+1), hash), timer})
		if err == nil && hex.EncodeToString(hash.Sum(nil)) != of.Sum {
			err = damagedObject(store, name, "its content is not that of its name")
		}
	}
	if err != nil {
		_ = os.Remove(to)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return err
}

type counted struct {
	io.Reader
	timer *time.Timer
}

func (c *counted) Read(into []byte) (int, error) {
	c.timer.Reset(stalledAfter)
	return c.Reader.Read(into)
}

func damagedObject(store objects.Store, name, why string) error {
	return fmt.Errorf("%s is damaged (%s): put it back, or remove the newest file in generations beside it, and the one before it counts", store.Path(name), why)
}

// openStore returns the id of a store, which it makes one that hosts share. The error is why
// it cannot be one.
func openStore(ctx context.Context, store objects.Store) (id string, err error) {
	content, err := get(ctx, store, markerName)
	if errors.Is(err, fs.ErrNotExist) {
		fresh, encodeErr := json.Marshal(marker{Version: form.Version, Store: rand.Text()})
		if encodeErr != nil {
			return "", encodeErr
		}
		if err := create(ctx, store, markerName, fresh); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		content, err = get(ctx, store, markerName)
	}
	if err != nil {
		return "", err
	}
	var found marker
	if err := form.Decode(store.Path(markerName), content, &found); err != nil {
		return "", err
	}
	if !idForm.MatchString(found.Store) {
		return "", fmt.Errorf("%s is not what a host writes: name an empty place in \"state\"", store.Path(markerName))
	}
	// The same once more: who does not refuse that lets each of two hosts be first.
	switch err := create(ctx, store, markerName, content); {
	case errors.Is(err, fs.ErrExist):
		return found.Store, nil
	case err == nil:
		return "", &objects.Error{Text: fmt.Sprintf("%s replaces objects that are written with If-None-Match, so two hosts could both be first: use a store that has conditional writes", store), IsFinal: true}
	default:
		return "", err
	}
}

// checkStore returns why a store cannot be used until an operator changes something.
func checkStore(ctx context.Context, store objects.Store) error {
	_, err := openStore(ctx, store)
	if failed, is := errors.AsType[*objects.Error](err); is && !failed.IsFinal || err != nil && ctx.Err() != nil {
		return nil //nolint:nilerr // Its use reports it, each time.
	}
	return err
}
