package main

import (
	"context"
	"fmt"
	"net"
)

// listen opens a loopback address. The name is resolved first and what it
// resolves to is opened, so that what was checked is what listens.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("the address %q is not a host and a port such as 127.0.0.1:0: %w", addr, err)
	}
	if !resolved.IP.IsLoopback() {
		return nil, fmt.Errorf("the address %q is not a loopback address; a sandbox listens on this machine only, such as on 127.0.0.1:0", addr)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", resolved.String())
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s; is the port in use? %w", addr, err)
	}
	return listener, nil
}
