package secret

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/batonhost/baton-host/host/internal/files"
)

// MaxFile is the greatest content of a file that a reference or a file field
// names, in bytes: what the plugin contract allows for a file.
const MaxFile = 2 << 20

// VariableForm is the form of the name of an environment variable, as a regular
// expression of RE2 and of JSON Schema.
const VariableForm = `^[A-Za-z_][A-Za-z0-9_]*$`

// maxResolved bounds what all references of a configuration resolve to, in
// bytes: a small file may name the same large file many times.
const maxResolved = 32 << 20

// byteOrderMark is what some editors begin a UTF-8 file with.
const byteOrderMark = "\xef\xbb\xbf"

var variableForm = regexp.MustCompile(VariableForm)

// Reference is a ${...} in a configuration and what it stands for.
type Reference struct {
	Source string // as written
	Result Text
	Path   string // of the file; empty for a variable
}

// Resolver replaces references in texts. A text is gone through once: what a
// reference resolves to is taken as it is.
type Resolver struct {
	// Blind has Expand resolve nothing.
	Blind bool

	dir    string // of the configuration; relative paths start there
	lookup func(string) (string, bool)
	files  map[string]resolvedFile
	spent  int
}

type resolvedFile struct {
	text string
	err  error
}

// NewResolver returns a resolver of a configuration in a directory, where relative
// paths start, with the variables that lookup finds.
func NewResolver(dir string, lookup func(string) (string, bool)) *Resolver {
	return &Resolver{dir: dir, lookup: lookup, files: map[string]resolvedFile{}}
}

// Expand replaces the references of a text. Its errors are sentences that name
// references and never hold what one resolved to.
func (r *Resolver) Expand(text string) (string, []Reference, []error) {
	if r.Blind {
		return r.Check(text)
	}
	var references []Reference
	result, errs := replaceReferences(text, func(source, scheme, name string) (string, error) {
		resolved, err := r.resolve(scheme, name)
		if err != nil {
			return "", fmt.Errorf("%s: %w", source, err)
		}
		if r.spent += len(resolved); r.spent > maxResolved {
			return "", fmt.Errorf("%s: all references together resolve to more than %d MiB", source, maxResolved>>20)
		}
		references = append(references, r.reference(source, scheme, name, resolved))
		return resolved, nil
	})
	return result, references, errs
}

// Check is Expand for a text that is not needed: it finds malformed
// references and resolves none.
func (r *Resolver) Check(text string) (string, []Reference, []error) {
	var references []Reference
	_, errs := replaceReferences(text, func(source, scheme, name string) (string, error) {
		references = append(references, r.reference(source, scheme, name, ""))
		return "", nil
	})
	return "", references, errs
}

func (r *Resolver) reference(source, scheme, name, resolved string) Reference {
	reference := Reference{Source: source, Result: New(resolved)}
	if scheme == "file" {
		reference.Path = files.Within(r.dir, name)
	}
	return reference
}

func (r *Resolver) resolve(scheme, name string) (string, error) {
	if scheme == "env" {
		return r.variable(name)
	}
	file, ok := r.files[name]
	if !ok {
		file.text, file.err = r.file(name)
		r.files[name] = file
	}
	return file.text, file.err
}

func (r *Resolver) variable(name string) (string, error) {
	value, ok := r.lookup(name)
	value = withoutLineEnd(value)
	switch {
	case !ok:
		return "", errors.New("the environment variable is not set")
	case value == "":
		return "", errors.New("the environment variable is empty")
	case !utf8.ValidString(value):
		return "", errors.New("the environment variable is not UTF-8 text")
	}
	return value, nil
}

func (r *Resolver) file(name string) (string, error) {
	content, err := files.ReadRegular(files.Within(r.dir, name), MaxFile)
	if errors.Is(err, files.ErrNoFile) && !filepath.IsAbs(name) {
		return "", fmt.Errorf("%w; a relative path starts at the directory of the configuration", err)
	}
	if err != nil {
		return "", err
	}
	if !utf8.Valid(content) {
		return "", errors.New("the file is not UTF-8 text")
	}
	text := withoutLineEnd(string(content))
	if text == "" {
		return "", errors.New("the file is empty")
	}
	return text, nil
}

// withoutLineEnd leaves out what editors put into files, and variables that are made of
// files have too: a byte order mark and the ends of the last lines. No secret has them.
func withoutLineEnd(text string) string {
	return strings.TrimRight(strings.TrimPrefix(text, byteOrderMark), "\r\n")
}

// replaceReferences copies the text with every reference replaced by what the
// function returns for it: ${env:NAME}, ${file:PATH}. $${ stands for ${. What
// is malformed is not repeated in an error: it may be part of a password.
func replaceReferences(text string, replace func(source, scheme, name string) (string, error)) (string, []error) {
	if !strings.Contains(text, "${") {
		return text, nil
	}
	var result strings.Builder
	var errs []error
	for {
		start := strings.Index(text, "${")
		if start < 0 {
			result.WriteString(text)
			return result.String(), errs
		}
		if start > 0 && text[start-1] == '$' {
			result.WriteString(text[:start-1] + "${")
			text = text[start+2:]
			continue
		}
		result.WriteString(text[:start])
		inside, rest, closed := strings.Cut(text[start+2:], "}")
		if !closed {
			return "", append(errs, errors.New(`a reference is not closed: "}" is missing; write $${ for a literal ${`))
		}
		scheme, name, err := parseReference(inside)
		if err != nil {
			errs = append(errs, err)
		} else if replaced, err := replace("${"+inside+"}", scheme, name); err != nil {
			errs = append(errs, err)
		} else {
			result.WriteString(replaced)
		}
		text = rest
	}
}

func parseReference(inside string) (scheme, name string, err error) {
	scheme, name, _ = strings.Cut(inside, ":")
	switch {
	case scheme != "env" && scheme != "file":
		return "", "", errors.New("unknown reference: write ${env:NAME} or ${file:PATH}, and $${ for a literal ${")
	case scheme == "env" && !variableForm.MatchString(name):
		return "", "", errors.New("${env:NAME} takes the name of an environment variable: letters, digits and _")
	case name == "":
		return "", "", errors.New("${file:PATH} takes the path of a file")
	}
	return scheme, name, nil
}

// References returns the variables and the files that a text refers to. The error says
// what is wrong with the form of one.
func References(text string) (variables, files []string, err error) {
	_, errs := replaceReferences(text, func(_, scheme, name string) (string, error) {
		if scheme == "env" {
			variables = append(variables, name)
		} else {
			files = append(files, name)
		}
		return "", nil
	})
	return variables, files, errors.Join(errs...)
}
