package supervise

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"go.uber.org/zap"
)

// memoryPause is how often the memory of a plugin with a limit is looked at.
const memoryPause = 250 * time.Millisecond

// watchMemory ends the process if it and its children that stayed in its
// process group take more memory than its limit. It returns when the process is
// gone, or where nobody can tell.
func (p *Process) watchMemory() {
	pause := time.NewTicker(memoryPause)
	defer pause.Stop()
	for {
		select {
		case <-p.runner.Exited():
			return
		case <-pause.C:
		}
		used, err := p.runner.Memory()
		if err != nil {
			p.log.Warn("the plugin's memory cannot be measured, so that only its soft limit (GOMEMLIMIT) holds", zap.Error(err))
			return
		}
		if used > p.spec.MemoryLimit {
			p.condemn(fmt.Sprintf("took %s of memory, which is more than its memory-limit of %s",
				humanize.IBytes(used), humanize.IBytes(p.spec.MemoryLimit)))
		}
	}
}
