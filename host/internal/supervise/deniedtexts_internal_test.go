package supervise

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
)

// Kinds of hints, by what they name.
func readHint(path string) string {
	return "if that keeps it from " + path + ", open this in its entry: sandbox: {read: [" + path + "]}, or write in place of read if it writes there, with a directory that exists if it makes this"
}

func writeHint(path string) string {
	return "if that keeps it from writing to " + path + ", open this or a directory above it, which must exist, in its entry: sandbox: {write: [" + path + "]}"
}

func connectHint(port string) string {
	return "keeps it from port " + port + "; open that in its entry: sandbox: {connect: [443, " + port + "]}"
}

const (
	callHint    = "only sandbox: off in its entry allows it"
	generalHint = "sandbox: {read: [PATH], write: [PATH]}"
	portHint    = "open its port in the plugin's entry, beside those that are there: sandbox: {connect: [PORT]}"
)

// TestDeniedTexts_NameTheKeyThatOpensIt for the texts of systems, languages and libraries.
func TestDeniedTexts_NameTheKeyThatOpensIt(t *testing.T) {
	t.Parallel()
	policy := &sandbox.Policy{Read: []string{"/srv/read"}, Write: []string{"/tmp/scratch"}, Connect: []uint16{443}, Hidden: []string{"/srv/state"}}
	for text, want := range map[string]string{
		// Go.
		"open /etc/krb5.conf: permission denied":                                                                                       readHint("/etc/krb5.conf"),
		"load the keytab: open /etc/my keys/a.keytab: permission denied":                                                               readHint(`"/etc/my keys/a.keytab"`),
		"fork/exec /opt/tool/bin/tool: permission denied":                                                                              readHint("/opt/tool/bin/tool"),
		"mkdir /var/cache/design-tool: permission denied":                                                                              writeHint("/var/cache/design-tool"),
		"rename /tmp/scratch/a /var/cache/a: permission denied":                                                                        writeHint("/var/cache/a"),
		"unlinkat /var/cache/a: permission denied":                                                                                     writeHint("/var/cache/a"),
		"listen unix /run/tool.sock: bind: permission denied":                                                                          writeHint("/run/tool.sock"),
		"dial tcp 10.0.0.1:5432: connect: permission denied":                                                                           connectHint("5432"),
		"dial tcp [2001:db8::1]:636: connect: permission denied":                                                                       connectHint("636"),
		`LDAP Result Code 200 "Network Error": dial tcp 10.0.0.1:636: connect: permission denied`:                                      connectHint("636"),
		`Get "https://app.example/x": proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: permission denied`:                            connectHint("3128"),
		"failed to connect to `user=u database=d`: 10.0.0.1:5432 (db): dial error: dial tcp 10.0.0.1:5432: connect: permission denied": connectHint("5432"),
		"fork/exec /bin/sh: operation not permitted":                                                                                   callHint,
		`{"level":"error","msg":"cannot start","error":"open /etc/app.yaml: permission denied"}`:                                       readHint("/etc/app.yaml"),
		`{"caller":"/src/main.go:3","msg":"open \"/etc/app.yaml\": permission denied"}`:                                                readHint("/etc/app.yaml"),
		// Python.
		"PermissionError: [Errno 13] Permission denied: '/etc/krb5.conf'":                 readHint("/etc/krb5.conf"),
		"PermissionError: [Errno 1] Operation not permitted: '/proc/1/mem'":               callHint,
		"PermissionError: [Errno 1] Operation not permitted":                              callHint,
		"PermissionError: [Errno 13] Permission denied":                                   generalHint,
		"OSError: Multiple exceptions: [Errno 13] Connect call failed ('10.0.0.1', 5432)": connectHint("5432"),
		"HTTPSConnectionPool(host='app.example.com', port=8443): Max retries exceeded with url: /v1/users (Caused by NewConnectionError(" +
			"'<urllib3.connection.HTTPSConnection object at 0x7f2a>: Failed to establish a new connection: [Errno 13] Permission denied'))": connectHint("8443"),
		`psycopg2.OperationalError: connection to server at "10.0.0.5", port 5432 failed: Permission denied`: connectHint("5432"),
		// Node.
		"Error: EACCES: permission denied, open '/etc/app/key.pem'":              readHint("/etc/app/key.pem"),
		"Error: EACCES: permission denied, scandir '/etc/app'":                   readHint("/etc/app"),
		"Error: EACCES: permission denied, mkdir '/var/cache/tool'":              writeHint("/var/cache/tool"),
		"[Error: EACCES: permission denied, rename '/srv/read/a' -> '/srv/b'] {": writeHint("/srv/read/a"),
		"Error: EPERM: operation not permitted, chown '/srv/x'":                  callHint,
		"Error: spawn /opt/tool/bin/tool EACCES":                                 readHint("/opt/tool/bin/tool"),
		"Error: spawn EPERM":                                                     callHint,
		"Error: connect EACCES 10.0.0.1:5432":                                    connectHint("5432"),
		"Error: connect EACCES 2001:db8::1:636 - Local (:::0)":                   connectHint("636"),
		// libc, shells and tools.
		"cat: /etc/app.conf: Permission denied":                                                                                          readHint("/etc/app.conf"),
		"cat: '/etc/my app.conf': Permission denied":                                                                                     readHint(`"/etc/my app.conf"`),
		"sh: 1: cannot create /var/log/tool.log: Permission denied":                                                                      writeHint("/var/log/tool.log"),
		"bash: line 1: /opt/tool/run: Permission denied":                                                                                 readHint("/opt/tool/run"),
		"mkdir: cannot create directory ‘/var/cache/tool’: Permission denied":                                                            writeHint("/var/cache/tool"),
		"touch: cannot touch '/var/cache/x': Permission denied":                                                                          writeHint("/var/cache/x"),
		"setsid: failed to execute: Operation not permitted":                                                                             callHint,
		"curl: (7) Failed to connect to example.com port 8443 after 0 ms: Permission denied":                                             connectHint("8443"),
		"error while loading shared libraries: libx.so.1: cannot open shared object file: Permission denied":                             generalHint,
		`connection to server at "10.0.0.1", port 5432 failed: Permission denied`:                                                        connectHint("5432"),
		"ldap.SERVER_DOWN: {'result': -1, 'desc': \"Can't contact LDAP server\", 'errno': 13, 'ctrls': [], 'info': 'Permission denied'}": portHint,
		"pymysql.err.OperationalError: (2003, \"Can't connect to MySQL server on 'db' ([Errno 13] Permission denied)\")":                 portHint,
		// Java, Rust.
		"java.net.SocketException: Permission denied (connect failed)":                        portHint,
		"error trying to connect: tcp connect error: Permission denied (os error 13)":         portHint,
		"java.io.FileNotFoundException: /etc/app.properties (Permission denied)":              readHint("/etc/app.properties"),
		"java.nio.file.AccessDeniedException: /etc/app.properties":                            readHint("/etc/app.properties"),
		"Error: failed to open /etc/app.toml: Permission denied (os error 13)":                readHint("/etc/app.toml"),
		`Os { code: 13, kind: PermissionDenied, message: "Permission denied" } (os error 13)`: generalHint,
		// What is open for reading can only have been denied for writing.
		"open /srv/read/cache: permission denied": writeHint("/srv/read/cache"),
		// What a plugin has no business with is not to be opened.
		"open /srv/state/control.token: permission denied": "keeps it from /srv/state/control.token, which is not for it: find out why it wants that",
		"open /proc/1/mem: permission denied":              "keeps it from /proc/1/mem, which is not for it",
		"open /srv/state2/x: permission denied":            readHint("/srv/state2/x"),
		// The first one counts, also in joined last words.
		"Traceback / open /etc/a: permission denied / open /etc/b: permission denied": readHint("/etc/a"),
		"starting\nopen /etc/a: permission denied\nopen /etc/b: permission denied\n":  readHint("/etc/a"),
		"its last words: beginning / /etc/a: Permission denied":                       readHint("/etc/a"),
		"open /etc/\x1b[31mred: permission denied":                                    `{read: ["/etc/\\x1b[31mred"]}`,
		"open /" + strings.Repeat("a", 5000) + ": permission denied":                  "{read: [/" + strings.Repeat("a", mostPath-1) + "]}",
		// What is none of the sandbox.
		"lookup db.example on 10.0.0.1:53: dial tcp 10.0.0.1:53: connect: permission denied": "",
		"the app: cannot connect the user: permission denied":                                "",
		"open /tmp/scratch/x: permission denied":                                             "",
		"fork/exec /opt/baton/baton-x: permission denied":                                    "",
		"dial tcp 10.0.0.1:443: connect: permission denied":                                  "",
		"dial unix /run/postgresql/.s.PGSQL.5432: connect: permission denied":                "",
		"rpc error: code = PermissionDenied desc = the app refuses it":                       "",
		"the app refuses the token (403): permission denied":                                 "",
		`{"error":{"code":403,"status":"PERMISSION_DENIED"}}`:                                "",
		"user ada: permission denied for group admins":                                       "",
		"open /etc/krb5.conf: no such file or directory":                                     "",
		"everything is well": "",
	} {
		d := &deniedTexts{policy: policy, program: "/opt/baton/baton-x"}
		hint := d.hint(text)
		if want == "" {
			require.Empty(t, hint, "%q", text)
			continue
		}
		require.True(t, strings.HasPrefix(hint, "the plugin is in a sandbox"), "%q: %q", text, hint)
		require.Contains(t, hint, want, "%q", text)
	}
	require.Empty(t, (&deniedTexts{policy: &sandbox.Policy{}}).hint("dial tcp 10.0.0.1:5432: connect: permission denied"), "no port is closed")
	require.Empty(t, (*deniedTexts)(nil).hint("open /etc/x: permission denied"), "it is in no sandbox")
}

