package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestImports_KeepTheOrder(t *testing.T) {
	t.Parallel()
	packages, err := list()
	require.NoError(t, err)
	require.Greater(t, len(packages), 40)
	noteSources(t, packages)
	for _, sentence := range checkOrder(packages) {
		t.Error(sentence)
	}
}

// noteSources makes the sources an input of the test: its result is cached as long as what
// the test itself looks at stays the same, and the go command reads them for it.
func noteSources(t *testing.T, packages []*goPackage) {
	t.Helper()
	for _, one := range packages {
		paths, err := filepath.Glob(filepath.Join(one.Dir, "*.go"))
		require.NoError(t, err)
		for _, path := range paths {
			_, err := os.Stat(path)
			require.NoError(t, err)
		}
	}
}

// Each rule is broken on purpose.
func TestImports_ThatBreakTheOrderFail(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		from, to string
		want     string // empty: allowed
	}{
		"down":                      {"host/internal/service", "host/internal/errtext", ""},
		"up":                        {"host/internal/supervise", "host/internal/config/schema", "which stands left of it"},
		"to the product":            {"host/internal/syncfile", "host", "which stands left of it"},
		"to a neighbor":             {"host/internal/errtext", "host/internal/files", "its neighbor"},
		"to what has no place":      {"host/internal/service", "scim", "which has no place in the order"},
		"of a package of no place":  {"host/internal/new", "host/internal/errtext", "has no place in the order of imports"},
		"of a plugin to the host":   {"plugin", "host/internal/errtext", "which stands left of it"},
		"of what is shared":         {"internal/schema", "plugin", "which stands left of it"},
		"of another tree":           {"scim", "plugin", ""},
		"of the fast path upwards":  {"host/internal/syncfile/sdkfast", "host/internal/syncfile", "which stands left of it"},
		"of a command":              {"host/cmd/baton-host", "host", ""},
		"of a command, below host":  {"host/cmd/baton-host", "host/internal/supervise", "which a command may not"},
		"of another command":        {"host/cmd/baton-host-explore", "host", "which a command may not"},
		"of the contract, to a lib": {"proto/baton/plugin/v1", "internal/schema", "which stands left of it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := checkOrder([]*goPackage{{Path: tc.from, Imports: []string{tc.to}}})
			if tc.want == "" {
				require.Empty(t, broken)
				return
			}
			require.Len(t, broken, 1)
			require.Contains(t, broken[0], tc.from)
			require.Contains(t, broken[0], tc.want)
		})
	}
}

// TestCommands_MayImportOnlyWhatTheyDo: a permission that is not used is not kept.
func TestCommands_MayImportOnlyWhatTheyDo(t *testing.T) {
	t.Parallel()
	packages, err := list()
	require.NoError(t, err)
	for _, one := range packages {
		if allowed, ok := commands[one.Path]; ok {
			require.ElementsMatch(t, strings.Fields(allowed), one.Imports, one.Path)
		}
	}
}

func TestOrder_NamesEachPackageOnce(t *testing.T) {
	t.Parallel()
	total := 0
	for _, line := range order {
		total += len(strings.Fields(line))
	}
	require.Len(t, places(), total)
}

func TestTable_SaysWhatEachPackageIsForAndWhoImportsIt(t *testing.T) {
	t.Parallel()
	packages, err := list()
	require.NoError(t, err)
	text, err := table(packages)
	require.NoError(t, err)
	require.Equal(t, len(packages), strings.Count(text, "\n")-2)
	require.Regexp(t, `(?m)^\| .host/internal/diff. \| compares the accounts .* \| .show. \|$`, text)
	require.Regexp(t, `(?m)^\| .host/cmd/baton-host. \| .* \| a program \|$`, text)
}
