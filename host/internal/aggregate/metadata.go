package aggregate

import (
	"context"
	"slices"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/host/internal/aggregate/pagecheck"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/errtext"
)

// MetadataMemory keeps what plugins report of themselves, in their own ids, for when
// they cannot be asked. It is called concurrently.
type MetadataMemory interface {
	// Remember is called with every answer. It must not change it.
	Remember(instance string, metadata *v2.ConnectorMetadata)
	// Recall returns the last answer, which is not changed either, or nil.
	Recall(instance string) *v2.ConnectorMetadata
}

// WithMetadataMemory has GetMetadata present a plugin that cannot be asked as it
// presented itself the last time.
func WithMetadataMemory(memory MetadataMemory) Option {
	return func(a *Aggregate) { a.memory = memory }
}

type noMemory struct{}

func (noMemory) Remember(string, *v2.ConnectorMetadata) {}
func (noMemory) Recall(string) *v2.ConnectorMetadata    { return nil }

// metadata presents all plugins as one connector. A plugin that can be neither
// asked nor recalled is there by name only: the others must not be missing in C1
// because of it.
func (a *Aggregate) metadata(ctx context.Context, reply proto.Message) error {
	answers, err := fanOut(ctx, a.plugins, func(ctx context.Context, p *plugin) (*v2.ConnectorMetadata, error) {
		return p.metadata(ctx)
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

// metadata returns what the plugin reports of itself, in the aggregate's ids and without
// what would be refused.
func (p *plugin) metadata(ctx context.Context) (*v2.ConnectorMetadata, error) {
	const method = v2.ConnectorService_GetMetadata_FullMethodName
	answer := &v2.ConnectorServiceGetMetadataResponse{}
	request := &v2.ConnectorServiceGetMetadataRequest{}
	err := p.askSoon(ctx, method, request, answer)
	switch {
	case ctx.Err() != nil:
		return nil, err
	case err == nil:
		if flaws := pagecheck.FitMetadata(answer, p.Instance); len(flaws) > 0 {
			ctxzap.Extract(ctx).Warn("C1 would refuse what the plugin reports of itself; it gets the rest",
				zap.String("plugin", p.Instance), zap.Strings("flaws", flaws))
		}
		p.aggregate.memory.Remember(p.Instance, proto.CloneOf(answer.GetMetadata()))
	default:
		ctxzap.Extract(ctx).Warn("the plugin did not report what it can do; C1 gets what it reported before",
			zap.String("plugin", p.Instance), zap.String("error", policy.Message(err)))
		answer.SetMetadata(proto.CloneOf(p.aggregate.memory.Recall(p.Instance)))
		// Another version of this host may have kept it.
		_ = pagecheck.FitMetadata(answer, p.Instance)
	}
	if unfit := p.names.ToAggregate(answer, nil); unfit != nil {
		ctxzap.Extract(ctx).Warn("what the plugin reports of itself cannot be used; C1 gets its name",
			zap.String("plugin", p.Instance), zap.Error(unfit))
		answer.SetMetadata(nil)
	}
	if err == nil {
		p.learnAbilities(answer.GetMetadata())
	}
	return p.offered(answer.GetMetadata()), nil
}

// offered takes out of a plugin's metadata what the aggregate would refuse. C1
// reads from it what it may ask for.
func (p *plugin) offered(metadata *v2.ConnectorMetadata) *v2.ConnectorMetadata {
	if metadata == nil {
		return v2.ConnectorMetadata_builder{DisplayName: p.Instance}.Build()
	}
	capabilities := metadata.GetCapabilities()
	if capabilities != nil {
		capabilities.SetConnectorCapabilities(slices.DeleteFunc(capabilities.GetConnectorCapabilities(), p.withheld))
		for _, t := range capabilities.GetResourceTypeCapabilities() {
			t.SetCapabilities(slices.DeleteFunc(t.GetCapabilities(), p.withheld))
			if !p.Provisioning {
				t.ClearCredentialIssue()
			}
		}
		if !p.Provisioning {
			capabilities.ClearCredentialDetails()
		}
	}
	if !p.Provisioning {
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
// reported once per connector: it is kept where only one plugin reports it.
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
			title = a.plugins[i].Instance
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
		DisplayName: errtext.Cut(strings.Join(titles, ", "), 1024),
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
// whether any of them has tickets.
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

// only returns the one element there is, else nil.
func only[T any](all []*T) *T {
	if len(all) != 1 {
		return nil
	}
	return all[0]
}
