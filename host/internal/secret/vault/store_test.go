package vault_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/secret/vault"
	"github.com/batonhost/baton-host/sandbox/canary"
	sandbox "github.com/batonhost/baton-host/sandbox/vault"
)

const (
	patient    = 60 * time.Second
	theValue   = "canary-value-3f9a7c51"
	theSecret  = "canary-secret-id-77aa01"
	theJWT     = "canary.identity.token-5512"
	theAccount = "canary-account-token-9911"
)

// started is a server with secrets in it, its address, and a token for it.
func started(t *testing.T) (server *sandbox.Server, address, token string) {
	t.Helper()
	server = sandbox.New()
	server.Mount("secret/", 2)
	server.Mount("old/", 1)
	server.Mount("team/deep/kv/", 2)
	server.Put("secret/app", map[string]any{"password": theValue, "user": "me", "port": 5, "on": true, "list": []any{theValue}, "object": map[string]any{"a": theValue}, "none": nil})
	server.Put("secret/one", map[string]any{"only": theValue})
	server.Put("secret/data/nested", map[string]any{"only": "nested"})
	server.Put("old/app", map[string]any{"password": theValue})
	server.Put("team/deep/kv/app", map[string]any{"password": theValue})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	return server, listener.URL, server.Token(sandbox.Token{})
}

func template(t *testing.T, text string) secret.Template {
	t.Helper()
	parsed, errs := secret.Parse(text)
	require.Empty(t, errs)
	return parsed
}

// references are what a store's own settings may refer to.
func references(variables map[string]string) *secret.Resolver {
	return secret.NewResolver(map[string]secret.Store{
		secret.SchemeEnv:  secret.Variables(func(name string) (string, bool) { value, ok := variables[name]; return value, ok }),
		secret.SchemeFile: secret.Files(""),
	})
}

// byToken is a store that logs in by a token.
func byToken(t *testing.T, address, token string) *vault.Store {
	t.Helper()
	return vault.New(
		vault.Settings{Address: address, Login: vault.Login{Method: vault.MethodToken, Token: template(t, "${env:TOKEN}")}},
		references(map[string]string{"TOKEN": token}),
	)
}

// resolve resolves a name in a round of its own, as a configuration does.
func resolve(t *testing.T, store *vault.Store, name string) (secret.Value, error) {
	t.Helper()
	return within(t, store, secret.NewResolver(map[string]secret.Store{"vault": store}).Round(), name)
}

func within(t *testing.T, store *vault.Store, round *secret.Round, name string) (secret.Value, error) {
	t.Helper()
	require.NoError(t, store.Check(name))
	expansion, errs := round.Expand(t.Context(), template(t, "${vault:"+name+"}"))
	if len(errs) > 0 {
		require.Len(t, errs, 1)
		return secret.Value{}, errs[0]
	}
	return expansion.Resolved[0].Value, nil
}

func TestStore_ReadsSecrets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, reference, want, version string
	}{
		{"a versioned one", "secret/app#password", theValue, "1"},
		{"a versioned one by its path in the API", "secret/data/app#password", theValue, "1"},
		{"a versioned one below data", "secret/data/nested", "nested", "1"},
		{"the only field", "secret/one", theValue, "1"},
		{"version 1", "old/app#password", theValue, ""},
		{"a mount of several parts", "team/deep/kv/app#password", theValue, "1"},
	}
	for _, hidden := range []bool{false, true} {
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s, mounts hidden: %t", test.name, hidden), func(t *testing.T) {
				t.Parallel()
				server, address, token := started(t)
				if hidden {
					server.Deny("sys/internal/ui/mounts")
				}
				value, err := resolve(t, byToken(t, address, token), test.reference)
				require.NoError(t, err)
				require.Equal(t, test.want, value.Text.Reveal())
				require.Equal(t, test.version, value.Version)
				require.Zero(t, value.Expires)
			})
		}
	}
}

