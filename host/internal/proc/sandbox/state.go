package sandbox

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// IsOffered reports whether this system has a sandbox; what of it the kernel has is
// [Kernel]'s to report.
const IsOffered = runtime.GOOS == "linux"

// Modes are all modes.
var Modes = []Mode{On, Warn, Off}

// State is what of a sandbox a plugin is in. That of a plugin that the host does not start
// is empty.
type State struct {
	// Mode is the one in effect.
	Mode Mode
	// Detail is what is applied, or why nothing is; it may be empty.
	Detail string
	// Exposes says that nothing keeps the plugin from the secrets of the host and of other
	// plugins.
	Exposes bool
}

// String returns the mode and the detail.
func (s State) String() string {
	if s.Detail == "" {
		return string(s.Mode)
	}
	return string(s.Mode) + ": " + s.Detail
}

// mostNamed is how many plugins a sentence names.
const mostNamed = 5

// DescribeExposure returns a sentence about plugins that nothing keeps from the secrets of
// others; empty if there are none.
func DescribeExposure(plugins []string) string {
	if len(plugins) == 0 {
		return ""
	}
	remedy := "run the host on Linux, or give each plugin its own host"
	if IsOffered {
		remedy = "set sandbox: on where the kernel has Landlock, or use another host for what must not be read"
	}
	named := make([]string, 0, mostNamed)
	for _, one := range plugins[:min(len(plugins), mostNamed)] {
		named = append(named, strconv.Quote(one))
	}
	last := len(named) - 1
	if more := len(plugins) - mostNamed; more > 0 {
		named, last = append(named, fmt.Sprintf("%d more", more)), mostNamed
	}
	if last == 0 {
		return fmt.Sprintf("plugin %s is in no sandbox that keeps it from the secrets of this host and of all plugins; %s", named[0], remedy)
	}
	return fmt.Sprintf("the plugins %s and %s are in no sandbox that keeps them from the secrets of this host and of all plugins; %s",
		strings.Join(named[:last], ", "), named[last], remedy)
}
