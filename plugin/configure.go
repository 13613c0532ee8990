package plugin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.uber.org/zap"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/internal/schema"
	"github.com/batonhost/baton-host/plugin/redact"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// instance is the connector that a configuration made.
type instance struct {
	connector types.ConnectorServer
	services  *hostServices
	closeOnce sync.Once
	closeErr  error
}

// close releases what the connector holds, once.
func (c *instance) close(ctx context.Context) error {
	c.closeOnce.Do(func() {
		defer c.services.close()
		connector := c.connector
		if wrapped, ok := connector.(*validatedOnce); ok {
			connector = wrapped.ConnectorServer
		}
		switch connector := connector.(type) {
		case interface {
			Close(ctx context.Context) error
		}:
			c.closeErr = connector.Close(ctx)
		case interface{ Close() error }:
			c.closeErr = connector.Close()
		}
	})
	return c.closeErr
}

// configure builds the connector from a host's values. It returns nil and at
// least one ERROR diagnostic where that is not possible.
func (a *author[T]) configure(ctx context.Context, request *pluginv1.ConfigureRequest, dial dialer) (*instance, []*pluginv1.Diagnostic) {
	if err := logging.SetLogLevel(request.GetHost().GetLogLevel()); err != nil {
		return nil, []*pluginv1.Diagnostic{finding("", "the host asked for an unknown log level", err.Error())}
	}

	hosted := a.underHost()
	values, diagnostics := acceptValues(hosted, request)
	if len(diagnostics) > 0 {
		return nil, diagnostics
	}
	decoded, diagnostic := decode[T](hosted, values, a.settings)
	if diagnostic != nil {
		return nil, []*pluginv1.Diagnostic{diagnostic}
	}
	if diagnostics := refuseFiles(decoded, request); len(diagnostics) > 0 {
		return nil, diagnostics
	}
	authMethod, _ := values[schema.AuthMethod].(string)
	if diagnostics := check(hosted, decoded, authMethod); len(diagnostics) > 0 {
		return nil, diagnostics
	}

	services, diagnostic := a.accept(ctx, request.GetHost(), dial)
	if diagnostic != nil {
		return nil, []*pluginv1.Diagnostic{diagnostic}
	}
	connector, err := a.build(ctx, decoded, authMethod, a.sdkSettings(values), services)
	if err != nil {
		services.close()
		summary := "the connector could not be built from this configuration"
		return nil, []*pluginv1.Diagnostic{finding("", summary, redact.Request(request).Blank(message(err)))}
	}
	return &instance{connector: connector, services: services}, nil
}

// build is what the SDK's command line does with a decoded configuration. Of the
// options that the SDK knows for a connector, the token source and the egress policy
// are of connectors that C1 hosts itself; and which resource types are synced is not
// known yet: each sync may want others.
func (a *author[T]) build(ctx context.Context, decoded T, authMethod string, settings sdkSettings, from *hostServices) (server types.ConnectorServer, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			server, err = nil, panicked(ctx, cause)
		}
	}()
	server, validator, err := a.connect(from.surround(ctx, settings), decoded, cli.RunTimeOpts{
		SelectedAuthMethod: authMethod, SessionStore: from.store(settings),
	})
	if err != nil {
		return nil, err
	}
	switch {
	case server == nil:
		return nil, errors.New("its function returned no connector and no error")
	case validator == nil:
		return server, nil
	}
	return &validatedOnce{ConnectorServer: server, author: validator}, nil
}

// panicked is a panic of the author's code as an error. Where it was is logged.
func panicked(ctx context.Context, cause any) error {
	ctxzap.Extract(ctx).Error("the connector panicked while it was built", zap.Any("cause", cause), zap.ByteString("stack", debug.Stack()))
	return fmt.Errorf("it panicked: %v; the log has the stack", cause)
}

// acceptValues turns the request's values into Go values, by field name.
func acceptValues(of field.Configuration, request *pluginv1.ConfigureRequest) (map[string]any, []*pluginv1.Diagnostic) {
	wire, err := schema.Of(of)
	if err != nil {
		return nil, []*pluginv1.Diagnostic{finding("", "the connector's schema is invalid", err.Error())}
	}
	if findings := schema.Check(wire, request); len(findings) > 0 {
		return nil, findings
	}
	values := map[string]any{}
	accept := func(given map[string]*pluginv1.Value) {
		for name, value := range given {
			if plain := goValue(value); plain != nil {
				values[name] = plain
			}
		}
	}
	accept(request.GetValues())
	accept(request.GetSecrets())
	return values, nil
}

// goValue is the value as the SDK's decoding wants it, or nil for none.
func goValue(value *pluginv1.Value) any {
	switch kind := value.GetKind().(type) {
	case *pluginv1.Value_StringValue:
		return kind.StringValue
	case *pluginv1.Value_BoolValue:
		return kind.BoolValue
	case *pluginv1.Value_IntValue:
		return int(kind.IntValue)
	case *pluginv1.Value_StringList:
		return kind.StringList.GetValues()
	case *pluginv1.Value_MapValue:
		return kind.MapValue.AsMap()
	case *pluginv1.Value_FileContent:
		// The SDK's decoding of a file's content takes base64.
		return base64.StdEncoding.EncodeToString(kind.FileContent)
	default:
		return nil
	}
}

