package c1

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Kind is what an [Event] reports.
type Kind string

// The kinds of events.
const (
	TokenIssued    Kind = "token issued"
	TokenRefused   Kind = "token refused"
	Hello          Kind = "hello"
	Polled         Kind = "polled" // There was no task to give.
	TaskGiven      Kind = "task given"
	Heartbeat      Kind = "heartbeat"
	UploadStarted  Kind = "upload started"
	UploadStalled  Kind = "upload stalled" // A fault holds it up.
	UploadComplete Kind = "upload complete"
	UploadBroken   Kind = "upload broken"
	TaskFinished   Kind = "task finished"
	TaskRetried    Kind = "task retried" // It failed and waits to be given again.
	TaskFailed     Kind = "task failed"  // It failed for good.
	LeaseExpired   Kind = "lease expired"
	Refused        Kind = "refused"
	Injected       Kind = "fault injected"
)

// maxEvents bounds the log of a server that runs for long: the oldest events go.
const maxEvents = 1 << 16

// An Event is something that happened. It holds no secret.
type Event struct {
	At     time.Time
	Kind   Kind
	Client string
	HostID string
	TaskID string
	Detail string
}

// Events returns what happened, oldest first.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Violations returns what clients did against the protocol, a sentence each.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Wait returns once the events are as wanted, or with the context's error.
func (s *Server) Wait(ctx context.Context, wanted func([]Event) bool) error {
	return s.await(ctx, func() bool { return wanted(s.Events()) })
}

// await returns once something is so, which only events change.
func (s *Server) await(ctx context.Context, so func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if so() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if so() {
				return nil
			}
			return fmt.Errorf("the stand-in for ConductorOne did not see what was waited for: %w", context.Cause(ctx))
		}
	}
}

// WaitFor returns the first event that matches, whether it happened already or
// is to come.
func (s *Server) WaitFor(ctx context.Context, match func(Event) bool) (Event, error) {
	var found Event
	err := s.Wait(ctx, func(events []Event) bool {
		i := slices.IndexFunc(events, match)
		if i >= 0 {
			found = events[i]
		}
		return i >= 0
	})
	return found, err
}

// note logs an event. s.mu is held.
func (s *Server) note(e Event) {
	e.At = time.Now()
	if len(s.events) >= maxEvents {
		s.events = slices.Delete(s.events, 0, maxEvents/4)
	}
	s.events = append(s.events, e)
	close(s.changed)
	s.changed = make(chan struct{})
	if s.opts.OnEvent != nil {
		s.opts.OnEvent(e)
	}
}

// violated notes a breach of the protocol. s.mu is held.
func (s *Server) violated(e Event) {
	s.violations = append(s.violations, fmt.Sprintf("client %q, host %q, task %q: %s", e.Client, e.HostID, e.TaskID, e.Detail))
	s.note(e)
}
