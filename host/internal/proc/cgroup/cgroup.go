// Package cgroup gives each process that the host starts a control group of its own, where
// one is delegated to the host: whatever the process starts stays in the group, and ends
// with it.
//
// Package proc puts processes into groups, and package supervise removes those that killed
// hosts left behind and reports what there is. It must never touch a group that it has not
// made, nor end a process that a living host has started.
package cgroup

import (
	"fmt"
	"strings"
)

// mostProcesses is how many processes and threads a group may have: far more than any
// runtime starts, and far fewer than a machine can take.
const mostProcesses = 4096

// Limits are the limits of a group.
type Limits struct {
	// Memory is how much memory, in bytes, its processes may take before the kernel ends
	// them; 0 is no limit.
	Memory uint64
}

// Offer is what control groups offer here.
type Offer struct {
	// Obstacle is why there are none; empty: processes end with their group.
	Obstacle string
	// Memory and Processes say that these can be limited, and NoLimits is why one cannot.
	Memory, Processes bool
	NoLimits          string
}

// String returns what is offered in a few words.
func (o Offer) String() string {
	if o.Obstacle != "" {
		return "no control group: " + o.Obstacle
	}
	parts := []string{"a control group"}
	if o.Memory {
		parts = append(parts, "its memory")
	}
	if o.Processes {
		parts = append(parts, fmt.Sprintf("%d processes", mostProcesses))
	}
	text := strings.Join(parts, ", ")
	if o.NoLimits != "" {
		text += fmt.Sprintf("; missing: its limits (%s)", o.NoLimits)
	}
	return text
}
