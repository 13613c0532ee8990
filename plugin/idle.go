package plugin

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// idleAfter is how long nothing must be asked for after a listing before memory is
	// given back, which takes a few milliseconds of a core, and as many when it is
	// needed again.
	idleAfter = 30 * time.Millisecond
	// restEvery is how often that may be: a plugin may be asked for very many short
	// listings, one after another.
	restEvery = 5 * time.Second
	// idleHeap is a little more than a plugin's heap when it has just started, in bytes:
	// there is nothing to give back.
	idleHeap = 6 << 20
)

// giveMemoryBack returns to the system what a plugin that waits for its next call does
// not need: after a listing, a process has twice the memory of one that is new, and
// keeps it for minutes. A host has many that wait. It reports whether there was any.
func giveMemoryBack() bool {
	if heapBytes() < idleHeap {
		return false
	}
	debug.FreeOSMemory()
	return true
}

// heapBytes is what the heap takes of the system's memory, in use or not.
func heapBytes() uint64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	total := uint64(0)
	for _, sample := range samples {
		total += sample.Value.Uint64()
	}
	return total
}
