//go:build real

package vault_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/secret/vault"
	"github.com/batonhost/baton-host/sandbox/canary"
)

// realServer is where `make real` puts Vault.
const realServer = "../../../../build/real/vault"

const rootToken = "canary-root-token-000001"

// realVault is a real server, with TLS and an authority of its own.
type realVault struct {
	address, authority string
	admin              *api.Client
}

// startReal starts a server, with secrets and a policy in it.
func startReal(t *testing.T) *realVault {
	t.Helper()
	binary, err := filepath.Abs(realServer)
	require.NoError(t, err)
	require.FileExists(t, binary, "run: make real-vault")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := listener.Addr().String()
	require.NoError(t, listener.Close())

	dir := t.TempDir()
	var log safeBuffer
	command := exec.CommandContext(t.Context(), binary, "server", "-dev", "-dev-tls", "-dev-tls-cert-dir="+dir, "-dev-listen-address="+at, "-dev-root-token-id="+rootToken, "-dev-no-store-token") //nolint:gosec // It is what make real has built.
	command.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	command.Stdout, command.Stderr = &log, &log
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 20 * time.Second
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})

	r := &realVault{address: "https://" + at, authority: filepath.Join(dir, "vault-ca.pem")}
	require.Eventually(t, func() bool {
		config := api.DefaultConfig()
		config.Address = r.address
		if config.ConfigureTLS(&api.TLSConfig{CACert: r.authority}) != nil {
			return false
		}
		if r.admin, err = api.NewClient(config); err != nil {
			return false
		}
		r.admin.SetToken(rootToken)
		health, err := r.admin.Sys().HealthWithContext(t.Context())
		return err == nil && health.Initialized && !health.Sealed
	}, patient, 50*time.Millisecond, "%s", &log)

	r.do(t, "sys/mounts/old", map[string]any{"type": "kv", "options": map[string]any{"version": "1"}})
	r.do(t, "sys/mounts/team/deep/kv", map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	r.put(t, "secret/data/app", theValue)
	r.put(t, "team/deep/kv/data/app", theValue)
	r.do(t, "old/app", map[string]any{"password": theValue})
	r.do(t, "sys/policies/acl/host", map[string]any{"policy": `
		path "secret/data/app" { capabilities = ["read"] }
		path "secret/data/ending" { capabilities = ["read"] }
		path "secret/data/none" { capabilities = ["read"] }
		path "team/deep/kv/data/app" { capabilities = ["read"] }
		path "old/app" { capabilities = ["read"] }
		path "nomad/creds/app" { capabilities = ["read"] }`})
	return r
}

// do writes at a path of the API.
func (r *realVault) do(t *testing.T, path string, body map[string]any) *api.Secret {
	t.Helper()
	// A KV store of version 2 is upgraded for a moment after it was mounted.
	var answer *api.Secret
	var err error
	require.Eventually(t, func() bool {
		answer, err = r.admin.Logical().WriteWithContext(t.Context(), path, body)
		return err == nil || !strings.Contains(err.Error(), "Upgrading")
	}, patient, 50*time.Millisecond)
	require.NoError(t, err)
	return answer
}

func (r *realVault) put(t *testing.T, path, password string) {
	t.Helper()
	r.do(t, path, map[string]any{"data": map[string]any{"password": password}})
}

// token returns a new token.
func (r *realVault) token(t *testing.T, body map[string]any) string {
	t.Helper()
	body["policies"] = []string{"host"}
	return r.do(t, "auth/token/create", body).Auth.ClientToken
}

func (r *realVault) store(login vault.Login, variables map[string]string) *vault.Store {
	return vault.New(vault.Settings{Address: r.address, CAFile: r.authority, Login: login}, references(variables))
}

func (r *realVault) byToken(t *testing.T, token string) *vault.Store {
	t.Helper()
	return r.store(vault.Login{Method: vault.MethodToken, Token: template(t, "${env:TOKEN}")}, map[string]string{"TOKEN": token})
}

