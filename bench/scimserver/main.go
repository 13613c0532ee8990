// Command bench-scim serves the SCIM services that the benchmark reads: users made
// beforehand, and answers that take as long as a flag sets.
//
// The benchmark runs it as a separate process, so that its cost counts for neither side. It
// must never be what is slow: a page is a part of what is in memory already, wherever it
// begins.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// tokenVariable has the token that every request must bring.
const tokenVariable = "BENCH_SCIM_TOKEN"

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench-scim:", err)
		os.Exit(1)
	}
}

// run serves until stdin ends. It writes the address to stdout once it listens.
func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	s := &service{token: os.Getenv(tokenVariable)}
	flags := flag.NewFlagSet("bench-scim", flag.ContinueOnError)
	apps := flags.Int("apps", 1, "how many apps")
	users := flags.Int("users", 1000, "how many users each has")
	groups := flags.Int("groups", 0, "how many groups each has")
	members := flags.Int("members", 0, "how many members a group has")
	seed := flags.Uint64("seed", 1, "the same seed makes the same users; each app adds its number")
	flags.DurationVar(&s.latency, "latency", 0, "how long each answer takes")
	flags.IntVar(&s.pageCap, "cap", 100, "how many users a page has at most")
	flags.StringVar(&s.drop, "drop", "", "the side that does not see the last user of the last app, to try what the benchmark reports")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.token == "" {
		return fmt.Errorf("there is no token in %s", tokenVariable)
	}
	for i := range *apps {
		app, err := newApp(*users, *seed+uint64(i))
		if err != nil {
			return err
		}
		if err := app.withGroups(*groups, *members, *seed+uint64(i)); err != nil {
			return err
		}
		s.apps = append(s.apps, app)
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		_ = server.Close()
	}()
	if _, err := fmt.Fprintf(stdout, "http://%s\n", listener.Addr()); err != nil {
		return err
	}
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}
