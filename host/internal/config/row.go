package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// row is a key of a section with the code that reads its value into the section's
// result.
type row[Section any] struct {
	Key
	read func(*loader, entry, *Section) // nil: the section's own code
}

func keysOf[Section any](rows []row[Section]) []Key {
	keys := make([]Key, 0, len(rows))
	for _, row := range rows {
		keys = append(keys, row.Key)
	}
	return keys
}

// section reads the values of a mapping by their rows, and returns its entries by
// name. hint, if any, is added to the problem of a key that there is not.
func section[Section any](l *loader, n *yaml.Node, what, hint string, rows []row[Section], into *Section) map[string]entry {
	given := map[string]entry{}
	var names []string
	for _, row := range rows {
		names = append(names, row.Name)
	}
	slices.Sort(names)
	for _, e := range l.entries(n, what) {
		name := nameNow(rows, e.key.Value)
		switch other, twice := given[name]; {
		case !slices.Contains(names, name):
			l.unknown(e, names, what, hint)
		case twice:
			l.report(e.key, "%s and %s are two names of one key; give one of them", other.key.Value, e.key.Value)
		default:
			given[name] = e
		}
	}
	excluded := map[string]bool{}
	for _, row := range rows {
		if _, ok := given[row.Name]; !ok {
			continue
		}
		for _, name := range row.Excludes {
			if other, ok := given[name]; ok {
				l.report(other.key, "%s and %s are %s; give one of them", row.Name, name, row.Because)
				excluded[row.Name], excluded[name] = true, true
			}
		}
	}
	for _, row := range rows {
		if e, ok := given[row.Name]; ok && row.read != nil && !excluded[row.Name] {
			row.read(l, e, into)
		}
	}
	return given
}

// nameNow returns the name that a key has now, where it is given by one that it had.
func nameNow[Section any](rows []row[Section], name string) string {
	for _, row := range rows {
		if row.Formerly == name && name != "" {
			return row.Name
		}
	}
	return name
}

// setDefaults gives a section what a file without its keys means.
func setDefaults[Section any](rows []row[Section], into *Section) {
	for _, row := range rows {
		if text := cmp.Or(row.Default, row.implied); text != "" && row.read != nil {
			row.read(&loader{}, entry{value: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}}, into)
		}
	}
}

// elsewhere is a key that the section's own code reads.
func elsewhere[Section any](key Key) row[Section] { return row[Section]{Key: key} }

// special is a key that is read like no other.
func special[Section any](key Key, read func(*loader, entry, *Section)) row[Section] {
	return row[Section]{key, read}
}

// plain is a key whose value is a text without references.
func plain[Section any](key Key, read func(l *loader, n *yaml.Node, text string, into *Section)) row[Section] {
	return row[Section]{key, func(l *loader, e entry, into *Section) {
		if text, ok := l.plainText(e.value, key.Name); ok {
			read(l, e.value, text, into)
		}
	}}
}

// path is a path, from the directory of the file.
func path[Section any](key Key, field func(*Section) *string) row[Section] {
	return plain(key, func(l *loader, _ *yaml.Node, text string, into *Section) { *field(into) = files.Within(l.dir, text) })
}

// paths is a list of paths, from the directory of the file.
func paths[Section any](key Key, field func(*Section) *[]string) row[Section] {
	key.Kind = KindTexts
	return special(key, func(l *loader, e entry, into *Section) {
		for _, one := range l.texts(e.value, key.Name) {
			*field(into) = append(*field(into), files.Within(l.dir, one.text))
		}
	})
}

// name is a name of [NameForm].
func name[Section any](key Key, field func(*Section) *string) row[Section] {
	key.Names = NameForm
	return plain(key, func(l *loader, n *yaml.Node, text string, into *Section) {
		if l.checkName(n, key.Name) {
			*field(into) = text
		}
	})
}

