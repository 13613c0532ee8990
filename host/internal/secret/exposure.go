package secret

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/batonhost/baton-host/host/internal/files"
)

// Exposure warns of files with secrets in them that others may read: once for
// each file, and again where its mode has changed. nil warns of nothing.
type Exposure struct {
	warn func(string)
	// written is the path of the configuration as it was given, path where it is.
	written, path string

	mu     sync.Mutex
	warned map[exposure]fs.FileMode // the modes that were warned of
}

// exposure is a file that some may read who should not.
type exposure struct {
	path string
	who  readers
}

// NewExposure returns an exposure that warns by this function. The configuration is
// at path, and was given as written. What the exposure before has warned of is not warned of
// again; it may be nil.
func NewExposure(warn func(string), written, path string, before *Exposure) *Exposure {
	e := &Exposure{warn: warn, written: written, path: path, warned: map[exposure]fs.FileMode{}}
	if before != nil {
		before.mu.Lock()
		defer before.mu.Unlock()
		maps.Copy(e.warned, before.warned)
	}
	return e
}

// Secret checks the files that a secret comes from: the configuration, if its value is
// written there literally, and those that its references name. what is the value's place
// for people.
func (e *Exposure) Secret(what string, value Template) {
	if e == nil {
		return
	}
	if value.IsLiteral() {
		e.check(e.path, func(mode fs.FileMode) string {
			return fmt.Sprintf("%s holds a secret as plain text (%s), and others may read the file (mode %04o); refer to the secret with ${env:NAME} or ${file:PATH}, or run: chmod go-rwx %s",
				e.written, what, mode.Perm(), e.written)
		}, groupToo)
	}
	for _, reference := range value.References() {
		if reference.Scheme == SchemeFile {
			e.File(what, files.Within(filepath.Dir(e.path), reference.Name))
		}
	}
}

// File checks a file that is a secret.
func (e *Exposure) File(what, path string) {
	if e == nil {
		return
	}
	// That its group may read such a file is how Kubernetes (fsGroup) and packages
	// give it to a service.
	e.check(path, func(mode fs.FileMode) string {
		return fmt.Sprintf("everybody on this machine may read the file of a secret (%s): %s (mode %04o); run: chmod o-rwx %s", what, path, mode.Perm(), path)
	}, othersOnly)
}

func (e *Exposure) check(path string, sentence func(fs.FileMode) string, who readers) {
	e.mu.Lock()
	defer e.mu.Unlock()
	of := exposure{path, who}
	mode, ok := exposed(path, who)
	if !ok {
		delete(e.warned, of)
		return
	}
	if known, again := e.warned[of]; !again || known != mode {
		e.warned[of] = mode
		e.warn(sentence(mode))
	}
}

// readers are those who should not read a file.
type readers bool

const (
	othersOnly readers = false
	groupToo   readers = true
)

// exposed says whether others may read a file, and can get at it. What a
// container runtime or the kubelet mounts is left alone: its mode is theirs (0644
// for a Kubernetes secret unless set otherwise, 0444 with Docker and Podman), and
// no one else is in the container, so that a warning at every start would only
// teach people not to read warnings.
func exposed(path string, who readers) (fs.FileMode, bool) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil || isMounted(resolved) {
		return 0, false
	}
	info, err := os.Stat(resolved)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	switch mode := readable(info); {
	case mode&0o004 != 0:
		return info.Mode(), reachable(filepath.Dir(resolved), 0o001)
	case mode&0o040 != 0 && who == groupToo:
		return info.Mode(), reachable(filepath.Dir(resolved), 0o011)
	default:
		return 0, false
	}
}

// isMounted says that a path, with its links resolved, is one where containers get
// their secrets. The kubelet keeps the files of a volume in a directory such as
// ..2026_01_02_03_04_05.678, to which ..data points.
func isMounted(path string) bool {
	components := strings.Split(filepath.ToSlash(path), "/")
	return strings.HasPrefix(path, "/run/secrets/") ||
		slices.ContainsFunc(components, func(name string) bool { return strings.HasPrefix(name, "..") && len(name) > 2 })
}

// reachable says whether a directory and all above it may be gone through by
// those who have one of these bits.
func reachable(dir string, bits fs.FileMode) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&bits == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}
