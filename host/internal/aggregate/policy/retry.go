// Package policy decides what calls of a plugin may cost: how often one is tried, which
// pages are asked for ahead of need, and how many listings go on at the same time.
//
// Package aggregate asks it around every call; what it refuses there is a [Refusal]. It
// must never repeat a call that changes something in an app, and never let a listing go
// on that would not end.
package policy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/ratelimit"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/backoff"
)

// Retries bounds how often and how long a call that is safe to repeat is
// tried. It is the only layer under a host that retries: the SDK's syncer would
// retry UNAVAILABLE and DEADLINE_EXCEEDED for ever, so neither reaches it.
//
// A field that is zero or less has its default.
type Retries struct {
	// MaxAttempts is how many attempts may fail, other than by the app's rate
	// limit, before the call does. Default 8; 1 never retries.
	MaxAttempts int

	// InitialDelay is the longest wait before the second attempt. Each further
	// one doubles it, and the wait is a random time between half of that and
	// all of it. Default 1 s.
	InitialDelay time.Duration

	// MaxDelay ends the doubling. Default 1 min.
	MaxDelay time.Duration

	// MaxElapsed is how long after the first attempt began another may still
	// begin. Waits for rate limits do not count. Default 30 min.
	MaxElapsed time.Duration

	// CallTimeout is how long one attempt may take. Default 10 min.
	CallTimeout time.Duration

	// MaxReplaced is under how many processes in a row of the plugin a call may
	// break off before it fails; such attempts count as nothing else. Default 3.
	MaxReplaced int

	// MaxRateLimitWait is how long one call may wait for the app's rate limit
	// in all; a reset time beyond that fails the call at once. Default 90 min.
	MaxRateLimitWait time.Duration
}

// WithDefaults returns the policy with the defaults of the fields that are not set.
func (p Retries) WithDefaults() Retries {
	if p.MaxAttempts <= 0 {
		p.MaxAttempts = 8
	}
	if p.MaxReplaced <= 0 {
		p.MaxReplaced = 3
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&p.InitialDelay, time.Second},
		{&p.MaxDelay, time.Minute},
		{&p.MaxElapsed, 30 * time.Minute},
		{&p.CallTimeout, 10 * time.Minute},
		{&p.MaxRateLimitWait, 90 * time.Minute},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return p
}

// ExhaustedError is the error of a call whose retries are used up. Last is the error of
// the last attempt.
type ExhaustedError struct {
	Attempts int
	Elapsed  time.Duration
	Last     error
	Limit    time.Duration // the wait that the app's rate limit asks for; 0 if that is not the reason
}

func (e *ExhaustedError) Error() string { return e.Note() + ": " + Message(e.Last) }
func (e *ExhaustedError) Unwrap() error { return e.Last }

// Note returns how far the retries went, in words.
func (e *ExhaustedError) Note() string {
	times := "1 attempt"
	if e.Attempts != 1 {
		times = fmt.Sprintf("%d attempts", e.Attempts)
	}
	note := fmt.Sprintf("gave up after %s in %s", times, Rounded(e.Elapsed))
	if e.Limit > 0 {
		note += fmt.Sprintf(", as the app's rate limit asks for another %s", Rounded(e.Limit))
	}
	return note
}

// Rounded returns a duration as messages show it.
func Rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}

