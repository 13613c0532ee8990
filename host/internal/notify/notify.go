// Package notify reports to a webhook what needs a person: an upload that fails or is stale, a
// change that the guard refuses, a plugin that fails, a credential that expires, and the end
// of each.
//
// `baton-host run` and `sync` have it look at their status.Board, which is all that it knows;
// `check` has it send a test. It must never hold up whoever calls it, nor have a secret or
// anything of an account in what it sends or logs.
package notify

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/backoff"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/status"
)

const (
	// FileName is the name of the file of a directory that has what the receiver knows.
	FileName = "notified.json"
	// longest is how many events wait for delivery.
	longest = 64
	// mostAttempts is how often an event is posted, for about two minutes.
	mostAttempts = 7
	// lookPause is the least time between two looks: a sync changes the board with each page.
	lookPause = 250 * time.Millisecond
	// lookEvery is how often the board is looked at that does not change: data gets stale and
	// credentials expire all the same.
	lookEvery = time.Minute
)

// Waits before another attempt; the first one, and the longest.
const (
	firstWait   = 2 * time.Second
	longestWait = time.Minute
)

// Options are what a [Notifier] is made with.
type Options struct {
	// Board is what is reported of.
	Board *status.Board
	// Config is the configuration; nil: nothing is reported.
	Config *config.Config
	// Review is the command that shows what was refused of an upload.
	Review review.Command
	// File is where it is kept what the receiver knows, so that no event is sent twice, and
	// each has its end after a restart.
	File string

	firstWait time.Duration // 0: the usual one; for tests
}

// Notifier reports what a board has to a webhook.
type Notifier struct {
	options Options
	log     *zap.Logger
	ctx     context.Context //nolint:containedctx // Of the deliveries, which outlive the calls.
	stop    context.CancelFunc

	queue chan *event
	work  sync.WaitGroup

	mu      sync.Mutex
	cfg     *config.Config
	tracker *tracker
	closed  bool
	lost    int   // how many events were not delivered
	lastErr error // why the last of them was not
}

// New returns a notifier that delivers until it is closed.
func New(ctx context.Context, options Options) *Notifier {
	n := &Notifier{options: options, log: ctxzap.Extract(ctx), cfg: options.Config, queue: make(chan *event, longest)}
	n.ctx, n.stop = context.WithCancel(context.WithoutCancel(ctx))
	known, err := readKnown(options.File)
	if err != nil {
		n.log.Warn("what the webhook was sent before cannot be read, so some of it may be sent again", zap.Error(err))
	}
	n.tracker = newTracker(known)
	n.work.Go(n.deliver)
	return n
}

// Use has the notifier go on with another configuration. What was lost is sent again.
func (n *Notifier) Use(cfg *config.Config) {
	n.mu.Lock()
	n.cfg = cfg
	clear(n.tracker.again)
	n.mu.Unlock()
	n.Look()
}

// Watch looks at the board whenever it changes, until stop is called.
func (n *Notifier) Watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		every := time.NewTicker(lookEvery)
		defer every.Stop()
		for {
			changed := n.options.Board.Changed()
			n.Look()
			select {
			case <-changed:
			case <-every.C:
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(lookPause):
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		watching.Wait()
	}
}

// Look has what is new on the board delivered. It does not wait for that.
func (n *Notifier) Look() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.cfg == nil || n.cfg.Notify == nil {
		return
	}
	for _, one := range n.tracker.look(n.options.Board.Snapshot(), n.options.Review, n.configured) {
		select {
		case n.queue <- one:
		default:
			n.lose(one, status.NotificationDropped, errFull)
			n.log.Warn("an event is dropped: too many wait for the webhook", zap.String("event", string(one.message.Type)), zap.String("key", one.key))
		}
	}
}

// configured reports whether the configuration has an upload or a plugin.
func (n *Notifier) configured(upload, plugin string) bool {
	if upload != "" {
		return slices.ContainsFunc(n.cfg.Uploads, func(one *config.Upload) bool { return one.Name == upload })
	}
	return slices.ContainsFunc(n.cfg.Plugins, func(one *config.Plugin) bool { return one.Name == plugin })
}

var errFull = errors.New("too many wait for it")

