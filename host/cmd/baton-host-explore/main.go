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

	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/explore"
	"github.com/batonhost/baton-host/host/internal/hostlog"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A reader that has gone away is an error of the write.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	request, err := parse(os.Args[1:])
	if err == nil {
		err = request.run(ctx, os.Stdout)
	}
	stop()
	if err != nil {
		request.fail(err)
		os.Exit(1)
	}
}

// request is what the command asks for.
type request struct {
	file   string
	port   int
	browse bool
	// inJSON has standard error in lines of JSON.
	inJSON bool
}

// argumentCount is how many arguments there are: the host's version and what is in a
// [request]. Another release may give others, but leastCount at least.
const argumentCount, leastCount = 5, 4

func parse(args []string) (r request, err error) {
	foreign := errors.New("this program is a part of baton-host; run: baton-host explore FILE.c1z")
	if len(args) < leastCount {
		return r, foreign
	}
	r.inJSON = args[len(args)-1] == "true"
	if args[0] != version {
		return r, fmt.Errorf("baton-host is version %s, and the baton-host-explore beside it %s; install both from one release", args[0], version)
	}
	if len(args) != argumentCount {
		return r, foreign
	}
	r.file = args[1]
	if r.port, err = strconv.Atoi(args[2]); err != nil {
		return r, fmt.Errorf("the port is %q, which is no number", args[2])
	}
	if r.browse, err = strconv.ParseBool(args[3]); err != nil {
		return r, fmt.Errorf("whether to start a browser is %q", args[3])
	}
	return r, nil
}

// fail writes the error that ends the program as its last line on standard error.
func (r request) fail(err error) {
	if r.inJSON {
		hostlog.Command(command).Error("the command failed", zap.Error(errors.New(errtext.Plain(err.Error()))))
		_ = hostlog.Stderr.Sync()
		return
	}
	fmt.Fprintf(os.Stderr, "baton-host: %s\n", printable(err))
}

// say writes a line for a person to standard error.
func (r request) say(line string) {
	if r.inJSON {
		hostlog.Command(command).Info(line)
		return
	}
	fmt.Fprintf(os.Stderr, "baton-host: %s\n", line)
}

// command is what runs this program.
const command = "explore"

// printable returns an error as a person reads it.
func printable(err error) string {
	return errtext.Lines(errtext.Plain(err.Error()))
}

func (r request) run(ctx context.Context, stdout io.Writer) (err error) {
	file, err := syncfile.Open(ctx, r.file, os.TempDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(context.WithoutCancel(ctx))) }()
	server, err := explore.Listen(ctx, file.Store, r.port)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "%s\n", server.Address()); err != nil {
		return fmt.Errorf("the address could not be written to standard output: %w", err)
	}
	r.say("the explorer is at this address, which opens once; stop it with Ctrl-C")
	if r.browse {
		if err := openBrowser(ctx, server.Address()); err != nil {
			r.say(fmt.Sprintf("no browser could be started (%s); open the address yourself", printable(err)))
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
