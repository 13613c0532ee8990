package control

import (
	"net"
	"syscall"

	"github.com/batonhost/baton-host/host/internal/files"
)

// longestPath is how many bytes the path of a socket may have.
const longestPath = 107

// credentials returns who has connected, as the kernel noted it at that moment.
func credentials(conn *net.UnixConn) Peer {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{User: unknown}
	}
	var found *syscall.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		found, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err != nil || failed != nil {
		return Peer{User: unknown}
	}
	return Peer{User: files.UserName(found.Uid), PID: int(found.Pid)}
}
