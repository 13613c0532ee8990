package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	yaml4 "go.yaml.in/yaml/v4"

	"github.com/batonhost/baton-host/host/internal/config/settings"
)

// parseDocuments returns the documents of a YAML stream.
func parseDocuments(data []byte) ([]*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var documents []*yaml.Node
	for {
		document := &yaml.Node{}
		err := decoder.Decode(document)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
}

// syntaxProblem says where and why the parser gave up. The parser's own text is
// not used: it may quote. The place comes from that parser's successor, whose errors
// have one; the values of a file never do.
func syntaxProblem(file string, data []byte, err error) settings.Problem {
	fault := fault(data)
	if fault == nil {
		line := 1 // What the parser knows by itself is a line, if that.
		_, _ = fmt.Sscanf(err.Error(), "yaml: line %d:", &line)
		return settings.Problem{File: file, Line: line, Column: 1, Message: explainSyntax(err.Error(), "", "")}
	}
	place := fault.Mark
	switch begun := fault.ContextMark; {
	case place.Line == 0: // A character that no text can have.
		place.Line, place.Column = position(data, min(place.Index, len(data)))
	case strings.Contains(fault.Message, "hexadecimal number"), strings.Contains(fault.Message, "character escape code"):
		place.Column -= len(`\x`) // To the backslash.
	case strings.Contains(fault.Message, "expected ','") && place.Line == begun.Line:
	case strings.Contains(fault.Message, "expected ','"), slices.ContainsFunc(beginnings, func(part string) bool { return strings.Contains(fault.Message, part) }):
		place = begun
	}
	if breaks := strings.Count(lineBreaks.Replace(string(data)), "\n"); breaks < place.Line-1 {
		place.Line, place.Column = position(data, len(data)) // The parser ends a last line that has no end.
	}
	line := lineOf(data, place.Line)
	before, after := split(line, place.Column)
	if strings.Contains(fault.Message, "expected ','") && strings.HasSuffix(before, "$") {
		place.Column-- // To the beginning of the reference.
	}
	return settings.Problem{File: file, Line: place.Line, Column: place.Column, Message: explainSyntax(fault.Message, line, after)}
}

// lineBreaks makes newlines of what YAML takes for the end of a line.
var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// beginnings are the mistakes that a person looks for where something begins: a
// quoted value, a key, an alias.
var beginnings = []string{"unexpected end of stream", "unexpected document indicator", "could not find expected ':'", "alphabetic or numeric character"}

// fault is the first mistake of a YAML stream, or nil if there is none.
func fault(data []byte) *yaml4.LoadError {
	decoder := yaml4.NewDecoder(bytes.NewReader(data))
	for {
		if err := decoder.Decode(&yaml4.Node{}); err != nil {
			fault, _ := errors.AsType[*yaml4.LoadError](err)
			return fault
		}
	}
}

// position returns line and column, counted from 1, of a byte offset.
func position(data []byte, offset int) (line, column int) {
	before := data[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte{'\n'}) + 1, utf8.RuneCount(before[start:]) + 1
}

// lineOf is a line, counted from 1.
func lineOf(data []byte, number int) string {
	lines := bytes.SplitN(data, []byte{'\n'}, number+1)
	return string(lines[min(number, len(lines))-1])
}

// split parts a line before a column, counted from 1 in characters.
func split(line string, column int) (before, after string) {
	characters := []rune(line)
	at := min(max(column-1, 0), len(characters))
	return string(characters[:at]), string(characters[at:])
}

// explainSyntax says what is wrong with a line, and from where on.
func explainSyntax(text, line, from string) string {
	switch {
	case strings.HasPrefix(from, "\t") && strings.Contains(text, "cannot start any token"), strings.Contains(text, "found a tab character"):
		return "a tab cannot indent in YAML; use spaces"
	case strings.Contains(text, "expected ','") && strings.Contains(line, "${"):
		return `inside { } and [ ] a reference needs quotes: "${env:NAME}"`
	}
	for _, known := range syntaxSentences {
		if strings.Contains(text, known.part) {
			return known.sentence
		}
	}
	return "this is not valid YAML"
}

// syntaxSentences say what to do, by a part of the parser's message.
var syntaxSentences = []struct{ part, sentence string }{
	{"cannot start any token", "a value cannot begin with this character; put the value in quotes"},
	{"mapping values are not allowed", `a ":" cannot stand here: the line may be indented too far, the line before may lack the space after its ":", or a value that holds ": " needs quotes`},
	{"could not find expected ':'", `this is no "key: value"; a key needs a ":" and a space after it`},
	{"did not find expected key", "this does not fit here: the line may be indented differently from the lines around it, or text may follow a quoted value"},
	{"expected '-'", `this is not a list item, but the lines before are; a list item begins with "- "`},
	{"expected ',' or ']'", `a list in [ ] lacks a "," or its "]"`},
	{"expected ',' or '}'", `a mapping in { } lacks a "," or its "}"`},
	{"expected node content", "a value is missing, or this character needs quotes"},
	{"unexpected end of stream", "a quoted value is not closed"},
	{"unexpected document indicator", "a quoted value is not closed"},
	{"unknown escape character", "YAML does not know this escape; a backslash is literal in single quotes"},
	{"hexadecimal number", "YAML does not know this escape; a backslash is literal in single quotes"},
	{"character escape code", "YAML does not know this escape; a backslash is literal in single quotes"},
	{"unknown anchor", noAliases},
	{"alphabetic or numeric character", noAliases},
	{"block sequence entries are not allowed", "a list item cannot stand here; put it on its own line"},
	{"control characters", "the file holds a control character"},
	{"exceeded max depth", tooDeep},
}

const (
	noAliases = "anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes"
	tooDeep   = "this is nested too deeply"
)
