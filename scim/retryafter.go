package scim

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/ratelimit"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// minWait and maxWait bound what a server can make the caller wait.
	minWait = time.Second
	maxWait = time.Hour
)

// withRetryAfter adds to st the time after which the server wants to be asked
// again, as a RateLimitDescription, which the SDK's syncer and the host wait
// for. Without such a time st stays as it is, except after a 429: there the
// SDK's default holds.
func withRetryAfter(st *status.Status, response *http.Response, now time.Time) *status.Status {
	limit, err := ratelimit.ExtractRateLimitData(response.StatusCode, &response.Header)
	if err != nil || limit == nil {
		limit = &v2.RateLimitDescription{}
	}
	wait := limit.GetResetAt().AsTime().Sub(now)
	after, known := retryAfter(response.Header, now)
	switch {
	case known:
		wait = after
	case response.StatusCode != http.StatusTooManyRequests:
		return st
	case limit.GetResetAt() == nil || wait <= 0:
		wait = time.Minute
	}

	limit.SetStatus(v2.RateLimitDescription_STATUS_OVERLIMIT)
	limit.SetRemaining(0)
	limit.SetResetAt(timestamppb.New(now.Add(min(max(wait, minWait), maxWait))))
	detailed, err := st.WithDetails(limit)
	if err != nil {
		return st
	}
	return detailed
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3): seconds or an HTTP
// date, which the SDK does not read. A date is measured against the server's
// own clock where the answer has it.
func retryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		if !(seconds >= 0) { // also no number

			return 0, false
		}
		return time.Duration(min(seconds, maxWait.Seconds()) * float64(time.Second)), true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return at.Sub(now), true
}

// rateLimitOf returns what a successful answer reports about the app's rate limit, for
// the SDK's limiter; nothing if it has nothing.
func rateLimitOf(header http.Header) annotations.Annotations {
	limit, err := ratelimit.ExtractRateLimitData(http.StatusOK, &header)
	if err != nil || limit.GetStatus() != v2.RateLimitDescription_STATUS_OK || limit.GetLimit() <= 0 {
		return nil
	}
	now := time.Now()
	if limit.GetResetAt().AsTime().After(now.Add(maxWait)) {
		limit.SetResetAt(timestamppb.New(now.Add(maxWait)))
	}
	return annotations.New(limit)
}
