package plugin

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/types"

	"github.com/batonhost/baton-host/internal/schema"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

const sdkModule = "github.com/conductorone/baton-sdk"

func (a *author[T]) manifest(ctx context.Context) (*pluginv1.Manifest, error) {
	configuration, err := schema.Of(a.underHost())
	if err != nil {
		return nil, fmt.Errorf("the configuration schema: %w", err)
	}
	capabilities, err := defaultCapabilities(ctx, a.options)
	if err != nil {
		return nil, fmt.Errorf("the default capabilities: %w", err)
	}
	concurrency, err := concurrencyOf(ctx, a.options)
	if err != nil {
		return nil, fmt.Errorf("the connector's own options: %w", err)
	}
	return &pluginv1.Manifest{
		Name:               a.name,
		DisplayName:        a.schema.DisplayName,
		Version:            a.version,
		SdkVersion:         SDKVersion(),
		HelpUrl:            a.schema.HelpUrl,
		IconUrl:            a.schema.IconUrl,
		Capabilities:       capabilities,
		Configuration:      configuration,
		ListingConcurrency: concurrency,
	}, nil
}

// underHost is the schema as the host fills it in: without the relations to those of the
// SDK's own fields that the author has not exported. The host decides on these, so an
// operator has nothing to set them with; the SDK leaves these relations out of the schema
// that its config command prints.
func (a *author[T]) underHost() field.Configuration {
	hidden := map[string]bool{}
	for _, f := range field.DefaultFields {
		hidden[f.FieldName] = true
	}
	for _, f := range a.schema.Fields {
		delete(hidden, f.FieldName)
	}
	isHidden := func(f field.SchemaField) bool { return hidden[f.FieldName] }
	reduced := a.schema
	reduced.Constraints = slices.DeleteFunc(slices.Clone(reduced.Constraints), func(relation field.SchemaFieldRelationship) bool {
		return slices.ContainsFunc(relation.Fields, isHidden) || slices.ContainsFunc(relation.ExpectedFields, isHidden)
	})
	return reduced
}

// SDKVersion is the version of the SDK's module in this binary. The SDK's own
// constant is not used: in v0.25.0 it is still v0.24.6.
func SDKVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, module := range info.Deps {
		if module.Path == sdkModule {
			return module.Version
		}
	}
	return ""
}

// defaultCapabilities are what the connector reports it can do without
// configuration, or nil where the author gave no option for it.
func defaultCapabilities(ctx context.Context, options []connectorrunner.Option) (*pluginv1.Capabilities, error) {
	connector, err := defaultConnector(ctx, options)
	if err != nil || connector == nil {
		return nil, err
	}
	capabilities, err := capabilitiesOf(ctx, connector)
	if err != nil {
		return nil, err
	}
	return schema.Capabilities(capabilities), nil
}

// defaultConnector follows the SDK's `capabilities` command: a factory goes
// before a builder.
func defaultConnector(ctx context.Context, options []connectorrunner.Option) (types.ConnectorServer, error) {
	factory, err := connectorrunner.ExtractDefaultCapabilitiesConnectorFactory(ctx, options...)
	if err != nil {
		return nil, err
	}
	if factory != nil {
		return factory(ctx)
	}
	builder, err := connectorrunner.ExtractDefaultConnector(ctx, options...)
	if err != nil || builder == nil {
		return nil, err
	}
	return connectorbuilder.NewConnector(ctx, builder)
}

func capabilitiesOf(ctx context.Context, connector types.ConnectorServer) (*connectorv2.ConnectorCapabilities, error) {
	if teller, ok := connector.(interface {
		GetCapabilities(ctx context.Context) (*connectorv2.ConnectorCapabilities, error)
	}); ok {
		return teller.GetCapabilities(ctx)
	}
	response, err := connector.GetMetadata(ctx, &connectorv2.ConnectorServiceGetMetadataRequest{})
	if err != nil {
		return nil, err
	}
	if !response.GetMetadata().HasCapabilities() {
		return nil, errors.New("the connector's metadata holds none")
	}
	return response.GetMetadata().GetCapabilities(), nil
}
