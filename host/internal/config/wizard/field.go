package wizard

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/secret"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// secretsDir is where secrets go that are typed, beside the configuration.
const secretsDir = "secrets"

// askField asks for one field until the answer is one that the plugin takes, or the
// field is left out.
func (a *asker) askField(one *pluginv1.Field) error {
	a.introduce(one)
	for {
		a.plan.clear(one.GetName())
		value, err := a.askValue(one)
		if err != nil {
			return err
		}
		if value != nil {
			a.plan.set(one.GetName(), value)
			return nil
		}
		why := whyNeeded(one)
		if why == "" {
			return nil
		}
		a.d.Say(why)
	}
}

// whyNeeded is why a field cannot be left out; empty if it can.
func whyNeeded(one *pluginv1.Field) string {
	switch {
	case one.GetDefaultValue().GetKind() != nil:
		return "" // The plugin assumes it.
	case one.GetRequired():
		return "A value is required."
	}
	if _, err := settings.FromTexts(&pluginv1.ConfigurationSchema{Fields: []*pluginv1.Field{one}}, nil); err != nil {
		return err.Error() // Rules that hold for an empty value too.
	}
	return ""
}

// introduce says what a field is.
func (a *asker) introduce(one *pluginv1.Field) {
	text := "\n" + one.GetName()
	if one.GetLabel() != "" {
		text = "\n" + one.GetLabel() + " (" + one.GetName() + ")"
	}
	if !one.GetRequired() && !a.wanted(one) {
		text += ", can be left out"
	}
	for _, line := range []string{one.GetHelp(), formOf(one)} {
		if line != "" {
			text += "\n" + line
		}
	}
	a.d.Say(text)
}

// formOf says how a value is typed, where that is not plain.
func formOf(one *pluginv1.Field) string {
	switch one.GetType() {
	case pluginv1.FieldType_FIELD_TYPE_STRING_LIST:
		if !one.GetSecret() {
			return "A list: comma separated; an item that holds a comma goes in double quotes."
		}
	case pluginv1.FieldType_FIELD_TYPE_MAP:
		if !one.GetSecret() {
			return "Pairs: key=value, comma separated."
		}
	case pluginv1.FieldType_FIELD_TYPE_FILE:
		return "The path of a file."
	case pluginv1.FieldType_FIELD_TYPE_INT:
		return "A whole number."
	}
	return ""
}

// askValue asks once for a value that is right; nil for none.
func (a *asker) askValue(one *pluginv1.Field) (*yaml.Node, error) {
	if one.GetSecret() {
		return a.askSecretField(one)
	}
	usual := textOf(one.GetDefaultValue())
	switch {
	case one.GetType() == pluginv1.FieldType_FIELD_TYPE_BOOL:
		return a.askSwitch(one)
	case len(one.GetRules().GetAllowedValues()) > 0 && one.GetType() != pluginv1.FieldType_FIELD_TYPE_STRING_LIST:
		return a.askAllowed(one, usual)
	}
	for {
		prompt := "Value"
		if usual == "" && one.GetPlaceholder() != "" {
			prompt += " (such as " + one.GetPlaceholder() + ")"
		}
		text, err := a.askOr(prompt, usual)
		if err != nil {
			return nil, err
		}
		if text == "" || text == usual {
			return nil, nil //nolint:nilnil // No value is an answer.
		}
		value, err := a.valueOf(one, text)
		if err == nil {
			return value, nil
		}
		a.d.Say(err.Error())
	}
}

// valueOf is the value of what was typed. A path was typed from where the person is.
func (a *asker) valueOf(one *pluginv1.Field, text string) (*yaml.Node, error) {
	if err := checkTyped(text); err != nil {
		return nil, err
	}
	if err := a.checkReferred(one, text); err != nil {
		return nil, err
	}
	value, err := valueOf(one, text)
	if err != nil || one.GetType() != pluginv1.FieldType_FIELD_TYPE_FILE || refers(text) {
		return value, err
	}
	place, err := FromConfiguration(a.plan.request.Dir, text)
	if err != nil {
		return nil, err
	}
	return scalar(place), nil
}

// checkTyped refuses what a person does not type: an arrow key becomes such characters.
func checkTyped(text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("this has a character in it that cannot be seen, such as of an arrow key; type it again")
	}
	return nil
}

// checkReferred checks what the references in a text stand for now, if that is known.
func (a *asker) checkReferred(one *pluginv1.Field, text string) error {
	switch one.GetType() {
	case pluginv1.FieldType_FIELD_TYPE_STRING, pluginv1.FieldType_FIELD_TYPE_INT:
	default:
		return nil
	}
	template, errs := secret.Parse(text)
	if len(errs) > 0 || template.IsLiteral() {
		return nil // The form is checked elsewhere.
	}
	stores := map[string]secret.Store{secret.SchemeEnv: secret.Variables(a.plan.request.Lookup), secret.SchemeFile: secret.Files(a.plan.request.Dir)}
	stands, errs := secret.NewResolver(stores).Round().Expand(context.Background(), template)
	if len(errs) > 0 {
		return nil // It is not there yet.
	}
	if _, err := valueOf(one, stands.Text.Reveal()); err != nil {
		return fmt.Errorf("what %s stands for now is not right: %w", text, err)
	}
	return nil
}

