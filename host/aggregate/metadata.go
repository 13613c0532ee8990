package aggregate

import (
	"context"
	"slices"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// notOffered are the capabilities behind the services that are not routed.
var notOffered = map[v2.Capability]bool{
	v2.Capability_CAPABILITY_EVENT_FEED:    true,
	v2.Capability_CAPABILITY_EVENT_FEED_V2: true,
	v2.Capability_CAPABILITY_TICKETING:     true,
	v2.Capability_CAPABILITY_ACTIONS:       true,
}

// metadata presents all plugins as one connector.
func (a *Aggregate) metadata(ctx context.Context, request *v2.ConnectorServiceGetMetadataRequest, reply proto.Message, opts []grpc.CallOption) error {
	answers, err := fanOut(ctx, a.routes, func(ctx context.Context, r *route) (*v2.ConnectorMetadata, error) {
		answer := &v2.ConnectorServiceGetMetadataResponse{}
		if err := r.call(ctx, v2.ConnectorService_GetMetadata_FullMethodName, request, answer, opts); err != nil {
			return nil, err
		}
		return offered(answer.GetMetadata()), nil
	})
	if err != nil {
		return err
	}
	merged := answers[0]
	if len(answers) > 1 {
		merged = a.mergeMetadata(answers)
	}
	return into(reply, v2.ConnectorServiceGetMetadataResponse_builder{Metadata: merged}.Build())
}

// offered takes out of a plugin's metadata what the aggregate does not serve.
func offered(metadata *v2.ConnectorMetadata) *v2.ConnectorMetadata {
	if metadata == nil {
		return &v2.ConnectorMetadata{}
	}
	if capabilities := metadata.GetCapabilities(); capabilities != nil {
		capabilities.SetConnectorCapabilities(slices.DeleteFunc(capabilities.GetConnectorCapabilities(), isNotOffered))
		for _, t := range capabilities.GetResourceTypeCapabilities() {
			t.SetCapabilities(slices.DeleteFunc(t.GetCapabilities(), isNotOffered))
		}
	}
	var annos annotations.Annotations
	for _, annotation := range metadata.GetAnnotations() {
		if !annotation.MessageIs(&v2.ExternalTicketSettings{}) {
			annos = append(annos, annotation)
		}
	}
	metadata.SetAnnotations(annos)
	return metadata
}

func isNotOffered(c v2.Capability) bool { return notOffered[c] }

// mergeMetadata puts several plugins' metadata together. Pictures, help and
// profile belong to one app, so several have none. How accounts are created is
// said once per connector: it is kept where only one plugin says it.
func (a *Aggregate) mergeMetadata(all []*v2.ConnectorMetadata) *v2.ConnectorMetadata {
	var titles []string
	var types []*v2.ResourceTypeCapability
	var capabilities []v2.Capability
	var annos annotations.Annotations
	var accounts []*v2.CredentialDetailsAccountProvisioning
	var rotations []*v2.CredentialDetailsCredentialRotation
	var schemas []*v2.ConnectorAccountCreationSchema
	for i, one := range all {
		title := one.GetDisplayName()
		if title == "" {
			title = a.routes[i].instance
		}
		titles = append(titles, title)
		types = append(types, one.GetCapabilities().GetResourceTypeCapabilities()...)
		capabilities = append(capabilities, one.GetCapabilities().GetConnectorCapabilities()...)
		annos = append(annos, one.GetAnnotations()...)
		if details := one.GetCapabilities().GetCredentialDetails(); details != nil {
			if details.HasCapabilityAccountProvisioning() {
				accounts = append(accounts, details.GetCapabilityAccountProvisioning())
			}
			if details.HasCapabilityCredentialRotation() {
				rotations = append(rotations, details.GetCapabilityCredentialRotation())
			}
		}
		if schema := one.GetAccountCreationSchema(); schema != nil {
			schemas = append(schemas, schema)
		}
	}
	slices.Sort(capabilities)
	slices.SortFunc(types, func(x, y *v2.ResourceTypeCapability) int {
		return strings.Compare(x.GetResourceType().GetId(), y.GetResourceType().GetId())
	})
	return v2.ConnectorMetadata_builder{
		DisplayName: shortened(strings.Join(titles, ", "), 1024),
		Annotations: annos,
		Capabilities: v2.ConnectorCapabilities_builder{
			ResourceTypeCapabilities: types,
			ConnectorCapabilities:    slices.Compact(capabilities),
			CredentialDetails: v2.CredentialDetails_builder{
				CapabilityAccountProvisioning: only(accounts),
				CapabilityCredentialRotation:  only(rotations),
			}.Build(),
		}.Build(),
		AccountCreationSchema: only(schemas),
	}.Build()
}

// only is the one element there is, else nil.
func only[T any](all []*T) *T {
	if len(all) != 1 {
		return nil
	}
	return all[0]
}

// shortened cuts a text to a number of bytes, at a whole character.
func shortened(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}