func TestStore_RefusesInASentence(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, reference, want string
		prepare               func(*sandbox.Server)
	}{
		{"a field that is not there", "secret/app#pasword", `the secret has no field "pasword"; it has list, none, object, on, password, port, user`, nil},
		{"no field of several", "secret/app", `the secret has 7 fields, so the reference must name one behind #: list, none`, nil},
		{"a number", "secret/app#port", `the field "port" is a number and not text; write it as text into Vault`, nil},
		{"a truth", "secret/app#on", `the field "on" is true or false and not text`, nil},
		{"a list", "secret/app#list", `the field "list" is a list and not text`, nil},
		{"an object", "secret/app#object", `the field "object" is an object and not text`, nil},
		{"null", "secret/app#none", `the field "none" is null and not text`, nil},
		{"no secret", "secret/none#x", "there is no secret at this path", nil},
		{"no secret in version 1", "old/none#x", "there is no secret at this path", nil},
		{"no mount", "nowhere/app#x", "there is no secret at this path", nil},
		{"a deleted version", "secret/app#password", "version 1 of the secret was deleted at ", func(s *sandbox.Server) { s.Delete("secret/app") }},
		{"a destroyed version", "secret/app#password", "version 1 of the secret was destroyed", func(s *sandbox.Server) { s.Destroy("secret/app") }},
		{"a path that is refused", "secret/app#password", `refuses access (403, 1 error occurred: * permission denied): allow the login to read the path in its policy`, func(s *sandbox.Server) { s.Deny("secret/data/app") }},
		{"no fields", "secret/app#password", "the secret has no fields", func(s *sandbox.Server) { s.Put("secret/app", map[string]any{}) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, address, token := started(t)
			if test.prepare != nil {
				test.prepare(server)
			}
			_, err := resolve(t, byToken(t, address, token), test.reference)
			require.ErrorContains(t, err, "${vault:"+test.reference+"}: ")
			require.ErrorContains(t, err, test.want)
			require.False(t, secret.IsAway(err))
			require.Empty(t, canary.Find([]byte(err.Error()), theValue))
			require.Empty(t, canary.Find([]byte(err.Error()), token))
		})
	}
}

func TestStore_ChecksTheFormOfAName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"secret/app#":          "no field behind #",
		"#password":            "path without empty parts",
		"/secret/app#x":        "path without empty parts",
		"secret//app#x":        "path without empty parts",
		"secret/../sys/x#x":    "path without empty parts",
		"secret/app/#x":        "path without empty parts",
		"secret/app?version=1": "without ? and control characters",
		"secret/a\x00#x":       "without ? and control characters",
	} {
		err := byToken(t, "https://vault.example", "x").Check(name)
		require.ErrorContains(t, err, want, name)
		_, err = byToken(t, "https://vault.example", "x").Resolve(t.Context(), name)
		require.ErrorContains(t, err, want, name)
	}
	require.NoError(t, byToken(t, "https://vault.example", "x").Check("secret/a b/ü#the field"))
}

