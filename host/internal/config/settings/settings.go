package settings

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// Settings is the configuration of one plugin, as it is written or, from Resolve, with its
// references resolved. What it means only the plugin's schema knows: see Bind. It prints as
// nothing but a placeholder.
type Settings struct {
	file File
	// resolved are the references of all values; meaningful once isResolved is set.
	resolved   []secret.Resolved
	isResolved bool
	// environment is set where no file configures the plugin; then nothing else is.
	environment func(name string) (string, bool)
}

// File is what a configuration file has for one plugin.
type File struct {
	Plugin   string  // the name of its entry
	Dir      string  // of the file; relative paths start there
	Place    Problem // of the key config, or of the plugin's name without one
	Entries  []Entry
	Exposure *secret.Exposure // what it watches others for
	// Stores is another text where the file configures its stores of secrets in another way.
	Stores string
}

// FromFile returns the settings that a file has, which are to be resolved.
func FromFile(file File) *Settings { return &Settings{file: file} }

// FromEnvironment returns the settings of a plugin that no file configures: those of the
// variables of the stand-alone connector.
func FromEnvironment(lookup func(name string) (string, bool)) *Settings {
	return &Settings{environment: lookup, isResolved: true}
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
	Written  bool
	Template secret.Template
	Content  []Entry
	// Text is the template with its references resolved.
	Text secret.Text
}

// Resolve returns the settings with the values that the references have in this round.
// The settings themselves stay as they are. What cannot be resolved is a problem with its
// place; [Problems.Away] reports whether
// that may pass.
func (s *Settings) Resolve(ctx context.Context, round *secret.Round) (*Settings, Problems) {
	resolved := *s
	if s.environment != nil {
		return &resolved, nil
	}
	r := resolving{round: round}
	resolved.file.Entries = r.entries(ctx, s.file.Entries)
	resolved.resolved, resolved.isResolved = r.resolved, true
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return &resolved, nil
}

// resolving copies entries with their references resolved.
type resolving struct {
	round    *secret.Round
	resolved []secret.Resolved
	problems Problems
}

func (r *resolving) entries(ctx context.Context, entries []Entry) []Entry {
	copied := slices.Clone(entries)
	for i := range copied {
		value := &copied[i].Value
		value.Content = r.entries(ctx, value.Content)
		if value.Kind != yaml.ScalarNode {
			continue
		}
		expansion, errs := r.round.Expand(ctx, value.Template)
		for _, err := range errs {
			problem := value.Place
			problem.Unresolve(err)
			r.problems = append(r.problems, problem)
		}
		value.Text = expansion.Text
		r.resolved = append(r.resolved, expansion.Resolved...)
	}
	return copied
}

// Resolved are the references with the values that they had when they were resolved.
func (s *Settings) Resolved() []secret.Resolved { return s.resolved }

// IsResolved reports whether the settings can be bound.
func (s *Settings) IsResolved() bool { return s.isResolved }

// References are the references of all values, as they are written.
func (s *Settings) References() []secret.Reference { return referencesOf(s.file.Entries) }

func referencesOf(entries []Entry) (references []secret.Reference) {
	for _, entry := range entries {
		references = append(append(references, entry.Value.Template.References()...), referencesOf(entry.Value.Content)...)
	}
	return references
}

// HasReferences reports whether there is anything to resolve again.
func (s *Settings) HasReferences() bool { return len(s.References()) > 0 }

// Files returns the files that references name, as absolute paths.
func (s *Settings) Files() []string { return FilesOf(s.file.Dir, s.References()) }

// FilesOf returns the files that references name in a configuration file of a directory, as
// absolute paths.
func FilesOf(dir string, references []secret.Reference) []string {
	var paths []string
	for _, reference := range references {
		if reference.Scheme == secret.SchemeFile {
			paths = append(paths, files.Within(dir, reference.Name))
		}
	}
	return paths
}

// Address returns the host and port of the app, as far as a reader of the file sees them: those
// of the first value that is a URL of HTTP and has no reference in it; "" if there is none.
func (s *Settings) Address() string {
	for _, entry := range s.file.Entries {
		text, ok := entry.Value.Template.Literal()
		if !ok {
			continue
		}
		parsed, err := url.Parse(text)
		if err != nil || parsed.Hostname() == "" {
			continue
		}
		port, known := map[string]string{"https": "443", "http": "80"}[parsed.Scheme]
		if !known {
			continue
		}
		return net.JoinHostPort(parsed.Hostname(), cmp.Or(parsed.Port(), port))
	}
	return ""
}

// Equal reports whether the settings are the same as they are written, whatever their
// references resolve to, and are resolved by the same stores.
func (s *Settings) Equal(other *Settings) bool {
	return (s.environment == nil) == (other.environment == nil) && s.file.Dir == other.file.Dir && (s.file.Stores == other.file.Stores || !needStore(s.file.Entries)) && equalEntries(s.file.Entries, other.file.Entries)
}

func needStore(entries []Entry) bool {
	return slices.ContainsFunc(entries, func(entry Entry) bool { return entry.Value.Template.NeedsStore() || needStore(entry.Value.Content) })
}

func equalEntries(some, others []Entry) bool {
	return slices.EqualFunc(byKey(some), byKey(others), func(one, other Entry) bool {
		return one.Key == other.Key && one.Value.Kind == other.Value.Kind && one.Value.Tag == other.Value.Tag && one.Value.Written == other.Value.Written &&
			one.Value.Template.Equal(other.Value.Template) && equalEntries(one.Value.Content, other.Value.Content)
	})
}

// byKey returns the entries in the order of their keys, which means nothing in a file. Items
// of a list, which have no keys, keep theirs.
func byKey(entries []Entry) []Entry {
	return slices.SortedStableFunc(slices.Values(entries), func(one, other Entry) int { return strings.Compare(one.Key, other.Key) })
}

// Format writes a placeholder, whatever the verb.
func (*Settings) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, "(settings)") }

// MarshalJSON returns a placeholder as a JSON string.
func (*Settings) MarshalJSON() ([]byte, error) { return []byte(`"(settings)"`), nil }
