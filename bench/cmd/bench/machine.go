//go:build linux

package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// describeMachine reports where and with what was measured: what program was built
// with, or else, if it is a script, what other was.
func describeMachine(program, other string) (string, error) {
	built, err := buildinfo.ReadFile(program)
	if err != nil {
		built, err = buildinfo.ReadFile(other)
	}
	if err != nil {
		return "", fmt.Errorf("finding out what the programs were built with: %w", err)
	}
	sdk := "unknown"
	for _, module := range built.Deps {
		if module.Path == "github.com/conductorone/baton-sdk" {
			sdk = module.Version
		}
	}
	var system unix.Utsname
	if err := unix.Uname(&system); err != nil {
		return "", err
	}
	release, _, _ := strings.Cut(unix.ByteSliceToString(system.Release[:]), "-")
	load, _, _ := bytes.Cut(readFile("/proc/loadavg"), []byte{' '})
	return fmt.Sprintf("%s, %d cores of %s, Linux %s, %s, baton-sdk %s; the load before it began was %s",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), processor(), release, built.GoVersion, sdk, load), nil
}

// processor is the name of the processor.
func processor() string {
	for line := range strings.Lines(string(readFile("/proc/cpuinfo"))) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown " + runtime.GOARCH
}

func readFile(path string) []byte {
	content, _ := os.ReadFile(path)
	return content
}