func TestStore_LogsIn(t *testing.T) {
	t.Parallel()
	account := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(account, []byte(theAccount+"\n"), 0o600))
	variables := map[string]string{"ROLE": "role-id-1", "SECRET": theSecret, "JWT": theJWT, "BAD": "canary-wrong-credential"}
	approle := map[string]string{"role_id": "role-id-1", "secret_id": theSecret}
	tests := []struct {
		name   string
		mount  string
		fields map[string]string
		login  vault.Login
		fails  string
	}{
		{"approle", "approle", approle, vault.Login{Method: vault.MethodAppRole, RoleID: template(t, "${env:ROLE}"), SecretID: template(t, "${env:SECRET}")}, ""},
		{"approle without a secret id", "approle", map[string]string{"role_id": "role-id-1"}, vault.Login{Method: vault.MethodAppRole, RoleID: template(t, "${env:ROLE}")}, ""},
		{"approle at another mount", "west/approle", approle, vault.Login{Method: vault.MethodAppRole, Mount: "west/approle", RoleID: template(t, "${env:ROLE}"), SecretID: template(t, "${env:SECRET}")}, ""},
		{"kubernetes", "kubernetes", map[string]string{"role": "host", "jwt": theAccount}, vault.Login{Method: vault.MethodKubernetes, Role: "host", TokenFile: account}, ""},
		{"jwt", "jwt", map[string]string{"role": "host", "jwt": theJWT}, vault.Login{Method: vault.MethodJWT, Role: "host", JWT: template(t, "${env:JWT}")}, ""},
		{"approle with a wrong secret id", "approle", approle, vault.Login{Method: vault.MethodAppRole, RoleID: template(t, "${env:ROLE}"), SecretID: template(t, "${env:BAD}")}, `the login by approle at auth/approle failed: Vault at ADDRESS refuses the request (400, invalid secret_id "(secret)"); check the login of the store`},
		{"approle at a mount that is not there", "other", approle, vault.Login{Method: vault.MethodAppRole, RoleID: template(t, "${env:ROLE}"), SecretID: template(t, "${env:SECRET}")}, "the login by approle at auth/approle failed: Vault at ADDRESS refuses access (403, permission denied)"},
		{"approle with an unset variable", "approle", approle, vault.Login{Method: vault.MethodAppRole, RoleID: template(t, "${env:ROLE}"), SecretID: template(t, "${env:NONE}")}, "the login cannot be made, its secret-id is not known: ${env:NONE}: the environment variable is not set"},
		{"kubernetes outside of a pod", "kubernetes", nil, vault.Login{Method: vault.MethodKubernetes, Role: "host", TokenFile: "/none/token"}, "the token of the service account, /none/token: the file does not exist"},
		{"a token that is refused", "", nil, vault.Login{Method: vault.MethodToken, Token: template(t, "${env:BAD}")}, "Vault at ADDRESS refuses access (403, permission denied; invalid token)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, address, _ := started(t)
			server.Allow(test.mount, test.fields, sandbox.Token{})
			store := vault.New(vault.Settings{Address: address, Login: test.login}, references(variables))
			value, err := resolve(t, store, "secret/app#password")
			if test.fails == "" {
				require.NoError(t, err)
				require.Equal(t, theValue, value.Text.Reveal())
				return
			}
			require.ErrorContains(t, err, strings.ReplaceAll(test.fails, "ADDRESS", address))
			require.False(t, secret.IsAway(err))
			for _, one := range []string{theValue, theSecret, theJWT, theAccount, variables["BAD"]} {
				require.Empty(t, canary.Find([]byte(err.Error()), one), err.Error())
			}
		})
	}
}

func TestStore_ResolvesTheLoginAgainEachTime(t *testing.T) {
	t.Parallel()
	server, address, _ := started(t)
	path := filepath.Join(t.TempDir(), "secret-id")
	rotate := func(secretID string) {
		require.NoError(t, os.WriteFile(path, []byte(secretID), 0o600))
		server.Allow("approle", map[string]string{"role_id": "r", "secret_id": secretID}, sandbox.Token{})
	}
	rotate("the-first-secret-id")
	store := vault.New(vault.Settings{Address: address, Login: vault.Login{
		Method: vault.MethodAppRole, RoleID: template(t, "r"), SecretID: template(t, "${file:"+path+"}"),
	}}, references(nil))
	_, err := resolve(t, store, "secret/app#password")
	require.NoError(t, err)
	rotate("the-second-secret-id")
	server.RevokeTokens()
	value, err := resolve(t, store, "secret/app#password")
	require.NoError(t, err, "a refused token is replaced once")
	require.Equal(t, theValue, value.Text.Reveal())
	require.Equal(t, 2, server.Counts().Logins)

	server.Deny("secret/data/app")
	_, err = resolve(t, store, "secret/app#password")
	require.ErrorContains(t, err, "403")
	require.Equal(t, 2, server.Counts().Logins, "another login does not help where the token is valid")
}

