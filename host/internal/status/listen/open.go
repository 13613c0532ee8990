package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// example is an address for sentences.
const example = "127.0.0.1:9400"

// Open listens on an address, "host:port". One that other machines may reach is
// refused unless anyone is set. Errors are sentences that name the flags of
// `baton-host run`.
func Open(ctx context.Context, address string, anyone bool) (net.Listener, error) {
	// What is looked at is what is opened, and no name that may lead elsewhere by
	// then.
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--listen %s: this is no address to listen on (%w); name one such as %s", address, err, example)
	}
	if !resolved.IP.IsLoopback() && !anyone {
		return nil, fmt.Errorf("--listen %s: other machines may reach this address, and the status page has no login: whoever reaches it can read it; "+
			"name a loopback address such as %s, or add --listen-any if that is meant", address, example)
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", resolved.String())
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("--listen %s: the port is in use by another program; name a free one, or port 0 to have one chosen", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("--listen %s: this machine does not have the address; name one that it has, such as %s", address, example)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("--listen %s: this user may not listen on that port; name one above 1023", address)
	case err != nil:
		return nil, fmt.Errorf("--listen %s: %w; name a free address such as %s", address, err, example)
	}
	return listener, nil
}
