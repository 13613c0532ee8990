package settings

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/batonhost/baton-host/host/internal/secret"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// File is the path of the configuration as it was given to Load. Empty where
	// there is no file.
	File string
	// Line and Column are counted from 1; columns in characters. Both are 0
	// where the problem has no place in the file.
	Line, Column int
	// Message is one sentence that a person can act on. It holds no value of a
	// reference and none of a plugin's configuration.
	Message string
	// Words are the message without what a store of secrets reports; empty: it has nothing of
	// that.
	Words string
	// Field is the field of the plugin that it is about; empty: none, or several.
	Field string
	// Reference is the reference that cannot be resolved, as it is written, where that is
	// the problem.
	Reference string
	// Away says that a store of secrets could not be asked, so the problem may pass.
	Away bool
}

// Unresolve makes it the problem of a reference that is not resolved, by an error of
// [secret.Round.Expand].
func (p *Problem) Unresolve(err error) {
	p.Message, p.Away = err.Error(), secret.IsAway(err)
	if unresolved, ok := errors.AsType[*secret.ReferenceError](err); ok {
		p.Reference, p.Words = unresolved.Reference.String(), unresolved.Public()
	}
}

// String returns "file:line:column: message" on one line, without what is
// unknown.
func (p Problem) String() string {
	// A message may hold text of a plugin or a name from the file; a terminal
	// must not take it for commands.
	message := strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, p.Message)
	switch {
	case p.File == "":
		return message
	case p.Line == 0:
		return fmt.Sprintf("%s: %s", p.File, message)
	default:
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, message)
	}
}

// Problems are all problems of a configuration; as an error they print one to a
// line, in the order of the file.
type Problems []Problem

// Error returns the problems one to a line, sorted by file, line and column.
func (p Problems) Error() string {
	lines := make([]string, 0, len(p))
	for _, problem := range p.Sorted() {
		lines = append(lines, problem.String())
	}
	return strings.Join(lines, "\n")
}

// Err returns the problems as an error, or nil if there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Away reports whether there are problems and all of them may pass, as they are of stores
// of secrets that could not be asked.
func (p Problems) Away() bool {
	return len(p) > 0 && !slices.ContainsFunc(p, func(problem Problem) bool { return !problem.Away })
}

// Unresolved reports whether there are problems and all of them are of references.
func (p Problems) Unresolved() bool {
	return len(p) > 0 && !slices.ContainsFunc(p, func(problem Problem) bool { return problem.Reference == "" })
}

// ByReference returns the problems in the host's own words, by the references that they are
// about; empty: none.
func (p Problems) ByReference() map[string]string {
	words := map[string]string{}
	for _, problem := range p {
		words[problem.Reference] = cmp.Or(problem.Words, problem.Message)
	}
	return words
}

// Sorted returns the problems by file, line and column.
func (p Problems) Sorted() Problems {
	sorted := slices.Clone(p)
	slices.SortStableFunc(sorted, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return sorted
}
