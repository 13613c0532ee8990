package secret

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/plugin/redact"
)

// The schemes that every configuration has. Others are the names of its stores.
const (
	SchemeEnv     = "env"
	SchemeFile    = "file"
	SchemeExec    = "exec"
	SchemeKeyring = "keyring"
)

// VariableForm is the form of the name of an environment variable, as a regular
// expression of RE2 and of JSON Schema.
const VariableForm = `^[A-Za-z_][A-Za-z0-9_]*$`

var variableForm = regexp.MustCompile(VariableForm)

// Reference is a ${scheme:name} of a configuration: where a value is, which is not the
// value.
type Reference struct {
	Scheme string
	// Name is what the scheme's store knows the value by.
	Name string
}

// String returns the reference as it is written in a configuration.
func (r Reference) String() string { return "${" + r.Scheme + ":" + r.Name + "}" }

// Template is a text of a configuration, with the references that stand in it. It prints
// as "(secret)": what stands around a reference may be part of a secret, and a text without
// references the whole of one.
type Template struct {
	parts []part
}

// part is a reference, or else a text.
type part struct {
	reference Reference
	text      Text
}

func (p part) isReference() bool { return p.reference.Scheme != "" }

// Format writes "(secret)", whatever the verb.
func (Template) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redact.Hidden) }

// References returns the references of the text, in its order.
func (t Template) References() []Reference {
	var references []Reference
	for _, p := range t.parts {
		if p.isReference() {
			references = append(references, p.reference)
		}
	}
	return references
}

// IsLiteral reports whether the text has no references.
func (t Template) IsLiteral() bool { return len(t.References()) == 0 }

// Literal returns the text if it has no references.
func (t Template) Literal() (text string, ok bool) {
	var all strings.Builder
	for _, p := range t.parts {
		if p.isReference() {
			return "", false
		}
		all.WriteString(p.text.Reveal())
	}
	return all.String(), true
}

// NeedsStore reports whether a reference is resolved by a store or a program that the
// configuration describes.
func (t Template) NeedsStore() bool {
	return slices.ContainsFunc(t.References(), func(reference Reference) bool {
		return !slices.Contains([]string{SchemeEnv, SchemeFile, SchemeKeyring}, reference.Scheme)
	})
}

// Equal reports whether the texts are the same as they are written.
func (t Template) Equal(other Template) bool {
	if len(t.parts) != len(other.parts) {
		return false
	}
	for i, p := range t.parts {
		if p.reference != other.parts[i].reference || p.text.Reveal() != other.parts[i].text.Reveal() {
			return false
		}
	}
	return true
}

// Parse finds the references of a text: ${scheme:name}. $${ stands for ${. The errors are
// sentences about what is malformed, and do not repeat it: it may be part of a password.
// Whether a scheme exists only the [Resolver] knows; see [Resolver.Check].
func Parse(text string) (Template, []error) {
	var template Template
	var errs []error
	var literal strings.Builder
	endLiteral := func() {
		if literal.Len() > 0 {
			template.parts = append(template.parts, part{text: New(literal.String())})
			literal.Reset()
		}
	}
	for {
		start := strings.Index(text, "${")
		if start < 0 {
			literal.WriteString(text)
			endLiteral()
			return template, errs
		}
		if start > 0 && text[start-1] == '$' {
			literal.WriteString(text[:start-1] + "${")
			text = text[start+2:]
			continue
		}
		literal.WriteString(text[:start])
		inside, rest, closed := strings.Cut(text[start+2:], "}")
		if !closed {
			return Template{}, append(errs, errors.New(`a reference is not closed: "}" is missing; write $${ for a literal ${`))
		}
		if reference, err := parseReference(inside); err != nil {
			errs = append(errs, err)
		} else {
			endLiteral()
			template.parts = append(template.parts, part{reference: reference})
		}
		text = rest
	}
}

var schemeForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$`)

func parseReference(inside string) (Reference, error) {
	scheme, name, found := strings.Cut(inside, ":")
	switch {
	case !found || !schemeForm.MatchString(scheme):
		return Reference{}, errUnknownScheme
	case scheme == SchemeEnv && !variableForm.MatchString(name):
		return Reference{}, errors.New("${env:NAME} takes the name of an environment variable: letters, digits and _")
	case scheme == SchemeFile && name == "":
		return Reference{}, errors.New("${file:PATH} takes the path of a file")
	case strings.TrimSpace(name) == "":
		return Reference{}, errors.New("a reference needs the name of what it refers to behind the colon")
	}
	return Reference{Scheme: scheme, Name: name}, nil
}

var errUnknownScheme = errors.New("unknown reference: write ${env:NAME}, ${file:PATH}, ${exec:HELPER …} or ${STORE:…} of a store under secret-stores, and $${ for a literal ${")

// References returns the variables and the files that a text refers to. The error says
// what is wrong with the form of a reference.
func References(text string) (variables, files []string, err error) {
	template, errs := Parse(text)
	for _, reference := range template.References() {
		switch reference.Scheme {
		case SchemeEnv:
			variables = append(variables, reference.Name)
		case SchemeFile:
			files = append(files, reference.Name)
		}
	}
	return variables, files, errors.Join(errs...)
}
