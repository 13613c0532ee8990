package control_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/batonhost/baton-host/host/internal/control"
)

// callVariable makes the test binary a client of the directory that it names.
const callVariable = "CONTROL_TEST_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(callVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	var answer doubled
	if err := control.Call(context.Background(), dir, "double", number{2}, &answer); err != nil {
		fmt.Fprint(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(answer.Twice)
}

type number struct {
	Number int `json:"number"`
}

type doubled struct {
	Twice int `json:"twice"`
	Peer  control.Peer
}

func double(_ context.Context, peer control.Peer, asked number) (doubled, error) {
	if asked.Number == 0 {
		return doubled{}, errors.New("nothing cannot be doubled")
	}
	return doubled{2 * asked.Number, peer}, nil
}

// stateDir returns a directory whose path is short enough for a socket.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "baton-control-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// host listens in a directory, until the test ends or the host is closed.
func host(t *testing.T, dir string, more ...control.Endpoint) (*control.Server, *observer.ObservedLogs) {
	t.Helper()
	core, logged := observer.New(zap.InfoLevel)
	endpoints := map[string]control.Endpoint{"double": control.For(double)}
	for i, one := range more {
		endpoints[fmt.Sprintf("more%d", i)] = one
	}
	server, err := control.Listen(ctxzap.ToContext(t.Context(), zap.New(core)), control.Options{Dir: dir, Version: "v1.2.3", Endpoints: endpoints})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server, logged
}

func call(t *testing.T, dir string) (doubled, error) {
	t.Helper()
	var answer doubled
	err := control.Call(t.Context(), dir, "double", number{21}, &answer)
	return answer, err
}

func TestControl_AnswersWhoReadsTheToken(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	server, logged := host(t, dir)
	answer, err := call(t, dir)
	require.NoError(t, err)
	require.Equal(t, 42, answer.Twice)
	if runtime.GOOS == "linux" || runtime.GOOS == "darwin" {
		require.Equal(t, os.Getpid(), answer.Peer.PID)
		require.NotContains(t, []string{"", "unknown"}, answer.Peer.User)
	}
	require.ErrorContains(t, control.Call(t.Context(), dir, "double", number{}, &answer), "nothing cannot be doubled")
	require.Zero(t, logged.Len())

	first, err := os.ReadFile(filepath.Join(dir, "control.token"))
	require.NoError(t, err)
	require.Len(t, first, 64)
	for _, name := range []string{"control.sock", "control.token"} {
		info, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
	server.Close()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries, "both are removed at the end")

	_, _ = host(t, dir)
	second, err := os.ReadFile(filepath.Join(dir, "control.token"))
	require.NoError(t, err)
	require.NotEqual(t, first, second)
}

// raw sends bytes to the socket and returns what comes back.
func raw(t *testing.T, dir, text string) (status int, body string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", filepath.Join(dir, "control.sock"))
	require.NoError(t, err)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, text) }() // The host may not read all of it.
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(data)
}

// post is a request as a client writes it.
func post(name, authorization, body string) string {
	return fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: control.sock\r\n%sContent-Length: %d\r\n\r\n%s", name, authorization, len(body), body)
}

