package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Files of a group.
const (
	procsFile       = "cgroup.procs"
	killFile        = "cgroup.kill"
	eventsFile      = "cgroup.events"
	controllersFile = "cgroup.controllers"
	subtreeFile     = "cgroup.subtree_control"
	memoryFile      = "memory.max"
	wholeFile       = "memory.oom.group"
	processesFile   = "pids.max"
)

// own returns the directory of the group of version 2 that this process is in, and whether
// it is the uppermost one that can be seen.
func own() (dir string, isUppermost bool, err error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", false, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", false, err
	}
	return place(string(groups), string(mounts))
}

// place finds the directory of a group in what /proc shows of a process: the line of
// version 2, and where that is mounted.
func place(groups, mounts string) (dir string, isUppermost bool, err error) {
	var group string
	for line := range strings.Lines(groups) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			group = path
		}
	}
	if group == "" {
		return "", false, errors.New("this system has no control groups of version 2")
	}
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		const rootField, pointField = 3, 4
		if len(fields) <= pointField || len(kind) == 0 || kind[0] != "cgroup2" {
			continue
		}
		below, err := filepath.Rel(fields[rootField], group)
		if err != nil || below == ".." || strings.HasPrefix(below, "../") {
			continue // Another part of the tree is mounted there.
		}
		return filepath.Join(fields[pointField], below), below == ".", nil
	}
	return "", false, errors.New("control groups of version 2 are not mounted")
}

// MemoryLimit returns how much memory, in bytes, the groups that this process is in may take,
// by the smallest of their limits; 0: there is none.
func MemoryLimit() uint64 {
	dir, isUppermost, err := own()
	var least uint64
	for ; err == nil; dir = filepath.Dir(dir) {
		if text, err := os.ReadFile(filepath.Join(dir, memoryFile)); err == nil {
			if limit, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && (least == 0 || limit < least) {
				least = limit
			}
		}
		if _, err := os.Stat(filepath.Join(dir, procsFile)); err != nil || isUppermost {
			break // It is above the groups.
		}
	}
	return least
}

// delegated returns why groups must not be made in a directory; empty: they may. A manager
// of the system that gives a part of the tree away makes it its user's, and marks it for
// root. Where nothing is above it there is no such manager.
func delegated(dir string, isUppermost bool) string {
	const markedForUsers, markedForRoot = "user.delegate", "trusted.delegate"
	if unix.Access(dir, unix.W_OK) != nil || unix.Access(filepath.Join(dir, procsFile), unix.W_OK) != nil {
		return "none is delegated to the host"
	}
	if os.Geteuid() != 0 || isUppermost {
		return ""
	}
	for _, name := range []string{markedForUsers, markedForRoot} {
		value := make([]byte, 1)
		if n, err := unix.Getxattr(dir, name, value); err == nil && n == 1 && value[0] == '1' {
			return ""
		}
	}
	return "none is delegated to the host"
}
