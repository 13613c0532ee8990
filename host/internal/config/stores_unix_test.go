//go:build unix

package config_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
	secretcanary "github.com/batonhost/baton-host/sandbox/canary"
	"github.com/batonhost/baton-host/sandbox/vault"
)

func TestStores_ReportsWhatIsWrongWithThem(t *testing.T) {
	t.Parallel()
	const plugin = "plugins: { a: { config: { token: '${env:T}' } } }\n"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"another type":       {"secret-stores: { prod: { type: azure } }", []string{`baton-host.yaml:2:32: type must be vault, aws-sm or aws-ssm`, `baton-host.yaml:2:18: store "prod" needs its type: vault, aws-sm or aws-ssm`}},
		"no type":            {"secret-stores: { prod: }", []string{`baton-host.yaml:2:18: store "prod" needs its type: vault, aws-sm or aws-ssm`}},
		"a scheme":           {"secret-stores: { keyring: { type: aws-sm } }", []string{`baton-host.yaml:2:18: "keyring" is a scheme that every configuration has; give the store another name`}},
		"endpoint":           {"secret-stores: { aws-sm: { endpoint: localhost } }", []string{"baton-host.yaml:2:38: endpoint must be the URL of a service, such as https://HOST"}},
		"endpoint, password": {"secret-stores: { aws-sm: { endpoint: 'https://a:hunter2@host' } }", []string{"baton-host.yaml:2:38: endpoint must be the URL of a service, such as https://HOST"}},
		"key of another":     {"secret-stores: { vault: { region: x, address: https://v, login: { method: token, token: x } } }", []string{"baton-host.yaml:2:27: region is for a store of type aws-sm or aws-ssm"}},
		"a reference":        {"secret-stores: { aws-ssm: { region: '${exec:x}' } }", []string{"baton-host.yaml:2:37: region takes no reference; references are resolved under config and notify, in client-id and in client-secret"}},
		"no command":         {"secret-helpers: { op: }", []string{`baton-host.yaml:2:19: helper "op" needs command: the program that returns the secret`}},
		"timeout":            {"secret-helpers: { op: { command: [/bin/true], timeout: 1m } }", []string{"baton-host.yaml:2:56: timeout must be a duration with its unit, such as 10s, at least 1s and at most 20s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, dir, err := load(t, plugin+c.text+"\n", map[string]string{"T": "t"})
			require.ElementsMatch(t, c.want, messages(dir, err))
		})
	}
}

// What a reference names is checked where it stands, and no store is asked.
func TestStores_CheckNamesWithoutBeingAsked(t *testing.T) {
	t.Parallel()
	_, dir, err := load(t, `plugins:
  a:
    config:
      one: ${exec:onepasword x}
      two: ${keyring:app}
      three: ${aws-sm:a b}
      four: ${parameters:/a#}
      five: ${aws-ssm:/a}
      six: ${keyring:app/ann} ${aws-sm:app#token} ${parameters:/a} ${exec:onepassword 'a b'}
secret-helpers: { onepassword: { command: [/bin/false] } }
secret-stores: { aws-sm: , parameters: { type: aws-ssm, region: eu-west-1, profile: p, endpoint: 'http://127.0.0.1:1' } }
`, nil, config.WithoutReferences())
	require.Equal(t, []string{
		`baton-host.yaml:4:12: ${exec:…} names a helper that is not under secret-helpers; did you mean "onepassword"?`,
		"baton-host.yaml:5:12: ${keyring:SERVICE/ACCOUNT} takes the service and the account of an entry, with a / between them",
		"baton-host.yaml:6:14: a reference to AWS takes the name, the path or the ARN of a secret: letters, digits and /_+=.@:!- only",
		"baton-host.yaml:7:13: a reference to AWS needs the name of a field of the JSON secret behind the #",
		"baton-host.yaml:8:13: unknown reference: write ${env:NAME}, ${file:PATH}, ${exec:HELPER …} or ${STORE:…} of a store under secret-stores, and $${ for a literal ${",
	}, messages(dir, err))
}

func TestStores_RunHelpersFromTheDirectoryOfTheFile(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"baton-host.yaml": `
plugins: { a: { config: { token: "Bearer ${exec:one x}" } } }
secret-helpers: { one: { command: [./helper, secret.txt] } }
`, "secret.txt": "hunter2\n"})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "helper"), []byte("#!/bin/sh\nread secret < \"$1\" && echo \"$secret-$2\"\n"), 0o700)) //nolint:gosec // It is a program.
	loaded, err := config.Load(t.Context(), filepath.Join(dir, "baton-host.yaml"))
	require.NoError(t, err)
	bound, problems := loaded.Plugins[0].Settings.Bind(textFields("token"))
	require.Empty(t, problems)
	require.Equal(t, "Bearer hunter2-x", bound.Values["token"].GetStringValue())
}