// Do calls attempt until it succeeds, fails in a way that another attempt does
// not fix, or the policy is used up (then with a *ExhaustedError). It returns
// ctx's own error, bare, as soon as ctx ends.
func (p Retries) Do(ctx context.Context, attempt func(context.Context) error, retrying func(attempt int, wait time.Duration, err error)) error {
	start := time.Now()
	var limitedFor time.Duration // waited for rate limits
	for n, failures, ended := 1, 0, 0; ; n++ {
		err := p.once(ctx, attempt)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if IsReplaced(err) {
			ended++
			if ended >= p.MaxReplaced {
				return &ExhaustedError{Attempts: n, Elapsed: time.Since(start), Last: err}
			}
			retrying(n, 0, err)
			continue
		}
		wait, limited := rateLimitWait(err)
		if !limited && !transient(err) {
			return err
		}
		elapsed := time.Since(start)
		if limited {
			// Not at the very moment of the reset, and not all workers at once.
			wait += backoff.Jittered(p.InitialDelay)
			if limitedFor+wait > p.MaxRateLimitWait {
				return &ExhaustedError{Attempts: n, Elapsed: elapsed, Last: err, Limit: wait}
			}
			limitedFor += wait
		} else {
			wait = backoff.Jittered(p.delay(failures))
			failures++
			if failures >= p.MaxAttempts || elapsed-limitedFor+wait > p.MaxElapsed {
				return &ExhaustedError{Attempts: n, Elapsed: elapsed, Last: err}
			}
		}
		retrying(n, wait, err)
		if err := pause(ctx, wait, limited); err != nil {
			return err
		}
	}
}

// once makes one attempt within the call time-out.
func (p Retries) once(ctx context.Context, attempt func(context.Context) error) error {
	// Not a deadline: it would travel with the call, and the plugin's end of the
	// connection may keep it first, with an error that is not worth a retry.
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	defer time.AfterFunc(p.CallTimeout, cancel).Stop()
	err := attempt(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return status.Errorf(codes.DeadlineExceeded, "no answer within %s", p.CallTimeout)
	}
	return err
}

// delay is the longest wait after that many failures.
func (p Retries) delay(failures int) time.Duration {
	d := p.InitialDelay
	for ; failures > 0 && d < p.MaxDelay; failures-- {
		d *= 2
	}
	return min(d, p.MaxDelay)
}

// IsReplaced says whether the plugin's process ended under the call and the next
// attempt finds another: the connection waits for that one, and knows for how
// long. See supervise.ExitError.
func IsReplaced(err error) bool {
	ended, ok := errors.AsType[interface {
		error
		Replaced() bool
	}](err)
	return ok && ended.Replaced()
}

// transient says whether the code says "try again": the two codes that the
// SDK's own retryer repeats (pkg/retry).
func transient(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}

// rateLimitWait is how long the app's rate limit asks to wait, if that is why
// the call failed: the plugin says so with a RateLimitDescription among the
// status details. A description that leaves requests over, or whose reset has
// passed, is no reason to wait.
func rateLimitWait(err error) (time.Duration, bool) {
	if !transient(err) && status.Code(err) != codes.ResourceExhausted {
		return 0, false
	}
	for _, detail := range status.Convert(err).Details() {
		limit, ok := detail.(*v2.RateLimitDescription)
		if !ok || limit.GetResetAt() == nil {
			continue
		}
		exhausted := limit.GetRemaining() <= 0 || limit.GetStatus() == v2.RateLimitDescription_STATUS_OVERLIMIT
		if wait := time.Until(limit.GetResetAt().AsTime()); exhausted && wait > 0 {
			return wait, true
		}
	}
	return 0, false
}

// pause waits, and reports to the SDK's syncer how long, for its statistics.
func pause(ctx context.Context, wait time.Duration, limited bool) error {
	start := time.Now()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	defer func() {
		ratelimit.ObserveWait(ctx, ratelimit.WaitEvent{Duration: time.Since(start), Retry: !limited})
	}()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// longestCall is beyond the longest call-timeout of a plugin, which the aggregate does
// not know, and the start of a process before the call.
const longestCall = 2 * time.Hour

// RetriesFor is the policy that retries an app for that long; 0 tries once.
func RetriesFor(d time.Duration) Retries {
	if d <= 0 {
		return Retries{MaxAttempts: 1, CallTimeout: longestCall}
	}
	return Retries{MaxAttempts: math.MaxInt, MaxElapsed: d, CallTimeout: longestCall}
}
