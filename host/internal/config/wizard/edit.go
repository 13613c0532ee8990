package wizard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config"
)

// errByHand is why lines cannot be added to a file.
var errByHand = errors.New("this file is written in a way that nothing can be added to without changing the rest; add the plugin by hand (baton-host init shows what it needs, with --config in an empty directory)")

// errNothing is why there is nothing to add to.
var errNothing = errors.New("there is nothing in this file yet; remove it, and write the first app with baton-host init")

const byteOrderMark = "\xef\xbb\xbf"

// editor adds to the text of a configuration. What is there stays byte for byte.
type editor struct {
	text    string // without a byte order mark
	mark    string
	newline string
	root    *yaml.Node
	isJSON  bool     // it stays JSON
	filled  []string // keys of the root that had no value, and get one
	adds    []addition
}

// addition is a text that comes to stand at an offset.
type addition struct {
	at   int
	text string
}

func newEditor(content []byte) (*editor, error) {
	e := &editor{text: string(content), newline: "\n"}
	if rest, has := strings.CutPrefix(e.text, byteOrderMark); has {
		e.text, e.mark = rest, byteOrderMark
	}
	if at := strings.IndexByte(e.text, '\n'); at > 0 && e.text[at-1] == '\r' {
		e.newline = "\r\n"
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(e.text), &document); err != nil {
		return nil, err
	}
	if len(document.Content) == 0 {
		return nil, errNothing
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, errByHand
	}
	e.root, e.isJSON = document.Content[0], json.Valid([]byte(e.text))
	return e, nil
}

// edited returns the content with a plan's plugin in it, and in its upload.
func (p *Plan) edited(content []byte) ([]byte, error) {
	e, err := newEditor(content)
	if err != nil {
		return nil, err
	}
	err = e.addTo(e.root, config.NamePlugins, p.request.Instance, p.entry())
	if err == nil {
		err = p.intoUpload(e)
	}
	if err == nil && p.request.PluginDir != "" {
		err = e.addItem(e.root, config.NamePluginDirs, p.request.PluginDir)
	}
	if err != nil {
		return nil, err
	}
	return e.result()
}

// intoUpload adds the plugin to its upload, or a new upload.
func (p *Plan) intoUpload(e *editor) error {
	if uploads := e.value(e.root, config.NameUploads); uploads != nil {
		if upload := e.value(uploads, p.request.Upload); upload != nil {
			return e.addItem(upload, config.NameUploadPlugins, p.request.Instance)
		}
	}
	return e.addTo(e.root, config.NameUploads, p.request.Upload, p.upload())
}

