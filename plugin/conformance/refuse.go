package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// authMethod is the field that chooses among field groups.
const authMethod = "auth-method"

// noField is a field that no plugin has.
const noField = "no-such-field-of-conformance"

// variation is a configuration with one fault, about the field.
type variation struct {
	field string
	spoil func(*pluginv1.ConfigureRequest)
}

// refused tries each variation, and wants a diagnostic that names the field. A process that has
// refused one as it must is tried with the next. If that fails, a new process is: a process need
// not get over a refusal here.
func (s *Suite) refused(ctx context.Context, variations []variation) error {
	if _, err := s.request(); err != nil {
		return err
	}
	var wrong []error
	var process Process // It has refused all that it was tried with; nil if there is none.
	for _, v := range variations {
		if process != nil && s.refusedBy(ctx, process, v) == nil {
			continue
		}
		s.end(ctx)
		var err error
		if process, err = s.start(ctx); err == nil {
			err = s.refusedBy(ctx, process, v)
		}
		if err != nil {
			wrong = append(wrong, err)
			process = nil
		}
	}
	return errors.Join(wrong...)
}

func (s *Suite) refusedBy(ctx context.Context, process Process, v variation) error {
	request, err := s.request()
	if err != nil {
		return err
	}
	v.spoil(request)
	diagnostics, err := process.Configure(ctx, request)
	if err != nil {
		return fmt.Errorf("field %s: Configure fails with %w; what is wrong with a configuration belongs into diagnostics", v.field, plain(err))
	}
	found := refusals(diagnostics)
	switch {
	case len(found) == 0:
		return fmt.Errorf("field %s: Configure takes the configuration", v.field)
	case !slices.ContainsFunc(found, func(d *pluginv1.Diagnostic) bool { return d.GetField() == v.field }):
		return fmt.Errorf("no diagnostic names the field %s: %s", v.field, textOf(found))
	case slices.ContainsFunc(found, func(d *pluginv1.Diagnostic) bool { return d.GetSummary() == "" }):
		return fmt.Errorf("field %s: there is a diagnostic without a summary", v.field)
	}
	return nil
}

// refusals are the diagnostics that prevent configuration.
func refusals(diagnostics []*pluginv1.Diagnostic) []*pluginv1.Diagnostic {
	var found []*pluginv1.Diagnostic
	for _, d := range diagnostics {
		if d.GetSeverity() != pluginv1.Severity_SEVERITY_WARNING {
			found = append(found, d)
		}
	}
	return found
}

