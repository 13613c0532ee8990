package vault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/hashicorp/vault/api"

	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// The methods of a login.
const (
	MethodToken      = "token"
	MethodAppRole    = "approle"
	MethodKubernetes = "kubernetes"
	MethodJWT        = "jwt"
)

// ServiceAccountToken is where Kubernetes puts the token of a pod's service account.
const ServiceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// Login says how the host logs in.
type Login struct {
	Method string
	// Mount is where the method is mounted; empty: at its own name.
	Mount string
	// Role is that of kubernetes and jwt.
	Role string
	// Token is that of the method token, RoleID and SecretID those of approle, and JWT that
	// of jwt.
	Token, RoleID, SecretID, JWT secret.Template
	// TokenFile has the service account's token; empty: ServiceAccountToken.
	TokenFile string
}

// youth is how long a session is not replaced for a refusal while its token is valid: to
// log in does not help then, and a secret-id may be good for a few logins only.
const youth = time.Minute

// session is a login that succeeded.
type session struct {
	client client
	since  time.Time
	life   *life
}

// life is how long a token or a lease lasts.
type life struct {
	mu    sync.Mutex
	ends  time.Time // zero: never
	renew time.Time // when half of its time is over
	// renewable says that the server may give it more time.
	renewable bool
}

// give sets the time from now on; 0 stands for no end.
func (l *life) give(seconds int, renewable bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends, l.renew, l.renewable = time.Time{}, time.Time{}, renewable
	if seconds > 0 {
		whole := time.Duration(seconds) * time.Second
		l.ends, l.renew = time.Now().Add(whole), time.Now().Add(whole/2)
	}
}

func (l *life) times() (renew, ends time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renew, l.ends
}

func (l *life) isRenewable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewable
}

// isDue reports whether half of the time is over, or all of it.
func (l *life) isDue() bool {
	renew, _ := l.times()
	return !renew.IsZero() && !time.Now().Before(renew)
}

func (l *life) isOver() bool {
	_, ends := l.times()
	return !ends.IsZero() && !time.Now().Before(ends)
}

// call calls the server within a session, and once more in a new one where the server
// refuses the token.
func (s *Store) call(ctx context.Context, do func(client) error) (*session, error) {
	session, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	if err = do(session.client); status(err) == http.StatusForbidden {
		fresh, ok, problem := s.replace(ctx, session)
		if problem != nil {
			return nil, problem
		}
		if ok {
			session, err = fresh, do(fresh.client)
		}
	}
	if err == nil {
		return session, nil
	}
	if _, refused := errors.AsType[*tls.CertificateVerificationError](err); refused {
		s.forget(ctx, session) // The file of the authority may have changed.
	}
	return nil, session.client.explain(ctx, err)
}

// current returns a session that has time left; it renews one that has little.
func (s *Store) current(ctx context.Context) (*session, error) {
	if err := s.login.Acquire(ctx, 1); err != nil {
		return nil, s.tooSlow()
	}
	defer s.login.Release(1)
	if s.session != nil {
		if !s.session.life.isDue() {
			return s.session, nil
		}
		err := s.session.renew(ctx)
		if !s.session.life.isOver() && (err == nil && !s.session.life.isDue() || secret.IsAway(err)) {
			return s.session, nil
		}
	}
	return s.logIn(ctx)
}

// replace returns another session than one that was refused; it is not ok where another
// login would not help.
func (s *Store) replace(ctx context.Context, refused *session) (fresh *session, ok bool, err error) {
	if err := s.login.Acquire(ctx, 1); err != nil {
		return nil, false, s.tooSlow()
	}
	defer s.login.Release(1)
	if s.session != nil && s.session != refused {
		return s.session, true, nil
	}
	if time.Since(refused.since) < youth {
		if _, err := refused.client.api().Auth().Token().LookupSelfWithContext(ctx); status(err) != http.StatusForbidden {
			return nil, false, nil
		}
	}
	fresh, err = s.logIn(ctx)
	return fresh, err == nil, err
}