// lose counts an event that was not delivered. The caller holds the lock.
func (n *Notifier) lose(one *event, result string, err error) {
	n.lost, n.lastErr = n.lost+1, err
	n.options.Board.Notified(result)
	n.tracker.settle(one, false, time.Now())
}

// Close looks once more, and returns when all is delivered, or the time is over: then what is
// left is dropped, and counted. The error is of events that were not delivered; each is logged.
func (n *Notifier) Close(atMost time.Duration) error {
	n.Look()
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	close(n.queue)
	timer := time.AfterFunc(atMost, n.stop)
	defer timer.Stop()
	n.work.Wait()
	n.stop()
	if n.lost == 0 {
		return nil
	}
	return fmt.Errorf("the webhook did not accept %d of the events: %w", n.lost, n.lastErr)
}

// deliver delivers events, one after the other.
func (n *Notifier) deliver() {
	for one := range n.queue {
		err := n.try(one)
		n.mu.Lock()
		switch {
		case err == nil:
			n.options.Board.Notified(status.NotificationDelivered)
			if n.tracker.settle(one, true, time.Now()) {
				n.keep()
			}
		case n.ctx.Err() != nil:
			n.lose(one, status.NotificationDropped, err)
			n.log.Warn("an event is dropped: the webhook did not accept it before the end", zap.String("event", string(one.message.Type)), zap.String("key", one.key), zap.Error(err))
		default:
			n.lose(one, status.NotificationFailed, err)
			n.log.Error("the webhook did not accept an event; if it still holds, it is sent again in 15 minutes", zap.String("event", string(one.message.Type)), zap.String("key", one.key), zap.Error(err))
		}
		n.mu.Unlock()
	}
}

// try posts an event until the webhook accepts it, within the bounds.
func (n *Notifier) try(one *event) error {
	body, err := json.Marshal(one.message)
	if err != nil {
		return err
	}
	first := n.options.firstWait
	if first == 0 {
		first = firstWait
	}
	waits, id := backoff.Doubling(first, longestWait), newID()
	for attempt := 1; ; attempt++ {
		n.mu.Lock()
		cfg := n.cfg
		n.mu.Unlock()
		if cfg == nil || cfg.Notify == nil {
			return errors.New("the configuration no longer has a webhook")
		}
		err := post(n.ctx, cfg, id, one.message.Data.Host.Version, body)
		if err == nil || attempt == mostAttempts || n.ctx.Err() != nil {
			return err
		}
		if attempt == 1 {
			n.log.Warn("the webhook did not accept an event; trying again", zap.String("event", string(one.message.Type)), zap.String("key", one.key), zap.Error(err))
		}
		select {
		case <-time.After(waits.NextBackOff()):
		case <-n.ctx.Done():
			return err
		}
	}
}

func newID() string { return "msg_" + rand.Text() }

// SendTest posts a test event to the webhook of a configuration, once.
func SendTest(ctx context.Context, cfg *config.Config, of Host) error {
	body, err := json.Marshal(testMessage(of, time.Now()))
	if err != nil {
		return err
	}
	return post(ctx, cfg, newID(), of.Version, body)
}

// largest is how large a file is read, in bytes: far more than is ever written.
const largest = 4 << 20

var form = files.Form{Version: 1, Without: "what holds is sent to the webhook once more"}

// known is what is in the file.
type known struct {
	Version int               `json:"version"`
	Alarms  map[string]*alarm `json:"alarms"`
}

// readKnown returns what the receiver knows; nothing where there is no file.
func readKnown(path string) (map[string]*alarm, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, largest))
	if err != nil {
		return nil, err
	}
	var kept known
	if err := form.Decode(path, data, &kept); err != nil {
		return nil, err
	}
	for key, one := range kept.Alarms {
		if one == nil {
			delete(kept.Alarms, key)
		}
	}
	return kept.Alarms, nil
}

// keep writes what the receiver knows. The caller holds the lock.
func (n *Notifier) keep() {
	data, err := json.Marshal(known{Version: form.Version, Alarms: n.tracker.known})
	if err == nil {
		err = files.Replace(n.options.File, data)
	}
	if err != nil {
		n.log.Warn("what the webhook was sent cannot be kept, so it may be sent again after a restart", zap.Error(err))
	}
}