// TestStore_TriesItsLogin: what the server refuses is an error, and no secret is read.
func TestStore_TriesItsLogin(t *testing.T) {
	t.Parallel()
	approle := vault.Login{Method: vault.MethodAppRole, RoleID: template(t, "r"), SecretID: template(t, "${env:SECRET}")}
	for name, test := range map[string]struct {
		login   vault.Login
		prepare func(*sandbox.Server)
		want    string // empty: it works
		isAway  bool
	}{
		"approle":           {login: approle},
		"approle, refused":  {approle, func(s *sandbox.Server) { s.Allow("approle", map[string]string{"secret_id": "x"}, sandbox.Token{}) }, "the login by approle at auth/approle failed: ", false},
		"token":             {login: vault.Login{Method: vault.MethodToken, Token: template(t, "${env:TOKEN}")}},
		"token, no look-up": {login: vault.Login{Method: vault.MethodToken, Token: template(t, "${env:TOKEN}")}, prepare: func(s *sandbox.Server) { s.Deny("auth/token/lookup-self") }},
		"token, refused":    {vault.Login{Method: vault.MethodToken, Token: template(t, "${env:TOKEN}")}, func(s *sandbox.Server) { s.RevokeTokens() }, "refuses access (403, permission denied; invalid token)", false},
		"sealed":            {approle, func(s *sandbox.Server) { s.Seal() }, "is sealed or in maintenance", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, address, token := started(t)
			server.Allow("approle", map[string]string{"role_id": "r", "secret_id": theSecret}, sandbox.Token{})
			if test.prepare != nil {
				test.prepare(server)
			}
			store := vault.New(vault.Settings{Address: address, Login: test.login}, references(map[string]string{"TOKEN": token, "SECRET": theSecret}))
			err := secret.NewResolver(map[string]secret.Store{"prod": store, "none": secret.Files("")}).Try(t.Context())
			require.Len(t, err, 1, "the other store has no login")
			require.Zero(t, server.Counts().Reads)
			if test.want == "" {
				require.NoError(t, err["prod"])
				require.NoError(t, store.Try(t.Context()))
				require.LessOrEqual(t, server.Counts().Logins, 1, "it is logged in")
				return
			}
			require.ErrorContains(t, err["prod"], test.want)
			require.Equal(t, test.isAway, secret.IsAway(err["prod"]))
			for _, one := range []string{token, theSecret} {
				require.Empty(t, canary.Find([]byte(err["prod"].Error()), one))
			}
		})
	}
}

// TestStore_RevokesItsLogin: the host leaves no token behind that it has asked for, and leaves
// alone one that it was given.
func TestStore_RevokesItsLogin(t *testing.T) {
	t.Parallel()
	server, address, given := started(t)
	server.Allow("approle", map[string]string{"secret_id": theSecret}, sandbox.Token{TTL: 3600, Renewable: true})
	server.Dynamic("database/creds/role", sandbox.Token{TTL: 3600, Renewable: true})
	store := vault.New(vault.Settings{Address: address, Login: vault.Login{Method: vault.MethodAppRole, SecretID: template(t, theSecret)}}, references(nil))
	resolver := secret.NewResolver(map[string]secret.Store{"vault": store})
	resolver.Close(t.Context(), nil)
	require.Zero(t, server.Counts().Revocations, "there was no login")
	first, err := resolve(t, store, "database/creds/role#username")
	require.NoError(t, err)
	require.Len(t, server.Tokens(), 2)
	resolver.Close(t.Context(), resolver)
	require.Len(t, server.Tokens(), 2, "another configuration has the store too")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		resolver.Close(ended, nil)
		require.Equal(t, []string{given}, server.Tokens())
		require.Equal(t, 1, server.Counts().Revocations)
	}

	second, err := resolve(t, store, "database/creds/role#username")
	require.NoError(t, err)
	require.NotEqual(t, first.Text.Reveal(), second.Text.Reveal(), "what was lent with the login is not used any more")
	server.Seal()
	resolver.Close(t.Context(), nil) // It is away: that is no error.
	server.Answer(nil)

	byHand := byToken(t, address, given)
	require.NoError(t, byHand.Try(t.Context()))
	byHand.Close(t.Context())
	require.Contains(t, server.Tokens(), given)
}

// TestStore_ClosesInTimeWhereTheServerHangs: a host that stops does not wait for a store.
func TestStore_ClosesInTimeWhereTheServerHangs(t *testing.T) {
	t.Parallel()
	server, address, _ := started(t)
	server.Allow("approle", nil, sandbox.Token{})
	store := vault.New(vault.Settings{Address: address, Login: vault.Login{Method: vault.MethodAppRole, RoleID: template(t, "r")}}, references(nil))
	require.NoError(t, store.Try(t.Context()))
	asked, over := make(chan struct{}), make(chan struct{})
	defer close(over)
	server.Answer(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-over
	})
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan struct{})
	go func() {
		store.Close(ctx)
		close(closed)
	}()
	<-asked
	cancel()
	<-closed
}

