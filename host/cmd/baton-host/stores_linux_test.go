package main_test

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/aws"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/canary"
	"github.com/batonhost/baton-host/sandbox/scim"
	"github.com/batonhost/baton-host/sandbox/vault"
)

// stage is a server whose next answer can be held up, and whose answers can be replaced.
type stage struct {
	http.Handler
	mu      sync.Mutex
	reached chan struct{} // closed when a request is held up; nil: none is to be
	release chan struct{}
	instead http.HandlerFunc
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	reached, instead := s.reached, s.instead
	s.reached = nil
	s.mu.Unlock()
	if reached != nil {
		close(reached)
		<-s.release
	}
	if instead != nil {
		instead(w, r)
		return
	}
	s.Handler.ServeHTTP(w, r)
}

// leaks returns where secrets are found, as "secret in place", but for those places that must
// have them, in which it must find them.
func leaks(t *testing.T, secrets map[string]string, places map[string][]byte, must map[string][]string) []string {
	t.Helper()
	var found []string
	for place, text := range places {
		for name, secret := range secrets {
			isThere := canary.Find(text, secret) != ""
			if slices.Contains(must[place], name) {
				require.True(t, isThere, "the search finds %s in %s", name, place)
			} else if isThere {
				found = append(found, name+" in "+place)
			}
		}
	}
	slices.Sort(found)
	return found
}

// processesOf returns what a system shows of a process and of all that it has started: by the
// name of the program, and what of it.
func processesOf(t *testing.T, pid int, name string) map[string][]byte {
	t.Helper()
	shown := map[string][]byte{}
	for what, text := range ofProcess(t, pid) {
		shown[name+" "+filepath.Base(what)] = text
	}
	for child, path := range childrenOf(pid) {
		maps.Copy(shown, processesOf(t, child, filepath.Base(path)))
	}
	return shown
}

