package wizard

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Given makes a plan of what is known, and asks no one. The error reports everything
// that is wrong or missing.
func Given(request Request) (*Plan, error) {
	if request.Instance == "" {
		request.Instance = request.App
	}
	if request.Upload == "" {
		request.Upload = request.Existing.usualUpload()
	}
	if request.Upload == "" {
		return nil, fmt.Errorf("name the upload that the plugin is to be in with --upload: %s", strings.Join(request.Existing.uploads, ", "))
	}
	plan := &Plan{request: request}
	if err := errors.Join(plan.checkGiven(), plan.takeGiven()); err != nil {
		return nil, err
	}
	if err := plan.together(); err != nil {
		return nil, err
	}
	return plan, nil
}

// checkGiven checks names, credentials and the names of fields.
func (p *Plan) checkGiven() error {
	found := []error{p.checkCredentials()}
	if p.request.ClientID+p.request.ClientSecret != "" && p.request.Existing.isThere(p.request.Upload) {
		found = append(found, fmt.Errorf("upload %q is there already; change its credentials in the file", p.request.Upload))
	}
	if p.request.Instance != "" {
		found = append(found, checkName("instance name", p.request.Instance), p.request.Existing.checkNew(p.request.Instance))
	}
	if p.request.Upload != "" {
		found = append(found, checkName("upload name", p.request.Upload))
	}
	var names []string
	for _, one := range p.request.Manifest.GetConfiguration().GetFields() {
		names = append(names, one.GetName())
	}
	for _, name := range slices.Sorted(maps.Keys(p.request.Fields)) {
		switch near := errtext.Nearest(name, names); {
		case slices.Contains(names, name):
		case near != "":
			found = append(found, fmt.Errorf("%s has no field %q; did you mean %q?", p.request.App, name, near))
		default:
			found = append(found, fmt.Errorf("%s has no field %q; it has %s", p.request.App, name, strings.Join(names, ", ")))
		}
	}
	return errors.Join(found...)
}

func (p *Plan) checkCredentials() error {
	id, reference := p.request.ClientID, p.request.ClientSecret
	switch {
	case id == "" && reference == "":
		return nil
	case id == "" || reference == "":
		return errors.New("an upload needs a client id and a client secret, or neither")
	case !isReference(reference):
		return errors.New("the client secret must be a reference, ${env:NAME} or ${file:PATH}, and not the secret itself")
	}
	if _, _, err := secret.References(reference); err != nil {
		return err
	}
	if refers(id) {
		_, _, err := secret.References(id)
		return err
	}
	return config.CheckClientID(id)
}

// isReference says that a text is a reference and nothing else.
func isReference(text string) bool {
	variables, files, err := secret.References(text)
	return err == nil && len(variables)+len(files) == 1 && strings.HasPrefix(text, "${") && strings.HasSuffix(text, "}")
}

// takeGiven takes the values of fields that were given, in the order of the schema.
func (p *Plan) takeGiven() error {
	var found []error
	for _, one := range p.request.Manifest.GetConfiguration().GetFields() {
		text, ok := p.request.Fields[one.GetName()]
		if !ok {
			continue
		}
		if text == "" {
			found = append(found, fmt.Errorf("%s is empty; give it a value or leave it out", one.GetName()))
			continue
		}
		value, err := valueOf(one, text)
		if err == nil && one.GetSecret() && !allReferences(value) {
			err = fmt.Errorf("%s is a secret: give a reference, ${env:NAME} or ${file:PATH}, and not the secret itself", one.GetName())
		}
		if err != nil {
			found = append(found, err)
			continue
		}
		p.fields = append(p.fields, field{one.GetName(), value})
	}
	return errors.Join(found...)
}

// allReferences says that every text of a secret has a reference in it.
func allReferences(value *yaml.Node) bool {
	switch value.Kind {
	case yaml.ScalarNode:
		return refers(value.Value)
	case yaml.MappingNode:
		for i := 1; i < len(value.Content); i += 2 {
			if !allReferences(value.Content[i]) {
				return false
			}
		}
		return true
	default:
		return !slices.ContainsFunc(value.Content, func(item *yaml.Node) bool { return !allReferences(item) })
	}
}

// together says what is wrong with the fields as a whole: that a required one is
// missing, or what the plugin says of fields that belong together.
func (p *Plan) together() error {
	schema := p.request.Manifest.GetConfiguration()
	whole := &pluginv1.ConfigurationSchema{Relations: schema.GetRelations(), FieldGroups: schema.GetFieldGroups()}
	texts := map[string]string{}
	for _, one := range schema.GetFields() {
		free := unruled(one)
		for _, answered := range p.fields {
			if answered.name == one.GetName() {
				// Its value has been checked by itself, or is not known here.
				free.Type, free.Required = pluginv1.FieldType_FIELD_TYPE_STRING, false
				texts[one.GetName()] = present(answered.value)
			}
		}
		whole.Fields = append(whole.Fields, free)
	}
	_, err := settings.FromTexts(whole, texts)
	return err
}

// present is a text that says that something is there, if it counts as that.
func present(value *yaml.Node) string {
	if value.Kind != yaml.ScalarNode {
		return "given"
	}
	if value.Tag == "!!bool" && value.Value == "false" || value.Tag == "!!int" && value.Value == "0" {
		return ""
	}
	return value.Value
}