// TestDeniedTexts_AreLoggedOnce for each process, and each line is passed on.
func TestDeniedTexts_AreLoggedOnce(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	var passed []string
	d := &deniedTexts{policy: &sandbox.Policy{}, log: zap.New(core), next: func(line pluginlog.Line) { passed = append(passed, line.Text) }}
	lines := []string{"starting", "open /etc/a: permission denied", "open /etc/b: permission denied"}
	for _, line := range lines {
		d.observe(pluginlog.Line{Text: line})
	}
	require.Equal(t, lines, passed)
	require.Len(t, logs.All(), 1)
	require.Equal(t, zapcore.WarnLevel, logs.All()[0].Level)
	require.Contains(t, logs.All()[0].Message, readHint("/etc/a"))
}

// TestDeniedTexts_ExplainErrors without a change of what they are.
func TestDeniedTexts_ExplainErrors(t *testing.T) {
	t.Parallel()
	d := &deniedTexts{policy: &sandbox.Policy{}}
	cause := errors.New("open /etc/a: permission denied")
	for name, err := range map[string]error{
		"an error":            cause,
		"one that is wrapped": fmt.Errorf("start plugin: %w", cause),
	} {
		explained := d.explain(err)
		require.ErrorIs(t, explained, cause, name)
		require.Equal(t, err.Error()+"; the plugin is in a sandbox; "+readHint("/etc/a"), explained.Error(), name)
		require.Equal(t, explained, d.explain(explained), "%s: once", name)
	}
	said := d.explain(status.Error(codes.Internal, cause.Error()))
	require.Equal(t, codes.Internal, status.Code(said))
	require.Equal(t, cause.Error()+"; the plugin is in a sandbox; "+readHint("/etc/a"), status.Convert(said).Message())
	exit := &ExitError{Instance: "test", State: "exit status 1", LastLines: []string{cause.Error()}, Denied: d.hint(cause.Error())}
	require.Equal(t, error(exit), d.explain(exit))
	require.Equal(t, `the process of plugin "test" ended (exit status 1); its last words: `+cause.Error()+"; the plugin is in a sandbox; "+readHint("/etc/a"), exit.Error())
	require.Equal(t, `the process of plugin "test" ended (exit status 1)`, exit.Public(), "the path is a word of the plugin")
	require.NoError(t, d.explain(nil))
	other := errors.New("the app is away")
	require.Equal(t, other, d.explain(other))
}
