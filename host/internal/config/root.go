package config

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/files"
)

// maxConfig is the greatest size of a configuration, in bytes.
const maxConfig = 1 << 20

// byteOrderMark is what some editors begin a UTF-8 file with.
const byteOrderMark = "\xef\xbb\xbf"

// readRoot reads the file and returns the mapping that it holds.
func readRoot(ctx context.Context, path string) (*yaml.Node, *settings.Problem) {
	data, err := files.ReadPatiently(ctx, path, maxConfig)
	if err != nil {
		message := err.Error()
		if errors.Is(err, files.ErrNoFile) {
			message = "there is no such file; say where the configuration is with --config FILE, or write one with baton-host init"
		}
		return nil, &settings.Problem{File: path, Message: message}
	}
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	if at := invalidUTF8(data); at >= 0 {
		line, column := position(data, at)
		return nil, &settings.Problem{File: path, Line: line, Column: column, Message: "the file is not UTF-8 text"}
	}

	documents, err := parseDocuments(data)
	if err != nil {
		problem := syntaxProblem(path, data, err)
		return nil, &problem
	}
	if len(documents) == 0 || len(documents) == 1 && isEmpty(documents[0]) {
		return nil, &settings.Problem{File: path, Line: 1, Column: 1, Message: "the file is empty; it must define plugins"}
	}
	if len(documents) > 1 {
		second := documents[1]
		return nil, &settings.Problem{File: path, Line: second.Line, Column: second.Column, Message: "the file has a second YAML document; it must be one"}
	}
	root := documents[0].Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, &settings.Problem{
			File: path, Line: root.Line, Column: root.Column,
			Message: `the file must be a mapping with the key "plugins"`,
		}
	}
	return root, nil
}

// isEmpty says that a document holds nothing, or nothing but null.
func isEmpty(document *yaml.Node) bool {
	return len(document.Content) == 0 || isNull(document.Content[0])
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(data []byte) int {
	valid := strings.ToValidUTF8(string(data), "")
	if len(valid) == len(data) {
		return -1
	}
	at := 0
	for {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size <= 1 {
			return at
		}
		at += size
	}
}
