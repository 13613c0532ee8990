package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// texts are those of the code.
type texts struct {
	// sentences are all texts of the code, with … for what differs.
	sentences []string
	// alarms are the warnings and errors that are logged.
	alarms []string
	// states are those of uploads and plugins.
	states []string
}

var differs = regexp.MustCompile(`%[-+# 0]*(\[\d+\])?[0-9.]*[a-zA-Z]|\{\w+\}`)

// textOf returns the text of an expression that is one, also of several put together.
func textOf(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, _ := strconv.Unquote(e.Value)
			return text
		}
	case *ast.BinaryExpr:
		if left, right := textOf(e.X), textOf(e.Y); left != "" && right != "" {
			return left + right
		}
	}
	return ""
}

// textsOfCode reads the code of what operators run.
func textsOfCode(t *testing.T) *texts {
	t.Helper()
	all := &texts{}
	for _, room := range []string{"host", "plugin", "internal", "scim", "fullstory"} {
		err := filepath.WalkDir(filepath.Join(repository, room), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err == nil {
				all.read(file, filepath.ToSlash(path))
			}
			return err
		})
		require.NoError(t, err)
	}
	return all
}

func (s *texts) read(file *ast.File, path string) {
	isState := strings.HasSuffix(path, "host/internal/status/snapshot.go") || strings.HasSuffix(path, "host/internal/supervise/settings.go")
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.CallExpr:
			selector, ok := node.Fun.(*ast.SelectorExpr)
			if ok && len(node.Args) > 0 && slices.Contains([]string{"Warn", "Warnw", "Error", "Errorw"}, selector.Sel.Name) {
				if text := textOf(node.Args[0]); text != "" {
					s.alarms = append(s.alarms, text)
				}
			}
		case *ast.ValueSpec:
			if of, ok := node.Type.(*ast.Ident); isState && ok && of.Name == "State" {
				for _, value := range node.Values {
					s.states = append(s.states, textOf(value))
				}
			}
		case ast.Expr:
			if text := textOf(node); text != "" {
				s.sentences = append(s.sentences, differs.ReplaceAllString(text, "…"))
			}
		}
		return true
	})
}

// has reports whether the fixed words of a sentence are, in their order, in one of
// the code's.
func (s *texts) has(sentence string) bool {
	return slices.ContainsFunc(s.sentences, func(text string) bool {
		for fixed := range strings.SplitSeq(sentence, "…") {
			if fixed = strings.TrimSpace(fixed); fixed == "" {
				continue
			}
			_, rest, ok := strings.Cut(text, fixed)
			if !ok {
				return false
			}
			text = rest
		}
		return true
	})
}

// section returns a part of a document, from its heading to the next one of its level.
func section(t *testing.T, text, title string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n## "+title+"\n")
	require.True(t, ok, title)
	rest, _, _ = strings.Cut(rest, "\n## ")
	return rest
}

var quoted = regexp.MustCompile("`([^`]+)`")

// firstCells returns what is quoted in the first column of the tables.
func firstCells(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if cells := strings.Split(line, "|"); len(cells) > 3 {
			for _, match := range quoted.FindAllStringSubmatch(cells[1], -1) {
				found = append(found, match[1])
			}
		}
	}
	return found
}

func TestOperations_HasOnlySentencesOfTheCode(t *testing.T) {
	t.Parallel()
	text, code := documents(t)["docs/operations.md"], textsOfCode(t)
	sentences := 0
	for _, title := range []string{"Before it runs", "C1", "Plugins", "A sync", "When a sync is refused", "Apps over SCIM"} {
		cells := firstCells(section(t, text, title))
		require.NotEmpty(t, cells, title)
		for _, sentence := range cells {
			require.True(t, code.has(sentence), "%s: the code does not have: %s", title, sentence)
		}
		sentences += len(cells)
	}
	require.Greater(t, sentences, 100)
	require.False(t, code.has("the disk of … is nearly empty"))
	require.False(t, code.has("MiB are free, … the disk of"), "the order counts")
}

func TestOperations_HasEveryAlarmOfTheHost(t *testing.T) {
	t.Parallel()
	text, code := documents(t)["docs/operations.md"], textsOfCode(t)
	table := &texts{sentences: firstCells(text)}
	require.Greater(t, len(code.alarms), 20)
	var missing []string
	for _, alarm := range code.alarms {
		if slices.Contains([]string{"no traces are sent", "closing the connector", "the connector panicked while it was built"}, alarm) {
			continue // Of a plugin that runs alone, or about traces: they name what to do, or are followed by an end.
		}
		covered := slices.ContainsFunc(table.sentences, func(sentence string) bool {
			return (&texts{sentences: []string{alarm}}).has(sentence)
		})
		if !covered {
			missing = append(missing, alarm)
		}
	}
	require.Empty(t, missing, "docs/operations.md does not explain these")
}

func TestOperations_HasEveryState(t *testing.T) {
	t.Parallel()
	states, code := firstCells(section(t, documents(t)["docs/operations.md"], "States")), textsOfCode(t)
	require.Subset(t, states, code.states)
	require.Len(t, code.states, 12)
}
