package wizard

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/secret"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Request is what is known before anybody is asked.
type Request struct {
	// App is the app, and Manifest what its plugin says of itself.
	App      string
	Manifest *pluginv1.Manifest
	// Instance and Upload are names; empty: they are asked for.
	Instance, Upload string
	// Version is the release of the connector that is installed, and Image the image; both
	// empty: it is on this machine.
	Version, Image string
	// PluginDir is where the plugin's binary is, if the host would not find it by
	// itself.
	PluginDir string
	// Fields are values by field name, as BATON_* variables have them. Those of
	// secret fields must be references.
	Fields map[string]string
	// ClientID and ClientSecret are the upload's credentials; empty: they are asked
	// for. The secret must be a reference.
	ClientID, ClientSecret string
	// Dir is the directory of the configuration.
	Dir string
	// Existing is the configuration that the plugin is added to; nil: a new one is written.
	Existing *Existing
	// Lookup is the environment that references are looked up in.
	Lookup func(name string) (string, bool)
}

// Names that are offered.
const (
	usualUpload          = "workforce"
	clientSecretVariable = "BATON_CLIENT_SECRET"
)

// Plan is a configuration that is complete and not yet written.
type Plan struct {
	request Request
	fields  []field
	secrets []secretFile
}

// field is a field of the plugin with its value.
type field struct {
	name  string
	value *yaml.Node
}

// secretFile is a secret that was typed, and goes into a separate file beside the
// configuration.
type secretFile struct {
	field   string // that refers to it
	path    string // from the configuration's directory, with slashes
	content secret.Text
}

var nameForm = regexp.MustCompile(config.NameForm)

func checkName(what, name string) error {
	if len(name) > config.MaxName || !nameForm.MatchString(name) {
		return fmt.Errorf("the %s must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most %d characters", what, config.MaxName)
	}
	return nil
}

// entry is the plugin's.
func (p *Plan) entry() *yaml.Node {
	entry := mapping()
	if p.request.Instance != p.request.App || p.request.Image != "" { // An image may have another name.
		put(entry, config.NameApp, scalar(p.request.App))
	}
	putRelease(entry, p.request)
	if len(p.fields) > 0 {
		fields := mapping()
		for _, one := range p.fields {
			put(fields, one.name, one.value)
		}
		put(entry, config.NameConfig, fields)
	}
	return entry
}

// upload is the entry of an upload of the plugin alone.
func (p *Plan) upload() *yaml.Node {
	upload := mapping()
	put(upload, config.NameUploadPlugins, &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: []*yaml.Node{scalar(p.request.Instance)}})
	if p.request.ClientID != "" {
		put(upload, config.NameClientID, scalar(p.request.ClientID))
		put(upload, config.NameClientSecret, scalar(p.request.ClientSecret))
	}
	return upload
}

// document is the configuration as it is written.
func (p *Plan) document() ([]byte, error) {
	plugins := mapping()
	put(plugins, p.request.Instance, p.entry())
	uploads := mapping()
	put(uploads, p.request.Upload, p.upload())

	root := mapping()
	if p.request.PluginDir != "" {
		put(root, config.NamePluginDirs, &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{scalar(p.request.PluginDir)}})
	}
	put(root, config.NamePlugins, plugins)
	put(root, config.NameUploads, uploads)
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	err := errors.Join(encoder.Encode(root), encoder.Close())
	return text.Bytes(), err
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

// scalar is a text; what YAML would take for something else is put in quotes.
func scalar(text string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(text)
	return node
}

func put(mapping *yaml.Node, key string, value *yaml.Node) {
	mapping.Content = append(mapping.Content, scalar(key), value)
}

// unset are the variables that the configuration refers to and that are not set, in
// the order of the file.
func (p *Plan) unset() []string { return p.unsetIn(p.texts()) }

func (p *Plan) unsetIn(texts []string) (names []string) {
	for _, text := range texts {
		variables, _, _ := secret.References(text) // Their forms have been checked.
		for _, name := range variables {
			if value, ok := p.request.Lookup(name); (!ok || value == "") && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// texts are all texts in which references stand.
func (p *Plan) texts() []string {
	return append(p.fieldTexts(), p.request.ClientID, p.request.ClientSecret)
}

// fieldTexts are those of the plugin's fields.
func (p *Plan) fieldTexts() []string {
	var texts []string
	var collect func(*yaml.Node)
	collect = func(node *yaml.Node) {
		if node.Kind == yaml.ScalarNode {
			texts = append(texts, node.Value)
		}
		for _, child := range node.Content {
			collect(child)
		}
	}
	for _, one := range p.fields {
		collect(one.value)
	}
	return texts
}
