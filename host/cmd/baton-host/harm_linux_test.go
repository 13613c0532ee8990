package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/cmd/baton-host/testdata/baton-harm/attack"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/sandbox/built"
	"github.com/batonhost/baton-host/sandbox/c1"
)

// harmProgram is the directory with the connector that means harm, built once.
var harmProgram = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(bin, "harm")
	return filepath.Join(dir, "baton-harm"), built.Into(context.Background(), dir, ".", "build", "-buildvcs=false", "-ldflags=-s -w", "./testdata/baton-harm")
})

// Secrets that are planted, and never in the hands of an attacker by right.
const (
	planted      = "HARM-"
	victimToken  = planted + "token-5c1f0e77b2"
	victimEnv    = planted + "environment-90d2a4c1fe"
	ownToken     = "own-token-of-the-attacker"
	hostVariable = "HARM_HOST"
	hostSecret   = planted + "host-27a6e1b83d"
	envVariable  = "HARM_ENV"
)

// The attackers: one that the host knows as a plugin, one that it does not.
const (
	victimName     = "victim"
	nativeName     = "native"
	unmodifiedName = "unmodified"
)

// soldier is a process that has connected.
type soldier struct {
	attack.Hello
	conn    net.Conn
	orders  *json.Encoder
	reports *json.Decoder
}

// commander is whom the processes connect to.
type commander struct {
	listener net.Listener
	arrived  chan *soldier
}

func newCommander(t *testing.T) *commander {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It ends with the test.
	require.NoError(t, err)
	c := &commander{listener: listener, arrived: make(chan *soldier, 10)}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			one := &soldier{conn: conn, orders: json.NewEncoder(conn), reports: json.NewDecoder(conn)}
			if one.reports.Decode(&one.Hello) == nil {
				c.arrived <- one
			}
		}
	}()
	return c
}

func (c *commander) port() string {
	_, port, _ := net.SplitHostPort(c.listener.Addr().String())
	return port
}

// muster waits until all have connected.
func (c *commander) muster(t *testing.T, host *service) map[string]*soldier {
	t.Helper()
	all := map[string]*soldier{}
	for len(all) < 3 {
		select {
		case one := <-c.arrived:
			all[one.Name] = one
		case <-host.ctx.Done():
			require.Fail(t, "the host has ended")
		case <-time.After(guard):
			require.Fail(t, "not all plugins have reported", "%v", all)
		}
	}
	return all
}

// attack has a process attack, and returns what it got.
func (s *soldier) attack(t *testing.T, targets attack.Targets) map[string]attack.Loot {
	t.Helper()
	require.NoError(t, s.orders.Encode(targets))
	require.NoError(t, s.conn.SetReadDeadline(time.Now().Add(guard)))
	var loot map[string]attack.Loot
	require.NoError(t, s.reports.Decode(&loot))
	return loot
}

// harmed is a host with a victim and two attackers.
type harmed struct {
	dir      string
	mode     string // of the attackers
	user     *syscall.Credential
	readOnly bool // the root file system
	env      []string
}

// path returns a path in the directory of the host, which belongs to its user.
func (h harmed) path(parts ...string) string {
	return filepath.Join(append([]string{h.dir}, parts...)...)
}