func (a *asker) askSwitch(one *pluginv1.Field) (*yaml.Node, error) {
	usual := one.GetDefaultValue().GetBoolValue()
	yes, err := a.askYes("Yes or no", usual)
	if err != nil || yes == usual && !one.GetRequired() {
		return nil, err
	}
	return valueOf(one, strconv.FormatBool(yes))
}

func (a *asker) askAllowed(one *pluginv1.Field, usual string) (*yaml.Node, error) {
	var choices []choice
	for _, value := range one.GetRules().GetAllowedValues() {
		choices = append(choices, choice{value, value})
	}
	if !one.GetRequired() && usual == "" {
		choices = append(choices, choice{"", "(none)"})
	}
	for {
		text, err := a.askChoice(choices, usual)
		if err != nil || text == "" || text == usual {
			return nil, err
		}
		value, err := valueOf(one, text)
		if err == nil {
			return value, nil
		}
		a.d.Say(err.Error())
	}
}

// textOf is a default value as a person types it.
func textOf(value *pluginv1.Value) string {
	switch kind := value.GetKind().(type) {
	case *pluginv1.Value_StringValue:
		return kind.StringValue
	case *pluginv1.Value_IntValue:
		return strconv.FormatInt(kind.IntValue, 10)
	case *pluginv1.Value_StringList:
		var text strings.Builder
		list := csv.NewWriter(&text)
		_ = list.Write(kind.StringList.GetValues()) // It goes to memory.
		list.Flush()
		return strings.TrimSuffix(text.String(), "\n")
	default:
		return ""
	}
}

// askSecretField asks where a secret is to come from; for a list or pairs, for each
// part of it.
func (a *asker) askSecretField(one *pluginv1.Field) (*yaml.Node, error) {
	name := one.GetName()
	s := question{
		name: name, label: "It", file: a.plan.request.Instance + "-" + name, variable: settings.Variable(name),
		optional: !one.GetRequired(), wanted: a.wanted(one), path: one.GetType() == pluginv1.FieldType_FIELD_TYPE_FILE,
		check: func(text string) error {
			_, err := valueOf(one, text)
			return err
		},
	}
	switch one.GetType() {
	case pluginv1.FieldType_FIELD_TYPE_STRING_LIST, pluginv1.FieldType_FIELD_TYPE_MAP:
		return a.askSecrets(one, s)
	}
	reference, err := a.askSecret(s)
	if err != nil || reference == "" {
		return nil, err
	}
	return scalar(reference), nil
}

// askSecrets asks for the parts of a secret list, or of secret pairs, until there are as
// many as the plugin takes.
func (a *asker) askSecrets(one *pluginv1.Field, s question) (*yaml.Node, error) {
	for {
		whole, err := a.askParts(one, s)
		if err != nil || len(whole.Content) == 0 {
			return nil, err
		}
		if one.GetType() == pluginv1.FieldType_FIELD_TYPE_MAP {
			return whole, nil
		}
		_, err = valueOf(unruled(one), strings.TrimSuffix(strings.Repeat("x,", len(whole.Content)), ","))
		if err == nil {
			return whole, nil
		}
		a.d.Say(err.Error())
		a.plan.clear(one.GetName())
	}
}

// askParts asks for the parts one after the other.
func (a *asker) askParts(one *pluginv1.Field, s question) (*yaml.Node, error) {
	isPairs := one.GetType() == pluginv1.FieldType_FIELD_TYPE_MAP
	whole := &yaml.Node{Kind: yaml.SequenceNode}
	if isPairs {
		whole.Kind = yaml.MappingNode
	}
	item := &pluginv1.Field{Name: one.GetName(), Type: pluginv1.FieldType_FIELD_TYPE_STRING, Secret: true, Rules: one.GetRules()}
	for number := 1; ; number++ {
		part := s
		part.optional, part.file, part.variable = true, fmt.Sprintf("%s-%d", s.file, number), fmt.Sprintf("%s_%d", s.variable, number)
		part.check = func(text string) error {
			_, err := valueOf(item, text)
			return err
		}
		key := ""
		if isPairs {
			var err error
			if key, err = a.askKey(whole); err != nil || key == "" {
				return whole, err
			}
		}
		reference, err := a.askSecret(part)
		if err != nil || reference == "" {
			return whole, err
		}
		if isPairs {
			put(whole, key, scalar(reference))
		} else {
			whole.Content = append(whole.Content, scalar(reference))
		}
	}
}

