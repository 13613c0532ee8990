package config_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/sandbox/vault"
)

// withStore is a file with one store of these lines, and a plugin that refers to it.
func withStore(name, lines string) string {
	return "plugins: { a: { config: { token: \"Bearer ${" + name + ":secret/app#token}\" } } }\nsecret-stores:\n  " + name + ":\n    " +
		strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n    ") + "\n"
}

func TestVault_ResolvesReferencesOfAPlugin(t *testing.T) {
	t.Parallel()
	server := vault.New()
	server.Mount("secret/", 2)
	server.Put("secret/app", map[string]any{"token": "the-apps-token"})
	server.Allow("west", map[string]string{"role_id": "r", "secret_id": "canary7f3a-secret-id"}, vault.Token{})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)

	for _, test := range []struct{ name, kind string }{{"vault", ""}, {"bao", "type: vault\n"}} {
		loaded, _, err := load(t, withStore(test.name, test.kind+"address: "+listener.URL+"/\nlogin: { method: approle, mount: auth/west/, role-id: r, secret-id: \"${env:ID}\" }"),
			map[string]string{"ID": "canary7f3a-secret-id"})
		require.NoError(t, err)
		bound, problems := loaded.Plugins[0].Settings.Bind(textFields("token"))
		require.Empty(t, problems)
		require.Equal(t, "Bearer the-apps-token", bound.Values["token"].GetStringValue())
		require.NotContains(t, printed(t, loaded), canary)
		require.NotContains(t, dumped(loaded), canary)
		require.NotContains(t, dumped(loaded), "the-apps-token")
	}

	_, dir, err := load(t, withStore("vault", "address: "+listener.URL+"\nlogin: { method: approle, mount: west, role-id: r, secret-id: \"${env:ID}\" }"), nil)
	require.Equal(t, []string{"baton-host.yaml:1:34: ${vault:secret/app#token}: the login cannot be made, its secret-id is not known: ${env:ID}: the environment variable is not set"}, messages(dir, err))

	server.Seal()
	text := withStore("vault", "address: "+listener.URL+"\nlogin: { method: token, token: \"${env:ID}\" }")
	_, _, err = load(t, text, map[string]string{"ID": "t"})
	var problems settings.Problems
	require.ErrorAs(t, err, &problems)
	require.True(t, problems.Away())
	_, _, err = load(t, text, map[string]string{"ID": "t"}, config.StoresMayBeAway())
	require.NoError(t, err)
}

func TestVault_ReportsWhatIsWrongInTheFile(t *testing.T) {
	t.Parallel()
	const login = "\nlogin: { method: token, token: x }"
	for name, test := range map[string]struct {
		lines string
		want  []string
	}{
		"nothing": {"type: vault", []string{
			`baton-host.yaml:3:3: store "vault" needs address`,
			`baton-host.yaml:3:3: store "vault" needs login`,
		}},
		"http": {"address: http://vault.example:8200" + login, []string{
			`baton-host.yaml:4:14: address does not begin with https, so that tokens and secrets would be readable on the way; it must look like https://vault.example.com:8200`,
		}},
		"no URL": {"address: vault.example" + login, []string{
			`baton-host.yaml:4:14: address is not a URL with a host; it must look like https://vault.example.com:8200`,
		}},
		"a password in the URL": {"address: https://me:hunter2@vault.example" + login, []string{
			`baton-host.yaml:4:14: address has a user name or password in it; it must look like https://vault.example.com:8200`,
		}},
		"a socket": {"address: unix://host/run/vault" + login, []string{
			`baton-host.yaml:4:14: address does not begin with https; it must look like https://vault.example.com:8200`,
		}},
		"no method": {"address: https://v\nlogin: { token: x }", []string{
			`baton-host.yaml:5:5: login needs method: token, approle, kubernetes or jwt`,
		}},
		"another method": {"address: https://v\nlogin: { method: ldap }", []string{
			`baton-host.yaml:5:22: method must be token, approle, kubernetes or jwt`,
		}},
		"no credential": {"address: https://v\nlogin: { method: approle }", []string{
			`baton-host.yaml:5:5: a login by approle needs role-id`,
		}},
		"the credential of another method": {"address: https://v\nlogin: { method: kubernetes, role: r, token: x }", []string{
			`baton-host.yaml:5:43: token is not for a login by kubernetes, which takes method, mount, role, token-file`,
		}},
		"a reference to itself": {"address: https://v\nlogin: { method: token, token: \"${vault:secret/a#b}\" }", []string{
			`baton-host.yaml:5:36: token is what a store needs itself, so it cannot be in a store, which may be the same one: use ${env:NAME}, ${file:PATH} or ${keyring:SERVICE/ACCOUNT}`,
		}},
		"a reference to a helper": {"address: https://v\nlogin: { method: approle, role-id: \"${exec:x}\" }", []string{
			`baton-host.yaml:5:40: role-id is what a store needs itself, so it cannot be in a store, which may be the same one: use ${env:NAME}, ${file:PATH} or ${keyring:SERVICE/ACCOUNT}`,
		}},
		"a malformed reference": {"address: https://v\nlogin: { method: jwt, jwt: \"${env:\" }", []string{
			`baton-host.yaml:5:32: a reference is not closed: "}" is missing; write $${ for a literal ${`,
		}},
		"an unknown key": {"address: https://v\nlogin: { method: token, token: x, secret: y }", []string{
			`baton-host.yaml:5:39: unknown key "secret"; login takes jwt, method, mount, role, role-id, secret-id, token, token-file`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, dir, err := load(t, withStore("vault", test.lines), nil, config.WithoutReferences())
			require.Equal(t, test.want, messages(dir, err))
		})
	}
	_, dir, err := load(t, "plugins: { a: {} }\nsecret-stores:\n  s: { type: aws-sm, address: https://v }\n", nil)
	require.Contains(t, messages(dir, err), "baton-host.yaml:3:22: address is for a store of type vault")

	for name, want := range map[string]string{
		"secret/app#": "a reference to Vault has no field behind #: write PATH#FIELD",
		"/app#x":      "a reference to Vault takes a path without empty parts, such as secret/app#password",
	} {
		_, dir, err := load(t, strings.ReplaceAll(withStore("vault", "address: https://v"+login), "secret/app#token", name), nil, config.WithoutReferences())
		require.Equal(t, []string{"baton-host.yaml:1:34: " + want}, messages(dir, err))
	}
}