// value returns the value of a key; nil if it is not there.
func (e *editor) value(mapping *yaml.Node, key string) *yaml.Node {
	if mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// addTo adds an entry to the mapping that a key of the root has, which is added too if it
// is not there.
func (e *editor) addTo(root *yaml.Node, key, name string, entry *yaml.Node) error {
	added := mapping()
	put(added, name, entry)
	within := e.value(root, key)
	if within == nil {
		whole := mapping()
		put(whole, key, added)
		return e.addEntry(root, whole)
	}
	if isNothing(within) && within.Value == "" && root.Style&yaml.FlowStyle == 0 {
		return e.fill(root, key, added)
	}
	if within.Kind != yaml.MappingNode || len(within.Content) == 0 && within.Style&yaml.FlowStyle == 0 {
		return errByHand
	}
	return e.addEntry(within, added)
}

// hasNoPlugins reports whether the file has neither plugins nor uploads yet.
func (e *editor) hasNoPlugins() bool {
	for _, key := range []string{config.NamePlugins, config.NameUploads} {
		value := e.value(e.root, key)
		isEmpty := value == nil || isNothing(value) && value.Value == "" || value.Kind == yaml.MappingNode && len(value.Content) == 0
		if !isEmpty {
			return false
		}
	}
	return true
}

// isNothing reports whether a key has no value, or one that says so.
func isNothing(value *yaml.Node) bool { return value.Kind == yaml.ScalarNode && value.Tag == "!!null" }

// fill adds a mapping below a key of the root that has nothing behind it.
func (e *editor) fill(root *yaml.Node, key string, added *yaml.Node) error {
	at := slices.IndexFunc(root.Content, func(one *yaml.Node) bool { return one.Value == key })
	step := e.step()
	text, err := block(added, step)
	if err != nil {
		return err
	}
	e.filled = append(e.filled, key)
	e.addLines(e.lineEnd(e.offset(root.Content[at].Line, 1)), root.Content[at].Column-1+step, text)
	return nil
}

// step is how far the file indents.
func (e *editor) step() int {
	if plugins := e.value(e.root, config.NamePlugins); plugins != nil && plugins.Style&yaml.FlowStyle == 0 && plugins.Kind == yaml.MappingNode && len(plugins.Content) > 0 {
		return max(2, plugins.Content[0].Column-1)
	}
	return 2
}

// addEntry adds what one mapping has to the end of another, or to the beginning of one in
// braces.
func (e *editor) addEntry(into, added *yaml.Node) error {
	if into.Style&yaml.FlowStyle != 0 {
		text, err := e.flow(added)
		if err != nil {
			return err
		}
		at := e.offset(into.Line, into.Column)
		if at >= len(e.text) || e.text[at] != '{' {
			return errByHand
		}
		if len(into.Content) > 0 {
			text += ","
		} else if rest := e.text[at+1:]; strings.HasPrefix(rest, "}") {
			text += " "
		}
		e.adds = append(e.adds, addition{at + 1, " " + text})
		return nil
	}
	indent := into.Content[0].Column - 1
	text, err := block(added, e.step())
	if err != nil {
		return err
	}
	e.addLines(e.endOf(into, indent), indent, text)
	return nil
}

// addItem adds a text to the end of a list in a mapping, which is added if it is not there.
func (e *editor) addItem(within *yaml.Node, key, text string) error {
	list := e.value(within, key)
	if list == nil {
		added := mapping()
		put(added, key, &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: []*yaml.Node{scalar(text)}})
		return e.addEntry(within, added)
	}
	if list.Kind != yaml.SequenceNode {
		return errByHand // An alias, say.
	}
	for _, one := range list.Content {
		if one.Value == text {
			return nil
		}
	}
	item, err := e.flow(scalar(text))
	if err != nil {
		return err
	}
	if len(list.Content) == 0 {
		at := e.offset(list.Line, list.Column)
		if at >= len(e.text) || e.text[at] != '[' {
			return errByHand
		}
		e.adds = append(e.adds, addition{at + 1, item})
		return nil
	}
	last := list.Content[len(list.Content)-1]
	at := e.offset(last.Line, last.Column)
	if list.Style&yaml.FlowStyle != 0 {
		end := at + len(last.Value)
		if last.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			end += 2
		}
		if last.Kind != yaml.ScalarNode || last.Anchor != "" || end > len(e.text) || !strings.Contains(e.text[at:end], last.Value) {
			return errByHand
		}
		e.adds = append(e.adds, addition{end, ", " + item})
		return nil
	}
	start := strings.LastIndexByte(e.text[:at], '\n') + 1
	dash := e.text[start:at]
	if strings.Trim(dash, " -") != "" || strings.Count(dash, "-") != 1 {
		return errByHand
	}
	e.addLines(e.lineEnd(at), 0, dash+item+"\n")
	return nil
}

// endOf returns the offset behind the last line of a mapping in block style, without the
// blank lines and the comments behind it, which are about what follows.
func (e *editor) endOf(mapping *yaml.Node, indent int) int {
	at := e.offset(mapping.Content[0].Line, 1)
	end := at
	for at < len(e.text) {
		next := e.lineEnd(at)
		line := strings.TrimRight(e.text[at:next], "\r\n")
		is := len(line) - len(strings.TrimLeft(line, " "))
		content := strings.TrimSpace(line)
		switch {
		case content == "":
		case is < indent && !strings.HasPrefix(content, "#"), indent == 0 && (line == "..." || strings.HasPrefix(line, "---")):
			return end
		case is < indent: // A comment about what follows.
		default:
			end = next
		}
		at = next
	}
	return end
}

// lineEnd is the offset behind the line that an offset is in.
func (e *editor) lineEnd(at int) int {
	if end := strings.IndexByte(e.text[at:], '\n'); end >= 0 {
		return at + end + 1
	}
	return len(e.text)
}

