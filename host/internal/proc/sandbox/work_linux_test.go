package sandbox

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	roleNames = "names"
	roleReach = "reach"
	// noName is one that no name server knows (RFC 6761).
	noName = "nothing.invalid"
	// briefly has the system's resolver not wait long for a name server that is away.
	briefly = "RES_OPTIONS=timeout:1 attempts:1"
)

// namesRole finds names and users by the C library, if it was built for that.
func namesRole() outcome {
	o := outcome{}
	o.try("host", func() error { _, err := net.LookupHost("localhost"); return err }())            //nolint:noctx // The resolver has its own limit.
	o.try("no host", func() error { _, err := net.LookupHost(noName); return err }())              //nolint:noctx // As above.
	o.try("port", func() error { _, err := net.LookupPort("tcp", "https"); return err }())         //nolint:noctx // As above.
	o.try("user", func() error { _, err := user.Lookup("root"); return err }())                    // By getpwnam_r.
	o.try("no user", func() error { _, err := user.Lookup("nobody-has-this-name"); return err }()) // By every service.
	o.try("group", func() error { _, err := user.LookupGroupId("0"); return err }())
	return o
}

// TestSandbox_ResolvesNamesByTheSystemsLibrary, as programs do that are built with CGO, and
// those in other languages.
func TestSandbox_ResolvesNamesByTheSystemsLibrary(t *testing.T) {
	t.Parallel()
	cmd := roleCommand(roleNames, "GODEBUG=netdns=cgo+1", briefly)
	var says bytes.Buffer
	cmd.Stderr = &says
	found := runs(Kernel(), &Policy{}, cmd)
	for _, none := range []string{"no host", "no user"} {
		require.NotEmpty(t, found[none], none)
		require.NotContains(t, found[none], "permission denied")
		delete(found, none)
	}
	require.Equal(t, outcome{"host": "", "port": "", "user": "", "group": ""}, found)
	// What the race detector is in has CGO.
	if strings.Contains(says.String(), "without support for the cgo resolver") {
		t.Skip("the names were found by Go's own resolver: this test was built without CGO")
	}
	require.Contains(t, says.String(), "forcing use of the cgo resolver")
}

// TestSandbox_FindsInEveryServiceWhatIsFoundWithoutOne compares what each of the services
// that /etc/nsswitch.conf names finds: their modules read files, or ask other processes.
func TestSandbox_FindsInEveryServiceWhatIsFoundWithoutOne(t *testing.T) {
	t.Parallel()
	getent, err := exec.LookPath("getent")
	if err != nil {
		t.Skip("this system has no getent, which asks the C library: ", err)
	}
	listed, err := os.ReadFile("/etc/nsswitch.conf")
	if errors.Is(err, fs.ErrNotExist) {
		listed = []byte("hosts: files dns\npasswd: files\n") // What the library does without it.
		err = nil
	}
	require.NoError(t, err)
	self, err := os.Hostname()
	require.NoError(t, err)
	keys := map[string][]string{
		"hosts": {"localhost", self, noName}, "passwd": {"root", "65534", "nobody-has-this-name"}, "group": {"root", "0"}, "services": {"https", "ldaps"}, "protocols": {"tcp"},
	}
	run := func(policy *Policy, args ...string) string {
		var out, errs strings.Builder
		cmd := &exec.Cmd{Path: getent, Args: append([]string{"getent"}, args...), Env: []string{briefly}, Dir: "/", Stdout: &out, Stderr: &errs}
		if policy == nil {
			require.NoError(t, cmd.Start())
		} else {
			held, err := policy.Start(cmd, (*exec.Cmd).Start)
			require.NoError(t, err)
			defer func() { _ = held.Close() }()
		}
		_ = cmd.Wait()
		return fmt.Sprintf("%s%s%d", &out, &errs, cmd.ProcessState.ExitCode())
	}
	found := 0
	for line := range strings.Lines(string(listed)) {
		database, services, _ := strings.Cut(line, ":")
		for service := range strings.FieldsSeq(services) {
			for _, key := range keys[database] {
				if strings.HasPrefix(service, "[") || strings.HasPrefix(service, "#") {
					continue // What follows from the service before.
				}
				query := []string{"-s", database + ":" + service, database, key}
				without := run(nil, query...)
				require.Equal(t, without, run(&Policy{}, query...), "%v", query)
				if strings.HasSuffix(without, "\n0") {
					found++
				}
			}
		}
	}
	require.Positive(t, found, "nothing was found: %s", listed)
}

