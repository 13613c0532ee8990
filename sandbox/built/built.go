// Package built builds the programs that tests run, and has go link again only what has
// changed since the last run: to link one takes seconds. Tests call it before their first
// case. The product must never import it.
package built

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Into runs `go build` or `go test -c` in a directory, and copies what it builds to another.
// What is built stays below build/tests of the module, where go finds it the next time. A
// test may do with its copies what it likes.
func Into(ctx context.Context, dir, from string, command ...string) error {
	from, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	kept, err := placeOf(from, command)
	if err != nil {
		return err
	}
	args := append([]string{command[0], "-o", kept + string(filepath.Separator)}, command[1:]...)
	build := exec.CommandContext(ctx, "go", args...) //nolint:gosec // What tests build.
	build.Dir = from
	if !slices.Contains(command, "-race") {
		build.Env = append(build.Environ(), "CGO_ENABLED=0") // As the Makefile builds, also from a test that has the race detector.
	}
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", build, err, output)
	}
	return copyAll(kept, dir)
}

// placeOf returns the directory for what a command builds: another command has another, so
// that nothing is in it that was built before and no longer is.
func placeOf(from string, command []string) (string, error) {
	sum := sha256.Sum256([]byte(from + "\x00" + strings.Join(command, "\x00")))
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(root)
		if parent == root {
			return "", errors.New("no go.mod is above the directory of the test: run it in a checkout")
		}
		root = parent
	}
	kept := filepath.Join(root, "build", "tests", hex.EncodeToString(sum[:8]))
	return kept, os.MkdirAll(kept, 0o700)
}

func copyAll(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := copyProgram(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyProgram(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700) //nolint:gosec // A program.
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	_, err = io.Copy(target, source)
	return err
}
