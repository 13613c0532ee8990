// Command baton-host runs identity connectors as plugins: it loads them,
// aggregates their accounts and writes or uploads sync files.
//
// People and schedulers call it. Results go to standard output, everything else
// to standard error; the exit status is 0 only where all of the work was done.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRootCommand().ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
		return
	case interrupted:
		fmt.Fprintln(os.Stderr, "baton-host: interrupted; nothing was left half-written")
		os.Exit(130)
	default:
		fmt.Fprintf(os.Stderr, "baton-host: %s\n", sentence(err))
		os.Exit(1)
	}
}

// grpcPreamble is what gRPC puts in front of a status's message.
var grpcPreamble = regexp.MustCompile(`rpc error: code = \w+ desc = `)

// sentence is the error as a person reads it: without gRPC's noise, and several
// of them one to a line.
func sentence(err error) string {
	text := grpcPreamble.ReplaceAllString(err.Error(), "")
	if strings.Contains(text, "\n") {
		text = "\n  " + strings.ReplaceAll(text, "\n", "\n  ")
	}
	return text
}
