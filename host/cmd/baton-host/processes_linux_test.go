package main_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// childrenOf returns the processes that a process has started, with their binaries.
func childrenOf(parent int) map[int]string {
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(parent) + "/task/*/children")
	binaries := map[int]string{}
	for _, file := range tasks {
		text, _ := os.ReadFile(file) // A thread may have ended.
		for field := range strings.FieldsSeq(string(text)) {
			argv, err := os.ReadFile("/proc/" + field + "/cmdline")
			pid, _ := strconv.Atoi(field)
			if err == nil {
				binaries[pid], _, _ = strings.Cut(string(argv), "\x00")
			}
		}
	}
	return binaries
}

// childCalled returns the child of a process with a binary of this name, or 0.
func childCalled(parent int, binary string) int {
	for pid, path := range childrenOf(parent) {
		if strings.HasSuffix(path, binary) {
			return pid
		}
	}
	return 0
}

// requireGone waits until a process that is no child of the test has ended. It has
// ended as well while the system has not reaped it yet, which can take any time.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		_, state, _ := strings.Cut(string(stat), ") ")
		return err != nil || strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
	}, guard, tick, "process %d outlives its host", pid)
}