func TestStore_HasItsSettingsAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	settings := func() vault.Settings {
		return vault.Settings{Address: "https://v", CAFile: "/ca", Login: vault.Login{Method: vault.MethodAppRole, RoleID: template(t, "r"), SecretID: template(t, "a${env:B}")}}
	}
	store := vault.New(settings(), references(nil))
	require.True(t, store.Has(settings()))
	for name, change := range map[string]func(*vault.Settings){
		"address":   func(s *vault.Settings) { s.Address = "https://w" },
		"namespace": func(s *vault.Settings) { s.Namespace = "n" },
		"ca-file":   func(s *vault.Settings) { s.CAFile = "" },
		"mount":     func(s *vault.Settings) { s.Login.Mount = "m" },
		"role-id":   func(s *vault.Settings) { s.Login.RoleID = template(t, "x") },
		"secret-id": func(s *vault.Settings) { s.Login.SecretID = template(t, "b${env:B}") },
		"token":     func(s *vault.Settings) { s.Login.Token = template(t, "x") },
		"jwt":       func(s *vault.Settings) { s.Login.JWT = template(t, "x") },
	} {
		other := settings()
		change(&other)
		require.False(t, store.Has(other), name)
	}
}

func TestStore_SeesARotationInTheNextRound(t *testing.T) {
	t.Parallel()
	server, address, token := started(t)
	store := byToken(t, address, token)
	resolver := secret.NewResolver(map[string]secret.Store{"vault": store})
	first, second := resolver.Round(), resolver.Round()
	value, err := within(t, store, first, "secret/app#password")
	require.NoError(t, err)
	require.Equal(t, theValue, value.Text.Reveal())

	server.Put("secret/app", map[string]any{"password": "new-password", "user": "new-user"})
	value, err = within(t, store, first, "secret/app#user")
	require.NoError(t, err)
	require.Equal(t, "me", value.Text.Reveal(), "fields of one round are of one version")

	for field, want := range map[string]string{"password": "new-password", "user": "new-user"} {
		value, err = within(t, store, second, "secret/app#"+field)
		require.NoError(t, err)
		require.Equal(t, want, value.Text.Reveal())
		require.Equal(t, "2", value.Version)
	}
}

func TestStore_ReportsWhenASecretEnds(t *testing.T) {
	t.Parallel()
	server, address, token := started(t)
	end := time.Now().Add(72 * time.Hour).UTC().Truncate(time.Second)
	server.DeleteAt("secret/app", end)
	value, err := resolve(t, byToken(t, address, token), "secret/app#password")
	require.NoError(t, err)
	require.Equal(t, end, value.Expires)
	require.Equal(t, "2026-01-02T03:04:05Z", value.Issued.Format(time.RFC3339), "when the version was written")
}

func TestStore_KeepsLeases(t *testing.T) {
	t.Parallel()
	for _, renewable := range []bool{true, false} {
		t.Run(fmt.Sprintf("renewable: %t", renewable), func(t *testing.T) {
			t.Parallel()
			server, address, token := started(t)
			server.Dynamic("database/creds/role", sandbox.Token{TTL: 3600, Renewable: renewable})
			store := byToken(t, address, token)
			user, err := resolve(t, store, "database/creds/role#username")
			require.NoError(t, err)
			password, err := resolve(t, store, "database/creds/role#password")
			require.NoError(t, err)
			require.Equal(t, strings.TrimPrefix(user.Text.Reveal(), "user-"), strings.TrimPrefix(password.Text.Reveal(), "canary-password-"), "both are of one account")
			require.Equal(t, 1, server.Counts().Reads)
			if renewable {
				require.Zero(t, user.Expires, "it is given more time")
				require.Equal(t, 1, server.Counts().LeaseRenewals, "each round finds out whether the lease is still there")
			} else {
				require.WithinDuration(t, time.Now().Add(time.Hour), user.Expires, 5*time.Minute)
				require.Equal(t, user.Expires, user.Issued.Add(time.Hour))
				require.Zero(t, secret.CredentialsOf([]secret.Resolved{{Value: user}})[0].WarnsFrom(), "the next round reads another")
			}

			server.RevokeLeases()
			other, err := resolve(t, store, "database/creds/role#username")
			require.NoError(t, err)
			require.NotEqual(t, user.Text.Reveal(), other.Text.Reveal(), "an account that was revoked is replaced")
		})
	}
}