// reachRole connects to addresses, and reads an app of which only a proxy knows where it is.
func reachRole() outcome {
	o := outcome{}
	for target := range strings.FieldsSeq(os.Getenv("TARGETS")) {
		name, address, _ := strings.Cut(target, "=")
		o.try(name, func() error {
			conn, err := net.DialTimeout("tcp", address, time.Minute) //nolint:noctx // It has a limit.
			if err == nil {
				_ = conn.Close()
			}
			return err
		}())
	}
	o.try("app", func() error {
		response, err := http.Get(os.Getenv("APP")) //nolint:noctx // It is on this machine.
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}())
	return o
}

// tunnel is a proxy that connects everything to one address.
func tunnel(t *testing.T, to string) (address string) {
	t.Helper()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "this proxy connects only", http.StatusMethodNotAllowed)
			return
		}
		app, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = app.Close() }()
		w.WriteHeader(http.StatusOK)
		client, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = client.Close() }()
		go func() { _, _ = io.Copy(app, buffered) }()
		_, _ = io.Copy(client, app)
	}))
	t.Cleanup(proxy.Close)
	return proxy.Listener.Addr().String()
}

// TestPolicy_LimitsThePortsToThoseOfConnect for a connector of a database, of a directory
// and of an app behind a proxy, whose certificate is by an authority of a file that
// SSL_CERT_FILE names.
func TestPolicy_LimitsThePortsToThoseOfConnect(t *testing.T) {
	t.Parallel()
	if !Kernel().LimitsPorts() {
		t.Skip("this kernel limits no ports: ", Kernel())
	}
	app := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	t.Cleanup(app.Close)
	authority := filepath.Join(t.TempDir(), "authority.pem")
	require.NoError(t, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: app.Certificate().Raw}), 0o600))
	ports, targets := map[string]uint16{}, []string{}
	add := func(name, address string) {
		at, err := net.ResolveTCPAddr("tcp", address)
		require.NoError(t, err)
		ports[name] = at.AddrPort().Port()
		targets = append(targets, name+"="+address)
	}
	for _, name := range []string{"database", "directory", "other"} {
		listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It ends with the test.
		require.NoError(t, err)
		t.Cleanup(func() { _ = listener.Close() })
		add(name, listener.Addr().String())
	}
	add("proxy", tunnel(t, app.Listener.Addr().String()))
	// Nobody listens there, which is another error than that nobody may connect.
	targets = append(targets, "names=127.53.0.1:53")

	for name, c := range map[string]struct{ connect, reached []string }{
		"no port is named":         {nil, []string{"app", "database", "directory", "names", "other", "proxy"}},
		"a database and directory": {[]string{"database", "directory"}, []string{"database", "directory", "names"}},
		"a proxy alone":            {[]string{"proxy"}, []string{"app", "names", "proxy"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := &Policy{}
			for _, one := range c.connect {
				policy.Connect = append(policy.Connect, ports[one])
			}
			cmd := roleCommand(roleReach, "TARGETS="+strings.Join(targets, " "), "APP=https://example.com/", "HTTPS_PROXY=http://"+targets[3][len("proxy="):], "SSL_CERT_FILE="+authority)
			var reached []string
			for target, failure := range runs(Kernel(), policy, cmd) {
				switch {
				case failure == "", target == "names" && strings.Contains(failure, "connection refused"):
					reached = append(reached, target)
				default:
					require.Contains(t, failure, "connect: permission denied", target)
				}
			}
			slices.Sort(reached)
			require.Equal(t, c.reached, reached)
		})
	}
}
