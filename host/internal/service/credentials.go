package service

import (
	"context"
	"regexp"
	"strconv"
	"sync"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// callCredentials is the SDK's credential provider with four faults fixed: it ignores
// the context of the call, so that an endpoint that never answers holds the call
// for minutes; it reports every failure as refused credentials; it keeps a token that C1
// does not take any more until shortly before its end; and it knows one id and secret.
type callCredentials struct {
	secrets *secrets
	make    func(*config.Upload) (credentials.PerRPCCredentials, error)
	// renewing is of one: who resolves the credentials again holds it.
	renewing *semaphore.Weighted
	search   *secret.Search // for newer credentials than those that C1 has refused

	mu       sync.Mutex
	provider credentials.PerRPCCredentials
	version  uint64 // how often the provider has changed
	isFresh  bool   // the provider was made with the newest credentials and has given no token
	token    string // the last one that the provider gave
	refusal  error
}

// Version returns another number once another provider is in use.
func (b *callCredentials) Version() uint64 {
	_, version := b.current()
	return version
}

// current returns the provider in use.
func (b *callCredentials) current() (credentials.PerRPCCredentials, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.provider, b.version
}

// renew has the next call get a new token, with the newest credentials, unless another call has
// seen to that since that version was the current one.
func (b *callCredentials) renew(ctx context.Context, seen uint64) error {
	if err := b.renewing.Acquire(ctx, 1); err != nil {
		return err
	}
	defer b.renewing.Release(1)
	if b.Version() != seen {
		return nil
	}
	b.secrets.resolve(ctx)
	return b.remake()
}

// remake makes a provider with the newest credentials. The caller holds renewing.
func (b *callCredentials) remake() error {
	provider, err := b.make(b.secrets.upload())
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.provider, b.isFresh, b.token = provider, true, ""
	b.version++
	return nil
}

// refresh resolves the credentials again, and has the next call get a token with them if they
// are others.
func (b *callCredentials) refresh(ctx context.Context) (changed bool, err error) {
	if !b.secrets.mayRotate() {
		return false, nil
	}
	if err := b.renewing.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer b.renewing.Release(1)
	if !b.secrets.resolve(ctx) {
		return false, nil
	}
	return true, b.remake()
}

// RequireTransportSecurity is true: tokens go over TLS only.
func (*callCredentials) RequireTransportSecurity() bool { return true }

// mostTokens is how many tokens a call gets, each with newer credentials than the one before.
const mostTokens = 3

// GetRequestMetadata fails with UNAUTHENTICATED only if C1 refused the newest credentials,
// and with UNAVAILABLE if no token could be got for another reason. The credentials are
// resolved again for each token.
func (b *callCredentials) GetRequestMetadata(ctx context.Context, uri ...string) (map[string]string, error) {
	for n := 1; ; n++ {
		provider, version := b.current()
		metadata, err := ask(ctx, provider, uri)
		if ctx.Err() != nil {
			return nil, status.Error(codes.Unavailable, "C1 did not give out a token in time")
		}
		if n == mostTokens || !b.isOutdated(ctx, version, metadata[authorization], err) {
			b.note(err)
			return metadata, err
		}
	}
}

const authorization = "authorization"

// ask has a provider give a token, within the context.
func ask(ctx context.Context, provider credentials.PerRPCCredentials, uri []string) (map[string]string, error) {
	type outcome struct {
		metadata map[string]string
		err      error
	}
	done := make(chan outcome, 1)
	go func() {
		metadata, err := provider.GetRequestMetadata(ctx, uri...)
		done <- outcome{metadata, err}
	}()
	select {
	case got := <-done:
		return got.metadata, explainToken(got.err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// note keeps how C1 answered when it was last asked for a token.
func (b *callCredentials) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refusal = nil
	if status.Code(err) == codes.Unauthenticated {
		b.refusal = err
	}
}

// isOutdated reports whether there are newer credentials than those of a version with which
// C1 has given a new token, or refused one, so that another is to be got.
func (b *callCredentials) isOutdated(ctx context.Context, version uint64, token string, err error) bool {
	isRefused := status.Code(err) == codes.Unauthenticated
	if err != nil && !isRefused || !b.secrets.mayRotate() {
		return false
	}
	b.mu.Lock()
	isCurrent, isNew, isFresh, worked := b.version == version, b.token != token, b.isFresh, b.secrets.haveWorked()
	if isCurrent && err == nil {
		b.token, b.isFresh = token, false
		b.secrets.work()
	}
	b.mu.Unlock()
	switch {
	case !isCurrent:
		return isRefused // Another call has found newer ones.
	case isRefused:
		return b.search.Find(ctx, b, version, worked) == nil
	case !isNew || isFresh:
		return false
	}
	changed, err := b.refresh(ctx)
	return changed && err == nil
}

// Look resolves the credentials once more; see [secret.Renewable].
func (b *callCredentials) Look(ctx context.Context) (others bool, err error) { return b.refresh(ctx) }

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
