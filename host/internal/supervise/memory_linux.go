package supervise

import (
	"fmt"

	"github.com/prometheus/procfs"
)

// groupMemory is the memory, in bytes, that the processes of this group hold for
// themselves: not the pages of files, which the kernel can drop, nor those of an
// executable that lies in memory (see image_linux.go).
func groupMemory(group int) (uint64, error) {
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
