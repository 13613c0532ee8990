package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func newExploreCommand(root *rootOptions) *cobra.Command {
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
			return runExplorer(args[0], port, browse, root.writesJSON(cmd))
		},
	}
	cmd.Flags().IntVar(&port, "port", 0, "the port to listen on (default any free one)")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "only show the address")
	return cmd
}

// explorer is the program that this one becomes: see its package comment for why.
const explorer = "baton-host-explore"

func runExplorer(file string, port int, browse, inJSON bool) error {
	own, err := os.Executable()
	if err == nil {
		own, err = filepath.EvalSymlinks(own) // On some systems it is the link that was called.
	}
	if err != nil {
		return fmt.Errorf("find the explorer, which is beside this program: %w", err)
	}
	// Never along PATH: it is of the same release.
	path := filepath.Join(filepath.Dir(own), explorer)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("the explorer is a separate program, %s, which a release has beside baton-host: %w; put it there", explorer, err)
	}
	if err := become(path, version, file, strconv.Itoa(port), strconv.FormatBool(browse), strconv.FormatBool(inJSON)); err != nil {
		return fmt.Errorf("start the explorer (%s): %w", path, err)
	}
	return nil
}