// offset is where a place of the file is, in bytes. Columns count characters.
func (e *editor) offset(line, column int) int {
	at := 0
	for range line - 1 {
		at = e.lineEnd(at)
	}
	for range column - 1 {
		_, size := utf8.DecodeRuneInString(e.text[at:])
		at += size
	}
	return at
}

// addLines adds lines at the beginning of a line, or behind a last one that has no end.
func (e *editor) addLines(at, indent int, text string) {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		lines.WriteString(strings.Repeat(" ", indent) + strings.TrimRight(line, "\n") + e.newline)
	}
	added := lines.String()
	if at > 0 && e.text[at-1] != '\n' {
		added = e.newline + strings.TrimSuffix(added, e.newline)
	}
	e.adds = append(e.adds, addition{at, added})
}

// result returns the whole text, if what it adds is all that has changed.
func (e *editor) result() ([]byte, error) {
	var text strings.Builder
	text.WriteString(e.mark)
	for at := 0; at <= len(e.text); at++ {
		for _, one := range e.adds {
			if one.at == at {
				text.WriteString(one.text)
			}
		}
		if at < len(e.text) {
			text.WriteByte(e.text[at])
		}
	}
	var before, after any
	err := errors.Join(yaml.Unmarshal([]byte(e.text), &before), yaml.Unmarshal([]byte(text.String()), &after))
	if whole, ok := before.(map[string]any); ok {
		for _, key := range e.filled {
			delete(whole, key)
		}
	}
	if err != nil || !holds(after, before) || e.isJSON && !json.Valid([]byte(text.String())) {
		return nil, errByHand
	}
	return []byte(text.String()), nil
}

// holds reports whether a value has all of another one, with more keys and items at most.
func holds(whole, part any) bool {
	switch part := part.(type) {
	case map[string]any:
		whole, ok := whole.(map[string]any)
		for key, value := range part {
			ok = ok && holds(whole[key], value)
		}
		return ok
	case []any:
		whole, ok := whole.([]any)
		return ok && len(whole) >= len(part) && reflect.DeepEqual(whole[:len(part)], part)
	}
	return reflect.DeepEqual(whole, part)
}

// flow is a value on one line, a mapping without its braces.
func (e *editor) flow(node *yaml.Node) (string, error) {
	if e.isJSON {
		text, err := inJSON(node)
		if node.Kind == yaml.MappingNode {
			text = strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}")
		}
		return text, err
	}
	var inline func(*yaml.Node)
	inline = func(node *yaml.Node) {
		if node.Kind != yaml.ScalarNode {
			node.Style |= yaml.FlowStyle
		} else if strings.ContainsAny(node.Value, "\n{}[],#") {
			node.Style = yaml.DoubleQuotedStyle
		}
		for _, child := range node.Content {
			inline(child)
		}
	}
	inline(node)
	text, err := block(node, 2)
	text = strings.TrimSpace(text)
	if node.Kind == yaml.MappingNode {
		text = strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}")
	}
	if strings.Contains(text, "\n") {
		return "", errByHand
	}
	return text, err
}

// inJSON is a value as JSON, with its keys in their order.
func inJSON(node *yaml.Node) (string, error) {
	if node.Kind == yaml.ScalarNode {
		var value any
		if err := node.Decode(&value); err != nil {
			return "", err
		}
		var text strings.Builder
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		err := encoder.Encode(value)
		return strings.TrimSpace(text.String()), err
	}
	var parts []string
	for i, child := range node.Content {
		part, err := inJSON(child)
		if err != nil {
			return "", err
		}
		if node.Kind == yaml.MappingNode && i%2 == 1 {
			parts[len(parts)-1] += ": " + part
			continue
		}
		parts = append(parts, part)
	}
	if node.Kind == yaml.MappingNode {
		return "{" + strings.Join(parts, ", ") + "}", nil
	}
	return "[" + strings.Join(parts, ", ") + "]", nil
}

func block(node *yaml.Node, step int) (string, error) {
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(step)
	if err := errors.Join(encoder.Encode(node), encoder.Close()); err != nil {
		return "", fmt.Errorf("what was answered cannot be written as YAML: %w", err)
	}
	return text.String(), nil
}
