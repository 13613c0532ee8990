package scim

import (
	"context"
	"errors"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/ratelimit"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// minWait and maxWait bound what a server can make the caller wait.
	minWait = time.Second
	maxWait = time.Hour
	// usualWait is the wait for a rate limit that names none.
	usualWait = time.Minute
	// statusEnhanceYourCalm is what some servers answered before there was 429.
	statusEnhanceYourCalm = 420
)

// millisecondHeaders have the wait in milliseconds.
var millisecondHeaders = []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"}

// remainingHeaders have the number of requests that are left.
var remainingHeaders = []string{"X-RateLimit-Remaining", "RateLimit-Remaining", "X-Rate-Limit-Remaining", "X-RateLimit-Requests-Remaining"}

var (
	// noneLeft is a value of such a header: "0", "0, 0;w=60".
	noneLeft = regexp.MustCompile(`^\s*0+\s*(?:[,;]|$)`)
	// noneLeftOf is a value of the header RateLimit, in the forms of several drafts:
	// "limit=100, remaining=0, reset=7" and `"default";r=0;t=7`.
	noneLeftOf = regexp.MustCompile(`(?:^|[,;\s])(?:remaining|r)\s*=\s*0+\s*(?:[,;]|$)`)
	// limitWords are those of a rate limit: "secondary rate limit", userRateLimitExceeded,
	// "Rate exceeded", ThrottlingException, REQUEST_LIMIT_EXCEEDED, quotaExceeded.
	limitWords = regexp.MustCompile(`(?i)rate[ _-]?limit|rate (?:was |is )?exceeded|too[ _-]?many[ _-]?requests|throttl|\brequests?[ _-]?limit|(?:requests?|calls?|rate)[ _-]?quota|quota[ _-]?(?:was |is )?exceeded`)
)

// isRateLimit reports whether an answer is about the app's rate limit. Not all servers use
// 429 for it. words are the server's own.
func isRateLimit(httpStatus int, header http.Header, words string) bool {
	switch httpStatus {
	case http.StatusTooManyRequests, statusEnhanceYourCalm:
		return true
	case http.StatusForbidden:
		return hasWait(header) || isSpent(header) || limitWords.MatchString(words)
	case http.StatusBadRequest:
		return limitWords.MatchString(words)
	}
	return false
}

// hasWait reports whether an answer names a time to wait.
func hasWait(header http.Header) bool {
	return slices.ContainsFunc(append([]string{"Retry-After"}, millisecondHeaders...), func(name string) bool { return header.Get(name) != "" })
}

// isSpent reports whether no requests are left.
func isSpent(header http.Header) bool {
	for _, name := range remainingHeaders {
		if noneLeft.MatchString(header.Get(name)) {
			return true
		}
	}
	return noneLeftOf.MatchString(header.Get("RateLimit"))
}

// withRetryAfter adds to st the time after which the server accepts the request again, as a
// RateLimitDescription, which the SDK's syncer and the host wait for. Without such a
// time st stays as it is, except for a rate limit: there a default holds. A wait that is
// longer than the limit counts as the limit, and is logged.
func withRetryAfter(ctx context.Context, st *status.Status, response *http.Response, isLimit bool, now time.Time) *status.Status {
	limit, err := ratelimit.ExtractRateLimitData(response.StatusCode, &response.Header)
	if err != nil || limit == nil {
		limit = &v2.RateLimitDescription{}
	}
	wait := limit.GetResetAt().AsTime().Sub(now)
	after, known := retryAfter(response.Header, now)
	switch {
	case known:
		wait = after
	case !isLimit:
		return st
	case limit.GetResetAt() == nil || wait <= 0:
		wait = usualWait
	}
	if wait > maxWait {
		ctxzap.Extract(ctx).Warn("scim: the app asks for a longer wait than is accepted; the limit counts in its place",
			zap.Int("http_status", response.StatusCode), zap.Duration("asked", wait.Round(time.Second)), zap.Duration("limit", maxWait))
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

// retryAfter reads Retry-After (RFC 9110 section 10.2.3): seconds or an HTTP date, which
// the SDK does not read. Some servers send the time itself as a number. A time is measured
// against the server's own clock where the answer has it.
func retryAfter(header http.Header, now time.Time) (wait time.Duration, known bool) {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return milliseconds(header)
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		if !(seconds >= 0) { // also what is not a number
			return 0, false
		}
		return secondsFrom(now, seconds), true
	}
	for _, layout := range []string{time.RFC1123Z, time.RFC3339} {
		if at, err := time.Parse(layout, value); err == nil {
			return at.Sub(now), true
		}
	}
	if wait, err := time.ParseDuration(value); err == nil && wait >= 0 { // "30s"
		return wait, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return at.Sub(now), true
}

// milliseconds reads a wait that is given in milliseconds.
func milliseconds(header http.Header) (wait time.Duration, known bool) {
	for _, name := range millisecondHeaders {
		number, err := strconv.ParseFloat(strings.TrimSpace(header.Get(name)), 64)
		if err == nil && number >= 0 {
			return secondsFrom(time.Time{}, min(number/1e3, maxWait.Seconds()+1)), true
		}
	}
	return 0, false
}

// secondsFrom is a wait that is given as a number: of seconds, or else the time of its end as
// Unix time, in seconds or a smaller unit.
func secondsFrom(now time.Time, number float64) time.Duration {
	// A wait of 30 years is none.
	const unixTime, milliseconds, microseconds, nanoseconds = 9e8, 1e11, 1e14, 1e17
	seconds := number
	if number >= unixTime {
		switch {
		case number >= nanoseconds:
			number /= 1e9
		case number >= microseconds:
			number /= 1e6
		case number >= milliseconds:
			number /= 1e3
		}
		seconds = number - float64(now.UnixNano())/float64(time.Second)
	}
	return time.Duration(min(seconds, math.MaxInt64/float64(2*time.Second)) * float64(time.Second))
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