// decode fills the author's configuration with the SDK's own decoding.
func decode[T field.Configurable](schema field.Configuration, values map[string]any, settings *viper.Viper) (T, *pluginv1.Diagnostic) {
	decoded, err := decodeValues[T](schema, values, settings)
	if err == nil {
		return decoded, nil
	}

	// The decoder's messages quote values. Without the secrets it cannot quote
	// one; if it is then content, the fault lies in a secret, and all that may
	// be reported is that.
	open := maps.Clone(values)
	for _, f := range schema.Fields {
		if f.Secret {
			delete(open, f.FieldName)
		}
	}
	summary := "the configuration could not be decoded"
	if _, err := decodeValues[T](schema, open, nil); err != nil {
		return decoded, finding("", summary, err.Error())
	}
	return decoded, finding("", summary, "the value of a secret field has a form that the connector does not take")
}

// decodeValues decodes values. They are in the settings then, if there are any.
func decodeValues[T field.Configurable](schema field.Configuration, values map[string]any, settings *viper.Viper) (T, error) {
	v := viper.New()
	if settings != nil {
		// The author may hold the settings: the values come, whatever was there goes.
		*settings = *v
		v = settings
	}
	// What may be changed in the app, and which plugin serves tickets, is decided in front
	// of every plugin. Where the author has exported these fields, the operator decides.
	for _, decidedByHost := range []string{"provisioning", field.TicketingField.FieldName} {
		v.SetDefault(decidedByHost, true)
	}
	for _, f := range schema.Fields {
		v.SetDefault(f.FieldName, f.DefaultValue)
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	for name, value := range values {
		items, isMap := value.(map[string]any)
		if !isMap {
			v.Set(name, value)
			continue
		}
		// viper turns the keys of a map that it is given to lower case, and takes a
		// map apart at the dots in its keys unless a flag has the map's name, as in the
		// SDK's command line. So it gets the flag, which is never set, and an empty map,
		// which is filled where viper keeps it.
		flags.StringToString(name, nil, "")
		if err := errors.Join(v.BindPFlag(name, flags.Lookup(name)), v.MergeConfigMap(map[string]any{name: map[string]any{}})); err != nil {
			var none T
			return none, err
		}
		maps.Copy(v.GetStringMap(name), items)
	}
	const isPath = false
	return cli.MakeGenericConfiguration[T](v, field.WithAdditionalDecodeHooks(field.FileUploadDecodeHook(isPath)))
}

// refuseFiles returns a finding for each content of a file where the author reads the
// configuration with viper. Stand-alone it has the path of the file there, so the
// author's code opens what it reads.
func refuseFiles(decoded field.Configurable, request *pluginv1.ConfigureRequest) []*pluginv1.Diagnostic {
	if _, isViper := decoded.(*viper.Viper); !isViper {
		return nil
	}
	var diagnostics []*pluginv1.Diagnostic
	for _, values := range []map[string]*pluginv1.Value{request.GetValues(), request.GetSecrets()} {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if _, isFile := values[name].GetKind().(*pluginv1.Value_FileContent); isFile {
				diagnostics = append(diagnostics, finding(name, "the connector reads its configuration with viper, which cannot hold the content of a file", "its author must decode the configuration into a struct"))
			}
		}
	}
	return diagnostics
}

// check applies the SDK's rules field by field, then the relations one by one,
// so that every finding is reported and each names its field.
func check(schema field.Configuration, decoded field.Configurable, authMethod string) []*pluginv1.Diagnostic {
	var diagnostics []*pluginv1.Diagnostic
	group := schema.FieldGroupFields(authMethod)
	for _, f := range schema.Fields {
		if _, applies := group[f.FieldName]; group != nil && !applies {
			continue
		}
		if diagnostic := checkField(f, decoded); diagnostic != nil {
			diagnostics = append(diagnostics, diagnostic)
		}
	}
	if len(diagnostics) > 0 {
		return diagnostics
	}
	for _, relation := range schema.Constraints {
		one := field.Configuration{
			Fields:      schema.Fields,
			Constraints: []field.SchemaFieldRelationship{relation},
			FieldGroups: schema.FieldGroups,
		}
		// The fields are good by now, so an error is about the relation. Those
		// messages name fields and quote no value.
		if err := field.Validate(one, decoded, field.WithAuthMethod(authMethod)); err != nil {
			diagnostics = append(diagnostics, finding(relation.Fields[0].FieldName, err.Error(), ""))
		}
	}
	return diagnostics
}

func checkField(f field.SchemaField, decoded field.Configurable) *pluginv1.Diagnostic {
	var present bool
	var err error
	switch f.Variant {
	case field.StringVariant:
		present, err = field.ValidateField(&f, decoded.GetString(f.FieldName))
	case field.BoolVariant:
		present, err = field.ValidateField(&f, decoded.GetBool(f.FieldName))
	case field.IntVariant:
		present, err = field.ValidateField(&f, decoded.GetInt(f.FieldName))
	case field.StringSliceVariant:
		present, err = field.ValidateField(&f, decoded.GetStringSlice(f.FieldName))
	case field.StringMapVariant:
		present, err = field.ValidateField(&f, decoded.GetStringMap(f.FieldName))
	}
	switch {
	case err == nil:
		return nil
	case !present && f.Required:
		return finding(f.FieldName, "a value is required", "")
	case f.Secret:
		return finding(f.FieldName, "the value does not have the form that this field takes", "")
	default:
		return finding(f.FieldName, strings.TrimPrefix(err.Error(), "field "+f.FieldName+": "), "")
	}
}

func finding(fieldName, summary, detail string) *pluginv1.Diagnostic {
	return &pluginv1.Diagnostic{
		Severity: pluginv1.Severity_SEVERITY_ERROR,
		Field:    fieldName,
		Summary:  summary,
		Detail:   detail,
	}
}

// message is the error's text without gRPC's own preamble.
func message(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}