// TestStores_LeakNothing has one host resolve references of every scheme but the keyring's, for
// a plugin and for C1, and looks for the values, and for what the stores themselves are asked
// with, in everything that it writes and answers and in what a system shows of its processes.
// Only the environment that the operator has given may have them.
func TestStores_LeakNothing(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{"AWS key": awsKeyCanary, "AWS token": awsTokenCanary}
	for _, name := range []string{"env", "file", "exec", "vault", "by token", "sm", "ssm", "helper's", "secret-id"} {
		secrets[name] = rand.Text()
	}
	dir := temporaryDir(t)
	elsewhere := t.TempDir() // The files with secrets in them, which are the operator's.
	at := func(name string) string { return filepath.Join(elsewhere, name) }
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(at(name), []byte(text), 0o600))
	}

	names := []string{"env", "file", "exec", "vault", "by token", "sm", "ssm"}
	required := map[string]string{}
	for i, name := range names {
		required[fmt.Sprintf("X-Key-%d", i)] = secrets[name]
	}
	app, err := scim.New(scim.Options{App: "design-tool", Accounts: 25, Seed: 1, BasicUser: "ann", BasicPassword: "c4n4ry-plain-password", RequireHeaders: required})
	require.NoError(t, err)
	design := serveApp(t, app, "")
	tenant := startC1(t, c1.Options{})
	client := tenant.client(t, "workforce")
	_, secrets["C1"], _ = strings.Cut(client.Secret, "v1:")

	server := vault.New()
	server.Mount("secret/", 2)
	server.Put("secret/app", map[string]any{"approle": secrets["vault"], "token": secrets["by token"]})
	server.Put("secret/c1", map[string]any{"secret": client.Secret})
	server.Allow("approle", map[string]string{"role_id": "host", "secret_id": secrets["secret-id"]}, vault.Token{TTL: 3600, Renewable: true})
	secrets["Vault token"] = server.Token(vault.Token{})
	vaultServer := httptest.NewServer(server)
	t.Cleanup(vaultServer.Close)

	account := aws.New(aws.Options{Region: "eu-west-1", AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: awsKeyCanary, SessionToken: awsTokenCanary})
	account.PutSecret("prod/app", aws.Secret{Text: `{"token":"` + secrets["sm"] + `"}`, Version: "v1"})
	account.PutParameter("/prod/app", aws.Secret{Text: secrets["ssm"], Version: "3"})
	amazon := &stage{Handler: account, reached: make(chan struct{}), release: make(chan struct{})}
	reached := amazon.reached
	awsServer := httptest.NewServer(amazon)
	t.Cleanup(awsServer.Close)

	// The helper waits for the test once, and fails carelessly in the end.
	require.NoError(t, syscall.Mkfifo(at("hold"), 0o600))
	write("helper.sh", `cd "$1"
if [ -e fail ]; then cat value >&2; echo "$HELPER_TOKEN" >&2; exit 3; fi
if [ -e hold ]; then : >reached; read -r _ <hold; fi
cat value
`)
	write("value", secrets["exec"]+"\n")
	write("file", secrets["file"])
	write("secret-id", secrets["secret-id"])

	config := filepath.Join(dir, "baton-host.yaml")
	headers := ""
	for i, reference := range []string{
		"${env:APP_VALUE}", "${file:" + at("file") + "}", "${exec:fetch " + elsewhere + "}", "${vault:secret/app#approle}",
		"${by-token:secret/app#token}", "${aws-sm:prod/app#token}", "${aws-ssm:/prod/app}",
	} {
		headers += fmt.Sprintf("        - 'X-Key-%d: %s'\n", i, reference)
	}
	require.NoError(t, os.WriteFile(config, []byte(`
plugins:
  design-tool:
    app: scim
    config:
      scim-base-url: `+design.url+`
      scim-groups: false
      scim-username: ann
      scim-password: c4n4ry-plain-password
      scim-headers:
`+headers+`uploads:
  workforce: { plugins: [design-tool], client-id: "`+client.ID+`", client-secret: "${vault:secret/c1#secret}" }
secret-helpers:
  fetch: { command: [sh, `+at("helper.sh")+`], env: [HELPER_TOKEN], timeout: 20s }
secret-stores:
  vault: { address: "`+vaultServer.URL+`", login: { method: approle, role-id: host, secret-id: "${file:`+at("secret-id")+`}" } }
  by-token: { type: vault, address: "`+vaultServer.URL+`", login: { method: token, token: "${env:STORE_TOKEN}" } }
  aws-sm: { region: eu-west-1, endpoint: "`+awsServer.URL+`" }
  aws-ssm: { region: eu-west-1, endpoint: "`+awsServer.URL+`" }
`), 0o600))
	env := []string{
		tenant.trust(), "APP_VALUE=" + secrets["env"], "HELPER_TOKEN=" + secrets["helper's"], "STORE_TOKEN=" + secrets["Vault token"],
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=" + awsKeyCanary, "AWS_SESSION_TOKEN=" + awsTokenCanary,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
	state, tmp := filepath.Join(dir, "state"), filepath.Join(dir, "tmp")
	require.NoError(t, os.Mkdir(tmp, 0o700))
	cmd := runCommand(t, tmp, env, "--config", config, "--state-dir", state, "--log-level", "debug", "--retry-for", "0s", "--listen", "127.0.0.1:0")
	cmd.Dir = dir
	host := startService(t, tmp, cmd)
	must := map[string][]string{
		"host environ":           {"env", "helper's", "Vault token", "AWS key", "AWS token"},
		"sh environ":             {"helper's"},
		"baton-host-aws environ": {"AWS key", "AWS token"},
	}
	shown := func(programs ...string) {
		t.Helper()
		shown := processesOf(t, cmd.Process.Pid, "host")
		for _, program := range programs {
			require.Contains(t, shown, program+" cmdline")
		}
		require.Empty(t, leaks(t, secrets, shown, must))
	}

	require.Eventually(t, func() bool { _, err := os.Stat(at("reached")); return err == nil }, guard, 10*time.Millisecond)
	shown("sh")
	hold, err := os.OpenFile(at("hold"), os.O_RDWR, 0) // It waits for no reader.
	require.NoError(t, err)
	require.NoError(t, os.Remove(at("hold")))
	require.NoError(t, hold.Close())
	select {
	case <-reached:
	case <-time.After(guard):
		require.Fail(t, "AWS is not asked")
	}
	shown("baton-host-aws")
	close(amazon.release)
	require.Len(t, tenant.synced(t, tenant.fullSync(t, "workforce")), 25)
	for _, token := range server.Tokens() {
		secrets["Vault token "+token[len(token)-6:]] = token
	}
	require.Len(t, server.Tokens(), 2, "the login's own is one of them")
	must["host environ"] = append(must["host environ"], slices.DeleteFunc(slices.Collect(maps.Keys(secrets)), func(name string) bool {
		return !strings.HasPrefix(name, "Vault token ") // They differ in their last characters only.
	})...)
	shown("baton-scim")

	// All stores fail, as carelessly as they can; the sync goes on with what is known.
	server.Answer(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"errors":["token %s was refused, as %s is no secret of yours"]}`, r.Header.Get("X-Vault-Token"), r.URL.Path)
	})
	amazon.mu.Lock()
	amazon.instead = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"__type":"%s","message":"%s"}`, secrets["sm"], awsTokenCanary)
	}
	amazon.mu.Unlock()
	write("fail", "")
	require.Len(t, tenant.synced(t, tenant.fullSync(t, "workforce")), 25)
	host.says("secrets of the plugin cannot be resolved; those known stay in use")
	seen := map[string][]byte{}
	for _, path := range []string{"/", "/metrics", "/status.json", "/readyz"} {
		_, body := host.serves(path)
		require.NotEmpty(t, body)
		seen[path] = []byte(body)
	}
	for _, args := range [][]string{{"status", "--output", "json"}, {"status"}, {"reload"}} {
		answer := execute(t, nil, "baton-host", append(args, "--state-dir", state, "--log-level", "debug")...)
		require.NotEmpty(t, answer.stdout+answer.stderr)
		seen[strings.Join(args, " ")] = []byte(answer.stdout + answer.stderr)
	}
	host.stop()
	seen["the log"] = []byte(host.output.String())
	maps.Copy(seen, places(t, dir))
	require.Contains(t, seen, "state/workforce.c1z.json")
	for name, reference := range map[string]string{
		"exec": "${exec:fetch " + elsewhere + "}: the program failed with exit status 3: (secret)", "vault": "${vault:secret/app#approle}: Vault at " + vaultServer.URL,
		"by token": "${by-token:secret/app#token}: Vault at " + vaultServer.URL, "sm": "${aws-sm:prod/app#token}: AWS (" + awsServer.URL, "ssm": "${aws-ssm:/prod/app}: AWS (" + awsServer.URL,
	} {
		require.Contains(t, string(seen["the log"]), reference, "the failure of %s is in a sentence", name)
	}
	require.Empty(t, leaks(t, secrets, seen, nil))
}
