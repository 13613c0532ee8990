package sandbox

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// shared are directories that hold what belongs to many.
var shared = []string{"/", "/etc", "/home", "/root", "/tmp", "/var", "/var/lib", "/var/tmp", "/run", "/opt", "/srv", "/mnt", "/media", "/dev", "/proc", "/sys"}

// secrets are files and directories of the system, and names of directories in homes, that no
// connector has business with.
var (
	secrets     = []string{"/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d", "/etc/ssh", "/proc"}
	secretNames = []string{".ssh", ".gnupg"}
)

// IsNotFor reports whether a path is not for the program at all, so that no one should be led
// to open it: what is hidden from it, whatever has that in it, and secrets of the system. A
// program that means harm would have an operator open them.
func (p *Policy) IsNotFor(path string) bool {
	for _, path := range []string{filepath.Clean(path), resolve(path)} {
		if slices.Contains(shared, path) || slices.ContainsFunc(secrets, func(one string) bool { return isWithin(path, one) }) ||
			slices.ContainsFunc(strings.Split(path, "/"), func(name string) bool { return slices.Contains(secretNames, name) }) || p.hides(path) {
			return true
		}
	}
	return false
}

// hides reports whether a path is hidden, lies in what is, or has it in it.
func (p *Policy) hides(path string) bool {
	return slices.ContainsFunc(p.Hidden, func(one string) bool {
		for _, one := range []string{one, resolve(one)} {
			if isWithin(one, path) || isWithin(path, one) {
				return true
			}
		}
		return false
	})
}

// Reveals returns a path that the entry opens although that, or what is in it, is hidden
// from the program; empty: there is none.
func (p *Policy) Reveals() string {
	for _, path := range slices.Concat(p.Read, p.Write) {
		if p.hides(path) || p.hides(resolve(path)) {
			return path
		}
	}
	return ""
}

// resolve returns where the links of a path lead, as far as it is there.
func resolve(path string) string {
	path = filepath.Clean(path)
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	if dir := filepath.Dir(path); dir != path {
		return filepath.Join(resolve(dir), filepath.Base(path))
	}
	return path
}

// isWithin reports whether a path is a directory or lies in it.
func isWithin(path, dir string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, "../")
}

// replaceable are files of the system that programs replace, and do not write into. Where
// they are links, the directories that they lead to are open as a whole.
var replaceable = []string{"/etc/resolv.conf", "/etc/hosts"}

// Opened are files and directories that a sandbox opens by their paths, as they were when it
// was made; nil: there was none. For what takes the place of one of them no rule holds, so
// that a process which is in the sandbox already is denied it.
type Opened map[string]fs.FileInfo

// Opened returns what a sandbox with this environment would open by its path, beside what
// lies in directories of the system.
func (p *Policy) Opened(environment []string) Opened {
	opened := Opened{}
	for _, path := range slices.Concat(replaceable, p.Read, p.Write, certificates(environment)) {
		opened[path], _ = os.Stat(path)
	}
	return opened
}

// Replaced returns the path of one of them in whose place there is another file now; empty:
// all are as they were. One that is gone may be about to be replaced.
func (o Opened) Replaced() string {
	for path, before := range o {
		now, err := os.Stat(path)
		if err == nil && (before == nil || !os.SameFile(before, now)) {
			return path
		}
	}
	return ""
}

// certificateVariables name files and directories with certificates. The host passes the
// first two on, and the others where env names them.
var certificateVariables = []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}

// certificates are the files and directories with certificates that the environment names.
func certificates(environment []string) []string {
	var paths []string
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		if slices.Contains(certificateVariables, name) {
			paths = append(paths, filepath.SplitList(value)...)
		}
	}
	return paths
}
