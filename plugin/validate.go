package plugin

import (
	"context"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/sdk"
	"github.com/conductorone/baton-sdk/pkg/types"
)

// validatedOnce is the SDK's server of a connector, but for Validate, which asks
// the author's code once. The SDK's tries an app that is away six times within
// the call, for fifteen seconds or as long as the app's rate limit requires, and
// no one sees why it takes so long. Under a host it is the host that retries.
type validatedOnce struct {
	types.ConnectorServer
	author connectorbuilder.ValidateProvider
}

func (s *validatedOnce) Validate(ctx context.Context, _ *connectorv2.ConnectorServiceValidateRequest) (*connectorv2.ConnectorServiceValidateResponse, error) {
	annotations, err := s.author.Validate(ctx)
	if err != nil {
		return nil, err
	}
	return connectorv2.ConnectorServiceValidateResponse_builder{
		Annotations: annotations,
		SdkVersion:  sdk.Version,
	}.Build(), nil
}
