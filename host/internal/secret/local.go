package secret

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/batonhost/baton-host/host/internal/files"
)

// MaxFile is the greatest content of a file that a reference or a file field
// names, in bytes: what the plugin contract allows for a file.
const MaxFile = 2 << 20

// byteOrderMark is what some editors begin a UTF-8 file with.
const byteOrderMark = "\xef\xbb\xbf"

// Variables is the store of ${env:NAME}: a process environment.
type Variables func(name string) (string, bool)

// Check accepts every name of a variable.
func (Variables) Check(string) error { return nil } // Parse has checked it.

// Resolve returns the variable's value.
func (lookup Variables) Resolve(_ context.Context, name string) (Value, error) {
	value, ok := lookup(name)
	value = WithoutLineEnd(value)
	switch {
	case !ok:
		return Value{}, errors.New("the environment variable is not set")
	case value == "":
		return Value{}, errors.New("the environment variable is empty")
	case !utf8.ValidString(value):
		return Value{}, errors.New("the environment variable is not UTF-8 text")
	}
	return Value{Text: New(value)}, nil
}

// Files is the store of ${file:PATH}: the directory where relative paths start.
type Files string

// Check accepts every path.
func (Files) Check(string) error { return nil }

// Resolve returns the file's content.
func (dir Files) Resolve(_ context.Context, name string) (Value, error) {
	content, err := files.ReadRegular(files.Within(string(dir), name), MaxFile)
	if errors.Is(err, files.ErrNoFile) && !filepath.IsAbs(name) {
		return Value{}, fmt.Errorf("%w; a relative path starts at the directory of the configuration", err)
	}
	if err != nil {
		return Value{}, err
	}
	if !utf8.Valid(content) {
		return Value{}, errors.New("the file is not UTF-8 text")
	}
	text := WithoutLineEnd(string(content))
	if text == "" {
		return Value{}, errors.New("the file is empty")
	}
	return Value{Text: New(text)}, nil
}

// Plain returns what a store has written as the text that it stands for: without the ends
// of its last lines, as for a file. The error says what is wrong with it, and does not repeat
// it.
func Plain(written string) (Text, error) {
	text := WithoutLineEnd(written)
	switch {
	case text == "":
		return Text{}, errors.New("the value is empty")
	case !utf8.ValidString(text):
		return Text{}, errors.New("the value is not UTF-8 text")
	case strings.ContainsRune(text, 0):
		return Text{}, errors.New("the value has a NUL in it, so it is no text")
	}
	return New(text), nil
}

// WithoutLineEnd returns a text without what editors put into files, and variables that are
// made of files have too: a byte order mark and the ends of the last lines. No secret has them.
func WithoutLineEnd(text string) string {
	return strings.TrimRight(strings.TrimPrefix(text, byteOrderMark), "\r\n")
}
