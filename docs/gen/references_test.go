package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReferences_AreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	pages, err := references()
	require.NoError(t, err)
	require.Len(t, pages, 5)
	for name, text := range pages {
		written, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		require.Equal(t, text, string(written), "docs/%s is not what the code gives. Run: go generate ./docs/gen", name)
	}
}

// TestEntries_AreTheKindsOfTheRunbook: each kind of error is a heading of the runbook, and each
// heading is a kind of error or a state.
func TestEntries_AreTheKindsOfTheRunbook(t *testing.T) {
	t.Parallel()
	runbook, err := os.ReadFile("../runbook.md")
	require.NoError(t, err)
	var headings []string
	for _, match := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(string(runbook), -1) {
		if !strings.HasPrefix(match[1], "Upload: ") && !strings.HasPrefix(match[1], "Plugin: ") {
			headings = append(headings, match[1])
		}
	}
	var titles []string
	for _, entry := range entries {
		titles = append(titles, entry.title)
	}
	require.Equal(t, headings, titles, "docs/runbook.md and docs/gen/entries.go have the same entries in the same order")
}

// TestEntries_NameFilesThatExist: a rule about a file that has moved finds nothing.
func TestEntries_NameFilesThatExist(t *testing.T) {
	t.Parallel()
	paths := slices.Concat(quiet, unread)
	for _, entry := range entries {
		paths = append(paths, strings.Fields(entry.paths)...)
	}
	for _, path := range paths {
		_, err := os.Stat(filepath.Join(root, path))
		require.NoError(t, err)
	}
}

func TestSentences_OfAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "host"), 0o700))
	for _, tree := range operated[1:] {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, tree), 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "host/new.go"), []byte("package host\n\n"+`
import "a sentence that is only imported/here"

type tagged struct {
	Member string `+"`json:\"a tag that is no sentence\"`"+`
}

func example() error {
	log.Warn("it ended")
	log.Debug("a line that no operator reads")
	if strings.Contains(text, "a text that is looked for") {
		return fmt.Errorf("plugin %q has failed: %w; "+"restart it", name, err)
	}
	run(func() { errs = append(errs, "an error of a function") })
	return errors.New("the list of " + kind + fmt.Sprintf(" ends with %d left over", n) + " and is cut")
}
`), 0o600))
	found, err := readSentences(dir)
	require.NoError(t, err)
	require.Equal(t, []sentence{
		{text: "it ended", path: "host/new.go", isLogged: true},
		{text: "plugin … has failed: …; restart it", path: "host/new.go", isError: true},
		{text: "an error of a function", path: "host/new.go"},
		{text: "ends with … left over", path: "host/new.go"},
		{text: "the list of … and is cut", path: "host/new.go", isError: true},
	}, found)
}

func TestErrorsPage_RefusesASentenceWithoutAnEntry(t *testing.T) {
	t.Parallel()
	_, err := errorsPage([]sentence{{text: "this stands somewhere else entirely", path: "elsewhere/new.go", isError: true}})
	require.ErrorContains(t, err, "give its file one in docs/gen/entries.go")
}
