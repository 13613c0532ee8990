package fleet

import (
	"errors"
	"io/fs"

	"github.com/batonhost/baton-host/host/internal/pin"
)

// ErrUnlocked says that a lock file is there and ignored.
var ErrUnlocked = errors.New("the lock file is ignored")

// Pin pins plugins to what the lock file of a configuration has of them. Those that are
// attached to are not: nothing is executed. It returns fs.ErrNotExist where there is no
// lock file, ErrUnlocked where it is to be ignored, and else an error for every plugin
// that the file does not cover; accept is the command that adds one.
func Pin(configFile, accept string, plugins []*Plugin, unlocked bool) error {
	path := pin.PathFor(configFile)
	file, err := pin.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return err
	case unlocked:
		return ErrUnlocked
	case err != nil:
		return err
	}
	var failed []error
	for _, p := range plugins {
		if p.attach != nil {
			continue
		}
		found, err := file.Pin(p.Name, p.Args, configFile, accept)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		p.pin = found
	}
	return errors.Join(failed...)
}