// textOf is the text of diagnostics.
func textOf(diagnostics []*pluginv1.Diagnostic) string {
	var texts []string
	for _, d := range diagnostics {
		text := d.GetSummary()
		if d.GetField() != "" {
			text = d.GetField() + ": " + text
		}
		if d.GetDetail() != "" {
			text += " (" + d.GetDetail() + ")"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

func refuseUnknown(ctx context.Context, s *Suite) (string, error) {
	return "a diagnostic names it", s.refused(ctx, []variation{{noField, func(r *pluginv1.ConfigureRequest) {
		r.GetValues()[noField] = text("x")
	}}})
}

// applicable are the fields that count in a configuration: with field groups
// those of the chosen one.
func (s *Suite) applicable(request *pluginv1.ConfigureRequest) []*pluginv1.Field {
	schema := s.manifest.GetConfiguration()
	groups := schema.GetFieldGroups()
	if len(groups) == 0 {
		return schema.GetFields()
	}
	chosen := groups[0]
	for _, group := range groups {
		if group.GetIsDefault() {
			chosen = group
		}
	}
	name := request.GetValues()[authMethod].GetStringValue()
	for _, group := range groups {
		if group.GetName() == name {
			chosen = group
		}
	}
	var fields []*pluginv1.Field
	for _, field := range schema.GetFields() {
		if slices.Contains(chosen.GetFields(), field.GetName()) {
			fields = append(fields, field)
		}
	}
	return fields
}

func refuseMissing(ctx context.Context, s *Suite) (string, error) {
	request, err := s.request()
	if err != nil {
		return "", err
	}
	var variations []variation
	for _, field := range s.applicable(request) {
		if name := field.GetName(); field.GetRequired() && field.GetDefaultValue().GetKind() == nil {
			variations = append(variations, variation{name, func(r *pluginv1.ConfigureRequest) {
				delete(r.GetValues(), name)
				delete(r.GetSecrets(), name)
			}})
		}
	}
	if len(variations) == 0 {
		return "", skip("no field is required")
	}
	return "a diagnostic names each: " + named(variations), s.refused(ctx, variations)
}

func refuseType(ctx context.Context, s *Suite) (string, error) {
	var variations []variation
	for _, field := range s.manifest.GetConfiguration().GetFields() {
		if field.GetName() == authMethod {
			continue
		}
		variations = append(variations, variation{field.GetName(), func(r *pluginv1.ConfigureRequest) {
			put(r, field, wrongFor(field, r))
		}})
	}
	if len(variations) == 0 {
		return "", skip("there is no field")
	}
	return "a diagnostic names each: " + named(variations), s.refused(ctx, variations)
}

func refuseOpenSecret(ctx context.Context, s *Suite) (string, error) {
	request, err := s.request()
	if err != nil {
		return "", err
	}
	var variations []variation
	for _, field := range s.manifest.GetConfiguration().GetFields() {
		name := field.GetName()
		if value, given := request.GetSecrets()[name]; given && field.GetSecret() {
			variations = append(variations, variation{name, func(r *pluginv1.ConfigureRequest) {
				delete(r.GetSecrets(), name)
				r.GetValues()[name] = value
			}})
		}
	}
	if len(variations) == 0 {
		return "", skip("the configuration of this test has no secret")
	}
	return "a diagnostic names each: " + named(variations), s.refused(ctx, variations)
}

// noSecretInDiagnostic spoils configurations in ways that make a careless plugin
// quote them.
func noSecretInDiagnostic(ctx context.Context, s *Suite) (string, error) {
	request, err := s.request()
	if err != nil {
		return "", err
	}
	if len(request.GetSecrets()) == 0 {
		return "", skip("the configuration of this test has no secret")
	}
	variations := []variation{{noField, func(r *pluginv1.ConfigureRequest) { r.GetValues()[noField] = text("x") }}}
	for _, field := range s.manifest.GetConfiguration().GetFields() {
		name := field.GetName()
		value, given := request.GetSecrets()[name]
		variations = append(variations, variation{name, func(r *pluginv1.ConfigureRequest) {
			if field.GetSecret() {
				delete(r.GetSecrets(), name) // The others are there, to be quoted.
				return
			}
			put(r, field, wrongFor(field, r))
		}})
		if !given {
			continue
		}
		variations = append(
			variations,
			variation{name, func(r *pluginv1.ConfigureRequest) { delete(r.GetSecrets(), name); r.GetValues()[name] = value }},
			variation{name, func(r *pluginv1.ConfigureRequest) { r.GetSecrets()[name] = wrongFor(field, r) }},
			variation{name, func(r *pluginv1.ConfigureRequest) { r.GetSecrets()[noField] = value }},
		)
	}
	process, err := s.start(ctx)
	if err != nil {
		return "", err
	}
	answers := 0
	for _, v := range variations {
		spoiled := proto.CloneOf(request)
		v.spoil(spoiled)
		diagnostics, err := process.Configure(ctx, spoiled)
		words := textOf(diagnostics)
		if err != nil {
			words += plain(err).Error()
		}
		if s.secrets.Finds(words) {
			return "", fmt.Errorf("with a fault in field %s, Configure reveals the value of a secret field, which is blanked here: %s", v.field, words)
		}
		answers++
		if err == nil && len(refusals(diagnostics)) == 0 {
			// It is configured, which another check finds fault with, or is right to be:
			// the next variation needs another process.
			s.end(ctx)
			if process, err = s.start(ctx); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("the answers to %d configurations held no secret", answers), nil
}

func takeConfiguration(ctx context.Context, s *Suite) (string, error) {
	process, err := s.configured(ctx)
	if without, ok := errors.AsType[*skipError](err); ok {
		return "", without.why // Here it is the fault that is looked for.
	}
	if err != nil {
		return "", err
	}
	manifest, err := process.Describe(ctx)
	if err != nil {
		return "", fmt.Errorf("its Describe fails once it is configured: %w", plain(err))
	}
	if !proto.Equal(manifest, s.manifest) {
		return "", errors.New("its Describe answers something else once it is configured")
	}
	return "Configure has no objection, and Describe answers as before", nil
}

func configureAgain(ctx context.Context, s *Suite) (string, error) {
	process, err := s.start(ctx)
	if err != nil {
		return "", err
	}
	request, err := s.request()
	if err != nil {
		return "", err
	}
	spoiled := proto.CloneOf(request)
	spoiled.GetValues()[noField] = text("x")
	diagnostics, err := process.Configure(ctx, spoiled)
	if err != nil || len(refusals(diagnostics)) == 0 {
		return "", skip("a configuration with an unknown field is not refused")
	}
	manifest, err := process.Describe(ctx)
	if err != nil {
		return "", fmt.Errorf("its Describe fails after a refusal: %w", plain(err))
	}
	if !proto.Equal(manifest, s.manifest) {
		return "", errors.New("its Describe answers something else after a refusal")
	}
	diagnostics, err = process.Configure(ctx, request)
	if err != nil {
		return "", fmt.Errorf("after a refusal Configure fails: %w", plain(err))
	}
	if found := refusals(diagnostics); len(found) > 0 {
		return "", fmt.Errorf("after a refusal Configure refuses the right configuration: %s", textOf(found))
	}
	return "Describe works after a refusal, and the same process takes the right configuration", nil
}

// put gives a field a value, where it belongs.
func put(request *pluginv1.ConfigureRequest, field *pluginv1.Field, value *pluginv1.Value) {
	if field.GetSecret() {
		request.GetSecrets()[field.GetName()] = value
		return
	}
	request.GetValues()[field.GetName()] = value
}

// wrongFor is a value that is not of the field's type. That of a secret holds the
// secret.
func wrongFor(field *pluginv1.Field, request *pluginv1.ConfigureRequest) *pluginv1.Value {
	content := "not-of-this-type"
	if given := request.GetSecrets()[field.GetName()].GetStringValue(); given != "" {
		content = given
	}
	if field.GetType() == pluginv1.FieldType_FIELD_TYPE_STRING {
		return &pluginv1.Value{Kind: &pluginv1.Value_StringList{StringList: &pluginv1.StringList{Values: []string{content}}}}
	}
	return text(content)
}

func text(s string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_StringValue{StringValue: s}}
}

func named(variations []variation) string {
	names := make([]string, 0, len(variations))
	for _, v := range variations {
		names = append(names, v.field)
	}
	return strings.Join(names, ", ")
}
