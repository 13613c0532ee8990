package terminal

import (
	"regexp"

	"github.com/fatih/color"
)

// states are the words for how something went, each with its color. Nothing else
// is colored.
var states = map[string]*color.Color{
	"ok": color.New(color.FgGreen), "complete": color.New(color.FgGreen), "passed": color.New(color.FgGreen), "added": color.New(color.FgGreen),
	"FAILED": color.New(color.FgRed), "removed": color.New(color.FgRed),
	"STALE": color.New(color.FgYellow), "changed": color.New(color.FgYellow), "skipped": color.New(color.FgYellow),
}

// stateWord is such a word at the beginning of a text, or after a semicolon.
var stateWord = regexp.MustCompile(`(^|; )(ok|complete|passed|added|FAILED|removed|STALE|changed|skipped)\b`)

// Colored colors the words for states in a text for standard output, if that is a
// terminal that shows colors and NO_COLOR is not set.
func Colored(text string) string {
	if color.NoColor {
		return text
	}
	return stateWord.ReplaceAllStringFunc(text, func(found string) string {
		const separator = "; "
		word, before := found, ""
		if len(found) > len(separator) && found[:len(separator)] == separator {
			word, before = found[len(separator):], separator
		}
		return before + states[word].Sprint(word)
	})
}

// stateColumns are the columns of tables in which states stand. What else is in a table
// is of others, who may call themselves anything.
var stateColumns = map[string]bool{"RESULT": true, "CHANGE": true}
