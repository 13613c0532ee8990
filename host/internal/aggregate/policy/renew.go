package policy

import (
	"context"
	"fmt"
	"regexp"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// Credentials are those that the process of a plugin calls its app with. *fleet.Plugin is
// one.
type Credentials interface {
	// Version returns another number once calls go to a process with other credentials.
	Version() uint64
	// Renew looks for newer credentials than those of a version, which the app has refused.
	// Once it returns nil, calls go to a process with such; otherwise the error says why
	// there is none.
	Renew(ctx context.Context, refused uint64) error
}

// mostRenewals is how often a call is repeated, each time with newer credentials: on a machine
// that is busy, several rotations may pass before one call has been answered.
const mostRenewals = 10

// Renewing returns a connection to a plugin on which a call whose credentials the app
// refuses is repeated with newer ones, if there are some; nil credentials are not renewed. A
// call that is not repeatable fails, and the next one has the newer ones.
func Renewing(instance string, conn grpc.ClientConnInterface, credentials Credentials) grpc.ClientConnInterface {
	if credentials == nil || conn == nil {
		return conn
	}
	return renewing{ClientConnInterface: conn, credentials: credentials, instance: instance}
}

type renewing struct {
	grpc.ClientConnInterface

	credentials Credentials
	instance    string
}

// Invoke makes the call.
func (r renewing) Invoke(ctx context.Context, method string, request, reply any, opts ...grpc.CallOption) error {
	for renewals := 0; ; renewals++ {
		used := r.credentials.Version()
		err := r.ClientConnInterface.Invoke(ctx, method, request, reply, opts...)
		if err == nil || ctx.Err() != nil || !isRefused(err) {
			return err
		}
		if renewals == mostRenewals {
			return &RenewalError{Refused: err, Renewal: renewalsError(renewals)}
		}
		log := ctxzap.Extract(ctx).With(zap.String("plugin", r.instance))
		log.Info("the app refuses the credentials of the plugin; looking for newer ones", zap.String("error", Message(err)))
		if failed := r.credentials.Renew(ctx, used); failed != nil {
			return &RenewalError{Refused: err, Renewal: failed}
		}
		if !IsRepeatable(method) {
			return err
		}
		log.Info("the call is repeated with the newer credentials of the plugin")
		if message, ok := reply.(proto.Message); ok {
			proto.Reset(message)
		}
	}
}

// says401 matches what connectors say that pass the HTTP status of the app on as a text.
var says401 = regexp.MustCompile(`\b401\b`)

// isRefused reports whether the app refuses the credentials of a call.
func isRefused(err error) bool {
	switch status.Code(err) {
	case codes.Unauthenticated:
		return true
	case codes.Unknown:
		return says401.MatchString(status.Convert(err).Message())
	}
	return false
}

// renewalsError says how many newer credentials of one call the app has refused as well.
type renewalsError int

func (e renewalsError) Error() string {
	return fmt.Sprintf("the app has refused %d newer credentials too, one after the other; they must stay valid for longer than one call takes", int(e))
}

// Public is the error, which is the host's own.
func (e renewalsError) Public() string { return e.Error() }

// RenewalError says that the app refuses the credentials of a call, and why there are no
// newer ones that it accepts. It has the code and the details of the refusal.
type RenewalError struct {
	Refused, Renewal error
}

func (e *RenewalError) Error() string {
	return Message(e.Refused) + "; " + Message(e.Renewal)
}

// Unwrap returns the refusal.
func (e *RenewalError) Unwrap() error { return e.Refused }

// GRPCStatus returns the status of the refusal, with the words of both.
func (e *RenewalError) GRPCStatus() *status.Status {
	both := status.Convert(e.Refused).Proto()
	both.Message = e.Error()
	return status.FromProto(both)
}

// Public is the error in the host's own words.
func (e *RenewalError) Public() string {
	words := errtext.Public(e.Refused)
	if why := errtext.Public(e.Renewal); why != "" {
		words += "; " + why
	}
	return words
}