// furnish makes the directory with programs, configuration, state and certificates.
func (h *harmed) furnish(t *testing.T, tenant *tenant, c *commander) (env []string) {
	t.Helper()
	var err error
	h.dir, err = os.MkdirTemp("/tmp", "baton-harm-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(h.dir) })
	require.NoError(t, os.Chmod(h.dir, 0o711)) //nolint:gosec // Its user has what is in it.
	for _, name := range []string{"programs", "state", "tmp", "config"} {
		require.NoError(t, os.Mkdir(h.path(name), 0o700))
	}
	program, err := harmProgram()
	require.NoError(t, err)
	for name, from := range map[string]string{"baton-victim": program, "baton-attacker": program, "baton-host": filepath.Join(bin, "baton-host")} {
		content, err := os.ReadFile(from)
		require.NoError(t, err)
		syscall.ForkLock.RLock()                                     // A child of another test that inherits the open file keeps it busy.
		err = os.WriteFile(h.path("programs", name), content, 0o700) //nolint:gosec // A program.
		syscall.ForkLock.RUnlock()
		require.NoError(t, err)
	}
	ca, err := os.ReadFile(filepath.Join(tenant.dir, "ca.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(h.path("config", "ca.pem"), ca, 0o600))
	// The victim is in no sandbox where the attackers are in one, and the other way round:
	// it is the attacker's that counts.
	victims, attackers, named := "off", h.mode, h.mode
	if h.mode == "on" {
		named = "{ connect: [" + c.port() + "] }"
	} else {
		victims = "on"
	}
	credentials := tenant.client(t, "w")
	require.NoError(t, os.WriteFile(h.path("config", "baton-host.yaml"), []byte(fmt.Sprintf(`
plugins:
  victim:
    path: %[1]s/baton-victim
    sandbox: %[2]s
    env: [%[3]s]
    config: { name: victim, commander: %[4]q, token: %[5]q }
  native:
    path: %[1]s/baton-attacker
    sandbox: %[6]s
    config: { name: native, commander: %[4]q, token: %[8]q }
  unmodified:
    path: %[1]s/baton-attacker
    unmodified: true
    sandbox: %[7]s
    config: { name: unmodified, commander: %[4]q, token: %[8]q }
uploads:
  w: { client-id: %[9]q, client-secret: "${env:HARM_UPLOAD}", plugins: [victim, native, unmodified] }
`, h.path("programs"), victims, envVariable, c.listener.Addr(), victimToken, named, attackers, ownToken, credentials.ID)), 0o600))
	if h.user != nil {
		require.NoError(t, filepath.WalkDir(h.dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, int(h.user.Uid), int(h.user.Gid)) //nolint:gosec // No one else writes there.
		}))
	}
	return []string{
		"SSL_CERT_FILE=" + h.path("config", "ca.pem"), "HARM_UPLOAD=" + credentials.Secret, envVariable + "=" + victimEnv, hostVariable + "=" + hostSecret,
		"TMPDIR=" + h.path("tmp"), "HOME=/nonexistent",
	}
}

// start starts the host, and returns it, its processes and what can be attacked.
func (h *harmed) start(t *testing.T) (*service, map[string]*soldier, attack.Targets) {
	t.Helper()
	tenant, c := startC1(t, c1.Options{}), newCommander(t)
	h.env = h.furnish(t, tenant, c)
	cmd := h.command(t, "run", "--log-format", "json", "--state-dir", h.path("state"))
	host := startService(t, h.path("tmp"), cmd)
	all := c.muster(t, host)
	for _, one := range all {
		require.Equal(t, cmd.Process.Pid, one.Host)
	}
	port, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It ends with the test.
	require.NoError(t, err)
	t.Cleanup(func() { _ = port.Close() })
	return host, all, attack.Targets{
		Host: cmd.Process.Pid, Victim: all[victimName].Hello, Prefix: planted,
		Config: h.path("config", "baton-host.yaml"), State: h.path("state"),
		Programs: []string{h.path("programs", "baton-attacker"), h.path("programs", "baton-victim"), h.path("programs", "baton-host")},
		Port:     port.Addr().String(), Echo: echoUDP(t),
		FileSize: sandbox.MostFileSize + 1, Files: sandbox.MostFiles + 1,
	}
}

// command returns a command of the host, as its user.
func (h *harmed) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(context.WithoutCancel(t.Context()), t, h.env, "baton-host", append(args, "--config", h.path("config", "baton-host.yaml"))...)
	cmd.Path, cmd.Dir = h.path("programs", "baton-host"), "/"
	switch {
	case h.readOnly:
		return onReadOnlyRoot(t, h.dir, cmd)
	case h.user != nil:
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: h.user}
	}
	return cmd
}

