package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	caseID     = regexp.MustCompile(`^[GHRS]\d+$`)
	caseTest   = regexp.MustCompile("`([\\w/.-]+): (Test\\w+)`")
	subtestID  = regexp.MustCompile(`"([GHRS]\d+)(?:[,:]| and )`)
	testHeader = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// testFiles are all tests of this module, by directory.
func testFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, dir := range []string{"bench", "fullstory", "host", "plugin", "sandbox", "scim"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(repository, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			in, err := filepath.Rel(repository, filepath.Dir(path))
			files[in] += string(text)
			return err
		}))
	}
	return files
}

// testsOf are the top-level tests of a text, by name, with their source.
func testsOf(text string) map[string]string {
	found := map[string]string{}
	headers := testHeader.FindAllStringSubmatchIndex(text, -1)
	for i, at := range headers {
		end := len(text)
		if i+1 < len(headers) {
			end = headers[i+1][0]
		}
		found[text[at[2]:at[3]]] = text[at[0]:end]
	}
	return found
}

// TestPublicCasesHaveTheirTests: each row of the table names tests that exist and have
// the id in the name of a subtest, and each id in the name of a subtest has its row.
func TestPublicCasesHaveTheirTests(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(filepath.Join(repository, "docs/public-cases.md"))
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
			source, ok := testsOf(files[test[1]])[test[2]]
			require.True(t, ok, "%s: there is no test %s in %s", id, test[2], test[1])
			named := slices.ContainsFunc(subtestID.FindAllStringSubmatch(source, -1), func(match []string) bool { return match[1] == id })
			require.True(t, named || strings.Contains(source, `"`+id+`: `), "%s: no subtest of %s has the id in its name", id, test[2])
		}
	}
	require.NotEmpty(t, rows)
	for dir, text := range files {
		for _, match := range subtestID.FindAllStringSubmatch(text, -1) {
			require.True(t, rows[match[1]], "a subtest in %s is about %s, which has no row in docs/public-cases.md", dir, match[1])
		}
	}
}
