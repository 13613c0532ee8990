package aggregate

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
)

// endedProcess and noProcess are what a supervised connection answers
// (supervise.ExitError and the error of a call that found no process).
type endedProcess struct{}

func (endedProcess) Error() string { return "the process ended" }
func (endedProcess) GRPCStatus() *status.Status {
	return status.New(codes.Aborted, "the process ended")
}
func (endedProcess) Replaced() bool { return false }

type noProcess struct{ error }

func (e noProcess) Unwrap() error { return e.error }
func (noProcess) Unreached()      {}

func TestContradicts(t *testing.T) {
	t.Parallel()
	p := &plugin{Plugin: Plugin{Instance: "a"}}
	wire := func(code codes.Code) error { return status.Error(code, "as the plugin says") }
	translated := func(err error) error {
		return p.translate(context.Background(), v2.ResourcesService_ListResources_FullMethodName, "listing", err)
	}
	type failure struct {
		err  error
		want bool
	}
	cases := map[string]failure{
		"G4: our SCIM reader does not use a list":      {translated(wire(codes.FailedPrecondition)), true},
		"G4: our SCIM reader saw the list change":      {translated(wire(codes.Aborted)), true},
		"G4: our SCIM reader saw fewer than were said": {translated(wire(codes.DataLoss)), true},
		"no code":                                         {translated(errors.New("odd")), true},
		"retries used up":                                 {translated(&policy.ExhaustedError{Attempts: 8, Last: wire(codes.Unavailable)}), false},
		"the rate limit asks for too long":                {translated(&policy.ExhaustedError{Attempts: 1, Last: wire(codes.ResourceExhausted), Limit: time.Hour}), false},
		"every process ended":                             {translated(&policy.ExhaustedError{Attempts: 3, Last: endedProcess{}}), false},
		"the process ended":                               {translated(endedProcess{}), false},
		"it is not started again":                         {translated(noProcess{status.Error(codes.FailedPrecondition, "another binary than is pinned")}), false},
		"the process ended, with more around it":          {translated(fmt.Errorf("calling: %w", endedProcess{})), false},
		"unavailable, with more around it":                {translated(fmt.Errorf("calling: %w", wire(codes.Unavailable))), false},
		"a refusal with a code that is otherwise not one": {p.refused(codes.ResourceExhausted, "listing", "it lists more than max-rows"), true},
		"page tokens that come round":                     {p.refused(codes.Internal, "listing", "its page tokens come round"), true},
		"the reply cannot be used":                        {p.failed(codes.Internal, "listing", errors.New("row 1 of 1: it is empty"), "its reply cannot be used"), true},
		"nothing comes but page tokens":                   {p.refused(codes.Aborted, "listing", "it has given no row"), false},
		"a call that was called off":                      {translated(context.Canceled), false},
		"a call that took too long":                       {translated(context.DeadlineExceeded), false},
	}
	unreachable := map[codes.Code]bool{
		codes.Unavailable: true, codes.DeadlineExceeded: true, codes.Canceled: true, codes.ResourceExhausted: true,
		codes.Unauthenticated: true, codes.PermissionDenied: true,
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		cases[code.String()] = failure{translated(wire(code)), !unreachable[code]}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, contradicts(c.err), "%v", c.err)
			require.Equal(t, c.want, contradicts(fmt.Errorf("around it: %w", c.err)))
		})
	}
}
