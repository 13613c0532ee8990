package keys

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Kind is the form of a key's value.
type Kind int

const (
	// Text is a text on one line.
	Text Kind = iota
	// Switch is true or false.
	Switch
	// Whole is a whole number.
	Whole
	// Duration is a length of time with its unit.
	Duration
	// Size is a number of bytes with its unit.
	Size
	// Choice is one of the key's Allowed texts.
	Choice
	// Texts is a list of texts, each once.
	Texts
	// Words is a list of one or more texts: a program and its arguments.
	Words
	// Section is a mapping with the key's Keys, or one of its Allowed texts.
	Section
	// Named is a mapping from names that people choose to sections with the key's
	// Keys.
	Named
	// Fields is a mapping with the fields of a plugin.
	Fields
)

// Key is a key that can stand in the file.
type Key struct {
	Name string
	Kind Kind
	// Meaning is for people, in Markdown, without a full stop at its end.
	Meaning string
	// Default is the value that a file without the key means, as it would be
	// written there; empty: there is none, or Meaning tells it.
	Default string
	// Required says that the section cannot do without the key.
	Required bool
	// Needs and Excludes are keys of the same section that must, or must not, stand
	// beside this one.
	Needs, Excludes string
	// Allowed are the only texts of a choice.
	Allowed []string
	// Least and Most are the limits of a number, of a duration in nanoseconds and of
	// a size in bytes.
	Least, Most int64
	// Example is a value as it would be written.
	Example string
	// References says that ${env:NAME} and ${file:PATH} are resolved in it. In a
	// text of any other key ${ is an error.
	References bool
	// Names are the form of the texts of a list, and of the names of Named; empty:
	// any text.
	Names string
	// Placeholder stands for a name of Named in a path, such as NAME.
	Placeholder string
	// Keys are those of a section.
	Keys []Key
}

// Walk calls visit for a key's keys and for all below them, in the order of the
// table, with their paths: "plugins.NAME.app".
func (k Key) Walk(visit func(path string, key Key)) { k.walk("", visit) }

func (k Key) walk(prefix string, visit func(string, Key)) {
	for _, key := range k.Keys {
		path := prefix + key.Name
		visit(path, key)
		below := path + "."
		if key.Kind == Named {
			below += key.Placeholder + "."
		}
		key.walk(below, visit)
	}
}

// Form is the form of the key's value in words: "a duration from 1s to 1h".
func (k Key) Form() string {
	switch k.Kind {
	case Switch:
		return "`true` or `false`"
	case Whole:
		return fmt.Sprintf("a whole number from %d to %d", k.Least, k.Most)
	case Duration:
		return fmt.Sprintf("a duration from %s to %s", Shortly(time.Duration(k.Least)), Shortly(time.Duration(k.Most)))
	case Size:
		return fmt.Sprintf("a size from %s to %s", bytes(k.Least), bytes(k.Most))
	case Choice:
		return quoted(k.Allowed)
	case Texts, Words:
		return "a list of texts"
	case Section:
		if len(k.Allowed) > 0 {
			return quoted(k.Allowed) + ", or a mapping"
		}
		return "a mapping"
	case Named:
		return "a mapping by name"
	case Fields:
		return "a mapping of the plugin's fields"
	default:
		return "a text"
	}
}

func quoted(texts []string) string { return "`" + strings.Join(texts, "` or `") + "`" }

func bytes(number int64) string {
	return strings.ReplaceAll(humanize.IBytes(uint64(number)), " ", "") //nolint:gosec // No limit is negative.
}

// Shortly is a duration without the zeros at its end: 72h and not 72h0m0s.
func Shortly(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
