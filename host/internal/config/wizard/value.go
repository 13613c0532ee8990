package wizard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/secret"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// refers says that a text has a reference in it, or the beginning of one.
func refers(text string) bool { return strings.Contains(text, "${") }

// valueOf checks a field's text against the plugin's rules and brings it into the form
// of the file. What a reference stands for is not known here.
func valueOf(field *pluginv1.Field, text string) (*yaml.Node, error) {
	if refers(text) {
		if _, _, err := secret.References(text); err != nil {
			return nil, err
		}
		field = unruled(field)
	}
	bound, err := settings.FromTexts(&pluginv1.ConfigurationSchema{Fields: []*pluginv1.Field{field}}, map[string]string{field.GetName(): text})
	if err != nil {
		return nil, err
	}
	if err := checkAddress(field, text); err != nil {
		return nil, err
	}
	value := bound.Values[field.GetName()]
	if field.GetSecret() {
		value = bound.Secrets.Reveal()[field.GetName()]
	}
	return nodeOf(value, text)
}

// checkAddress checks the text of a field that is a URL by its name, its form or its
// placeholder. A list of them, and what a reference stands for, is left alone.
func checkAddress(field *pluginv1.Field, text string) error {
	web := strings.HasPrefix(field.GetPlaceholder(), "https://") || strings.HasPrefix(field.GetPlaceholder(), "http://")
	named := strings.HasSuffix(field.GetName(), "-url") || strings.HasSuffix(field.GetName(), "_url") || field.GetName() == "url"
	if field.GetType() != pluginv1.FieldType_FIELD_TYPE_STRING || refers(text) || field.GetSecret() || !web && !named {
		return nil
	}
	return checkURL(field.GetName(), text, web)
}

// unruled is the field for a text that stands for another one. How many items a list has
// can be seen also where they are references.
func unruled(field *pluginv1.Field) *pluginv1.Field {
	free := proto.CloneOf(field)
	free.Rules = nil
	if rules := field.GetRules(); rules != nil && (rules.MinItems != nil || rules.MaxItems != nil) {
		free.Rules = &pluginv1.Rules{MinItems: rules.MinItems, MaxItems: rules.MaxItems}
	}
	switch free.GetType() {
	case pluginv1.FieldType_FIELD_TYPE_BOOL, pluginv1.FieldType_FIELD_TYPE_INT, pluginv1.FieldType_FIELD_TYPE_FILE:
		free.Type = pluginv1.FieldType_FIELD_TYPE_STRING
	}
	return free
}

func nodeOf(value *pluginv1.Value, text string) (*yaml.Node, error) {
	var plain any
	switch kind := value.GetKind().(type) {
	case *pluginv1.Value_StringValue:
		plain = kind.StringValue
	case *pluginv1.Value_BoolValue:
		plain = kind.BoolValue
	case *pluginv1.Value_IntValue:
		plain = kind.IntValue
	case *pluginv1.Value_StringList:
		plain = kind.StringList.GetValues()
	case *pluginv1.Value_MapValue:
		plain = kind.MapValue.AsMap()
	case *pluginv1.Value_FileContent:
		plain = text // The path.
	default:
		return nil, errors.New("a value is required")
	}
	node := &yaml.Node{}
	if err := node.Encode(plain); err != nil {
		return nil, fmt.Errorf("this cannot be written as YAML: %w", err)
	}
	return node, nil
}

// FromConfiguration is the path of a file, which a person gave from where they are,
// from the directory of the configuration.
func FromConfiguration(dir, path string) (string, error) {
	if filepath.IsAbs(path) {
		return path, nil
	}
	base, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if relative, err := filepath.Rel(base, absolute); err == nil && filepath.IsLocal(relative) {
		return filepath.ToSlash(relative), nil
	}
	return absolute, nil
}

// readFile reads a file as a reference does, or says why it cannot be one's.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", path)
	case info.Size() > secret.MaxFile:
		return nil, fmt.Errorf("%s is larger than %d MiB", path, secret.MaxFile>>20)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	return content, nil
}
