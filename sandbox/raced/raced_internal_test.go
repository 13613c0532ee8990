package raced

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSample_TakesOneOfSoMany(t *testing.T) {
	t.Parallel()
	for _, oneOf := range []uint32{1, 3, 5} {
		taken := 0
		for i := range 3000 {
			name := fmt.Sprint("TestTable/case ", i)
			if isSampled(name, oneOf) {
				taken++
			}
		}
		require.InDelta(t, 3000/int(oneOf), taken, 150)
	}
}

// TestMakefile_RunsEverySampledPackageWhole: a case that a short run leaves out must be run by
// `make whole`.
func TestMakefile_RunsEverySampledPackageWhole(t *testing.T) {
	t.Parallel()
	const root = "../.."
	samples := regexp.MustCompile(`raced\.(Sample|LeaveOut)\(`)
	var sampling []string
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "build", "node_modules"}, entry.Name()):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		content, err := os.ReadFile(path) //nolint:gosec // Of this checkout.
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err == nil && samples.Match(content) && !slices.Contains(sampling, "./"+dir) {
			sampling = append(sampling, "./"+dir)
		}
		return err
	}))
	require.NotEmpty(t, sampling)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	whole := regexp.MustCompile(`(?m)^WHOLE := (.+)$`).FindSubmatch(makefile)
	require.NotNil(t, whole)
	require.ElementsMatch(t, sampling, strings.Fields(string(whole[1])))
}
