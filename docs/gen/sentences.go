package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// operated are the trees of what operators run: their sentences are in docs/errors.md.
var operated = []string{"host", "plugin", "internal", "scim", "fullstory"}

// unread are the packages whose sentences no operator meets, or only as the result of a
// command that explains itself: the checks for authors, the scaffold, generators.
var unread = []string{
	"plugin/conformance", "plugin/plugintest", "host/internal/scaffold", "host/internal/config/schema/gen",
}

// sentence is a text of the code that an operator may meet, with … for what differs.
type sentence struct {
	text string
	// path is the file that has it, below the repository.
	path string
	// isLogged says that it is the message of a warning or an error in the log.
	isLogged bool
	// isError says that it is made as an error.
	isError bool
}

// readSentences returns the sentences of the code, in the order of its files.
func readSentences(root string) ([]sentence, error) {
	all, err := readTexts(root)
	return slices.DeleteFunc(all, func(one sentence) bool { return !isSentence(one) }), err
}

// readTexts returns the sentences with the texts of pages, questions and results.
func readTexts(root string) ([]sentence, error) {
	var all []sentence
	for _, tree := range operated {
		err := filepath.WalkDir(filepath.Join(root, tree), func(path string, file fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			name = filepath.ToSlash(name)
			if file.IsDir() {
				if file.Name() == "testdata" || slices.Contains(unread, name) {
					return filepath.SkipDir
				}
				return nil
			}
			if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			syntax, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution|parser.ParseComments)
			if err != nil {
				return err
			}
			if !ast.IsGenerated(syntax) {
				all = append(all, sentencesOf(syntax, name)...)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// leastWords is the number of fixed words from which on a text is a sentence; what is shorter
// only leads to one (`read %s: %w`).
const leastWords = 4

var (
	differs = regexp.MustCompile(`%[-+# 0]*(\[\d+\])?[0-9.]*[a-zA-Z]|\{\w+\}`)
	word    = regexp.MustCompile(`\pL[\pL\d'’._/-]*`)

	// logged are the methods of loggers whose message operators read.
	logged = []string{"Info", "Infow", "Warn", "Warnw", "Error", "Errorw"}
	// raised are the functions that make an error of a text.
	raised = []string{"Errorf", "New", "Error"}
	// silent are functions whose texts no operator reads as a message: searches, help, what is
	// logged at levels that are no alarm, and what goes to another program.
	silent = regexp.MustCompile(`^(Debug|Debugw|Set|MustCompile|Contains|HasPrefix|HasSuffix|Cut\w*|Trim\w*|Split\w*|Index|Replace\w*|ContainsFunc|NewReplacer|\w*VarP?|VarPF|With[A-Z]\w*|gauge|counter|MarkFlag\w*|RegisterFlag\w*|Getenv|LookupEnv|panic|Say|Ask\w*|ask\w*|Print\w*|Fprint\w*|WriteString|String\w*Field|BoolField|IntField|SelectField|FileUploadField|FieldGroup)$`)
	// described are the members of composite literals that hold help.
	described = []string{"Short", "Long", "Use", "Example", "Meaning", "Help", "Description", "Pattern", "Placeholder"}
)

// sentencesOf returns the sentences of a file.
func sentencesOf(file *ast.File, path string) []sentence {
	var found []sentence
	var walk func(node ast.Node, one sentence)
	walk = func(node ast.Node, one sentence) {
		ast.Inspect(node, func(inner ast.Node) bool {
			switch inner := inner.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.Field: // Its tag is a text too.
				return false
			case *ast.KeyValueExpr:
				key, ok := inner.Key.(*ast.Ident)
				return !ok || !slices.Contains(described, key.Name)
			case *ast.CallExpr:
				name := calledName(inner)
				if silent.MatchString(name) && !isWarning(inner) {
					// A function in the arguments is code like any other.
					for _, argument := range inner.Args {
						if function, ok := argument.(*ast.FuncLit); ok {
							walk(function.Body, sentence{path: path})
						}
					}
					return false
				}
				for i, argument := range inner.Args {
					isFirst := i == 0 || name == "Error" && i == 1 || name == "Errorf" && i == 1 // status.Error(code, text)
					walk(argument, sentence{
						path:     path,
						isLogged: i == 0 && slices.Contains(logged, name),
						isError:  isFirst && slices.Contains(raised, name),
					})
				}
				walk(inner.Fun, sentence{path: path})
				return false
			case ast.Expr:
				if sum, ok := inner.(*ast.BinaryExpr); ok {
					// What is put into a text may have texts of its own.
					for _, part := range differing(sum) {
						walk(part, sentence{path: path})
					}
				}
				if text, ok := textOf(inner); ok {
					one.text = normal(text)
					words := wordsIn(one.text)
					if words >= leastWords || one.isLogged && words > 1 {
						found = append(found, one)
					}
					return false
				}
			}
			return true
		})
	}
	for _, declaration := range file.Decls {
		walk(declaration, sentence{path: path})
	}
	return found
}

// isWarning reports whether a call prints a warning to standard error.
func isWarning(call *ast.CallExpr) bool {
	if len(call.Args) < 2 {
		return false
	}
	text, _ := textOf(call.Args[1])
	return strings.Contains(text, "warning: ")
}

// differing returns the parts of a text put together that are not literal.
func differing(sum *ast.BinaryExpr) []ast.Expr {
	if _, isText := textOf(sum); !isText {
		return nil
	}
	var found []ast.Expr
	for _, part := range []ast.Expr{sum.X, sum.Y} {
		if inner, ok := part.(*ast.BinaryExpr); ok {
			found = append(found, differing(inner)...)
		} else if _, isText := textOf(part); !isText {
			found = append(found, part)
		}
	}
	return found
}

func calledName(call *ast.CallExpr) string {
	switch called := call.Fun.(type) {
	case *ast.SelectorExpr:
		return called.Sel.Name
	case *ast.Ident:
		return called.Name
	}
	return ""
}

// textOf returns the text of a literal, or of several put together with … for what differs.
func textOf(expression ast.Expr) (string, bool) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, err := strconv.Unquote(e.Value)
			return differs.ReplaceAllString(text, "…"), err == nil
		}
	case *ast.ParenExpr:
		return textOf(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, isLeft := textOf(e.X)
		right, isRight := textOf(e.Y)
		if !isLeft && !isRight {
			return "", false
		}
		return cmp.Or(left, "…") + cmp.Or(right, "…"), true
	}
	return "", false
}

// normal is a text on one line, without what only joins it to others.
func normal(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for strings.Contains(text, "……") {
		text = strings.ReplaceAll(text, "……", "…")
	}
	return strings.TrimLeft(strings.TrimRight(text, " :,;("), " ,;:.)")
}

// wordsIn counts the fixed words of a sentence.
func wordsIn(text string) int {
	return len(word.FindAllString(strings.ReplaceAll(text, "…", " "), -1))
}

// plainWord is a word without a digit, a dot or a slash: no address, no path and no token.
var plainWord = regexp.MustCompile(`^\pL+([-'’]\pL+)*$`)

// wordList returns the words of all texts, one to a line: a text of these alone is the host's own.
func wordList(texts []sentence) string {
	found := map[string]bool{}
	for _, one := range texts {
		for _, text := range word.FindAllString(one.text, -1) {
			if text = strings.ToLower(strings.TrimRight(text, "'’._/-")); plainWord.MatchString(text) {
				found[text] = true
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), "\n") + "\n"
}

// sentenceList returns the sentences, one to a line, each behind the anchor of its entry, or
// behind none if no error leads there. A sentence in two entries is left out. What begins
// with a quote or a bracket is a name or a remark inside of another; those of the board
// are about states.
func sentenceList(sentences []sentence) string {
	titles := map[string]string{} // of the entries, by sentence; "" for several
	for _, one := range sentences {
		title, ok := entryOf(one)
		if !ok || wordsIn(one.text) < leastWords || strings.ContainsAny(one.text[:1], "\"`(") || strings.HasPrefix(one.path, "host/internal/status/") {
			continue
		}
		if before, listed := titles[one.text]; listed && before != title {
			title = ""
		}
		titles[one.text] = title
	}
	var text strings.Builder
	for _, entry := range entries {
		leads := anchor(entry.title)
		if entry.complete {
			leads = ""
		}
		for _, one := range slices.Sorted(maps.Keys(titles)) {
			if titles[one] == entry.title {
				fmt.Fprintf(&text, "%s\t%s\n", leads, one)
			}
		}
	}
	return text.String()
}

// errorsPage returns docs/errors.md.
func errorsPage(sentences []sentence) (string, error) {
	byEntry := map[string][]sentence{}
	for _, one := range sentences {
		title, ok := entryOf(one)
		if !ok {
			return "", fmt.Errorf("%s has %q, which is in no entry of the runbook: give its file one in docs/gen/entries.go", one.path, one.text)
		}
		byEntry[title] = append(byEntry[title], one)
	}
	var text strings.Builder
	text.WriteString(errorsBeginning)
	for _, entry := range entries {
		of := byEntry[entry.title]
		if len(of) == 0 {
			continue
		}
		fmt.Fprintf(&text, "\n## %s\n\nWhat to do: [runbook](runbook.md#%s).\n\n", entry.title, anchor(entry.title))
		slices.SortStableFunc(of, func(x, y sentence) int {
			return cmp.Compare(strings.ToLower(strings.TrimLeft(x.text, "…\"`' ")), strings.ToLower(strings.TrimLeft(y.text, "…\"`' ")))
		})
		seen := map[string]bool{}
		for _, one := range of {
			if seen[one.text] {
				continue
			}
			seen[one.text] = true
			mark := ""
			if one.isLogged {
				mark = " (log)"
			}
			fmt.Fprintf(&text, "- %s%s\n", code(one.text), mark)
		}
	}
	return text.String(), nil
}

const errorsBeginning = "<!-- Generated by docs/gen from the code. Change the sentence there, then run: make generate -->\n" + `
# Errors and warnings

Every sentence of the host and of its connectors, by its entry in the [runbook](runbook.md). Search for a few words
of it: ` + "`…`" + ` stands for what differs. A long error is put together from several of these. (log) is the message of a warning or an error in the log.
`

// code quotes a text for Markdown.
func code(text string) string {
	if strings.Contains(text, "`") {
		return "`` " + text + " ``"
	}
	return "`" + text + "`"
}

var unsaid = regexp.MustCompile(`[^\p{L}\p{N} _-]+`)

// anchor returns the anchor of a heading, as GitHub makes it.
func anchor(title string) string {
	return strings.ReplaceAll(unsaid.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
}
