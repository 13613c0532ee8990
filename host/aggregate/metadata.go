package aggregate

import (
	"context"
	"slices"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// metadata presents all plugins as one connector.
func (a *Aggregate) metadata(ctx context.Context, request *v2.ConnectorServiceGetMetadataRequest, reply proto.Message, opts []grpc.CallOption) error {
	answers, err := fanOut(ctx, a.routes, func(ctx context.Context, r *route) (*v2.ConnectorMetadata, error) {
		answer := &v2.ConnectorServiceGetMetadataResponse{}
		if err := r.call(ctx, v2.ConnectorService_GetMetadata_FullMethodName, request, answer, opts); err != nil {
			return nil, err
		}
		r.learnAbilities(answer.GetMetadata())
		return r.offered(answer.GetMetadata()), nil
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

// offered takes out of a plugin's metadata what the aggregate would refuse. C1
// reads from it what it may ask for.
func (r *route) offered(metadata *v2.ConnectorMetadata) *v2.ConnectorMetadata {
	if metadata == nil {
		return &v2.ConnectorMetadata{}
	}
	capabilities := metadata.GetCapabilities()
	if capabilities != nil {
		capabilities.SetConnectorCapabilities(slices.DeleteFunc(capabilities.GetConnectorCapabilities(), r.withheld))
		for _, t := range capabilities.GetResourceTypeCapabilities() {
			t.SetCapabilities(slices.DeleteFunc(t.GetCapabilities(), r.withheld))
			if !r.provisioning {
				t.ClearCredentialIssue()
			}
		}
		if !r.provisioning {
			capabilities.ClearCredentialDetails()
		}
	}
	if !r.provisioning {
		metadata.ClearAccountCreationSchema()
	}
	if !slices.Contains(capabilities.GetConnectorCapabilities(), v2.Capability_CAPABILITY_TICKETING) {
		metadata.SetAnnotations(slices.DeleteFunc(metadata.GetAnnotations(), isTicketSettings))
	}
	return metadata
}

func isTicketSettings(annotation *anypb.Any) bool {
	return annotation.MessageIs(&v2.ExternalTicketSettings{})
}

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
	oldFeeds := 0
	for i, one := range all {
		title := one.GetDisplayName()
		if title == "" {
			title = a.routes[i].instance
		}
		titles = append(titles, title)
		types = append(types, one.GetCapabilities().GetResourceTypeCapabilities()...)
		capabilities = append(capabilities, one.GetCapabilities().GetConnectorCapabilities()...)
		if slices.Contains(one.GetCapabilities().GetConnectorCapabilities(), v2.Capability_CAPABILITY_EVENT_FEED) {
			oldFeeds++
		}
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
	if oldFeeds > 1 {
		// A request for events without a feed could be for any of them.
		capabilities = slices.DeleteFunc(capabilities, func(c v2.Capability) bool { return c == v2.Capability_CAPABILITY_EVENT_FEED })
	}
	slices.Sort(capabilities)
	slices.SortFunc(types, func(x, y *v2.ResourceTypeCapability) int {
		return strings.Compare(x.GetResourceType().GetId(), y.GetResourceType().GetId())
	})
	return v2.ConnectorMetadata_builder{
		DisplayName: shortened(strings.Join(titles, ", "), 1024),
		Annotations: oneTicketSettings(annos),
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

// oneTicketSettings leaves of several plugins' ticket settings one that says
// whether any of them takes tickets.
func oneTicketSettings(annos annotations.Annotations) annotations.Annotations {
	var of []*anypb.Any
	enabled := false
	for _, annotation := range annos {
		settings := &v2.ExternalTicketSettings{}
		if isTicketSettings(annotation) && annotation.UnmarshalTo(settings) == nil {
			of = append(of, annotation)
			enabled = enabled || settings.GetEnabled()
		}
	}
	if len(of) < 2 {
		return annos
	}
	annos = slices.DeleteFunc(annos, isTicketSettings)
	annos.Append(v2.ExternalTicketSettings_builder{Enabled: enabled}.Build())
	return annos
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
