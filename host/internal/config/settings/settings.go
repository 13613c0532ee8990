package settings

import (
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/secret"
)

// Settings is the configuration of one plugin, with its references resolved. What it
// means only the plugin's schema knows: see Bind. It prints as nothing but a placeholder.
type Settings struct {
	file File
	// environment is set where no file configures the plugin; then nothing else is.
	environment func(name string) (string, bool)
}

// File is what a configuration file has for one plugin.
type File struct {
	Plugin     string  // the name of its entry
	Dir        string  // of the file; relative paths start there
	Place      Problem // of the key config, or of the plugin's name without one
	Entries    []Entry
	References []secret.Reference
	Exposure   *secret.Exposure // what it watches others for
}

// FromFile returns the settings that a file has.
func FromFile(file File) *Settings { return &Settings{file: file} }

// FromEnvironment returns the settings of a plugin that no file configures: those of the
// variables of the stand-alone connector.
func FromEnvironment(lookup func(name string) (string, bool)) *Settings {
	return &Settings{environment: lookup}
}

// Entry is a key under config, at any depth, or an item of a list, which has no key.
type Entry struct {
	Key      string
	KeyPlace Problem
	Value    Value
}

// Value is what stands under a key.
type Value struct {
	Place Problem
	Kind  yaml.Kind // scalar, sequence or mapping; 0: not given
	// Tag is what YAML takes a scalar for, for example "!!int"; a quoted one and
	// one with references is always "!!str".
	Tag string
	// Written is true for a text that was written down as one line without a
	// reference in it.
	Written bool
	Text    secret.Text
	Content []Entry
	// References are those in the text.
	References []secret.Reference
}

// Format writes a placeholder, whatever the verb.
func (*Settings) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, "(settings)") }

// MarshalJSON returns a placeholder as a JSON string.
func (*Settings) MarshalJSON() ([]byte, error) { return []byte(`"(settings)"`), nil }
