// Package sandbox starts a program that cannot reach what its user can: the memory, the
// environment and the directories of the host and of other plugins, and calls of the kernel
// that no connector needs.
//
// Package proc calls it for the processes of plugins, and package supervise decides what
// each of them may reach. It must never start a program with less than the kernel offers
// without reporting that, and never put the host itself into a sandbox.
package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// Mode is whether a plugin is put into a sandbox.
type Mode string

// The modes.
const (
	On Mode = "on"
	// Warn reports what a sandbox would deny, and denies nothing, where the kernel can.
	Warn Mode = "warn"
	Off  Mode = "off"
)

// Limits of a program in a sandbox and of its children, in each process. A sync of millions
// of rows is written by the host: what a connector keeps in files are pages, caches and keys.
const (
	// MostFileSize is the size in bytes of the greatest file that it can write.
	MostFileSize = 4 << 30
	// MostFiles is how many files, sockets among them, it can have open.
	MostFiles = 16384
)

// Policy is what a program may reach beside what every program needs.
type Policy struct {
	// Read are files and directories that it may read and execute, with all below them.
	Read []string
	// Write are files and directories that it may read and write, with all below them.
	Write []string
	// Connect are the TCP ports that it may connect to; empty: all.
	Connect []uint16
	// Hidden are paths that are never opened for it because they lie beside its program:
	// the configuration, the state directory.
	Hidden []string
	// Permissive denies nothing: what would be denied is observed only.
	Permissive bool
	// Observer is given what is denied, or would be; nil observes nothing.
	Observer Observer
}

// portDNS is open whatever ports are named: a name with many addresses is looked up by TCP,
// and by UDP this port can be reached anyway.
const portDNS = 53

// Ports are the TCP ports that a program may connect to; none: all.
func (p *Policy) Ports() []uint16 {
	if len(p.Connect) == 0 {
		return nil
	}
	return append(slices.Clone(p.Connect), portDNS)
}

// Active is what of a sandbox is applied.
type Active struct {
	// Landlock is the version of Landlock's interface that is used; 0: the kernel has none.
	Landlock int
	// Seccomp says that calls of the kernel are refused.
	Seccomp bool
	// Capabilities says that a root process has lost those with which it could reach
	// others; one of another user has none.
	Capabilities bool
	// Obstacle is why nothing can be applied; empty: something can.
	Obstacle string
	// Group is what control groups offer for its processes; it may be empty. They have it
	// without a sandbox too.
	Group string
}

// Versions of Landlock from which it has a part.
const (
	sinceRefer    = 2
	sinceTruncate = 3
	sinceNetwork  = 4
	sinceDevices  = 5
	sinceScopes   = 6
	sinceLogging  = 7
	// sincePathSockets is the version from which connections to unix sockets with a path
	// are denied. It is used as the kernel documents it; the tests of it are skipped below.
	sincePathSockets = 9
	// newest is the newest version that is used: a newer one may deny more.
	newest = 9
)

// Missing are the parts that this kernel does not offer, as parts of a sentence.
func (a Active) Missing() []string {
	var missing []string
	switch {
	case a.Obstacle != "":
		return []string{a.Obstacle}
	case a.Landlock == 0:
		missing = append(missing, "the kernel has no Landlock, which hides files and memory")
	case a.Landlock < sinceNetwork:
		missing = append(missing, "TCP ports are not limited", "signals and abstract sockets are not contained")
	case a.Landlock < sinceScopes:
		missing = append(missing, "signals and abstract sockets are not contained")
	}
	if !a.Seccomp {
		missing = append(missing, "calls of the kernel are not refused (seccomp)")
	}
	if !a.Capabilities {
		missing = append(missing, "capabilities of root cannot be dropped")
	}
	return missing
}

// LimitsPorts reports whether the TCP ports of a policy hold.
func (a Active) LimitsPorts() bool { return a.Landlock >= sinceNetwork }

// IsComplete reports whether every part is applied.
func (a Active) IsComplete() bool { return len(a.Missing()) == 0 }

// String returns what is applied in a few words.
func (a Active) String() string {
	if a.Obstacle != "" {
		return "none: " + a.Obstacle
	}
	var parts []string
	if a.Landlock > 0 {
		parts = append(parts, fmt.Sprintf("Landlock %d", a.Landlock))
	}
	if a.Seccomp {
		parts = append(parts, "seccomp")
	}
	text := strings.Join(parts, ", ")
	if missing := a.Missing(); len(missing) > 0 {
		text += "; missing: " + strings.Join(missing, ", ")
	}
	if a.Group != "" {
		text += "; " + a.Group
	}
	return strings.TrimPrefix(text, "; ")
}