func TestControl_RefusesInSentences(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	_, logged := host(t, dir)
	token, err := os.ReadFile(filepath.Join(dir, "control.token"))
	require.NoError(t, err)
	right := "Authorization: Bearer " + string(token) + "\r\n"
	good := `{"version": 1, "request": {"number": 21}}`
	const unproven = "the host does not accept the token"
	for name, c := range map[string]struct {
		text   string
		status int
		want   string
	}{
		"the right token":         {post("double", right, good), http.StatusOK, `"twice":42`},
		"no token":                {post("double", "", good), http.StatusUnauthorized, unproven},
		"an empty token":          {post("double", "Authorization: Bearer \r\n", good), http.StatusUnauthorized, unproven},
		"another token":           {post("double", "Authorization: Bearer "+strings.Repeat("0", 64)+"\r\n", good), http.StatusUnauthorized, unproven},
		"a part of the token":     {post("double", "Authorization: Bearer "+string(token[:63])+"\r\n", good), http.StatusUnauthorized, unproven},
		"the token and more":      {post("double", "Authorization: Bearer "+string(token)+"0\r\n", good), http.StatusUnauthorized, unproven},
		"the token without a way": {post("double", "Authorization: "+string(token)+"\r\n", good), http.StatusUnauthorized, unproven},
		"no token, unknown":       {post("triple", "", good), http.StatusUnauthorized, unproven},
		"unknown":                 {post("triple", right, good), http.StatusNotFound, `this host (v1.2.3) does not know the request \"triple\"`},
		"another method":          {strings.Replace(post("double", right, good), "POST", "PUT", 1), http.StatusMethodNotAllowed, "must be a POST"},
		"a newer command":         {post("double", right, `{"version": 2, "request": {"number": 21}}`), http.StatusBadRequest, "the command speaks version 2 of the control socket, and this host (v1.2.3) version 1"},
		"no version":              {post("double", right, `{"request": {"number": 21}}`), http.StatusBadRequest, "the command speaks version 0"},
		"an unknown member":       {post("double", right, `{"version": 1, "request": {"number": 21, "twice": true}}`), http.StatusBadRequest, `does not understand the request (unknown field \"twice\")`},
		"another type":            {post("double", right, `{"version": 1, "request": {"number": "21"}}`), http.StatusBadRequest, "does not understand the request"},
		"no request":              {post("double", right, `{"version": 1}`), http.StatusBadRequest, `does not understand the request (it has no member \"request\")`},
		"no JSON":                 {post("double", right, `number 21`), http.StatusBadRequest, "is no JSON"},
		"cut short":               {post("double", right, `{"version": 1, "req`), http.StatusBadRequest, "cut short"},
		"too large":               {post("double", right, `{"version": 1, "request": "`+strings.Repeat("x", 65<<10)+`"}`), http.StatusRequestEntityTooLarge, "the request is larger than 64 KiB"},
		"no HTTP":                 {"hello\r\n\r\n", http.StatusBadRequest, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, body := raw(t, dir, c.text)
			require.Equal(t, c.status, status, body)
			require.Contains(t, body, c.want)
			require.NotContains(t, body, string(token))
		})
	}
	t.Cleanup(func() {
		require.Equal(t, 1, logged.FilterMessage("a client of the control socket did not prove that it can read the token").Len(), "of seven")
	})
}

// TestControl_IsNotHeldUpByOthers: clients that send nothing, or only begin, keep no other
// from being answered, and are disconnected.
func TestControl_IsNotHeldUpByOthers(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	begun, release := make(chan struct{}), make(chan struct{})
	slow := control.For(func(ctx context.Context, _ control.Peer, _ number) (doubled, error) {
		close(begun)
		<-release
		return doubled{Twice: 1}, nil
	})
	server, _ := host(t, dir, slow)
	var stuck []net.Conn
	for _, text := range []string{"", "POST /double HTTP/1.1\r\nHost: x\r\n", post("double", "", "")} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", filepath.Join(dir, "control.sock"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, text)
		require.NoError(t, err)
		stuck = append(stuck, conn)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		var answer doubled
		if err := control.Call(t.Context(), dir, "more0", number{1}, &answer); err == nil && answer.Twice != 1 {
			t.Error("another answer")
		}
	})
	<-begun
	for range 20 { // more than are connected at a time
		answer, err := call(t, dir)
		require.NoError(t, err)
		require.Equal(t, 42, answer.Twice)
	}
	for _, conn := range stuck[:2] {
		_, err := io.Copy(io.Discard, conn)
		require.NoError(t, err, "the host has closed the connection")
	}

	closed := make(chan struct{})
	go func() { server.Close(); close(closed) }()
	select {
	case <-closed:
		require.Fail(t, "a request is still being answered")
	case <-time.After(10 * time.Millisecond):
	}
	close(release)
	<-closed
	waiting.Wait()
}

// TestControl_MoreClientsThanAllowed: they wait until the others have been disconnected.
func TestControl_MoreClientsThanAllowed(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	_, _ = host(t, dir)
	for range 20 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", filepath.Join(dir, "control.sock"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
	}
	answer, err := call(t, dir)
	require.NoError(t, err)
	require.Equal(t, 42, answer.Twice)
}

func TestControl_ReplacesTheSocketOfADeadHost(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	path := filepath.Join(dir, "control.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	listener.SetUnlinkOnClose(false)
	require.NoError(t, listener.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "control.token"), []byte("old"), 0o644)) //nolint:gosec // What others can read is not used again.

	_, err = call(t, dir)
	require.ErrorIs(t, err, control.ErrNoHost)
	require.ErrorContains(t, err, path+" is the socket of a host that has ended")
	_, _ = host(t, dir)
	_, err = call(t, dir)
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(dir, "control.token"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestListen_ReportsWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"a file":      {func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.WriteFile(path, nil, 0o600)) }, "is there and is no socket; move it away"},
		"a directory": {func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Mkdir(path, 0o700)) }, "is there and is no socket; move it away"},
		"a link":      {func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Symlink("/dev/null", path)) }, "is there and is no socket; move it away"},
		"no directory": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(filepath.Dir(path)))
		}, "the token of the control socket cannot be written"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := stateDir(t)
			c.make(t, filepath.Join(dir, "control.sock"))
			_, err := control.Listen(t.Context(), control.Options{Dir: dir})
			require.ErrorContains(t, err, c.want)
			_, err = os.Stat(filepath.Join(dir, "control.token"))
			require.ErrorIs(t, err, os.ErrNotExist)
		})
	}
}

