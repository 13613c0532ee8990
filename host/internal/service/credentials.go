package service

import (
	"context"
	"regexp"
	"strconv"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// callCredentials is the SDK's credential provider with three faults fixed: it ignores
// the context of the call, so that an endpoint that never answers holds the call
// for minutes; it reports every failure as refused credentials; and it keeps a
// token that C1 does not take any more until shortly before its end.
type callCredentials struct {
	make func() (credentials.PerRPCCredentials, error)

	mu       sync.Mutex
	provider credentials.PerRPCCredentials
	refusal  error
}

// current is the provider in use.
func (b *callCredentials) current() credentials.PerRPCCredentials {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.provider
}

// renew has the next call get a new token, unless somebody has seen to that since
// the provider was the current one.
func (b *callCredentials) renew(seen credentials.PerRPCCredentials) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.provider != seen {
		return nil
	}
	provider, err := b.make()
	if err == nil {
		b.provider = provider
	}
	return err
}

// RequireTransportSecurity is true: tokens go over TLS only.
func (*callCredentials) RequireTransportSecurity() bool { return true }

// GetRequestMetadata fails with UNAUTHENTICATED only if C1 refused the
// credentials, and with UNAVAILABLE if no token could be got for another reason.
func (b *callCredentials) GetRequestMetadata(ctx context.Context, uri ...string) (map[string]string, error) {
	type outcome struct {
		metadata map[string]string
		err      error
	}
	done := make(chan outcome, 1)
	provider := b.current()
	go func() {
		metadata, err := provider.GetRequestMetadata(ctx, uri...)
		done <- outcome{metadata, err}
	}()
	select {
	case got := <-done:
		err := explainToken(got.err)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.refusal = nil
		if status.Code(err) == codes.Unauthenticated {
			b.refusal = err
		}
		return got.metadata, err
	case <-ctx.Done():
		return nil, status.Error(codes.Unavailable, "C1 did not give out a token in time")
	}
}

// refused is how C1 refused the credentials when it was last asked for a token;
// nil if it did not.
func (b *callCredentials) refused() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refusal
}

// tokenStatus finds the HTTP status in the SDK's error (pkg/ugrpc of v0.25.0,
// "failed to get token: 401 Unauthorized").
var tokenStatus = regexp.MustCompile(`failed to get token: (\d{3})`)

// refusals are the HTTP statuses by which a token endpoint says that the
// credentials are wrong (RFC 6749 section 5.2). 403 is not one of them: that is
// what gateways on the way say.
var refusals = map[int]bool{400: true, 401: true}

func explainToken(err error) error {
	if err == nil {
		return nil
	}
	if found := tokenStatus.FindStringSubmatch(err.Error()); found != nil {
		code, _ := strconv.Atoi(found[1])
		if refusals[code] {
			return status.Errorf(codes.Unauthenticated,
				"C1 refuses the client id and secret (its token endpoint answers %d); get new ones from the connector's page in C1", code)
		}
		return status.Errorf(codes.Unavailable, "C1's token endpoint answers %d", code)
	}
	return status.Errorf(codes.Unavailable, "no token could be got from C1: %v", err)
}