// askKey asks for the key of a pair; empty if there are no more.
func (a *asker) askKey(pairs *yaml.Node) (string, error) {
	for {
		key, err := a.d.Ask("Key (Enter ends the list): ")
		if err != nil {
			return "", err
		}
		err = checkTyped(key)
		for i := 0; i < len(pairs.Content); i += 2 {
			if pairs.Content[i].Value == key {
				err = fmt.Errorf("%q is there already; give another key", key)
			}
		}
		if err == nil {
			return key, nil
		}
		a.d.Say(err.Error())
	}
}

// question is a secret that is asked for.
type question struct {
	name, label string // of the field, and how it is called in a sentence
	file        string // its name if it is typed
	variable    string // that is offered
	optional    bool
	wanted      bool // it would have to be another one
	path        bool // it is a file, and cannot be typed
	check       func(text string) error
}

// The ways in which a secret comes.
const (
	byVariable = "environment"
	byFile     = "file"
	byTyping   = "type"
	byNone     = "none"
)

// askSecret asks where a secret is to come from, and returns the reference to it;
// empty if it is left out.
func (a *asker) askSecret(s question) (string, error) {
	choices := []choice{{byVariable, "from an environment variable"}, {byFile, "from a file that is there"}}
	usual := byVariable
	if !s.path {
		choices = append(choices, choice{byTyping, "typed here: it is kept in " + path.Join(secretsDir, s.file) + ", which only you can read"})
	}
	if s.optional {
		choices = append(choices, choice{byNone, "not at all: leave it out"})
		if !s.wanted {
			usual = byNone
		}
	}
	for {
		a.d.Say(s.label + " is secret, and is not written into the configuration. Where does it come from?")
		way, err := a.askChoice(choices, usual)
		if err != nil {
			return "", err
		}
		var reference string
		switch way {
		case byVariable:
			reference, err = a.askVariable(s)
		case byFile:
			reference, err = a.askFile(s)
		case byTyping:
			reference, err = a.askTyped(s)
		default:
			return "", nil
		}
		if err != nil || reference != "" {
			return reference, err
		}
	}
}

// askVariable asks for the name of a variable. What it holds now is checked.
func (a *asker) askVariable(s question) (string, error) {
	for {
		name, err := a.askOr("Name of the variable", s.variable)
		if err != nil {
			return "", err
		}
		reference := "${env:" + name + "}"
		if refers(name) {
			reference = name // A person has typed the whole of it.
		}
		if _, _, err := secret.References(reference); err != nil {
			a.d.Say(err.Error())
			continue
		}
		value, set := a.plan.request.Lookup(name)
		if !set || value == "" || refers(name) {
			return reference, nil
		}
		if err := s.check(value); err != nil && !s.path {
			a.d.Say(fmt.Sprintf("What %s holds now is not right: %s", name, err))
			return "", nil
		}
		return reference, nil
	}
}

// checkFile checks what a file holds now.
func (s question) checkFile(place string) error {
	content, err := readFile(place)
	if err != nil || s.path {
		return err
	}
	if err := s.check(strings.TrimRight(string(content), "\r\n")); err != nil {
		return fmt.Errorf("the content of %s is not right: %w", place, err)
	}
	return nil
}

// askFile asks for the path of a file. What it holds now is checked.
func (a *asker) askFile(s question) (string, error) {
	place, err := a.d.Ask("Path of the file: ")
	if err != nil || place == "" {
		return "", err
	}
	if _, err := os.Stat(place); err == nil {
		if err := s.checkFile(place); err != nil {
			a.d.Say(err.Error())
			return "", nil
		}
	} else if yes, err := a.askYes("There is no such file here. Will it be there when baton-host runs?", false); err != nil || !yes {
		return "", err
	}
	place, err = FromConfiguration(a.plan.request.Dir, place)
	if err != nil {
		return "", err
	}
	reference := "${file:" + place + "}"
	if _, files, err := secret.References(reference); err == nil && slices.Equal(files, []string{place}) {
		return reference, nil
	}
	a.d.Say("A reference cannot name this path; choose another.")
	return "", nil
}

// askTyped asks for the secret itself, which goes into a separate file.
func (a *asker) askTyped(s question) (string, error) {
	text, err := a.d.AskSecret("Secret (not shown): ")
	if err != nil || text == "" {
		return "", err
	}
	if err := errors.Join(checkTyped(text), s.check(text)); err != nil {
		a.d.Say(err.Error())
		return "", nil
	}
	place := path.Join(secretsDir, s.file)
	a.plan.secrets = append(a.plan.secrets, secretFile{field: s.name, path: place, content: secret.New(text)})
	return "${file:" + place + "}", nil
}