// attacked runs the host, has both attackers attack, stops it, and returns what they got.
func (h *harmed) attacked(t *testing.T) map[string]map[string]attack.Loot {
	t.Helper()
	host, all, targets := h.start(t)
	loot := map[string]map[string]attack.Loot{}
	for _, name := range []string{nativeName, unmodifiedName} {
		loot[name] = all[name].attack(t, targets)
	}
	// The entry of this one names no port.
	loot[unmodifiedName][openPort] = loot[unmodifiedName][unnamedPort]
	delete(loot[unmodifiedName], unnamedPort)
	host.stop()
	for _, one := range loot {
		for name, got := range one {
			if strings.HasPrefix(name, "a child ") && got.Err == "" {
				one[name] = outlived(t, got.Got)
			}
		}
	}
	return loot
}

// killed runs the host and kills it, starts another one, and returns whether a child of the
// unmodified connector lives on, which only the kernel ends.
func (h *harmed) killed(t *testing.T) attack.Loot {
	t.Helper()
	host, all, targets := h.start(t)
	attacker := all[unmodifiedName]
	loot := attacker.attack(t, targets)
	child := loot["a child in its group"]
	require.Empty(t, child.Err)
	host.signal(syscall.SIGKILL)
	host.ends()
	require.ErrorIs(t, attacker.reports.Decode(&struct{}{}), io.EOF, "it has ended")
	_, err := os.Stat("/proc/" + child.Got)
	require.NoError(t, err, "it outlives the host")

	checked := finish(t, h.command(t, "check"))
	require.Equal(t, 0, checked.status, checked.stderr)
	for _, name := range []string{"a child in a session of its own", "a child in a group of its own"} {
		if loot[name].Err == "" {
			_ = outlived(t, loot[name].Got) // What is left of the others.
		}
	}
	return outlived(t, child.Got)
}

// The attacks on a port, by what the attacker's entry says.
const (
	unnamedPort = "a port that connect does not name"
	openPort    = "a port where connect names none"
)

// outlived reports whether a process still runs, and ends it.
func outlived(t *testing.T, number string) attack.Loot {
	t.Helper()
	pid, err := strconv.Atoi(number)
	require.NoError(t, err)
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, state, _ := strings.Cut(string(stat), ") ")
		if err != nil || strings.HasPrefix(state, "Z") {
			return attack.Loot{Err: "it has ended with the plugin"}
		}
		require.Contains(t, string(stat), "(sleep)", "or it is another process")
		if !isEnding(t, pid, state) {
			break
		}
		time.Sleep(time.Millisecond) // A machine that is busy takes its time.
	}
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	return attack.Loot{}
}

// isEnding reports whether a process has been killed and has not ended yet. state is what
// /proc has of it from its state on (proc_pid_stat(5)).
func isEnding(t *testing.T, pid int, state string) bool {
	t.Helper()
	const flags, exiting = 6, 4 // the field behind the state, and PF_EXITING in it
	fields := strings.Fields(state)
	require.Greater(t, len(fields), flags)
	set, err := strconv.ParseUint(fields[flags], 10, 64)
	require.NoError(t, err)
	if set&exiting != 0 {
		return true
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return true // It has ended.
	}
	for _, pending := range regexp.MustCompile(`(?m)^(?:Sig|Shd)Pnd:\t([0-9a-f]+)$`).FindAllSubmatch(status, -1) {
		signals, err := strconv.ParseUint(string(pending[1]), 16, 64)
		require.NoError(t, err)
		if signals&(1<<(syscall.SIGKILL-1)) != 0 {
			return true
		}
	}
	return false
}

// echoUDP returns the address of a service that sends back what it gets.
func echoUDP(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // It ends with the test.
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buffer := make([]byte, 64)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = conn.WriteTo(buffer[:n], from)
			}
		}
	}()
	return conn.LocalAddr().String()
}