func TestStore_RenewsBetweenCalls(t *testing.T) {
	t.Parallel()
	server, address, _ := started(t)
	server.Dynamic("database/creds/role", sandbox.Token{TTL: 3, Renewable: true})
	// A machine that is too busy renews too late, which is no fault: then once more.
	for range 10 {
		before := server.Counts()
		store := byToken(t, address, server.Token(sandbox.Token{TTL: 3, Renewable: true}))
		_, err := resolve(t, store, "database/creds/role#username")
		require.NoError(t, err)
		for until := time.Now().Add(patient / 10); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
			counts := server.Counts()
			if counts.TokenRenewals > before.TokenRenewals && counts.LeaseRenewals > before.LeaseRenewals {
				runtime.KeepAlive(store)
				return
			}
		}
		runtime.KeepAlive(store)
	}
	require.Fail(t, "nothing was renewed")
}

// TestStore_EndsWithItsConfiguration lets a store go, and with it what it keeps.
func TestStore_EndsWithItsConfiguration(t *testing.T) {
	t.Parallel()
	server, address, _ := started(t)
	used := func() weak.Pointer[vault.Store] {
		store := byToken(t, address, server.Token(sandbox.Token{TTL: 3600, Renewable: true}))
		_, err := resolve(t, store, "secret/app#password")
		require.NoError(t, err)
		gone := weak.Make(store)
		require.NotNil(t, gone.Value())
		runtime.KeepAlive(store)
		return gone
	}()
	require.Eventually(t, func() bool {
		runtime.GC()
		return used.Value() == nil
	}, patient, 50*time.Millisecond)
}

func TestStore_LogsInBeforeATokenEnds(t *testing.T) {
	t.Parallel()
	server, address, _ := started(t)
	server.Allow("approle", map[string]string{"role_id": "r"}, sandbox.Token{TTL: 1})
	store := vault.New(vault.Settings{Address: address, Login: vault.Login{Method: vault.MethodAppRole, RoleID: template(t, "r")}}, references(nil))
	require.Eventually(t, func() bool {
		_, err := resolve(t, store, "secret/app#password")
		assert.NoError(t, err)
		return server.Counts().Logins >= 2
	}, patient, 20*time.Millisecond)
	require.Zero(t, server.Counts().TokenRenewals)
}

func TestStore_IsAway(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) func(*sandbox.Server) {
		return func(s *sandbox.Server) {
			s.Answer(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				fmt.Fprint(w, body)
			})
		}
	}
	tests := []struct {
		name, want string
		prepare    func(*sandbox.Server)
	}{
		{"sealed", "is sealed or in maintenance (503, Vault is sealed): unseal it", (*sandbox.Server).Seal},
		{"asked too often", "has had too many requests (429, slow down)", answer(http.StatusTooManyRequests, `{"errors":["slow down"]}`)},
		{"broken", "failed (500, 1 error occurred): look at its log", answer(http.StatusInternalServerError, `{"errors":["1 error\noccurred"]}`)},
		{"behind a broken proxy", "failed (502): look at its log", answer(http.StatusBadGateway, "<html>"+theValue)},
		{"a standby", "failed (473): look at its log", answer(473, `{}`)},
		{"not Vault", "sent no answer that can be read", answer(http.StatusOK, "<html>"+theValue)},
		{"hung up", "cannot be reached: EOF", func(s *sandbox.Server) {
			s.Answer(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, address, token := started(t)
			store := byToken(t, address, token)
			_, err := resolve(t, store, "secret/app#password")
			require.NoError(t, err)
			test.prepare(server)
			_, err = resolve(t, store, "secret/app#password")
			require.ErrorContains(t, err, "Vault at "+address+" "+test.want)
			require.True(t, secret.IsAway(err), err.Error())
			require.Empty(t, canary.Find([]byte(err.Error()), theValue))
			server.Answer(nil)
			_, err = resolve(t, store, "secret/app#password")
			require.NoError(t, err)
		})
	}
}

