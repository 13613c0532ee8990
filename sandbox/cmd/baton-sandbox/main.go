// Command baton-sandbox runs stand-ins for the services that baton-host talks
// to, on this machine only: a SCIM service with made-up people, and
// ConductorOne's end of service mode.
//
// People who try baton-host out call it, and so do the demo and the benchmarks.
// It must never be reachable from another machine.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := newRootCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "baton-sandbox: %v\n", err)
		os.Exit(1)
	}
}
