//go:build linux

// Package attack has what a plugin that means harm tries, and the words in which it is
// ordered to and reports.
package attack

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Hello is what a process reports about itself when it has connected: all that an attacker
// could want to know of it.
type Hello struct {
	Name string
	PID  int
	Host int // the process id of its parent
	// Scratch is a directory of its own, with a secret in the file SecretName; empty for
	// an unmodified connector.
	Scratch string
	// Sockets is the directory of the socket that it serves, and Socket is that; empty
	// for an unmodified connector.
	Sockets, Socket string
	// Descriptor is that of a file that has a secret and no name any more.
	Descriptor int
	// Abstract is a socket without a path.
	Abstract string
}

// SecretName is the name of a file that each process has in its scratch directory.
const SecretName = "harm-secret"

// Targets are what is attacked.
type Targets struct {
	Host   int
	Victim Hello
	// Prefix begins every secret that is planted.
	Prefix string
	// Config and State are the configuration file and the state directory.
	Config, State string
	// Programs are files: its own program, that of the victim, that of the host.
	Programs []string
	// Port is an address that connect does not name, where it names any; Echo is one of
	// UDP that answers.
	Port, Echo string
	// FileSize and Files are beyond the limits of a sandbox.
	FileSize int64
	Files    uint64
}

// Loot is what came of one attack.
type Loot struct {
	// Got is what it got, where that is a text.
	Got string `json:",omitempty"`
	// Err is why it got nothing; empty: it succeeded.
	Err string `json:",omitempty"`
}

// Verdict says whether the attack succeeded, as the table of attacks does.
func (l Loot) Verdict() string {
	if l.Err == "" {
		return "yes"
	}
	return "no"
}

// Soldier is one process.
type Soldier struct {
	Name, Token string

	secret *os.File
	kept   net.Listener
}

// Serve reports to the commander, obeys its orders and returns when it hangs up. A process
// that is not commanded is one that the test misses.
func (s *Soldier) Serve(commander string) {
	conn, err := net.Dial("tcp", commander) //nolint:noctx // It is on this machine.
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer func() { _ = conn.Close() }()
	hello, err := s.prepare()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	reports, orders := json.NewEncoder(conn), json.NewDecoder(conn)
	for err = reports.Encode(hello); err == nil; {
		var targets Targets
		if err = orders.Decode(&targets); err == nil {
			err = reports.Encode(s.attack(targets))
		}
	}
}

// prepare has a process own what others are to look for.
func (s *Soldier) prepare() (hello Hello, err error) {
	hello = Hello{
		Name: s.Name, PID: os.Getpid(), Host: os.Getppid(), Sockets: os.Getenv("PLUGIN_UNIX_SOCKET_DIR"),
		Scratch: os.Getenv("BATON_PLUGIN_SCRATCH_DIR"),
	}
	if hello.Scratch == "" {
		return hello, nil
	}
	if err := os.WriteFile(filepath.Join(hello.Scratch, SecretName), []byte(s.Token), 0o600); err != nil {
		return hello, err
	}
	if s.secret, err = os.CreateTemp(hello.Scratch, "unnamed"); err != nil {
		return hello, err
	}
	_, err = s.secret.WriteString(s.Token)
	if err == nil {
		err = os.Remove(s.secret.Name())
	}
	if err != nil {
		return hello, err
	}
	hello.Descriptor = int(s.secret.Fd())
	hello.Abstract = fmt.Sprintf("@harm-%d", os.Getpid())
	if s.kept, err = net.Listen("unix", hello.Abstract); err != nil { //nolint:noctx // It ends with the process.
		return hello, err
	}
	if hello.Sockets != "" {
		sockets, _ := filepath.Glob(filepath.Join(hello.Sockets, "plugin*"))
		if len(sockets) > 0 {
			hello.Socket = sockets[0]
		}
	}
	return hello, nil
}