func TestStore_IsAwayAtTheLogin(t *testing.T) {
	t.Parallel()
	server, address, _ := started(t)
	server.Seal()
	store := vault.New(vault.Settings{Address: address, Login: vault.Login{Method: vault.MethodAppRole, RoleID: template(t, "r")}}, references(nil))
	_, err := resolve(t, store, "secret/app#password")
	require.ErrorContains(t, err, "is sealed")
	require.True(t, secret.IsAway(err))

	const gone = "http://127.0.0.1:1" // Nothing listens there, and no other test will.
	_, err = resolve(t, byToken(t, gone, "x"), "secret/app#password")
	require.ErrorContains(t, err, "cannot be reached: dial tcp")
	require.True(t, secret.IsAway(err))
}

func TestStore_UsesALeaseWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	server, address, token := started(t)
	server.Dynamic("database/creds/role", sandbox.Token{TTL: 3600, Renewable: true})
	store := byToken(t, address, token)
	before, err := resolve(t, store, "database/creds/role#username")
	require.NoError(t, err)
	server.Seal()
	after, err := resolve(t, store, "database/creds/role#username")
	require.NoError(t, err)
	require.Equal(t, before.Text.Reveal(), after.Text.Reveal())
}

func TestStore_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	server, address, token := started(t)
	asked := make(chan struct{}, 10)
	server.Answer(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body) // Else the end of the connection is not seen.
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	store := byToken(t, address, token)
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := store.Resolve(ctx, "secret/app#password")
			ended <- err
		}()
	}
	<-asked
	cancel()
	for range 2 {
		select {
		case err := <-ended:
			require.ErrorContains(t, err, "did not answer in time")
			require.True(t, secret.IsAway(err))
		case <-time.After(patient):
			require.Fail(t, "it went on")
		}
	}
}

func TestStore_RefusesAnAnswerThatIsTooLarge(t *testing.T) {
	t.Parallel()
	server, address, token := started(t)
	server.Put("secret/app", map[string]any{"password": strings.Repeat("x", 9<<20)})
	_, err := resolve(t, byToken(t, address, token), "secret/app#password")
	require.ErrorContains(t, err, "the answer is larger than 8 MiB")
	server.Put("secret/app", map[string]any{"password": strings.Repeat("x", 2<<20)})
	_, err = resolve(t, byToken(t, address, token), "secret/app#password")
	require.ErrorContains(t, err, "the value is larger than 1 MiB")
}

func TestStore_StaysInItsNamespace(t *testing.T) {
	t.Parallel()
	server, address, token := started(t)
	server.Namespace = "team-a"
	store := func(namespace string) *vault.Store {
		return vault.New(vault.Settings{Address: address, Namespace: namespace, Login: vault.Login{Method: vault.MethodToken, Token: template(t, token)}}, references(nil))
	}
	value, err := resolve(t, store("team-a"), "secret/app#password")
	require.NoError(t, err)
	require.Equal(t, theValue, value.Text.Reveal())
	_, err = resolve(t, store("team-b"), "secret/app#password")
	require.ErrorContains(t, err, "namespace \"team-b\"")
}

func TestStore_VerifiesTheServer(t *testing.T) {
	t.Parallel()
	server, _, token := started(t)
	listener := httptest.NewTLSServer(server)
	t.Cleanup(listener.Close)
	dir := t.TempDir()
	authority := filepath.Join(dir, "ca.pem")
	store := vault.New(vault.Settings{
		Address: listener.URL, CAFile: authority,
		Login: vault.Login{Method: vault.MethodToken, Token: template(t, token)},
	}, references(nil))

	_, err := resolve(t, store, "secret/app#password")
	require.ErrorContains(t, err, "ca-file "+authority+": the file does not exist")
	require.NoError(t, os.WriteFile(authority, []byte("x"), 0o600))
	_, err = resolve(t, store, "secret/app#password")
	require.ErrorContains(t, err, "has no certificate in PEM form")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: listener.Certificate().Raw})
	require.NoError(t, os.WriteFile(authority, certificate, 0o600))
	value, err := resolve(t, store, "secret/app#password")
	require.NoError(t, err, "the file is read at each login")
	require.Equal(t, theValue, value.Text.Reveal())

	strange := vault.New(vault.Settings{Address: listener.URL, Login: vault.Login{Method: vault.MethodToken, Token: template(t, token)}}, references(nil))
	_, err = resolve(t, strange, "secret/app#password")
	require.ErrorContains(t, err, "the certificate of Vault at "+listener.URL+" cannot be verified: put its authority into ca-file")
	require.True(t, secret.IsAway(err))
}

