package meter

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// How often processes are looked at. To read a proportional set size the kernel
// walks through all of a process's pages, which takes milliseconds for one of
// hundreds of MiB and holds it up. So each look adds up what the processes have
// for themselves, which costs next to nothing, and only if that has grown since
// the last reading, or a reading is long ago, is the proportional set size read.
const (
	lookEvery = 25 * time.Millisecond
	readEvery = 250 * time.Millisecond
	// grown is the growth that makes for a reading, in percent.
	grown = 2
	// rest is how many times as long as a reading took there is none without
	// growth.
	rest = 50
)

// sampler looks at the processes below one until it is stopped.
type sampler struct {
	processes       processes
	independent     map[int]bool // have their own memory
	ending          chan struct{}
	ended           chan struct{}
	stopOnce        sync.Once
	looks, readings int
	// own is the greatest sum at a reading. The last reading was at read and took
	// so long.
	own  int64
	read time.Time
	took time.Duration
	// peak is the greatest sum of proportional set sizes, in bytes, at what each
	// process had then.
	peak int64
	at   map[string]int64
	// resident is the greatest sum of resident set sizes, ownPeak that of what is no
	// part of a file in them, in bytes.
	resident, ownPeak int64
}

func newSampler(root int) *sampler {
	return &sampler{processes: processes{root: root}, independent: map[int]bool{}, ending: make(chan struct{}), ended: make(chan struct{})}
}

func (s *sampler) run() {
	defer close(s.ended)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.ending:
			return
		case now := <-ticker.C:
			s.look(now)
		}
	}
}

// stop ends it and waits for it. It may be called more than once.
func (s *sampler) stop() {
	s.stopOnce.Do(func() { close(s.ending) })
	<-s.ended
}

func (s *sampler) look(now time.Time) {
	s.looks++
	below := slices.DeleteFunc(s.processes.look(), s.borrows)
	var own, resident int64
	for _, pid := range below {
		all, shared := residentBytes(pid)
		resident += all
		own += max(0, all-shared)
	}
	s.resident, s.ownPeak = max(s.resident, resident), max(s.ownPeak, own)
	if own <= s.own+s.own*grown/100 && now.Sub(s.read) < max(readEvery, rest*s.took) {
		return
	}
	s.readings++
	s.own, s.read = max(own, s.own), now
	began := time.Now()
	defer func() { s.took = time.Since(began) }()
	var sum int64
	at := map[string]int64{}
	for _, pid := range below {
		size := proportionalBytes(pid)
		sum += size
		if size > 0 {
			at[nameOf(pid)] = size
		}
	}
	if sum > s.peak {
		s.peak, s.at = sum, at
	}
}

// borrows reports whether a process has no memory to itself yet. Once it has, it is not
// asked again.
func (s *sampler) borrows(pid int) bool {
	if s.independent[pid] {
		return false
	}
	if borrowed(pid) {
		return true
	}
	s.independent[pid] = true
	return false
}

var pageBytes = int64(os.Getpagesize())

// residentBytes is what a process has in memory, and the part of it that is of
// files or shared with others.
func residentBytes(pid int) (all, shared int64) {
	content, err := os.ReadFile(proc(pid, "statm"))
	if err != nil {
		return 0, 0 // It has ended.
	}
	fields := bytes.Fields(content)
	if len(fields) < 3 {
		return 0, 0
	}
	all, _ = strconv.ParseInt(string(fields[1]), 10, 64)
	shared, _ = strconv.ParseInt(string(fields[2]), 10, 64)
	return all * pageBytes, shared * pageBytes
}

// proportionalBytes is a process's proportional set size: its own memory, and its
// share of what others have too.
func proportionalBytes(pid int) int64 {
	content, err := os.ReadFile(proc(pid, "smaps_rollup"))
	if err != nil {
		return 0 // It has ended.
	}
	_, after, _ := bytes.Cut(content, []byte("\nPss:"))
	fields := bytes.Fields(after)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return kib << 10
}

func nameOf(pid int) string {
	name, _ := os.ReadFile(proc(pid, "comm"))
	return fmt.Sprintf("%s %d", bytes.TrimSpace(name), pid)
}
