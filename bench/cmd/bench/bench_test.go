//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/bench/meter"
)

// built is the directory of the programs.
var built string

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == meter.ChildCommand { // A test measures.
		if err := meter.Child(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "bench"); err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(built) }()
		build(map[string]string{"bench": ".", "bench-baseline": "../../baseline", "bench-scim": "../../scimserver"})
		return m.Run()
	}())
}

// build builds programs by name, without what only a debugger needs.
func build(programs map[string]string) {
	for name, from := range programs {
		build := exec.CommandContext(context.Background(), //nolint:gosec // The programs under test.
			"go", "build", "-ldflags", "-s -w", "-o", filepath.Join(built, name), from)
		if out, err := build.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("%v: %s", err, out))
		}
	}
}

// measured runs the program on the rows, and requires that it leaves no file.
func measured(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), filepath.Join(built, "bench"), args...) //nolint:gosec // The program under test.
	command.Env = append(os.Environ(), "TMPDIR="+dir)
	var out, complaint bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaint
	err = command.Run()
	left, readErr := os.ReadDir(dir)
	require.NoError(t, readErr)
	require.Empty(t, left)
	return out.String(), complaint.String(), err
}

// programs is where the programs are, and those of the product.
func programs(product string) []string { return []string{"-product", product, "-tools", built} }

func TestBench_WritesNoTableIfASideFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, message string }{
		"it reports why":     {"echo the reason >&2; exit 3", "baton-host ended with status 3: the reason"},
		"it reports success": {"exit 0", "baton-host wrote no sync file"},
		"its file is none":   {`echo no sync file > bench.c1z`, "reading what was written"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			product := t.TempDir()
			for _, program := range []string{"baton-host", "baton-fullstory"} {
				require.NoError(t, os.WriteFile(filepath.Join(product, program), []byte("#!/bin/sh\n"+c.script+"\n"), 0o700)) //nolint:gosec // A program.
			}
			stdout, stderr, err := measured(t, append(programs(product), "-rows", "1x5", "-n", "1")...)
			require.Error(t, err)
			require.Equal(t, "exit status 1", err.Error())
			require.Contains(t, stderr, c.message)
			require.Empty(t, stdout)
		})
	}
}

func TestFlags_RefusesImpossibleOnes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args    []string
		message string
	}{
		"an unknown row":              {[]string{"-only", "3x3"}, `no row "3x3"`},
		"a row that is none":          {[]string{"-rows", "many"}, `"many" is no row`},
		"a latency that is none":      {[]string{"-rows", "1x5-long"}, `"1x5-long" is no row`},
		"a part into a document":      {[]string{"-quick", "-write", "x.md"}, "is not written"},
		"an argument":                 {[]string{"1x5"}, `"1x5" is no flag`},
		"programs that are not there": {[]string{"-tools", "/does/not/exist", "-rows", "1x5"}, "a program is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, err := measured(t, c.args...)
			require.Error(t, err)
			require.Contains(t, stderr, c.message)
			require.Empty(t, stdout)
		})
	}
}

func TestWrite_ReplacesOnlyBetweenTheMarkers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "document.md")
	require.NoError(t, os.WriteFile(path, []byte("before\n"+beginMarker+"old\n"+endMarker+"after\n"), 0o600))
	for _, result := range []string{"new\n", "newer\n"} {
		require.NoError(t, writeInto(path, result))
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "before\n"+beginMarker+"\n"+result+"\n"+endMarker+"after\n", string(content))
	}
	require.NoError(t, os.WriteFile(path, []byte("no markers\n"), 0o600))
	require.ErrorContains(t, writeInto(path, "new\n"), "no place for the result")
}

func TestMeasurements_HavePlaceForTheResult(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../../docs/measurements.md")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "measurements.md")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	require.NoError(t, writeInto(path, "new\n"))
}
