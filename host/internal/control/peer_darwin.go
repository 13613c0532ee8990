package control

import (
	"net"

	"golang.org/x/sys/unix"

	"github.com/batonhost/baton-host/host/internal/files"
)

// longestPath is how many bytes the path of a socket may have.
const longestPath = 103

// credentials returns who has connected, as the kernel noted it at that moment.
func credentials(conn *net.UnixConn) Peer {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{User: unknown}
	}
	peer := Peer{User: unknown}
	_ = raw.Control(func(fd uintptr) {
		if found, err := unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); err == nil {
			peer.User = files.UserName(found.Uid)
		}
		if pid, err := unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID); err == nil {
			peer.PID = pid
		}
	})
	return peer
}