func TestStore_FollowsNothingWithoutTLS(t *testing.T) {
	t.Parallel()
	server, address, token := started(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a token went elsewhere: %t", r.Header.Get("X-Vault-Token") != "")
	}))
	t.Cleanup(elsewhere.Close)
	server.Answer(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	_, err := resolve(t, byToken(t, address, token), "secret/app#password")
	require.Error(t, err)
}

// TestStore_ReadsNoVariables cannot be parallel.
func TestStore_ReadsNoVariables(t *testing.T) {
	server, address, token := started(t)
	for name, value := range map[string]string{
		"VAULT_ADDR": "https://elsewhere.example", "VAULT_TOKEN": "other", "VAULT_NAMESPACE": "other", "VAULT_WRAP_TTL": "60",
		"VAULT_HEADERS": `{"X-Other":"other"}`, "VAULT_SKIP_VERIFY": "true", "VAULT_HTTP_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Other") != "" || r.Header.Get("X-Vault-Wrap-Ttl") != "" {
			t.Error("a variable was used")
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	_, err := resolve(t, byToken(t, front.URL, token), "secret/app#password")
	require.ErrorContains(t, err, "cannot be verified")
	value, err := resolve(t, byToken(t, address, token), "secret/app#password")
	require.NoError(t, err)
	require.Equal(t, theValue, value.Text.Reveal())

	t.Setenv("VAULT_SKIP_VERIFY", "canary-7777777777")
	_, err = resolve(t, byToken(t, address, token), "secret/app#password")
	require.ErrorContains(t, err, "a VAULT_… variable in the environment is malformed; remove it")
	require.NotContains(t, err.Error(), "canary")
}

func TestStore_IsNotPrintedByAccident(t *testing.T) {
	t.Parallel()
	_, address, token := started(t)
	store := byToken(t, address, token)
	_, err := resolve(t, store, "secret/app#password")
	require.NoError(t, err)
	_, err = resolve(t, store, "old/app#password")
	require.NoError(t, err)
	failure := &failure{}
	assert.Equal(failure, "another value", store)
	shown := failure.String() + fmt.Sprintf("%v %+v %#v", store, store, store)
	require.Contains(t, shown, address)
	require.Empty(t, canary.Find([]byte(shown), theValue))
	require.Empty(t, canary.Find([]byte(shown), token))
}

type failure struct{ strings.Builder }

func (f *failure) Errorf(format string, arguments ...any) { fmt.Fprintf(f, format, arguments...) }

// TestStore_ShowsNoKnownValue that the server repeats in its errors, also where they are cut.
func TestStore_ShowsNoKnownValue(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 290)
	for name, c := range map[string]struct {
		status int
		text   string
		want   string
		words  string
		isAway bool
	}{
		"refused":      {http.StatusForbidden, theValue + " is not allowed", "refuses access (403, (secret) is not allowed): allow", "refuses access (403): allow", false},
		"refused, cut": {http.StatusBadRequest, long + theValue, "refuses the request (400, " + long + "(secret))", "refuses the request (400)", false},
		"failed":       {http.StatusInternalServerError, "bad " + theValue, "failed (500, bad (secret)): look", "failed (500): look", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, address, token := started(t)
			store := byToken(t, address, token)
			resolver := secret.NewResolver(map[string]secret.Store{"vault": store})
			_, err := within(t, store, resolver.Round(), "secret/app#password")
			require.NoError(t, err)
			server.Answer(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{c.text}})
			})
			_, err = within(t, store, resolver.Round(), "secret/one")
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.isAway, secret.IsAway(err))
			unresolved, ok := errors.AsType[*secret.ReferenceError](err)
			require.True(t, ok)
			require.Contains(t, unresolved.Public(), "${vault:secret/one}: Vault at "+address+" "+c.words)
			for _, shown := range []string{err.Error(), unresolved.Public()} {
				require.Empty(t, canary.Find([]byte(shown), theValue))
				require.NotContains(t, shown, theValue[:8])
			}
		})
	}
}