func (s *Store) forget(ctx context.Context, old *session) {
	if s.login.Acquire(ctx, 1) != nil {
		return
	}
	defer s.login.Release(1)
	if s.session == old {
		s.session = nil
	}
}

// Try logs in, unless it is logged in and the server takes the token.
func (s *Store) Try(ctx context.Context) error {
	_, err := s.call(ctx, func(c client) error {
		_, err := c.api().Auth().Token().LookupSelfWithContext(ctx)
		if status(err) == http.StatusForbidden && !isInvalidToken(err) {
			return nil // It may not look itself up, and may read secrets all the same.
		}
		return err
	})
	return err
}

// isInvalidToken reports whether the server says of a refusal that there is no such token.
func isInvalidToken(err error) bool {
	answer, ok := errors.AsType[*api.ResponseError](err)
	return ok && slices.ContainsFunc(answer.Errors, func(one string) bool { return strings.Contains(one, "invalid token") })
}

// Close revokes the token of a login, and with it the dynamic secrets that were read by it. A
// token that the operator has given is not the host's to revoke.
func (s *Store) Close(ctx context.Context) {
	s.mu.Lock()
	holdings := slices.Collect(maps.Values(s.paths))
	s.mu.Unlock()
	for _, h := range holdings {
		if h.held.Acquire(ctx, 1) != nil {
			return
		}
		h.found = nil // Its lease is not to be kept by another login.
		h.held.Release(1)
	}
	if s.login.Acquire(ctx, 1) != nil {
		return
	}
	defer s.login.Release(1)
	ended := s.session
	s.session = nil
	if ended == nil || ended.life.isOver() || s.settings.Login.Method == MethodToken {
		return
	}
	_ = ended.client.api().Auth().Token().RevokeSelfWithContext(ctx, "") // If it is away, the token ends by itself.
}

// renew asks for more time. The error is nil where the server refuses it: the session lasts
// as long as it did.
func (s *session) renew(ctx context.Context) error {
	if !s.life.isRenewable() {
		return nil
	}
	renewed, err := s.client.api().Auth().Token().RenewSelfWithContext(ctx, 0)
	if err != nil {
		if err = s.client.explain(ctx, err); secret.IsAway(err) {
			return err
		}
		return nil
	}
	if renewed != nil && renewed.Auth != nil {
		s.life.give(renewed.Auth.LeaseDuration, renewed.Auth.Renewable)
	}
	return nil
}

// renewLater renews a session when half of its time is over, and again for as long as the
// server allows it and the store is in use.
func (s *Store) renewLater(session *session, at time.Time) {
	if at.IsZero() || !session.life.isRenewable() {
		return
	}
	store := weak.Make(s)
	time.AfterFunc(time.Until(at), func() {
		s := store.Value()
		if s == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), keepTimeout)
		defer cancel()
		if s.login.Acquire(ctx, 1) != nil {
			return
		}
		defer s.login.Release(1)
		if s.session != session || session.life.isOver() {
			return // The next call logs in.
		}
		var err error
		if session.life.isDue() {
			err = session.renew(ctx)
		}
		switch next, ends := session.life.times(); {
		case err != nil:
			s.renewLater(session, time.Now().Add(max(time.Until(ends)/3, time.Second)))
		case !session.life.isDue():
			s.renewLater(session, next)
		}
	})
}

// logIn replaces the session.
func (s *Store) logIn(ctx context.Context) (*session, error) {
	s.session = nil
	c, err := newClient(s.settings)
	if err != nil {
		return nil, err
	}
	fields, secrets, err := s.credentials(ctx)
	if err != nil {
		return nil, err
	}
	c = c.blanking(secrets...)
	auth, err := s.authenticate(ctx, c, fields)
	if err != nil {
		return nil, err
	}
	fresh := &session{client: c.with(auth.ClientToken, secrets...), since: time.Now(), life: &life{}}
	fresh.life.give(auth.LeaseDuration, auth.Renewable)
	s.session = fresh
	renew, _ := fresh.life.times()
	s.renewLater(fresh, renew)
	return fresh, nil
}

