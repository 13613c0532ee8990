package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Kind is the form of a key's value.
type Kind int

const (
	// KindText is a text on one line.
	KindText Kind = iota
	// KindSwitch is true or false.
	KindSwitch
	// KindWhole is a whole number.
	KindWhole
	// KindDuration is a length of time with its unit.
	KindDuration
	// KindSize is a number of bytes with its unit.
	KindSize
	// KindChoice is one of the key's Allowed texts.
	KindChoice
	// KindTexts is a list of texts, each once.
	KindTexts
	// KindWholes is a list of whole numbers, each once.
	KindWholes
	// KindWords is a list of one or more texts: a program and its arguments.
	KindWords
	// KindSection is a mapping with the key's Keys, or one of its Allowed texts.
	KindSection
	// KindNamed is a mapping from names that people choose to sections with the key's
	// Keys.
	KindNamed
	// KindFields is a mapping with the fields of a plugin.
	KindFields
)

// Key is a key that can stand in the file.
type Key struct {
	Name string
	// Formerly is a name that the key had, which is read too.
	Formerly string
	Kind     Kind
	// Meaning is for people, in Markdown, without a full stop at its end.
	Meaning string
	// Default is the value that a file without the key means, as it would be
	// written there; empty: there is none, or Meaning has it.
	Default string
	// implied is a default that Meaning has.
	implied string
	// Required says that the section cannot do without the key.
	Required bool
	// Needs is a key of the same section that must stand beside this one, and Excludes are
	// those that must not.
	Needs    string
	Excludes []string
	// Because says what this key and one that it excludes are.
	Because string
	// Allowed are the only texts of a choice, and those that can stand in the place of a
	// section, or of each section of Named.
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
	// Pattern is the form of a text, or of the texts of a list, that are no names; empty: any
	// text.
	Pattern string
	// Placeholder stands for a name of Named in a path, such as NAME.
	Placeholder string
	// Keys are those of a section.
	Keys []Key
}

// Form is the form of the key's value in words: "a duration from 1s to 1h".
func (k Key) Form() string {
	switch k.Kind {
	case KindSwitch:
		return "`true` or `false`"
	case KindWhole:
		return fmt.Sprintf("a whole number from %d to %d", k.Least, k.Most)
	case KindDuration:
		return fmt.Sprintf("a duration from %s to %s", Shortly(time.Duration(k.Least)), Shortly(time.Duration(k.Most)))
	case KindSize:
		return fmt.Sprintf("a size from %s to %s", inBytes(k.Least), inBytes(k.Most))
	case KindChoice:
		return quoted(k.Allowed)
	case KindTexts, KindWords:
		return "a list of texts"
	case KindWholes:
		return fmt.Sprintf("a list of whole numbers from %d to %d", k.Least, k.Most)
	case KindSection:
		if len(k.Allowed) > 0 {
			return quoted(k.Allowed) + ", or a mapping"
		}
		return "a mapping"
	case KindNamed:
		if len(k.Allowed) > 0 {
			return "a mapping by name, each " + quoted(k.Allowed) + " or a mapping"
		}
		return "a mapping by name"
	case KindFields:
		return "a mapping of the plugin's fields"
	default:
		return "a text"
	}
}

func quoted(texts []string) string { return "`" + strings.Join(texts, "` or `") + "`" }

func inBytes(number int64) string {
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
