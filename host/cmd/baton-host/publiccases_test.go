package main_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	caseID    = regexp.MustCompile(`^[GHRS]\d+$`)
	caseTest  = regexp.MustCompile("`([\\w/.-]+): (Test\\w+)`")
	subtestID = regexp.MustCompile(`"([GHRS]\d+): `)
)

// testFiles returns all tests of this module, by directory.
func testFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	root := os.DirFS(repository)
	for _, dir := range []string{"bench", "fullstory", "host", "plugin", "sandbox", "scim"} {
		require.NoError(t, fs.WalkDir(root, dir, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(name, "_test.go") {
				return err
			}
			text, err := fs.ReadFile(root, name)
			files[path.Dir(name)] += string(text)
			return err
		}))
	}
	return files
}

// idsIn returns the ids in the names of subtests.
func idsIn(text string) []string {
	var ids []string
	for _, match := range subtestID.FindAllStringSubmatch(text, -1) {
		ids = append(ids, match[1])
	}
	return ids
}

// TestPublicCasesHaveTheirTests: each row of the table names tests that exist and have
// the id in the name of a subtest, and each id in the name of a subtest has its row.
func TestPublicCasesHaveTheirTests(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(filepath.Join(repository, "docs/decisions/public-cases.md"))
	require.NoError(t, err)
	files := testFiles(t)
	rows := map[string]bool{}
	for line := range strings.Lines(string(document)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		id := strings.TrimSpace(cells[0])
		if !caseID.MatchString(id) {
			continue
		}
		require.False(t, rows[id], "%s has two rows", id)
		rows[id] = true
		require.Len(t, cells, 5, "%s: id, report, what happens, what must happen, test", id)
		tests := caseTest.FindAllStringSubmatch(cells[4], -1)
		require.NotEmpty(t, tests, "%s names no test of the form `package: TestName`", id)
		for _, test := range tests {
			require.Contains(t, files[test[1]], "func "+test[2]+"(", "%s: there is no test %s in %s", id, test[2], test[1])
			require.Contains(t, idsIn(files[test[1]]), id, "%s: no subtest in %s has the id in its name", id, test[1])
		}
	}
	require.NotEmpty(t, rows)
	for dir, text := range files {
		for _, id := range idsIn(text) {
			require.True(t, rows[id], "a subtest in %s is about %s, which has no row in docs/decisions/public-cases.md", dir, id)
		}
	}
}