func TestControl_PathThatIsTooLong(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(stateDir(t), strings.Repeat("long/", 20))
	require.NoError(t, os.MkdirAll(dir, 0o700))
	_, err := control.Listen(t.Context(), control.Options{Dir: dir})
	require.ErrorIs(t, err, control.ErrPathTooLong)
	require.Regexp(t, `has \d+ bytes, and the system allows a socket 10[37]; name a shorter directory with --state-dir$`, err.Error())
	_, err = call(t, dir)
	require.ErrorIs(t, err, control.ErrPathTooLong)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)

	longest := stateDir(t)
	for len(filepath.Join(longest, "x", "control.sock")) <= 103 {
		longest = filepath.Join(longest, strings.Repeat("x", min(50, 103-len(filepath.Join(longest, "", "control.sock"))-1)))
	}
	require.Len(t, filepath.Join(longest, "control.sock"), 103)
	require.NoError(t, os.MkdirAll(longest, 0o700))
	_, _ = host(t, longest)
	_, err = call(t, longest)
	require.NoError(t, err)
}

// TestCall_ExplainsAHostThatCannotBeAsked: hosts of other versions, and none.
func TestCall_ExplainsAHostThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	const header = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
	for name, c := range map[string]struct{ answer, want string }{
		"closes":                {"", "did not answer: it closed the connection; see its log"},
		"closes in the middle":  {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "did not answer: it closed the connection"},
		"no JSON":               {header + "hello", "did not answer: its answer (status 200) is no JSON"},
		"an answer without end": {header + strings.Repeat(" ", 2<<20), "is no JSON"},
		"a newer host":          {header + `{"version": 2, "host": "v9", "answer": {}}`, "(v9) answers in a form that this command does not know; use the baton-host command of the host's version"},
		"another form":          {header + `{"version": 1, "host": "v9", "answer": {"twice": "x"}}`, "(v9) answers in a form that this command does not know ("},
		"neither":               {header + `{"version": 1, "host": "v9"}`, "(v9) answers in a form"},
		"a newer host's error":  {header + `{"version": 2, "host": "v9", "error": "use the command of v9"}`, "use the command of v9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := stateDir(t)
			listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(dir, "control.sock"))
			require.NoError(t, err)
			t.Cleanup(func() { _ = listener.Close() })
			_, err = call(t, dir)
			require.ErrorContains(t, err, "control.token: the file does not exist; restart the host")
			require.NoError(t, os.WriteFile(filepath.Join(dir, "control.token"), []byte("t"), 0o600))
			go func() {
				_, _ = listener.Accept() // That of the first call.
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				if asked, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.Copy(io.Discard, asked.Body)
				}
				_, _ = io.WriteString(conn, c.answer)
				_ = conn.Close()
			}()
			_, err = call(t, dir)
			require.ErrorContains(t, err, c.want)
			require.NotErrorIs(t, err, io.EOF)
		})
	}

	dir := stateDir(t)
	_, err := call(t, dir)
	require.ErrorIs(t, err, control.ErrNoHost)
	_, err = call(t, filepath.Join(dir, "none"))
	require.ErrorIs(t, err, control.ErrNoHost)
	var answer json.RawMessage
	_, _ = host(t, dir)
	require.ErrorContains(t, control.Call(t.Context(), dir, "double", strings.Repeat("x", 65<<10), &answer), "the request is larger than 64 KiB")
}

// TestCall_EndsWithItsContext: a host that does not answer holds no command up that is
// stopped.
func TestCall_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	begun := make(chan struct{})
	_, _ = host(t, dir, control.For(func(ctx context.Context, _ control.Peer, _ number) (doubled, error) {
		close(begun)
		<-ctx.Done()
		return doubled{}, ctx.Err()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	var answer doubled
	require.ErrorIs(t, control.Call(ctx, dir, "more0", number{1}, &answer), context.Canceled)
}

// TestCall_ReadsLargeAnswers: a status with the history of many uploads, but not without end.
func TestCall_ReadsLargeAnswers(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	_, _ = host(t, dir, control.For(func(context.Context, control.Peer, number) (string, error) { return strings.Repeat("x", 3<<20), nil }))
	var answer string
	require.NoError(t, control.Call(t.Context(), dir, "more0", number{}, &answer))
	require.Len(t, answer, 3<<20)

	endless := stateDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(endless, "control.token"), []byte("token"), 0o600))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(endless, "control.sock"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n\"")
		for block := make([]byte, 1<<20); err == nil; {
			_, err = conn.Write(block)
		}
	}()
	require.ErrorContains(t, control.Call(t.Context(), endless, "status", number{}, &answer), "its answer is larger than 32 MiB")
}
