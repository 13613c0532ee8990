package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config/settings"
)

const (
	// maxDepth is how deep a configuration may nest: far more than any plugin's
	// configuration needs.
	maxDepth = 32
)

// walker goes over the nodes of one file and collects what is wrong with them.
type walker struct {
	file     string
	problems settings.Problems
}

func (w *walker) report(n *yaml.Node, format string, arguments ...any) {
	w.problems = append(w.problems, settings.Problem{
		File: w.file, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, arguments...),
	})
}

// structure reports what the configuration does not support of YAML, and cuts
// off what is nested too deeply. It comes before every other look at the nodes.
func (w *walker) structure(n *yaml.Node, depth int) {
	switch {
	case n.Kind == yaml.AliasNode, n.Anchor != "":
		w.report(n, noAliases)
	case n.Style&yaml.TaggedStyle != 0:
		w.report(n, "tags are not supported; leave the tag out, and put a value that begins with ! in quotes")
	case isMerge(n):
		w.report(n, "merge keys are not supported; write the keys out")
	}
	if depth == maxDepth && len(n.Content) > 0 {
		w.report(n, tooDeep)
		n.Content = nil
	}
	for _, child := range n.Content {
		w.structure(child, depth+1)
	}
}

func isMerge(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!merge" }

// isNull says that a value is not given: absent, ~ or null.
func isNull(n *yaml.Node) bool {
	return n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}

// entry is a key of a mapping with its value.
type entry struct {
	key, value *yaml.Node
}

// entries returns the entries of a mapping in file order, without those whose
// key is unusable or given before. what begins a message about the mapping.
func (w *walker) entries(n *yaml.Node, what string) []entry {
	if isNull(n) || n.Kind == yaml.AliasNode {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		w.report(n, `%s must be a mapping: each "key: value" on its own line`, what)
		return nil
	}
	var entries []entry
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode || isMerge(key) {
			continue
		}
		if key.Kind != yaml.ScalarNode || isNull(key) {
			w.report(key, "a key must be a text")
			continue
		}
		if line, ok := lines[key.Value]; ok {
			name := "this key"
			if settings.LooksLikeKey(key.Value) {
				name = fmt.Sprintf("%q", key.Value)
			}
			w.report(key, "%s is given twice, first on line %d", name, line)
			continue
		}
		lines[key.Value] = key.Line
		entries = append(entries, entry{key, value})
	}
	return entries
}

// unknown reports a key that there is not. hint, if any, is added where no near miss
// is found.
func (w *walker) unknown(e entry, known []string, what, hint string) {
	if len(w.problems) >= settings.MaxSuggestions {
		w.report(e.key, "unknown key")
		return
	}
	message := settings.UnknownKey(e.key.Value, !isNull(e.value), known, what)
	if hint != "" && !strings.Contains(message, "did you mean") {
		message += "; " + hint
	}
	w.report(e.key, "%s", message)
}

// text returns a scalar's text. It is not ok where none is given, or where
// something is wrong, which is reported.
func (w *walker) text(n *yaml.Node, what string) (string, bool) {
	switch {
	case isNull(n) || n.Kind == yaml.AliasNode:
		return "", false
	case n.Kind != yaml.ScalarNode:
		w.report(n, "%s must be a text, not a list or a mapping", what)
	case n.Value == "":
		w.report(n, "%s is empty", what)
	default:
		return n.Value, true
	}
	return "", false
}

// plainText is text for the keys in which references are not resolved.
func (w *walker) plainText(n *yaml.Node, what string) (string, bool) {
	text, ok := w.text(n, what)
	if ok && strings.Contains(text, "${") {
		w.report(n, "%s takes no reference; references are resolved under config and notify, in client-id and in client-secret", what)
		return "", false
	}
	return text, ok
}

// list returns the items of a list; what is in it is still to be checked.
func (w *walker) list(n *yaml.Node, what string) []*yaml.Node {
	if isNull(n) || n.Kind == yaml.AliasNode {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		w.report(n, `%s must be a list: put [ ] around a single item, or each item on its own line after "- "`, what)
		return nil
	}
	return n.Content
}

// texts returns the items of a list of texts and where each stands. An item
// that is given twice is reported.
func (w *walker) texts(n *yaml.Node, what string) []item {
	var items []item
	seen := map[string]bool{}
	for _, node := range w.list(n, what) {
		if isNull(node) {
			w.report(node, "an item of %s is empty", what)
			continue
		}
		text, ok := w.plainText(node, "an item of "+what)
		if !ok {
			continue
		}
		if seen[text] {
			if settings.LooksLikeKey(text) {
				w.report(node, "%s has %q twice; leave one of them out", what, text)
			} else {
				w.report(node, "%s has this item already", what)
			}
			continue
		}
		seen[text] = true
		items = append(items, item{node, text})
	}
	return items
}

// item is an item of a list of texts.
type item struct {
	node *yaml.Node
	text string
}
