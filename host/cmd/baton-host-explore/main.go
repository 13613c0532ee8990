// Command baton-host-explore shows a sync file in the browser.
//
// Only `baton-host explore` runs it, with arguments made of that command's flags. It must
// never be reachable in another way than that of host/internal/explore.
//
// It is a separate program because what the SDK's explorer is made of would cost each host,
// which never shows one, a third more of size, and time and memory at every start.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/explore"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A reader that has gone away is an error of the write.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "baton-host: %s\n", printable(err))
		os.Exit(1)
	}
}

// argumentCount is how many arguments there are: the host's version, the file, the port,
// and whether to show it in a browser.
const argumentCount = 4

func run(ctx context.Context, args []string) error {
	if len(args) != argumentCount {
		return errors.New("this program is a part of baton-host; run: baton-host explore FILE.c1z")
	}
	if args[0] != version {
		return fmt.Errorf("baton-host is version %s, and the baton-host-explore beside it %s; install both from one release", args[0], version)
	}
	port, err := strconv.Atoi(args[2])
	if err != nil {
		return fmt.Errorf("the port is %q, which is no number", args[2])
	}
	browse, err := strconv.ParseBool(args[3])
	if err != nil {
		return fmt.Errorf("whether to start a browser is %q", args[3])
	}
	return runExplorer(ctx, os.Stdout, args[1], port, browse)
}

// printable returns an error as a person reads it.
func printable(err error) string {
	return errtext.Lines(errtext.Plain(err.Error()))
}

func runExplorer(ctx context.Context, stdout io.Writer, path string, port int, browse bool) (err error) {
	file, err := syncfile.Open(ctx, path, os.TempDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(context.WithoutCancel(ctx))) }()
	server, err := explore.Listen(ctx, file.Store, port)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "%s\n", server.Address()); err != nil {
		return fmt.Errorf("the address could not be written to standard output: %w", err)
	}
	fmt.Fprintln(os.Stderr, "baton-host: the explorer is at this address, which opens once; stop it with Ctrl-C")
	if browse {
		if err := openBrowser(ctx, server.Address()); err != nil {
			fmt.Fprintf(os.Stderr, "baton-host: no browser could be started (%s); open the address yourself\n", printable(err))
		}
	}
	return server.Serve(ctx)
}

// openBrowser shows an address in the person's browser.
func openBrowser(ctx context.Context, address string) error {
	words := []string{"xdg-open", address}
	switch runtime.GOOS {
	case "darwin":
		words = []string{"open", address}
	case "windows":
		words = []string{"rundll32", "url.dll,FileProtocolHandler", address}
	}
	browser := exec.CommandContext(context.WithoutCancel(ctx), words[0], words[1:]...) //nolint:gosec // Our own address.
	if err := browser.Start(); err != nil {
		return err
	}
	go func() { _ = browser.Wait() }() // The end of a browser means nothing here.
	return nil
}
