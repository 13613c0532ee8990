package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/host/internal/child"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/supervise/unmodified"
)

// binaryPrefix begins the name of every plugin binary: the app "fullstory" is
// served by baton-fullstory.
const binaryPrefix = "baton-"

// notPlugins are the programs of this project that bear the prefix and are no
// plugins.
var notPlugins = []string{"baton-host", "baton-host-aws", "baton-host-explore", "baton-sandbox"}

// Finder looks for plugin binaries. The first place that has one wins.
type Finder struct {
	// Dirs are looked at in order: by convention the directories that the
	// operator named, then the one of the host's own binary, then PATH. A relative
	// one is seen from the current directory.
	Dirs []string
}

// dirs are the directories as absolute paths, each once. The path of a binary must be absolute:
// a program that is started in another directory is not found by a relative one, and
// a name without a directory is looked up along PATH.
func (f *Finder) dirs() []string {
	dirs := make([]string, 0, len(f.Dirs))
	for _, dir := range f.Dirs {
		if absolute, err := filepath.Abs(dir); err == nil {
			dir = absolute
		}
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// NewFinder looks in the operator's directories, beside the host's own binary
// and along PATH, in this order.
func NewFinder(operatorDirs []string) *Finder {
	dirs := slices.Clone(operatorDirs)
	if own, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(own))
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		// A relative entry would make what runs depend on where the host was
		// started (see exec.ErrDot).
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	return &Finder{Dirs: dirs}
}

// Find returns the absolute path of an app's plugin binary.
func (f *Finder) Find(app string) (string, error) {
	if app == "" || app != filepath.Base(app) {
		return "", fmt.Errorf("%q is not the name of an app; give the name, such as fullstory, and with --plugin-dir the directory that its binary baton-fullstory is in", app)
	}
	var notExecutable string
	dirs := f.dirs()
	for _, dir := range dirs {
		path := filepath.Join(dir, fileName(app))
		if isExecutable(path) {
			return path, nil
		}
		if info, err := os.Stat(path); notExecutable == "" && err == nil && info.Mode().IsRegular() {
			notExecutable = path
		}
	}
	if notExecutable != "" {
		return "", &startError{
			fmt.Errorf("there is no plugin binary %s that can be started: %s is not executable; make it so (chmod +x), or say where another is with the plugin's path or --plugin-dir",
				fileName(app), notExecutable), fmt.Sprintf("the plugin binary %s is not executable", fileName(app)),
		}
	}
	return "", &startError{
		fmt.Errorf("there is no plugin binary %s%s; install it, or say where it is with the plugin's path or --plugin-dir; it was looked for in %s",
			fileName(app), f.meant(app), strings.Join(dirs, ", ")), fmt.Sprintf("there is no plugin binary %s", fileName(app)),
	}
}

// meant asks whether another app was, if there is one of a similar name.
func (f *Finder) meant(app string) string {
	var apps []string
	for _, found := range f.List() {
		apps = append(apps, found.App)
	}
	near := errtext.Nearest(app, apps)
	if near == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean the app %q?)", near)
}

// Found is a plugin binary on this machine.
type Found struct {
	// App is the name by which a configuration asks for it.
	App string
	// Path is where it is, as an absolute path.
	Path string
	// Shadowed says that an earlier directory has one for the same app, so that
	// this one is not used.
	Shadowed bool
}

// List returns all plugin binaries in the finder's directories, by app and then
// in the order in which they are looked for. It starts none of them.
func (f *Finder) List() []Found {
	var found []Found
	seenDirs := map[string]bool{}
	taken := map[string]bool{}
	for _, dir := range f.dirs() {
		if seenDirs[dir] {
			continue
		}
		seenDirs[dir] = true
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			app, ok := appOf(entry.Name())
			path := filepath.Join(dir, entry.Name())
			if !ok || !isExecutable(path) {
				continue
			}
			found = append(found, Found{App: app, Path: path, Shadowed: taken[app]})
			taken[app] = true
		}
	}
	slices.SortStableFunc(found, func(a, b Found) int { return strings.Compare(a.App, b.App) })
	return found
}

// Look looks at the program of a spec and starts nothing. It returns whether it is started
// as an unmodified connector, and why it cannot be started, as far as its file shows that.
func Look(spec Spec) (isUnmodified bool, err error) {
	isUnmodified = spec.isUnmodified()
	info, statErr := os.Stat(spec.Path)
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		return isUnmodified, errors.New("there is no such program")
	case statErr != nil:
		return isUnmodified, fmt.Errorf("it cannot be looked at: %w", statErr)
	case info.IsDir():
		return isUnmodified, errors.New("it is a directory, not a program")
	case !isExecutable(spec.Path):
		return isUnmodified, errors.New("it is not executable; make it so (chmod +x)")
	}
	if build, ok := unmodified.Read(spec.Path); ok && build.Platform != "" && build.Platform != child.Platform {
		return isUnmodified, fmt.Errorf("it is built for %s, and this is %s", build.Platform, child.Platform)
	}
	return isUnmodified, nil
}

func fileName(app string) string {
	name := binaryPrefix + app
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return name
}

func appOf(name string) (string, bool) {
	if runtime.GOOS == "windows" {
		name = strings.TrimSuffix(name, ".exe")
	}
	app, ok := strings.CutPrefix(name, binaryPrefix)
	return app, ok && app != "" && !slices.Contains(notPlugins, name)
}

// isExecutable says whether the path can be started, as far as its mode says.
func isExecutable(path string) bool {
	_, err := exec.LookPath(path)
	return err == nil
}
