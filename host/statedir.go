package host

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/batonhost/baton-host/host/internal/files"
)

// stateDir returns where the service keeps its baselines.
func (h *Host) stateDir() (string, error) {
	dir := h.options.StateDir
	if h.cfg != nil {
		dir = cmp.Or(dir, h.cfg.StateDir)
	}
	if dir != "" {
		return dir, nil
	}
	return usualStateDir()
}

// usualStateDir returns what systemd gives a service, else the user's own.
func usualStateDir() (string, error) {
	if given := os.Getenv("STATE_DIRECTORY"); given != "" {
		first, _, _ := strings.Cut(given, ":")
		return first, nil
	}
	if given := os.Getenv("XDG_STATE_HOME"); given != "" {
		return filepath.Join(given, "baton-host"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("there is no directory to keep state in; name one with --state-dir")
	}
	return filepath.Join(home, ".local", "state", "baton-host"), nil
}

// lockStateDir makes the state directory and locks it for this host alone.
func lockStateDir(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the state directory %s cannot be made: %w; name another with --state-dir", dir, err)
	}
	release, err = files.Lock(dir)
	if errors.Is(err, files.ErrHeld) {
		return nil, fmt.Errorf("the state directory %s is in use by another baton-host; give each its own with --state-dir", dir)
	}
	if err == nil {
		if err = tryToWrite(dir); err != nil {
			release()
		}
	}
	if errors.Is(err, syscall.ENOSPC) {
		return nil, fmt.Errorf("the state directory %s cannot be written to: %w; make room there, or name another with --state-dir", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("the state directory %s cannot be written to: %w; make it writable, or name another with --state-dir", dir, err)
	}
	return release, nil
}

func tryToWrite(dir string) error {
	// One name, so that the next run removes what a killed one leaves.
	path := filepath.Join(dir, ".writable")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString("x")
	return errors.Join(err, file.Close(), os.Remove(file.Name()))
}
