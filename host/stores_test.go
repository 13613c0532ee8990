package host_test

import (
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/canary"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
	"github.com/batonhost/baton-host/sandbox/vault"
)

// secretID is what the host logs in to Vault with.
const secretID = "canary-secret-id-5d0c93f1"

// vaultServer is a Vault with the token of an app in it, and a login with secretID at two
// mounts.
type vaultServer struct {
	*vault.Server
	url string
}

func startVault(t *testing.T, token string) vaultServer {
	t.Helper()
	server := vault.New()
	server.Mount("secret/", 2)
	server.Put("secret/app", map[string]any{"token": token})
	for _, mount := range []string{"approle", "west"} {
		server.Allow(mount, map[string]string{"role_id": "host", "secret_id": secretID}, vault.Token{TTL: 3600, Renewable: true})
	}
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	return vaultServer{server, listener.URL}
}

// entry returns the line of a store.
func (v vaultServer) entry(name, secretID string) string {
	return "  " + name + ": { type: vault, address: \"" + v.url + "\", login: { method: approle, role-id: host, secret-id: " + secretID + " } }\n"
}

// TestCheck_HasARowForEachStore: a store that is away, one that refuses the login and one
// without what is asked for are each a sentence with its name, and everything else is checked.
func TestCheck_HasARowForEachStore(t *testing.T) {
	t.Parallel()
	fullstory, tenant := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 3}), startC1(t, c1.Options{})
	good := startVault(t, fullstory.token)
	const gone = "http://127.0.0.1:1" // Nothing listens there, and no other test will.
	away := vaultServer{url: gone}
	by := func(name, token string) string { return (&app{url: fullstory.url, token: token}).entry(name) }
	config := configuration(t, []string{
		by("works", "${good:secret/app#token}"),
		by("lost", "${away:secret/app#token}"),
		by("denied", "${denied:secret/app#token}"),
		by("half", "${half:secret/none#token}"),
		by("file", "${file:/none/token}"),
	}, "one: { plugins: [works, lost, denied, half, file], "+tenant.credentials(t, "one")+" }",
		`two: { plugins: [works], client-id: "two@127.0.0.1:1/connect", client-secret: "${away:secret/c1#secret}" }`)
	rewrite(t, config, func(text string) string {
		return text + "secret-stores:\n" + good.entry("good", secretID) + away.entry("away", secretID) + good.entry("denied", "canary-wrong-secret-id") +
			good.entry("half", secretID) + good.entry("unused", secretID) + "  aws-sm: { region: eu-west-1 }\n"
	})
	checked, err := check(t, config, host.Options{StateDir: t.TempDir()}, t.TempDir())
	refused := "the login by approle at auth/approle failed: Vault at " + good.url
	want := []struct {
		kind, name string
		says       []string // empty: it works
	}{
		{host.CheckedPlugin, "works", nil},
		{host.CheckedPlugin, "lost", []string{"baton-host.yaml:9:", "${away:secret/app#token}: Vault at " + gone + " cannot be reached"}},
		{host.CheckedPlugin, "denied", []string{"baton-host.yaml:13:", "${denied:secret/app#token}: " + refused}},
		{host.CheckedPlugin, "half", []string{"baton-host.yaml:17:", "${half:secret/none#token}: there is no secret at this path"}},
		{host.CheckedPlugin, "file", []string{"baton-host.yaml:21:", "${file:/none/token}: the file does not exist"}},
		{host.CheckedUpload, "one", nil},
		{host.CheckedUpload, "two", []string{`upload "two": `, "${away:secret/c1#secret}: Vault at " + gone + " cannot be reached"}},
		{host.CheckedStore, "good", nil},
		{host.CheckedStore, "away", []string{`store "away", which plugin "lost" and upload "two" needs: Vault at ` + gone + " cannot be reached"}},
		{host.CheckedStore, "denied", []string{`store "denied", which plugin "denied" needs: ` + refused}},
		{host.CheckedStore, "half", []string{`store "half", which plugin "half" needs: ${half:secret/none#token}: there is no secret at this path`}},
		{host.CheckedStore, "unused", nil},
		{host.CheckedStore, "aws-sm", nil},
	}
	require.Len(t, checked, len(want))
	for i, one := range want {
		require.Equal(t, one.kind+" "+one.name, checked[i].Kind+" "+checked[i].Name)
		if one.says == nil {
			require.NoError(t, checked[i].Err, one.name)
			continue
		}
		requireSentence(t, checked[i].Err, one.says...)
		require.ErrorContains(t, err, checked[i].Err.Error())
	}
	require.Equal(t, "nothing refers to it", checked[len(checked)-1].Skipped)
	for _, hidden := range []string{secretID, "canary-wrong-secret-id", fullstory.token} {
		require.Empty(t, canary.Find([]byte(err.Error()), hidden))
	}
	require.Empty(t, good.Tokens(), "it logs out")
}

// TestReload_KeepsTheLoginOfAStore: a reload logs in again only where the entry of the store has
// changed, out of a store that is gone or refused, and the end logs out of all.
func TestReload_KeepsTheLoginOfAStore(t *testing.T) {
	t.Parallel()
	app, tenant := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 3}), startC1(t, c1.Options{})
	server := startVault(t, app.token)
	app.token = "${vault:secret/app#token}"
	config := configuration(t, []string{app.entry("fullstory")}, "workforce: { plugins: [fullstory], "+tenant.credentials(t, "workforce")+" }")
	rewrite(t, config, func(text string) string { return text + "secret-stores:\n" + server.entry("vault", secretID) })
	running := tenant.serve(t, config, host.Options{StateDir: stateDir(t)}, host.ServeOptions{Listen: listening})
	synced := func() {
		t.Helper()
		require.Equal(t, app.seeded("fullstory"), tenant.synced(t, tenant.fullSync(t, "workforce")))
	}
	synced()
	loggedIn := func(logins, open int) {
		t.Helper()
		require.Equal(t, logins, server.Counts().Logins)
		require.Eventually(t, func() bool { return len(server.Tokens()) == open }, patience, 10*time.Millisecond, "%d are left", len(server.Tokens()))
	}
	loggedIn(1, 1)
	rewrite(t, config, replaced(`scim-display-name: "fullstory"`, `scim-display-name: "Fullstory"`))
	require.Equal(t, changes{host.ReloadChanged: {"fullstory", "workforce"}}, running.reloads())
	synced()
	loggedIn(1, 1)

	good, err := os.ReadFile(config)
	require.NoError(t, err)
	for _, wrong := range []func(string) string{
		replaced("secret/app#token", "secret/none#token"), // Its references are not resolved.
		replaced("path: "+self, "path: /no/such/plugin"),  // It is refused once they are.
	} {
		before := server.Counts()
		rewrite(t, config, replaced("method: approle", "mount: west, method: approle"))
		rewrite(t, config, wrong)
		_, err := running.Reload(t.Context())
		require.Error(t, err)
		require.Equal(t, before.Logins+1, server.Counts().Logins)
		require.Equal(t, before.Revocations+1, server.Counts().Revocations, "the store of a configuration that is refused is logged out of")
		require.NoError(t, os.WriteFile(config, good, 0o600))
	}
	synced()
	loggedIn(3, 1)

	rewrite(t, config, replaced("method: approle", "mount: west, method: approle"))
	require.Equal(t, changes{host.ReloadChanged: {"fullstory", "workforce"}}, running.reloads())
	synced()
	loggedIn(4, 1)
	running.stop()
	loggedIn(4, 0)
	require.Empty(t, tenant.Violations())
}