// safeBuffer is a buffer for the output of a process.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(text)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// TestReal_Vault reads a real server of HashiCorp Vault. Namespaces are not in it: they are in
// its Enterprise edition, and in OpenBao.
func TestReal_Vault(t *testing.T) {
	t.Parallel()
	server := startReal(t)
	t.Run("KV", func(t *testing.T) { realKV(t, server) })
	t.Run("logins", func(t *testing.T) { realLogins(t, server) })
	t.Run("a token is renewed", func(t *testing.T) { realRenewal(t, server) })
	t.Run("leases", func(t *testing.T) { realLeases(t, server) })
	t.Run("sealed", func(t *testing.T) {
		store := server.byToken(t, server.token(t, map[string]any{}))
		_, err := resolve(t, store, "secret/app#password")
		require.NoError(t, err)
		require.NoError(t, server.admin.Sys().SealWithContext(t.Context()))
		_, err = resolve(t, store, "secret/app#password")
		require.ErrorContains(t, err, "is sealed or in maintenance (503, Vault is sealed): unseal it")
		require.True(t, secret.IsAway(err))
	})
}

func realKV(t *testing.T, server *realVault) {
	token := server.token(t, map[string]any{})
	store := server.byToken(t, token)
	for reference, version := range map[string]string{
		"secret/app#password": "1", "secret/data/app#password": "1", "secret/app": "1", "old/app#password": "", "team/deep/kv/app#password": "1",
	} {
		value, err := resolve(t, store, reference)
		require.NoError(t, err, reference)
		require.Equal(t, theValue, value.Text.Reveal(), reference)
		require.Equal(t, version, value.Version, reference)
		require.Zero(t, value.Expires)
	}

	server.put(t, "secret/data/app", "canary-rotated-value-1")
	value, err := resolve(t, store, "secret/app#password")
	require.NoError(t, err)
	require.Equal(t, "canary-rotated-value-1", value.Text.Reveal(), "the next round has the new version")
	require.Equal(t, "2", value.Version)
	server.put(t, "secret/data/app", theValue)

	server.do(t, "secret/metadata/ending", map[string]any{"delete_version_after": "1h"})
	server.put(t, "secret/data/ending", theValue)
	value, err = resolve(t, store, "secret/ending#password")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), value.Expires, 10*time.Minute)
	require.Equal(t, time.Hour, value.Expires.Sub(value.Issued).Round(time.Minute), "its life begins when it was written")
	server.do(t, "secret/delete/ending", map[string]any{"versions": []int{1}})
	fails := map[string]string{
		"secret/ending#password": "version 1 of the secret was deleted at ",
		"secret/app#pasword":     `the secret has no field "pasword"; it has password`,
		"secret/none#x":          "there is no secret at this path",
		"secret/other#x":         "permission denied): allow the login to read the path in its policy",
		"nowhere/app#x":          "refuses access (403, ",
	}
	require.NoError(t, eachFails(t, store, fails, token))
	server.do(t, "secret/destroy/ending", map[string]any{"versions": []int{1}})
	require.NoError(t, eachFails(t, store, map[string]string{"secret/ending#password": "version 1 of the secret was destroyed"}, token))
}

func eachFails(t *testing.T, store *vault.Store, fails map[string]string, token string) error {
	t.Helper()
	for reference, want := range fails {
		_, err := resolve(t, store, reference)
		require.ErrorContains(t, err, want, reference)
		require.False(t, secret.IsAway(err))
		for _, one := range []string{theValue, token} {
			if found := canary.Find([]byte(err.Error()), one); found != "" {
				return fmt.Errorf("%s shows %s", reference, found)
			}
		}
	}
	return nil
}

// signer signs identity tokens with a key of its own.
func signer(t *testing.T) (sign func(claims map[string]any) string, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return func(claims map[string]any) string {
		claims["iat"], claims["exp"] = time.Now().Add(-time.Minute).Unix(), time.Now().Add(time.Hour).Unix()
		token, err := jwt.Signed(made).Claims(claims).Serialize()
		require.NoError(t, err)
		return token
	}, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: encoded}))
}

