package errtext

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// sayer is an error that knows which of its words are the host's own. Packages
// whose errors name plugins, counts and times implement it.
type sayer interface {
	error
	// Public is the error without anything that came from outside.
	Public() string
}

// mostSaid is how many failures of several at once are reported.
const mostSaid = 3

// Public returns what failed in the host's own words, numbers and the names of the
// configuration; "" if nothing of it can be shown without a login.
func Public(err error) string {
	said := all(err, nil)
	if len(said) > mostSaid {
		said = append(said[:mostSaid:mostSaid], fmt.Sprintf("and %d more", len(said)-mostSaid))
	}
	words := strings.Join(said, "; ")
	if err == nil {
		return words
	}
	// The cause alone may not say what the system refused; its hint is the host's own.
	switch hint := LimitHint(err.Error()); {
	case hint == "", strings.Contains(words, hint):
		return words
	case words == "":
		return hint
	default:
		return words + "; " + hint
	}
}

// all adds what the errors of a tree say, each once.
func all(err error, said []string) []string {
	if err == nil {
		return said
	}
	var inner []error
	switch err := err.(type) { //nolint:errorlint // The tree is walked here.
	case sayer:
		return with(said, err.Public())
	case interface{ Unwrap() []error }:
		inner = err.Unwrap()
	case interface{ Unwrap() error }:
		inner = []error{err.Unwrap()}
	}
	before := len(said)
	for _, one := range inner {
		said = all(one, said)
	}
	if len(said) == before {
		said = with(said, class(err))
	}
	return said
}

func with(said []string, words string) []string {
	if words == "" || slices.Contains(said, words) {
		return said
	}
	return append(said, words)
}

// class says what kind of error it is that has no words of the host's own.
func class(err error) string {
	var errno syscall.Errno
	var name *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return "it was broken off"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer came in time"
	case errors.As(err, &name):
		return "the name of the server cannot be looked up"
	case errors.As(err, &errno):
		return WithLimitHint(errno.Error())
	}
	if hint := LimitHint(err.Error()); hint != "" {
		return hint
	}
	if words := answered(err.Error(), isRateLimit(err)); words != "" {
		return words
	}
	for _, sign := range signs {
		if strings.Contains(err.Error(), sign.text) {
			return sign.words
		}
	}
	return codeWords[status.Code(err)]
}

// httpStatus finds the status of an answer in a text of whatever origin. Nothing
// but the number is taken from there.
var httpStatus = regexp.MustCompile(`(?i)\b(?:answer(?:s|ed)?|status(?: code)?|http|https|error|code)[ :=]{1,2}([45]\d\d)\b`)

// A rate limit is one whatever its status is.
func answered(text string, isLimit bool) string {
	found := httpStatus.FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	code, _ := strconv.Atoi(found[1])
	name := http.StatusText(code)
	if name == "" {
		return ""
	}
	words := fmt.Sprintf("the answer was %d %s", code, name)
	switch {
	case isLimit && code < http.StatusInternalServerError || code == http.StatusTooManyRequests:
		words += ": its rate limit is reached"
	case code == http.StatusUnauthorized:
		words += ": the credentials are refused"
	case code == http.StatusForbidden:
		words += ": the credentials do not allow that"
	case code >= http.StatusInternalServerError:
		words += ": what answers, or a proxy before it, is out of order"
	}
	return words
}

// isRateLimit reports whether an error has the description of a rate limit.
func isRateLimit(err error) bool {
	return slices.ContainsFunc(status.Convert(err).Details(), func(detail any) bool {
		limit, ok := detail.(*v2.RateLimitDescription)
		return ok && limit.GetStatus() == v2.RateLimitDescription_STATUS_OVERLIMIT
	})
}

// signs are what a text of whatever origin has in it for a reason that is well
// known.
var signs = []struct{ text, words string }{
	{"connection refused", "the connection is refused"},
	{"no such host", "the name of the server cannot be looked up"},
	{"connection reset", "the connection was broken off"},
	{"x509:", "a certificate is not trusted"},
	{"tls:", "no TLS connection can be made"},
	{"no space left on device", "the disk is full"},
	{"i/o timeout", "no answer came in time"},
}

// codeWords are for errors of gRPC. Where a code says nothing by itself it is not
// here.
var codeWords = map[codes.Code]string{
	codes.Canceled:          "it was broken off",
	codes.InvalidArgument:   "what was asked for is refused as invalid",
	codes.DeadlineExceeded:  "no answer came in time",
	codes.NotFound:          "what was asked for is not there",
	codes.AlreadyExists:     "what was to be made is there already",
	codes.PermissionDenied:  "the credentials do not allow that",
	codes.ResourceExhausted: "a limit is reached",
	codes.Unimplemented:     "it cannot do that",
	codes.Internal:          "it reports an internal error",
	codes.Unavailable:       "it cannot be reached, or is out of order",
	codes.DataLoss:          "data was lost",
	codes.Unauthenticated:   "the credentials are refused",
}

// ofPlugin is an error that is one plugin's.
type ofPlugin interface {
	sayer
	Plugin() string
}

// PublicByPlugin are the plugins that an error is about, and what can be said of each.
func PublicByPlugin(err error) map[string]string {
	found := map[string]string{}
	var walk func(error)
	walk = func(err error) {
		var inner []error
		switch err := err.(type) { //nolint:errorlint // The tree is walked here.
		case ofPlugin:
			if _, known := found[err.Plugin()]; !known {
				found[err.Plugin()] = err.Public()
			}
			return
		case interface{ Unwrap() []error }:
			inner = err.Unwrap()
		case interface{ Unwrap() error }:
			inner = []error{err.Unwrap()}
		}
		for _, one := range inner {
			walk(one)
		}
	}
	walk(err)
	return found
}
