// Command gen writes docs/configuration.md from the table of keys. `go generate`
// runs it, in the directory of the table.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/batonhost/baton-host/host/internal/config"
)

const target = "../../../docs/configuration.md"

const beginning = `<!-- Generated from host/internal/config/table.go. Change that, then run: make generate -->

# The configuration file

The host reads ` + "`baton-host.yaml`" + `, or the file that ` + "`--config`" + ` names. An unknown key, a value
of another form, and a field that a plugin does not know are errors, said all at once
with file, line and column. ` + "`${env:NAME}` and `${file:PATH}`" + ` stand for a variable's value and a
file's content in the values that say so; they keep secrets out of the file.
` + "`baton-host schema`" + ` writes a JSON Schema of all this for editors, with the fields of the
plugins that are installed.
`

func main() {
	var text strings.Builder
	text.WriteString(beginning)
	write(&text, "The file", "", config.KeyFile)
	if err := os.WriteFile(target, []byte(text.String()), 0o644); err != nil { //nolint:gosec // A document.
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write writes the keys of a section, and then each section in it.
func write(to *strings.Builder, title, path string, section config.Key) {
	fmt.Fprintf(to, "\n## %s\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n", title)
	for _, key := range section.Keys {
		fmt.Fprintf(to, "| `%s` | %s | %s | %s |\n", key.Name, cell(form(key)), cell(usual(key)), cell(meaning(key)))
	}
	for _, key := range section.Keys {
		below := path + key.Name
		if key.Kind == config.KindNamed {
			below += "." + key.Placeholder
		}
		if len(key.Keys) > 0 {
			write(to, "`"+below+"`", below+".", key)
		}
	}
}

func form(key config.Key) string {
	if key.Kind == config.KindChoice && key.Example != "" {
		return "`" + key.Example + "`"
	}
	words := key.Form()
	if key.Example != "" && key.Default == "" {
		words += ", such as `" + key.Example + "`"
	}
	if key.References {
		words += "; may hold `${env:NAME}` and `${file:PATH}`"
	}
	return words
}

func meaning(key config.Key) string {
	if key.Formerly == "" {
		return key.Meaning
	}
	return key.Meaning + ". `" + key.Formerly + "` is its old name, which is read in this release"
}

func usual(key config.Key) string {
	switch {
	case key.Required:
		return "required"
	case key.Default != "":
		return "`" + key.Default + "`"
	}
	return ""
}

// cell is a text in a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
