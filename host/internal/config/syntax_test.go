package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoad_ReportsTheFirstSyntaxErrorWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ yaml, want string }{
		"an empty file": {
			"",
			`baton-host.yaml:1:1: the file is empty; it must define plugins`,
		},
		"comments only": {
			"# nothing yet\n",
			`baton-host.yaml:1:1: the file is empty; it must define plugins`,
		},
		"null": {
			`---
~
`,
			`baton-host.yaml:1:1: the file is empty; it must define plugins`,
		},
		"a text": {
			"plugins\n",
			`baton-host.yaml:1:1: the file must be a mapping with the key "plugins"`,
		},
		"a list": {
			"- plugins\n",
			`baton-host.yaml:1:1: the file must be a mapping with the key "plugins"`,
		},
		"two documents": {
			`plugins: { a: }
---
plugins: { b: }
`,
			`baton-host.yaml:2:1: the file has a second YAML document; it must be one`,
		},
		"a tab": {
			"plugins:\n\ta:\n",
			`baton-host.yaml:2:1: a tab cannot indent in YAML; use spaces`,
		},
		"a tab after spaces": {
			"plugins:\n  a:\n  \tapp: x\n",
			`baton-host.yaml:3:3: a tab cannot indent in YAML; use spaces`,
		},
		"a tab in a text": {
			"plugins:\n  a:\n    app: x\n\t  y\n",
			`baton-host.yaml:4:1: a tab cannot indent in YAML; use spaces`,
		},
		"a wrong indentation": {
			`plugins:
  a:
    app: x
   b:
    app: y
`,
			`baton-host.yaml:4:4: this does not fit here: the line may be indented differently from the lines around it, or text may follow a quoted value`,
		},
		"two colons": {
			`plugins:
  a: b: c
`,
			`baton-host.yaml:2:7: a ":" cannot stand here: the line may be indented too far, the line before may lack the space after its ":", or a value that holds ": " needs quotes`,
		},
		"a missing space": {
			`plugins:
  a:
    token:x
    app: y
`,
			`baton-host.yaml:4:8: a ":" cannot stand here: the line may be indented too far, the line before may lack the space after its ":", or a value that holds ": " needs quotes`,
		},
		"a missing space on the last line": {
			`plugins:
  a:
    app: y
    token:x
`,
			`baton-host.yaml:4:5: this is no "key: value"; a key needs a ":" and a space after it`,
		},
		"a bare reference in a flow mapping": {
			`plugins:
  a:
    config: { token: ${env:X} }
`,
			`baton-host.yaml:3:22: inside { } and [ ] a reference needs quotes: "${env:NAME}"`,
		},
		"a bare reference in a flow list": {
			`plugins:
  a:
    config:
      list: [${env:X}]
`,
			`baton-host.yaml:4:14: inside { } and [ ] a reference needs quotes: "${env:NAME}"`,
		},
		"an open quote": {
			`plugins:
  a:
    app: "x
  b:
`,
			`baton-host.yaml:3:10: a quoted value is not closed`,
		},
		"an open quote before a document": {
			`plugins:
  a: 'x
---
`,
			`baton-host.yaml:2:6: a quoted value is not closed`,
		},
		"an open list": {
			`plugins:
  a:
    env: [A, B
    app: x
`,
			`baton-host.yaml:3:10: a list in [ ] lacks a "," or its "]"`,
		},
		"an open mapping": {
			`plugins:
  a: { app: x
`,
			`baton-host.yaml:2:6: a mapping in { } lacks a "," or its "}"`,
		},
		"an unknown alias": {
			`plugins:
  a:
    app: *secret
`,
			`baton-host.yaml:3:10: anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes`,
		},
		"a bare star": {
			`plugins:
  a:
    app: * 
`,
			`baton-host.yaml:3:10: anchors and aliases are not supported; write the value out, and put a value that begins with & or * in quotes`,
		},
		"an at sign": {
			`plugins:
  a:
    app: @x
`,
			`baton-host.yaml:3:10: a value cannot begin with this character; put the value in quotes`,
		},
		"a bad escape": {
			`plugins:
  a:
    path: "C:\qx"
`,
			`baton-host.yaml:3:14: YAML does not know this escape; a backslash is literal in single quotes`,
		},
		"a bad hexadecimal escape": {
			`plugins:
  a:
    path: "C:\xyz"
`,
			`baton-host.yaml:3:14: YAML does not know this escape; a backslash is literal in single quotes`,
		},
		"a bad surrogate": {
			`plugins:
  a:
    path: "C:\ud800"
`,
			`baton-host.yaml:3:14: YAML does not know this escape; a backslash is literal in single quotes`,
		},
		"text after a quote": {
			`plugins:
  a:
    app: 'x' y
`,
			`baton-host.yaml:3:14: this does not fit here: the line may be indented differently from the lines around it, or text may follow a quoted value`,
		},
		"a list item in a line": {
			`plugins:
  a: - x
`,
			`baton-host.yaml:2:6: a list item cannot stand here; put it on its own line`,
		},
		"a key after list items": {
			`plugins:
  a:
    - x
    app: y
`,
			`baton-host.yaml:4:5: this is not a list item, but the lines before are; a list item begins with "- "`,
		},
		"a list item after keys": {
			`plugins:
  a:
    app: y
    - x
`,
			`baton-host.yaml:4:5: this does not fit here: the line may be indented differently from the lines around it, or text may follow a quoted value`,
		},
		"a control character": {
			"plugins:\n  a: x\u0001y\n",
			`baton-host.yaml:2:7: the file holds a control character`,
		},
		"a stray brace": {
			"plugins: }\n",
			`baton-host.yaml:1:10: a value is missing, or this character needs quotes`,
		},
		"another YAML version": {
			`%YAML 3.0
---
plugins: { a: }
`,
			`baton-host.yaml:1:1: this is not valid YAML`,
		},
		"a mistake after a byte order mark": {
			"\ufeffplugins: { a: b: c }\n",
			`baton-host.yaml:1:16: a mapping in { } lacks a "," or its "}"`,
		},
		"a mistake after carriage returns": {
			"plugins:\r\n  a:\r\n   x: y\r\n  b\r\n",
			`baton-host.yaml:4:3: this is no "key: value"; a key needs a ":" and a space after it`,
		},
		"a mistake in a second document": {
			`plugins: { a: }
---
}
`,
			`baton-host.yaml:3:1: a value is missing, or this character needs quotes`,
		},
		"bytes that are not UTF-8": {
			"plugins:\n  ä: \xff\n",
			`baton-host.yaml:2:6: the file is not UTF-8 text`,
		},
		"UTF-16": {
			"\xff\xfep\x00l\x00",
			`baton-host.yaml:1:1: the file is not UTF-8 text`,
		},
		"a million levels": {
			strings.Repeat("[", 1<<20),
			`baton-host.yaml:1:10001: this is nested too deeply`,
		},
		"more than a mebibyte": {
			"plugins: { a: }\n" + strings.Repeat("#", 1<<20),
			`baton-host.yaml: the file is larger than 1 MiB`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, dir, err := load(t, test.yaml, nil)
			require.Equal(t, []string{test.want}, messages(dir, err))
		})
	}
}
