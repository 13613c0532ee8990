package scim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxDetail is how much of a server's text is repeated in a message, in
// characters.
const maxDetail = 500

// failure is every error of this package: a sentence a person can act on and
// the gRPC code from which the caller knows whether a retry makes sense.
//
// No code is ever NotFound: the SDK's syncer takes NOT_FOUND from a listing for
// a warning, drops the rest of the listing and calls the sync complete.
type failure struct {
	status *status.Status
	// httpStatus is the status of the answer it is about, 0 if there was none. isLimit means
	// that the answer is the app's rate limit, whatever its status.
	httpStatus int
	isLimit    bool
	// isAnswer means that it is about what a successful answer has in it.
	isAnswer bool
	// answer is what the server reports about it, fit for a message.
	answer string
	// isPlaced means that the message names the request, or is about none of a list.
	isPlaced bool
	// cause keeps errors.Is(err, context.Canceled) working. It is never
	// printed: net/http quotes what the server sent.
	cause error
}

func failf(code codes.Code, format string, args ...any) *failure {
	return &failure{status: status.New(code, fmt.Sprintf(format, args...))}
}

func (f *failure) Error() string { return f.status.Message() }

// GRPCStatus makes status.FromError and status.Code see the code and details.
func (f *failure) GRPCStatus() *status.Status { return f.status }

func (f *failure) Unwrap() error { return f.cause }

// with adds a sentence to the message.
func (f *failure) with(sentence string) *failure {
	longer := *f
	proto := f.status.Proto()
	if !strings.ContainsAny(longer.Error()[max(0, len(longer.Error())-1):], ".!?") {
		proto.Message += "." // The server's own words may have no end.
	}
	proto.Message += " " + sentence
	longer.status = status.FromProto(proto)
	return &longer
}

// answered reports whether an error is about an answer with one of these statuses, or with
// any if none is given, also one of success that is no list. A rate limit counts as 429, whatever its status.
func answered(err error, httpStatuses ...int) bool {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return false
	}
	httpStatus := f.httpStatus
	if f.isLimit {
		httpStatus = http.StatusTooManyRequests
	}
	return slices.Contains(httpStatuses, httpStatus) || len(httpStatuses) == 0 && (httpStatus != 0 || f.isAnswer)
}

// quote makes text of the server fit for a message: one line, short, and
// nothing at all if it repeats the token. An empty result means that there is
// nothing to show.
func (c *Client) quote(text string) string {
	printable := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	shown := strings.Join(strings.Fields(printable), " ")
	// What is left out of it may have parted a secret.
	if c.credential.occursIn(text) || c.credential.occursIn(shown) {
		return "(not shown: it repeats the token)"
	}
	short := []rune(shown)
	if len(short) > maxDetail {
		short = append(short[:maxDetail], '…')
	}
	return string(short)
}
