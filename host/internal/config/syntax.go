package config

import (
	"bytes"
	"errors"
	"io"
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
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
// not used: it tells the line of the enclosing block, if any, and may quote.
func syntaxProblem(file string, data []byte, err error) Problem {
	// A parser that reads from left to right gives the same error for the
	// shortest beginning of the file that holds the mistake, and for no shorter
	// one. Twenty parses find it in a file of the greatest size.
	end := sort.Search(len(data), func(n int) bool {
		_, e := parseDocuments(data[:n])
		return e != nil && e.Error() == err.Error()
	})
	at := max(end-1, 0)
	text := err.Error()
	if strings.Contains(text, "unknown anchor") {
		at = max(bytes.LastIndexByte(data[:end], '*'), 0)
	}
	line, column := position(data, at)
	return Problem{File: file, Line: line, Column: column, Message: explainSyntax(text, data, at)}
}

// position returns line and column, counted from 1, of a byte offset.
func position(data []byte, offset int) (line, column int) {
	before := data[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte{'\n'}) + 1, utf8.RuneCount(before[start:]) + 1
}

func explainSyntax(text string, data []byte, at int) string {
	atTab := at < len(data) && data[at] == '\t'
	inReference := bytes.Contains(lineAt(data, at), []byte("${"))
	switch {
	case atTab && strings.Contains(text, "cannot start any token"), strings.Contains(text, "found a tab character"):
		return "a tab cannot indent in YAML; use spaces"
	case strings.Contains(text, "expected ','") && inReference:
		return `inside { } and [ ] a reference needs quotes: "${env:NAME}"`
	}
	for _, known := range syntaxSentences {
		if strings.Contains(text, known.part) {
			return known.sentence
		}
	}
	return "this is not valid YAML"
}

func lineAt(data []byte, at int) []byte {
	start := bytes.LastIndexByte(data[:at], '\n') + 1
	line, _, _ := bytes.Cut(data[start:], []byte{'\n'})
	return line
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
	{"hexdecimal number", "YAML does not know this escape; a backslash is literal in single quotes"},
	{"character escape code", "YAML does not know this escape; a backslash is literal in single quotes"},
	{"unknown anchor", noAliases},
	{"alphabetic or numeric character", noAliases},
	{"block sequence entries are not allowed", "a list item cannot stand here; put it on a line of its own"},
	{"control characters", "the file holds a control character"},
	{"exceeded max depth", tooDeep},
}

const (
	noAliases = "anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes"
	tooDeep   = "this is nested too deeply"
)
