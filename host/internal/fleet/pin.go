package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/host/internal/pin"
)

// Platform is this system, as a lock file names it.
const Platform = runtime.GOOS + "/" + runtime.GOARCH

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
		locked, ok := file.Plugins[p.Name]
		if !ok {
			failed = append(failed, fmt.Errorf("plugin %q is not in %s; add it with: %s", p.Name, path, accept))
			continue
		}
		sums, ok := locked.Platforms[Platform]
		if !ok {
			failed = append(failed, fmt.Errorf("plugin %q is locked in %s for %s only, not for %s; add it, on such a machine, with: %s",
				p.Name, path, strings.Join(slices.Sorted(maps.Keys(locked.Platforms)), ", "), Platform, accept))
			continue
		}
		p.pin = &pin.Pin{
			Executable: sums.Executable, Files: pinnedFiles(configFile, p.Args, sums.Files),
			Source: path, Accept: accept,
		}
	}
	return errors.Join(failed...)
}

// LockName is how a lock file names a file among a plugin's arguments: relative to the
// configuration where it is below it.
func LockName(configFile, arg string) string {
	flag, path := pin.FileIn(arg)
	dir, err := filepath.Abs(filepath.Dir(configFile))
	if err != nil {
		return arg
	}
	relative, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(relative) {
		return arg
	}
	return flag + filepath.ToSlash(relative)
}

// pinnedFiles are the sums of a lock file by the plugin's arguments.
func pinnedFiles(configFile string, args []string, sums map[string]string) map[string]string {
	files := maps.Clone(sums)
	for _, arg := range args {
		name := LockName(configFile, arg)
		if sum, ok := sums[name]; ok && name != arg {
			delete(files, name)
			files[arg] = sum
		}
	}
	return files
}
