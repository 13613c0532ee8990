// Package pin measures the programs of plugins, keeps what was measured in the lock file,
// verifies programs against it, and makes images of what has been verified.
//
// Package host calls it to lock, package fleet to pin plugins to the lock file, and
// package supervise to verify what it starts. It must never have anything executed but
// what was verified, and never write a secret, or anything of this machine but its
// operating system and architecture, into the file, which is meant for version control.
package pin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/child"
	"github.com/batonhost/baton-host/host/internal/proc"
)

// Pin is what a plugin must be made of, as SHA-256 sums of the form "sha256:" and
// 64 hexadecimal digits.
type Pin struct {
	Executable string
	// Files are the files among its arguments, by argument.
	Files map[string]string
	// Source is where the pin comes from, and Accept the command that changes it,
	// for errors. IsInstalled says that Accept installs what is pinned again.
	Source, Accept string
	IsInstalled    bool
}

// Error says that a file is not the one that is pinned.
type Error struct {
	Instance string
	Path     string
	// Found and Pinned are the sums. Pinned is "" for a file that has none.
	Found, Pinned  string
	Source, Accept string
	IsInstalled    bool
}

func (e *Error) Error() string {
	pinned := "says that it is " + e.Pinned
	if e.Pinned == "" {
		pinned = "does not know it"
	}
	if e.IsInstalled {
		return fmt.Sprintf("plugin %q is not started: %s is %s, but %s %s, so it is not what was installed; install it again with: %s",
			e.Instance, e.Path, e.Found, e.Source, pinned, e.Accept)
	}
	return fmt.Sprintf("plugin %q is not started: %s is %s, but %s %s; if it is to be trusted, accept it with: %s",
		e.Instance, e.Path, e.Found, e.Source, pinned, e.Accept)
}

// Public is the error without paths.
func (e *Error) Public() string {
	return fmt.Sprintf("plugin %q is not started: its program is not the one that is pinned in the lock file", e.Instance)
}

// GRPCStatus makes the error FAILED_PRECONDITION.
func (e *Error) GRPCStatus() *status.Status {
	return status.New(codes.FailedPrecondition, e.Error())
}

// Measure is the pin of what is there now. It fails where something cannot be
// pinned: an executable that is none, and a directory among the arguments, whose
// content may be part of the program.
func Measure(path string, args []string) (*Pin, error) {
	path, err := exec.LookPath(path)
	if err != nil {
		return nil, err
	}
	pin := &Pin{}
	if pin.Executable, err = sumOf(path, io.Discard); err != nil {
		return nil, err
	}
	pin.Files, err = measureFiles(args)
	return pin, err
}

// MeasureFile returns the sum of one file.
func MeasureFile(path string) (string, error) { return sumOf(path, io.Discard) }

func measureFiles(args []string) (map[string]string, error) {
	files := map[string]string{}
	for _, arg := range args {
		_, path := FileIn(arg)
		info, err := os.Stat(path)
		switch {
		case err != nil:
			continue // It is no file's name.
		case info.IsDir():
			return nil, fmt.Errorf("the argument %s is a directory, which cannot be locked; name files", arg)
		case !info.Mode().IsRegular():
			continue
		}
		if files[arg], err = sumOf(path, io.Discard); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// FileIn is the path that an argument may hold: itself, or what follows the flag
// with its "=". It is "" for a flag alone.
func FileIn(arg string) (flag, path string) {
	if !strings.HasPrefix(arg, "-") {
		return "", arg
	}
	if at := strings.Index(arg, "="); at >= 0 {
		return arg[:at+1], arg[at+1:]
	}
	return arg, ""
}

// openFile opens a file that is to be measured.
func openFile(path string) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = file.Close()
		return nil, errors.Join(err, fmt.Errorf("%s is not a file", path))
	}
	return file, nil
}

// sumOf copies a file and returns the sum of what was copied.
func sumOf(path string, to io.Writer) (string, error) {
	file, err := openFile(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(hash, to), file); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return sumText(hash), nil
}

// sumText returns a sum as it is written.
func sumText(hash hash.Hash) string { return "sha256:" + hex.EncodeToString(hash.Sum(nil)) }

// Program is what is started for a plugin.
type Program struct {
	// Instance is the plugin's name in the configuration, for errors.
	Instance string
	// Path is the executable.
	Path string
	// Args are its arguments.
	Args []string
}

// Open finds the executable, verifies it and the files among the arguments, and returns
// an image of it. dir is the process's own.
func (p *Pin) Open(program Program, dir string) (*proc.Image, error) {
	path, err := exec.LookPath(program.Path)
	if err != nil {
		return nil, fmt.Errorf("start plugin %q (%s): %s%w", program.Instance, program.Path, child.Obstacle(program.Path, err), err)
	}
	program.Path = path
	image, err := p.image(program, dir)
	if err != nil {
		return nil, err
	}
	return image, p.VerifyFiles(program)
}

// copied returns the image where there is no memory that can be sealed: a copy in a
// directory that only this user can enter.
func (p *Pin) copied(program Program, dir string) (*proc.Image, error) {
	file, err := openFile(program.Path)
	if err != nil {
		return nil, fmt.Errorf("copy the executable to verify it: %w", err)
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	image, err := proc.Copy(io.TeeReader(file, hash), dir)
	if err != nil {
		return nil, err
	}
	return image, p.verify(program.Instance, program.Path, sumText(hash), p.Executable)
}

// VerifyFiles compares the files among the arguments with the pin.
func (p *Pin) VerifyFiles(program Program) error {
	found, err := measureFiles(program.Args)
	if err != nil {
		return fmt.Errorf("plugin %q: %w", program.Instance, err)
	}
	for _, arg := range slices.Sorted(maps.Keys(found)) {
		_, path := FileIn(arg)
		if err := p.verify(program.Instance, path, found[arg], p.Files[arg]); err != nil {
			return err
		}
	}
	for _, arg := range slices.Sorted(maps.Keys(p.Files)) {
		if _, ok := found[arg]; !ok {
			return fmt.Errorf("plugin %q is not started: %s knows a file among its arguments that is not there: %s", program.Instance, p.Source, arg)
		}
	}
	return nil
}

// verify compares a sum that was found with the pinned one.
func (p *Pin) verify(instance, path, found, pinned string) error {
	if found == pinned {
		return nil
	}
	return &Error{Instance: instance, Path: path, Found: found, Pinned: pinned, Source: p.Source, Accept: p.Accept, IsInstalled: p.IsInstalled}
}
