package aggregate

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

// RetryPolicy bounds how often and how long a call that is safe to repeat is
// tried. It is the only layer under a host that retries: the SDK's syncer would
// retry UNAVAILABLE and DEADLINE_EXCEEDED for ever, so neither reaches it.
//
// A field that is zero or less has its default.
type RetryPolicy struct {
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

func (p RetryPolicy) withDefaults() RetryPolicy {
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

// gaveUpError is the end of all retries.
type gaveUpError struct {
	attempts int
	elapsed  time.Duration
	last     error
	limit    time.Duration // the wait that the app's rate limit asks for; 0 if that is not the reason
}

func (e *gaveUpError) Error() string { return e.note() + ": " + cleaned(e.last) }
func (e *gaveUpError) Unwrap() error { return e.last }

func (e *gaveUpError) note() string {
	times := "1 attempt"
	if e.attempts != 1 {
		times = fmt.Sprintf("%d attempts", e.attempts)
	}
	note := fmt.Sprintf("gave up after %s in %s", times, rounded(e.elapsed))
	if e.limit > 0 {
		note += fmt.Sprintf(", as the app's rate limit asks for another %s", rounded(e.limit))
	}
	return note
}

func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}

// do calls attempt until it succeeds, fails in a way that another attempt does
// not mend, or the policy is used up (then with a *gaveUpError). It returns
// ctx's own error, bare, as soon as ctx ends.
func (p RetryPolicy) do(ctx context.Context, attempt func(context.Context) error, retrying func(attempt int, wait time.Duration, err error)) error {
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
		if replaced(err) {
			ended++
			if ended >= p.MaxReplaced {
				return &gaveUpError{attempts: n, elapsed: time.Since(start), last: err}
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
				return &gaveUpError{attempts: n, elapsed: elapsed, last: err, limit: wait}
			}
			limitedFor += wait
		} else {
			wait = backoff.Jittered(p.delay(failures))
			failures++
			if failures >= p.MaxAttempts || elapsed-limitedFor+wait > p.MaxElapsed {
				return &gaveUpError{attempts: n, elapsed: elapsed, last: err}
			}
		}
		retrying(n, wait, err)
		if err := pause(ctx, wait, limited); err != nil {
			return err
		}
	}
}

// once makes one attempt within the call time-out.
func (p RetryPolicy) once(ctx context.Context, attempt func(context.Context) error) error {
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
func (p RetryPolicy) delay(failures int) time.Duration {
	d := p.InitialDelay
	for ; failures > 0 && d < p.MaxDelay; failures-- {
		d *= 2
	}
	return min(d, p.MaxDelay)
}

// replaced tells whether the plugin's process ended under the call and the next
// attempt finds another: the connection waits for that one, and knows for how
// long. See supervise.ExitError.
func replaced(err error) bool {
	ended, ok := errors.AsType[interface {
		error
		Replaced() bool
	}](err)
	return ok && ended.Replaced()
}

// transient tells whether the code says "try again": the two codes that the
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

// pause waits, and tells the SDK's syncer how long, for its statistics.
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

// RetryFor is the policy that retries an app for that long; 0 tries once.
func RetryFor(d time.Duration) RetryPolicy {
	if d <= 0 {
		return RetryPolicy{MaxAttempts: 1, CallTimeout: longestCall}
	}
	return RetryPolicy{MaxAttempts: math.MaxInt, MaxElapsed: d, CallTimeout: longestCall}
}