func realLogins(t *testing.T, server *realVault) {
	sign, public := signer(t)
	// AppRole.
	server.do(t, "sys/auth/approle", map[string]any{"type": "approle"})
	server.do(t, "auth/approle/role/host", map[string]any{"token_policies": "host", "token_ttl": "1h"})
	roleID, err := server.admin.Logical().ReadWithContext(t.Context(), "auth/approle/role/host/role-id")
	require.NoError(t, err)
	secretID := server.do(t, "auth/approle/role/host/secret-id", map[string]any{}).Data["secret_id"].(string)
	// JWT, at a mount of its own.
	server.do(t, "sys/auth/west", map[string]any{"type": "jwt"})
	server.do(t, "auth/west/config", map[string]any{"jwt_validation_pubkeys": []string{public}})
	server.do(t, "auth/west/role/host", map[string]any{"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "token_policies": "host"})
	identity := sign(map[string]any{"sub": "host", "aud": "vault"})
	// Kubernetes, with a cluster that reviews one token.
	accountOf := func(uid string) string {
		return sign(map[string]any{
			"sub": "system:serviceaccount:apps:host", "iss": "https://kubernetes.default.svc",
			"kubernetes.io": map[string]any{"namespace": "apps", "serviceaccount": map[string]any{"name": "host", "uid": uid}},
		})
	}
	account := accountOf("1-2-3")
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review map[string]any
		_ = json.NewDecoder(r.Body).Decode(&review)
		spec, _ := review["spec"].(map[string]any)
		status := map[string]any{"authenticated": false}
		if spec["token"] == account && strings.HasSuffix(r.URL.Path, "/tokenreviews") {
			status = map[string]any{"authenticated": true, "user": map[string]any{"username": "system:serviceaccount:apps:host", "uid": "1-2-3", "groups": []string{"system:serviceaccounts"}}}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status})
	}))
	t.Cleanup(cluster.Close)
	server.do(t, "sys/auth/kubernetes", map[string]any{"type": "kubernetes"})
	server.do(t, "auth/kubernetes/config", map[string]any{"kubernetes_host": cluster.URL, "token_reviewer_jwt": account, "disable_local_ca_jwt": true, "disable_iss_validation": true})
	server.do(t, "auth/kubernetes/role/host", map[string]any{"bound_service_account_names": "host", "bound_service_account_namespaces": "apps", "token_policies": "host"})
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte(account), 0o600))

	variables := map[string]string{"ROLE": fmt.Sprint(roleID.Data["role_id"]), "SECRET": secretID, "JWT": identity, "BAD": "canary-wrong-credential"}
	for name, login := range map[string]vault.Login{
		"approle":    {Method: vault.MethodAppRole, RoleID: template(t, "${env:ROLE}"), SecretID: template(t, "${env:SECRET}")},
		"jwt":        {Method: vault.MethodJWT, Mount: "west", Role: "host", JWT: template(t, "${env:JWT}")},
		"kubernetes": {Method: vault.MethodKubernetes, Role: "host", TokenFile: path},
	} {
		store := server.store(login, variables)
		value, err := resolve(t, store, "secret/app#password")
		require.NoError(t, err, name)
		require.Equal(t, theValue, value.Text.Reveal(), name)
	}
	require.NoError(t, os.WriteFile(path, []byte(accountOf("4-5-6")), 0o600))
	for want, login := range map[string]vault.Login{
		"the login by approle at auth/approle failed: ":       {Method: vault.MethodAppRole, RoleID: template(t, "${env:ROLE}"), SecretID: template(t, "${env:BAD}")},
		"the login by jwt at auth/west failed: ":              {Method: vault.MethodJWT, Mount: "west", Role: "host", JWT: template(t, "${env:BAD}")},
		"the login by kubernetes at auth/kubernetes failed: ": {Method: vault.MethodKubernetes, Role: "host", TokenFile: path},
		"refuses access (403, ":                               {Method: vault.MethodToken, Token: template(t, "${env:BAD}")},
	} {
		_, err := resolve(t, server.store(login, variables), "secret/app#password")
		require.ErrorContains(t, err, want)
		require.False(t, secret.IsAway(err), err.Error())
		for _, one := range []string{theValue, variables["BAD"], secretID, identity, account} {
			require.Empty(t, canary.Find([]byte(err.Error()), one), err.Error())
		}
		t.Log(err)
	}

	// The end of a store revokes its login, and no other. What was not allowed to look itself up
	// is no refused token.
	accessors := func() int {
		t.Helper()
		listed, err := server.admin.Logical().ListWithContext(t.Context(), "auth/token/accessors")
		require.NoError(t, err)
		keys, _ := listed.Data["keys"].([]any)
		return len(keys)
	}
	ending := server.store(vault.Login{Method: vault.MethodJWT, Mount: "west", Role: "host", JWT: template(t, "${env:JWT}")}, variables)
	before := accessors()
	require.NoError(t, ending.Try(t.Context()))
	require.NoError(t, ending.Try(t.Context()), "it is logged in")
	require.Equal(t, before+1, accessors())
	ending.Close(t.Context())
	require.Equal(t, before, accessors())
	blind := server.byToken(t, server.token(t, map[string]any{"no_default_policy": true}))
	require.NoError(t, blind.Try(t.Context()))
	blind.Close(t.Context())
	require.Equal(t, before+1, accessors(), "it was given")
	require.ErrorContains(t, server.byToken(t, variables["BAD"]).Try(t.Context()), "refuses access (403, ")

	// A token that is revoked is replaced, with the secret id of that moment.
	store := server.store(vault.Login{Method: vault.MethodAppRole, RoleID: template(t, "${env:ROLE}"), SecretID: template(t, "${env:SECRET}")}, variables)
	_, err = resolve(t, store, "secret/app#password")
	require.NoError(t, err)
	_, err = server.admin.Logical().DeleteWithContext(t.Context(), "auth/approle/role/host")
	require.NoError(t, err)
	require.NoError(t, server.admin.Sys().RevokePrefixWithContext(t.Context(), "auth/approle"))
	_, err = resolve(t, store, "secret/app#password")
	require.ErrorContains(t, err, "the login by approle at auth/approle failed: ", "the role is gone")
	server.do(t, "auth/approle/role/host", map[string]any{"token_policies": "host", "role_id": variables["ROLE"]})
	variables["SECRET"] = server.do(t, "auth/approle/role/host/secret-id", map[string]any{}).Data["secret_id"].(string)
	_, err = resolve(t, store, "secret/app#password")
	require.NoError(t, err)
}

