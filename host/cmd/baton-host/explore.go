package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/batonhost/baton-host/host/explore"
	"github.com/batonhost/baton-host/host/syncfile"
)

func newExploreCommand() *cobra.Command {
	var port int
	var noBrowser bool
	cmd := &cobra.Command{
		Use:   "explore FILE.c1z",
		Short: "Look at a sync file in the browser, with the SDK's explorer",
		Long: `Look at a sync file in the browser, with the SDK's explorer: resources, who has
access to what, and how.

The file holds people's names and addresses. The explorer listens on the loopback
address only, and the address that is shown opens it once: for the browser that comes
first. It runs until it is stopped (Ctrl-C).

Without a browser on this machine, forward the port:
ssh -L 8080:127.0.0.1:8080 HOST, there: baton-host explore FILE.c1z --port 8080`,
		Example: `  baton-host explore out/workforce.c1z
  baton-host explore out/workforce.c1z --no-browser --port 8080`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: perArgument(syncFiles),
		RunE: func(cmd *cobra.Command, args []string) error {
			if port < 0 || port > 65535 {
				return fmt.Errorf("--port must be from 0, which is any free one, to 65535, not %d", port)
			}
			browse := !noBrowser && term.IsTerminal(int(os.Stdout.Fd()))
			return runExplorer(cmd.Context(), cmd.OutOrStdout(), args[0], port, browse)
		},
	}
	cmd.Flags().IntVar(&port, "port", 0, "the port to listen on (default any free one)")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "only show the address")
	return cmd
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
			fmt.Fprintf(os.Stderr, "baton-host: no browser could be started (%s); open the address yourself\n", printable(err.Error()))
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
	go func() { _ = browser.Wait() }() // Nobody waits for a browser.
	return nil
}
