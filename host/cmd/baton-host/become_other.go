//go:build !unix

package main

import (
	"errors"
	"os"
	"os/exec"
)

// become runs another program in the place of this one and ends as it does. Ctrl-C
// reaches both; what else ends this process leaves the other one to its console.
func become(path string, args ...string) error {
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // Of the same release; it ends when the person wants.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
	return err
}
