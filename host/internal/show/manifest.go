package show

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/terminal"
	"github.com/batonhost/baton-host/internal/schema"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// authMethod is the field whose value chooses among field groups.
const authMethod = "auth-method"

// Manifest writes how a plugin describes itself.
func Manifest(w io.Writer, form string, described *host.Description) error {
	if form == terminal.JSON {
		return writeManifestJSON(w, described.Manifest)
	}
	if err := writeManifest(w, described.Binary, described.Manifest); err != nil || !described.FromHelp {
		return err
	}
	return writeEntry(w, described.Manifest.GetConfiguration())
}

func writeManifestJSON(w io.Writer, manifest *pluginv1.Manifest) error {
	encoded, err := protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Marshal(manifest)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, errtext.PrintableJSON(string(encoded)))
	return err
}

func writeManifest(w io.Writer, path string, manifest *pluginv1.Manifest) error {
	facts := [][]string{
		{"Name", manifest.GetName()},
		{"Display name", manifest.GetDisplayName()},
		{"Version", manifest.GetVersion()},
		{"SDK version", manifest.GetSdkVersion()},
		{"Help", manifest.GetHelpUrl()},
		{"Binary", path},
	}
	for _, fact := range facts {
		if fact[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-13s %s\n", fact[0], terminal.Printable(fact[1])); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(w, "\nConfiguration"); err != nil {
		return err
	}
	if err := writeFields(w, manifest.GetConfiguration()); err != nil {
		return err
	}
	if err := writeAuthMethods(w, manifest.GetConfiguration()); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w, "\nCapabilities"); err != nil {
		return err
	}
	return writeCapabilities(w, manifest.GetCapabilities())
}

func writeFields(w io.Writer, schema *pluginv1.ConfigurationSchema) error {
	if len(schema.GetFields()) == 0 {
		_, err := fmt.Fprintln(w, "none")
		return err
	}
	rows := make([][]string, 0, len(schema.GetFields()))
	for _, field := range schema.GetFields() {
		if field.GetHidden() {
			continue
		}
		var notes []string
		if field.GetRequired() {
			notes = append(notes, "required")
		}
		if field.GetSecret() {
			notes = append(notes, "secret")
		}
		if groups := schema.GetFieldGroups(); len(groups) > 0 && field.GetName() != authMethod && !slices.ContainsFunc(groups, hasField(field)) {
			notes = append(notes, "of no "+authMethod+": not used")
		}
		rows = append(rows, []string{
			field.GetName(), field.GetLabel(), enumName(field.GetType().String(), "FIELD_TYPE_"), strings.Join(notes, ", "), field.GetHelp(),
		})
	}
	return terminal.WriteTable(w, []string{"FIELD", "LABEL", "TYPE", "", "HELP"}, rows)
}

// writeEntry writes fields as they stand in a configuration, to be copied from here.
func writeEntry(w io.Writer, configuration *pluginv1.ConfigurationSchema) error {
	if _, err := fmt.Fprint(w, `
The fields are what its --help shows, which does not show which of them are secrets: all
that can be are treated as secrets. To declare them, copy this into the plugin's entry,
and leave "secret: true" out where a value is none:

`); err != nil {
		return err
	}
	entry := &yaml.Node{Kind: yaml.MappingNode}
	for _, field := range configuration.GetFields() {
		one := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		set := func(key, value string) {
			one.Content = append(one.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, &yaml.Node{Kind: yaml.ScalarNode, Value: value})
		}
		set("type", schema.TypeName(field.GetType()))
		if field.GetSecret() {
			set("secret", "true")
		}
		if field.GetRequired() {
			set("required", "true")
		}
		name := &yaml.Node{}
		name.SetString(field.GetName())
		entry.Content = append(entry.Content, name, one)
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	return encoder.Encode(struct {
		Unmodified bool       `yaml:"unmodified"`
		Fields     *yaml.Node `yaml:"fields"`
	}{true, entry})
}

// hasField reports whether a field belongs to a group.
func hasField(field *pluginv1.Field) func(*pluginv1.FieldGroup) bool {
	return func(group *pluginv1.FieldGroup) bool { return slices.Contains(group.GetFields(), field.GetName()) }
}

// writeAuthMethods writes which fields belong to which auth-method, where there is a
// choice. "Required" in the table of fields counts for those of the chosen one only.
func writeAuthMethods(w io.Writer, schema *pluginv1.ConfigurationSchema) error {
	groups := schema.GetFieldGroups()
	if len(groups) == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(w, "\nFields by %s\n", authMethod); err != nil {
		return err
	}
	chosen := max(0, slices.IndexFunc(groups, (*pluginv1.FieldGroup).GetIsDefault))
	rows := make([][]string, 0, len(groups))
	for i, group := range groups {
		var required, optional []string
		for _, field := range schema.GetFields() {
			switch {
			case field.GetHidden() || !hasField(field)(group):
			case field.GetRequired():
				required = append(required, field.GetName())
			default:
				optional = append(optional, field.GetName())
			}
		}
		note := ""
		if i == chosen {
			note = "default"
		}
		rows = append(rows, []string{group.GetName(), group.GetLabel(), note, strings.Join(required, ", "), strings.Join(optional, ", "), group.GetHelp()})
	}
	return terminal.WriteTable(w, []string{"AUTH-METHOD", "LABEL", "", "REQUIRED", "OPTIONAL", "HELP"}, rows)
}

func writeCapabilities(w io.Writer, capabilities *pluginv1.Capabilities) error {
	if capabilities == nil {
		_, err := fmt.Fprintln(w, "known only once the plugin is configured")
		return err
	}
	rows := make([][]string, 0, len(capabilities.GetResourceTypes()))
	for _, resourceType := range capabilities.GetResourceTypes() {
		names := make([]string, 0, len(resourceType.GetCapabilities()))
		for _, capability := range resourceType.GetCapabilities() {
			names = append(names, enumName(capability.String(), "CAPABILITY_"))
		}
		kind := "resources"
		if resourceType.GetAccounts() {
			kind = "accounts"
		}
		rows = append(rows, []string{resourceType.GetResourceTypeId(), resourceType.GetDisplayName(), kind, strings.Join(names, ", ")})
	}
	return terminal.WriteTable(w, []string{"RESOURCE TYPE", "NAME", "KIND", "CAN"}, rows)
}

// enumName returns the name of an enum's value as people read it: "string list".
func enumName(name, prefix string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, prefix), "_", " "))
}