// realRenewal waits for more than the time that a token has.
func realRenewal(t *testing.T, server *realVault) {
	token := server.token(t, map[string]any{"period": "6s"})
	store := server.byToken(t, token)
	_, err := resolve(t, store, "secret/app#password")
	require.NoError(t, err)
	begun := time.Now()
	require.Eventually(t, func() bool { return time.Since(begun) > 14*time.Second }, patient, 100*time.Millisecond)
	_, err = server.admin.Auth().Token().LookupWithContext(t.Context(), token)
	require.NoError(t, err, "the token has been renewed")
	runtime.KeepAlive(store)
}

// realLeases reads accounts of a cluster of Nomad, which Vault makes there and removes.
func realLeases(t *testing.T, server *realVault) {
	var made, removed int
	var mu sync.Mutex
	nomad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("X-Nomad-Index", "1")
		if r.Method == http.MethodDelete {
			removed++
			return
		}
		made++
		_ = json.NewEncoder(w).Encode(map[string]any{"AccessorID": fmt.Sprintf("accessor-%d", made), "SecretID": fmt.Sprintf("canary-nomad-%d", made)})
	}))
	t.Cleanup(nomad.Close)
	count := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return made, removed
	}
	server.do(t, "sys/mounts/nomad", map[string]any{"type": "nomad"})
	server.do(t, "nomad/config/access", map[string]any{"address": nomad.URL, "token": "x"})
	server.do(t, "nomad/config/lease", map[string]any{"ttl": "6s", "max_ttl": "1h"})
	server.do(t, "nomad/role/app", map[string]any{"policies": []string{"p"}})

	store := server.byToken(t, server.token(t, map[string]any{}))
	value, err := resolve(t, store, "nomad/creds/app#secret_id")
	require.NoError(t, err)
	accessor, err := resolve(t, store, "nomad/creds/app#accessor_id")
	require.NoError(t, err)
	require.Equal(t, "canary-nomad-1 accessor-1", value.Text.Reveal()+" "+accessor.Text.Reveal(), "both are of one account")
	begun := time.Now()
	require.Eventually(t, func() bool { return time.Since(begun) > 14*time.Second }, patient, 100*time.Millisecond)
	value, err = resolve(t, store, "nomad/creds/app#secret_id")
	require.NoError(t, err)
	require.Equal(t, "canary-nomad-1", value.Text.Reveal(), "the lease has been renewed")
	_, gone := count()
	require.Zero(t, gone)

	require.NoError(t, server.admin.Sys().RevokePrefixWithContext(context.WithoutCancel(t.Context()), "nomad/creds/app"))
	value, err = resolve(t, store, "nomad/creds/app#secret_id")
	require.NoError(t, err)
	require.Equal(t, "canary-nomad-2", value.Text.Reveal(), "an account that was revoked is replaced")
	runtime.KeepAlive(store)
}
