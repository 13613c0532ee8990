package meter

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// processes knows the processes below one.
type processes struct {
	root int
	// below holds for each process of the machine whether it is one of them. A
	// process is asked for its parent once, when it is new: whichever it has later,
	// it stays below.
	below map[int]bool
}

// look finds out which processes there are now.
func (p *processes) look() []int {
	directory, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	names, _ := directory.Readdirnames(-1)
	_ = directory.Close()

	alive := make(map[int]bool, len(names))
	parents := map[int]int{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		known, isKnown := p.below[pid]
		alive[pid] = known
		if !isKnown {
			parents[pid] = parentOf(pid)
		}
	}
	// A parent may be as new as its child.
	for changed := true; changed; {
		changed = false
		for pid, parent := range parents {
			if !alive[pid] && (parent == p.root || alive[parent]) {
				alive[pid], changed = true, true
			}
		}
	}
	p.below = alive
	var below []int
	for pid, is := range alive {
		if is {
			below = append(below, pid)
		}
	}
	slices.Sort(below)
	return below
}

// descendants are the processes below one, now.
func descendants(root int) []int {
	return (&processes{root: root}).look()
}

func proc(pid int, file string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), file)
}

// stat is the fields of /proc/PID/stat behind the name, which may have anything
// in it: the state, the parent, and so on.
func stat(pid int) [][]byte {
	content, err := os.ReadFile(proc(pid, "stat"))
	if err != nil {
		return nil
	}
	return bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:])
}

// stackField is where the address of a process's stack is among those fields. It is
// chosen at random when a program is executed.
const stackField = 25

// borrowed reports whether a process runs in the memory of its parent: it was just made, and
// has not begun the program that it is for. What it has is counted there.
func borrowed(pid int) bool {
	fields := stat(pid)
	if len(fields) <= stackField {
		return false
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	of := stat(parent)
	return len(of) > stackField && string(fields[stackField]) != "0" && bytes.Equal(fields[stackField], of[stackField])
}

func parentOf(pid int) int {
	fields := stat(pid)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}
