package proc

import (
	"fmt"

	"github.com/prometheus/procfs"
)

// Memory returns the memory, in bytes, that the processes of the group hold for
// themselves: not the pages of files, which the kernel can drop, nor those of an
// executable that lies in memory (see Image).
func (r *Process) Memory() (uint64, error) {
	group := r.PID()
	processes, err := procfs.AllProcs()
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	var sum uint64
	for _, process := range processes {
		// A process may end between any two looks at it.
		stat, err := process.Stat()
		if err != nil || stat.PGRP != group {
			continue
		}
		status, err := process.NewStatus()
		if err != nil {
			continue
		}
		own := status.RssAnon
		if own == 0 {
			own = status.VmRSS // A kernel that does not tell them apart.
		}
		sum += own + status.VmSwap
	}
	return sum, nil
}