// credentials resolves what the login needs, now. secrets are those of the values that must
// not be shown.
func (s *Store) credentials(ctx context.Context) (fields map[string]any, secrets []string, err error) {
	login := s.settings.Login
	fields = map[string]any{}
	if login.Role != "" {
		fields["role"] = login.Role
	}
	if login.Method == MethodKubernetes {
		path := login.TokenFile
		if path == "" {
			path = ServiceAccountToken
		}
		value, err := secret.Files("").Resolve(ctx, path)
		if err != nil {
			return nil, nil, fmt.Errorf("the token of the service account, %s: %w", path, err)
		}
		fields["jwt"] = value.Text.Reveal()
		return fields, []string{value.Text.Reveal()}, nil
	}
	round := s.references.Round()
	for _, one := range []struct {
		method, key, field string
		template           secret.Template
	}{
		{MethodToken, "token", "token", login.Token},
		{MethodAppRole, "role-id", "role_id", login.RoleID},
		{MethodAppRole, "secret-id", "secret_id", login.SecretID},
		{MethodJWT, "jwt", "jwt", login.JWT},
	} {
		if one.method != login.Method {
			continue
		}
		expanded, errs := round.Expand(ctx, one.template)
		if len(errs) > 0 {
			return nil, nil, fmt.Errorf("the login cannot be made, its %s is not known: %w", one.key, errors.Join(errs...))
		}
		if text := expanded.Text.Reveal(); text != "" {
			fields[one.field] = text
			secrets = append(secrets, text)
		}
	}
	return fields, secrets, nil
}

// authenticate returns the token that the credentials are good for.
func (s *Store) authenticate(ctx context.Context, c client, fields map[string]any) (*api.SecretAuth, error) {
	login := s.settings.Login
	if login.Method == MethodToken {
		token, _ := fields["token"].(string)
		return c.with(token, token).ownToken(ctx, token)
	}
	mount := login.Mount
	if mount == "" {
		mount = login.Method
	}
	answer, err := c.api().Logical().WriteWithContext(ctx, "auth/"+mount+"/login", fields)
	if err != nil {
		err = c.explain(ctx, err)
		if secret.IsAway(err) {
			return nil, err
		}
		return nil, fmt.Errorf("the login by %s at auth/%s failed: %w; check the login of the store", login.Method, mount, err)
	}
	if answer == nil || answer.Auth == nil || answer.Auth.ClientToken == "" {
		return nil, fmt.Errorf("the login by %s at auth/%s returned no token; a login that asks for a second factor cannot be used", login.Method, mount)
	}
	return answer.Auth, nil
}

// ownToken returns how long a token lasts that the operator has given. A token that may not
// ask lasts until the server refuses it.
func (c client) ownToken(ctx context.Context, token string) (*api.SecretAuth, error) {
	auth := &api.SecretAuth{ClientToken: token}
	own, err := c.api().Auth().Token().LookupSelfWithContext(ctx)
	switch {
	case status(err) == http.StatusForbidden || err == nil && own == nil:
		return auth, nil
	case err != nil:
		return nil, c.explain(ctx, err)
	}
	left, err := own.TokenTTL()
	if err != nil {
		return auth, nil //nolint:nilerr // As if it had not been asked.
	}
	auth.LeaseDuration = int(left / time.Second)
	auth.Renewable, _ = own.Data["renewable"].(bool)
	return auth, nil
}

// authorities reads the file of certificates.
func authorities(path string) ([]byte, error) {
	pem, err := files.ReadRegular(path, secret.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("ca-file %s: %w", path, err)
	}
	return pem, nil
}

// blanking returns the function that removes secrets from what the server reports. It is a
// function because what prints by reflection would find them.
func blanking(secrets ...string) func(context.Context, string) string {
	return func(ctx context.Context, report string) string { return secret.Blank(ctx, report, secrets...) }
}