// variableNames is a list of names of environment variables.
func variableNames[Section any](key Key, field func(*Section) *[]string) row[Section] {
	key.Kind, key.Names = KindTexts, secret.VariableForm
	return special(key, func(l *loader, e entry, into *Section) {
		for _, one := range l.texts(e.value, key.Name) {
			if !variableForm.MatchString(one.text) {
				l.report(one.node, "%s takes names of environment variables (letters, digits and _), without values", key.Name)
				continue
			}
			*field(into) = append(*field(into), one.text)
		}
	})
}

// yesOrNo is true or false.
func yesOrNo[Section any](key Key, field func(*Section) *bool) row[Section] {
	key.Kind = KindSwitch
	return plain(key, func(l *loader, n *yaml.Node, text string, into *Section) {
		if text != "true" && text != "false" {
			l.report(n, "%s must be true or false", key.Name)
			return
		}
		*field(into) = text == "true"
	})
}

// choice is one of the key's texts.
func choice[Section any](key Key, field func(*Section) *string) row[Section] {
	key.Kind = KindChoice
	return plain(key, func(l *loader, n *yaml.Node, text string, into *Section) {
		if !slices.Contains(key.Allowed, text) {
			last := len(key.Allowed) - 1
			if last == 0 {
				l.report(n, "%s must be %s, or left out", key.Name, key.Allowed[last])
				return
			}
			l.report(n, "%s must be %s or %s", key.Name, strings.Join(key.Allowed[:last], ", "), key.Allowed[last])
			return
		}
		*field(into) = text
	})
}

// whole is a whole number within the key's limits.
func whole[Section any](key Key, field func(*Section) *int) row[Section] {
	key.Kind = KindWhole
	return plain(key, func(l *loader, n *yaml.Node, text string, into *Section) {
		number, err := strconv.Atoi(text)
		if err != nil || int64(number) < key.Least || int64(number) > key.Most {
			l.report(n, "%s must be a whole number of at least %d and at most %d", key.Name, key.Least, key.Most)
			return
		}
		*field(into) = number
	})
}

// wholes is a list of whole numbers within the key's limits.
func wholes[Section any](key Key, field func(*Section) *[]int) row[Section] {
	key.Kind = KindWholes
	return special(key, func(l *loader, e entry, into *Section) {
		for _, one := range l.texts(e.value, key.Name) {
			number, err := strconv.Atoi(one.text)
			if err != nil || int64(number) < key.Least || int64(number) > key.Most {
				l.report(one.node, "an item of %s must be a whole number of at least %d and at most %d", key.Name, key.Least, key.Most)
				continue
			}
			*field(into) = append(*field(into), number)
		}
	})
}

// duration is a length of time within the key's limits.
func duration[Section any](key Key, field func(*Section) *time.Duration) row[Section] {
	key.Kind = KindDuration
	return plain(key, func(l *loader, n *yaml.Node, text string, into *Section) {
		d, err := time.ParseDuration(text)
		if least, most := time.Duration(key.Least), time.Duration(key.Most); err != nil || d < least || d > most {
			l.report(n, "%s must be a duration with its unit, such as %s, at least %s and at most %s",
				key.Name, key.Example, Shortly(least), Shortly(most))
			return
		}
		*field(into) = d
	})
}

// size is a number of bytes within the key's limits.
func size[Section any, Number int | uint64](key Key, field func(*Section) *Number) row[Section] {
	key.Kind = KindSize
	return plain(key, func(l *loader, n *yaml.Node, text string, into *Section) {
		least, most := uint64(key.Least), uint64(key.Most) //nolint:gosec // No limit is negative.
		size, err := humanize.ParseBytes(text)
		if err != nil || size < least || size > most {
			l.report(n, "%s must be a size with its unit, such as %s, at least %s and at most %s",
				key.Name, key.Example, humanize.IBytes(least), humanize.IBytes(most))
			return
		}
		*field(into) = Number(size)
	})
}