// TestStores_ExplainBadInput: whatever is wrong with a reference is one sentence, at its place,
// which names the reference and never the value.
func TestStores_ExplainBadInput(t *testing.T) {
	t.Parallel()
	const value = "c4n4ry-bad-1nput/77d0e2+9"
	server := vault.New()
	server.Mount("secret/", 2)
	server.Put("secret/app", map[string]any{"token": value, "large": strings.Repeat(value, 2<<20/len(value)+1)})
	valid, ended := server.Token(vault.Token{}), server.Token(vault.Token{})
	server.Revoke(ended)
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	const gone = "http://127.0.0.1:1" // Nothing listens there, and no other test will.
	dir := write(t, map[string]string{"value": value, "itself": "${file:itself}", "helper": "cd \"$(dirname \"$0\")\" && eval \"$1\"\n"})
	large := "head -c 2097152 /dev/zero | tr '\\0' x"
	for name, c := range map[string]struct {
		reference string
		store     string // what the store's token is; empty: that of a valid login
		want      string // empty: the value is taken as it is
	}{
		"unknown scheme":    {reference: "${valut:secret/app#token}", want: "unknown reference: write ${env:NAME}, "},
		"malformed":         {reference: "${" + value + "}", want: "unknown reference: write ${env:NAME}, "},
		"missing field":     {reference: "${vault:secret/app#tokn}", want: `${vault:secret/app#tokn}: the secret has no field "tokn"; it has large, token`},
		"store away":        {reference: "${away:secret/app#token}", want: "${away:secret/app#token}: Vault at " + gone + " cannot be reached: "},
		"expired login":     {reference: "${vault:secret/app#token}", store: ended, want: "${vault:secret/app#token}: Vault at " + listener.URL + " refuses access (403, permission denied; invalid token): "},
		"garbage":           {reference: "${exec:sh 'cat value; head -c 64 /dev/urandom; printf \"\\377\"'}", want: "${exec:sh 'cat value; head -c 64 /dev/urandom; printf \"\\377\"'}: the program wrote what is not UTF-8 text"},
		"hang":              {reference: "${exec:sh 'cat value; exec sleep 600'}", want: "${exec:sh 'cat value; exec sleep 600'}: the program did not end within 1s and was ended, "},
		"flood":             {reference: "${exec:sh 'cat value; exec cat /dev/zero'}", want: "${exec:sh 'cat value; exec cat /dev/zero'}: the program wrote more than 1 MiB and was ended; "},
		"2 MiB, of a store": {reference: "${vault:secret/app#large}", want: "${vault:secret/app#large}: the value is larger than 1 MiB"},
		"2 MiB, of a file":  {reference: "${exec:sh \"" + large + "\"}", want: "${exec:sh \"" + large + "\"}: the program wrote more than 1 MiB and was ended; "},
		"a store in itself": {reference: "${vault:secret/app#token}", store: "${vault:secret/app#token}", want: "token is what a store needs itself, so it cannot be in a store, which may be the same one: "},
		"a file in itself":  {reference: "${file:itself}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := c.store
			if token == "" {
				token = valid
			}
			path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".yaml")
			require.NoError(t, os.WriteFile(path, []byte(`
plugins: { a: { config: { token: "`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(c.reference)+`" } } }
secret-helpers: { sh: { command: [sh, helper], timeout: `+map[bool]string{true: "1s", false: "20s"}[name == "hang"]+` } }
secret-stores:
  vault: { address: "`+listener.URL+`", login: { method: token, token: "`+token+`" } }
  away: { type: vault, address: "`+gone+`", login: { method: token, token: x } }
`), 0o600))
			loaded, err := config.Load(t.Context(), path)
			if c.want == "" {
				require.NoError(t, err)
				bound, problems := loaded.Plugins[0].Settings.Bind(textFields("token"))
				require.Empty(t, problems)
				require.Equal(t, c.reference, bound.Values["token"].GetStringValue())
				return
			}
			require.Error(t, err)
			require.Regexp(t, `^`+path+`:\d+:\d+: `, err.Error())
			require.Contains(t, err.Error(), c.want)
			if name != "a store in itself" { // That is reported of the store, and of the reference.
				require.NotContains(t, err.Error(), "\n", "it is reported once")
			}
			for _, hidden := range []string{value, valid, ended} {
				require.Empty(t, secretcanary.Find([]byte(err.Error()), hidden))
			}
		})
	}
}
