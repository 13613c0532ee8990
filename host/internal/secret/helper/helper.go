// Package helper resolves references by programs: ${exec:NAME ARGUMENTS}, and those of the
// AWS stores by a program that comes with the host.
//
// The configuration calls it with the programs that an operator has named. It must never
// run anything else, let a program run on or write without end, or put what one writes to
// standard output into an error.
package helper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// Settings say how a helper is run.
type Settings struct {
	// Path is the program, as an absolute path, and Args are its first arguments.
	Path string
	Args []string
	// Env names the environment variables that it may see beyond those that every helper
	// sees.
	Env []string
	// Timeout is how long it may take.
	Timeout time.Duration
}

// New returns the store of helpers by name.
func New(helpers map[string]Settings) secret.Store { return store(helpers) }

type store map[string]Settings

// Check reports whether there is such a helper.
func (s store) Check(name string) error {
	_, _, err := s.find(name)
	return err
}

// Resolve runs the helper.
func (s store) Resolve(ctx context.Context, name string) (secret.Value, error) {
	helper, arguments, err := s.find(name)
	if err != nil {
		return secret.Value{}, err
	}
	return helper.run(ctx, arguments, valuesOf(helper.Env))
}

// find returns the helper that a reference names, and its arguments.
func (s store) find(name string) (Settings, []string, error) {
	words, err := split(name)
	if err != nil {
		return Settings{}, nil, err
	}
	if len(words) == 0 {
		return Settings{}, nil, errors.New("${exec:…} needs the name of a helper behind the colon")
	}
	helper, ok := s[words[0]]
	if ok {
		return helper, words[1:], nil
	}
	message := "${exec:…} names a helper that is not under secret-helpers"
	if near := errtext.Nearest(words[0], slices.Sorted(maps.Keys(s))); near != "" {
		message += fmt.Sprintf("; did you mean %q?", near)
	}
	return Settings{}, nil, errors.New(message)
}

// valuesOf returns the values of environment variables, without those that are too short to
// be hidden.
func valuesOf(names []string) []string {
	var values []string
	for _, name := range names {
		if value := os.Getenv(name); len(value) >= shortestHidden {
			values = append(values, value)
		}
	}
	return values
}

// split returns the words of a text. Blanks separate them, but not in a part between
// single or double quotes, which is taken as it is.
func split(text string) ([]string, error) {
	var words []string
	for text = strings.TrimLeft(text, blanks); text != ""; text = strings.TrimLeft(text, blanks) {
		word := ""
		for text != "" && !strings.ContainsRune(blanks, rune(text[0])) {
			quote := text[:1]
			if quote != `'` && quote != `"` {
				end := strings.IndexAny(text, blanks+`'"`)
				if end < 0 {
					end = len(text)
				}
				word, text = word+text[:end], text[end:]
				continue
			}
			inside, rest, closed := strings.Cut(text[1:], quote)
			if !closed {
				return nil, errors.New("a quotation in ${exec:…} is not closed")
			}
			word, text = word+inside, rest
		}
		words = append(words, word)
	}
	return words, nil
}

const blanks = " \t\r\n"
