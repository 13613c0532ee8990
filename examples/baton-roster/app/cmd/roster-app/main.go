// Command roster-app serves Roster on a loopback address, for trying its connector out.
//
// People run it. It must never protect anything: its token is an argument.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/batonhost/baton-host/examples/baton-roster/app"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintf(os.Stderr, "roster-app: %v\n", err)
		os.Exit(1)
	}
}

func serve() error {
	address := flag.String("listen", "127.0.0.1:8099", "the address to serve on")
	token := flag.String("token", "made-up", "the token to take")
	flag.Parse()
	handler, err := app.New(*token)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Roster answers on http://%s to the token %q\n", *address, *token)
	server := &http.Server{Addr: *address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	return server.ListenAndServe()
}
