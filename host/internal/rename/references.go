package rename

import (
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Reference is what a string field refers to, and so how it is renamed.
type Reference uint8

// The references of a field.
const (
	noReference Reference = iota
	toType
	toEntitlement
	toGrant
	toReplacedGrant // a grant id without its grant around it
	toExclusionGroup
	ToAction
	ToActionRun
	ToEvent
	ToEventFeed
	ToTicket
	ToTicketSchema
	typeName // not a reference: a resource type's name for people
)

// String returns what messages call an object of no resource type.
func (r Reference) String() string { return objectNames[r] }

var objectNames = map[Reference]string{
	ToAction:       "action",
	ToActionRun:    "run of an action",
	ToEvent:        "event",
	ToEventFeed:    "event feed",
	ToTicket:       "ticket",
	ToTicketSchema: "ticket schema",
}

// references are all fields of the SDK's messages that name a resource type,
// an entitlement, a grant or an object that has no resource type. On a map field it is the keys that do.
//
// A test compares this table with the SDK's descriptors, so that a field that
// a later SDK adds is decided on here.
var references = map[protoreflect.FullName]Reference{
	"c1.connector.v2.ResourceId.resource_type":           toType,
	"c1.connector.v2.ResourceType.id":                    toType,
	"c1.connector.v2.ResourceType.display_name":          typeName,
	"c1.connector.v2.Entitlement.id":                     toEntitlement,
	"c1.connector.v2.Grant.id":                           toGrant,
	"c1.connector.v2.GrantSources.sources":               toEntitlement,
	"c1.connector.v2.ChildResourceType.resource_type_id": toType,

	"c1.connector.v2.GrantExpandable.entitlement_ids":              toEntitlement,
	"c1.connector.v2.GrantExpandable.resource_type_ids":            toType,
	"c1.connector.v2.GrantReplaced.replaced_grant_id":              toReplacedGrant,
	"c1.connector.v2.LicenseProfileTrait.entitlement_ids":          toEntitlement,
	"c1.connector.v2.EntitlementExclusionGroup.exclusion_group_id": toExclusionGroup,

	"c1.connector.v2.CredentialIssueOptionDescriptor.secret_resource_type_id": toType,

	"c1.connector.v2.ResourcesServiceListResourcesRequest.resource_type_id":             toType,
	"c1.connector.v2.EntitlementsServiceListStaticEntitlementsRequest.resource_type_id": toType,
	"c1.connector.v2.CreateAccountRequest.resource_type_id":                             toType,
	"c1.connector.v2.InvokeActionRequest.resource_type_id":                              toType,
	"c1.connector.v2.ListActionSchemasRequest.resource_type_id":                         toType,
	"c1.connector.v2.BatonActionSchema.resource_type_id":                                toType,

	"c1.connector.v2.BatonActionSchema.name":       ToAction,
	"c1.connector.v2.GetActionSchemaRequest.name":  ToAction,
	"c1.connector.v2.InvokeActionRequest.name":     ToAction,
	"c1.connector.v2.InvokeActionResponse.name":    ToAction,
	"c1.connector.v2.InvokeActionResponse.id":      ToActionRun,
	"c1.connector.v2.GetActionStatusRequest.name":  ToAction,
	"c1.connector.v2.GetActionStatusRequest.id":    ToActionRun,
	"c1.connector.v2.GetActionStatusResponse.name": ToAction,
	"c1.connector.v2.GetActionStatusResponse.id":   ToActionRun,

	"c1.connector.v2.Event.id":                        ToEvent,
	"c1.connector.v2.EventFeedMetadata.id":            ToEventFeed,
	"c1.connector.v2.ListEventsRequest.event_feed_id": ToEventFeed,

	"c1.connector.v2.Ticket.id":                               ToTicket,
	"c1.connector.v2.TicketsServiceGetTicketRequest.id":       ToTicket,
	"c1.connector.v2.TicketSchema.id":                         ToTicketSchema,
	"c1.connector.v2.TicketsServiceGetTicketSchemaRequest.id": ToTicketSchema,

	// The form fields of actions.
	"c1.config.v1.ResourceId.resource_type_id":                       toType,
	"c1.config.v1.ResourceIDRules.allowed_resource_type_ids":         toType,
	"c1.config.v1.RepeatedResourceIdRules.allowed_resource_type_ids": toType,
	"c1.config.v1.Entitlement.id":                                    toEntitlement,
	"c1.config.v1.Entitlement.resource_type_id":                      toType,
	"c1.config.v1.Entitlement.grantable_to_resource_type_ids":        toType,
	"c1.config.v1.EntitlementRef.id":                                 toEntitlement,
	"c1.config.v1.Grant.id":                                          toGrant,
}

// exempt are fields that hold ids of C1 itself, not of a plugin.
var exempt = map[protoreflect.FullName]bool{
	"c1.connector.v2.EncryptionConfig.principal": true,
}

const (
	anyName        protoreflect.FullName = "google.protobuf.Any"
	grantName      protoreflect.FullName = "c1.connector.v2.Grant"
	resourceIDName protoreflect.FullName = "c1.connector.v2.ResourceId"
)

// plan is what the rename engine visits in messages of one type: only fields
// from which a reference or an annotation can be reached.
type plan struct {
	fields []planField
	grant  bool // a c1.connector.v2.Grant: its id depends on its parts

	// A c1.connector.v2.ResourceId: there are one to four in every row, and
	// setting one without reflection spares two allocations.
	resourceID bool
}

type planField struct {
	fd         protoreflect.FieldDescriptor
	reference  Reference
	annotation bool  // google.protobuf.Any
	message    *plan // any other message
}

// plans are worked out from the descriptors once per message type.
var plans = struct {
	sync.RWMutex
	byName map[protoreflect.FullName]*plan
}{byName: map[protoreflect.FullName]*plan{}}

// planFor returns nil for a message that can carry no reference.
func planFor(md protoreflect.MessageDescriptor) *plan {
	plans.RLock()
	p, known := plans.byName[md.FullName()]
	plans.RUnlock()
	if known {
		return p
	}
	plans.Lock()
	defer plans.Unlock()
	return makePlan(md)
}

// makePlan is called with plans locked. Message types refer to each other in
// circles, so a plan is entered before it is complete.
func makePlan(md protoreflect.MessageDescriptor) *plan {
	if p, known := plans.byName[md.FullName()]; known {
		return p
	}
	if !carriesReferences(md, map[protoreflect.FullName]bool{}) {
		plans.byName[md.FullName()] = nil
		return nil
	}
	p := &plan{grant: md.FullName() == grantName, resourceID: md.FullName() == resourceIDName}
	plans.byName[md.FullName()] = p
	fields := md.Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		f := planField{fd: fd, reference: references[fd.FullName()]}
		if sub := messageOf(fd); sub != nil && !exempt[fd.FullName()] {
			if f.annotation = sub.FullName() == anyName; !f.annotation {
				f.message = makePlan(sub)
			}
		}
		if f.reference != noReference || f.annotation || f.message != nil {
			p.fields = append(p.fields, f)
		}
	}
	return p
}

func carriesReferences(md protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if md.FullName() == anyName {
		return true
	}
	if seen[md.FullName()] {
		return false
	}
	seen[md.FullName()] = true
	fields := md.Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if references[fd.FullName()] != noReference {
			return true
		}
		if sub := messageOf(fd); sub != nil && !exempt[fd.FullName()] && carriesReferences(sub, seen) {
			return true
		}
	}
	return false
}

// messageOf is the message type of a field, of its elements or of its map
// values; nil if those are no messages.
func messageOf(fd protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if fd.IsMap() {
		fd = fd.MapValue()
	}
	return fd.Message()
}

// FirstType returns the first resource type that a request names, in the order of
// its fields. Annotations do not count: they hold no more than hints.
func FirstType(request proto.Message) string {
	m := request.ProtoReflect()
	return firstTypeIn(m, planFor(m.Descriptor()))
}

func firstTypeIn(m protoreflect.Message, p *plan) string {
	if p == nil {
		return ""
	}
	for i := range p.fields {
		f := &p.fields[i]
		if !m.Has(f.fd) || f.fd.IsMap() {
			continue
		}
		value := m.Get(f.fd)
		switch {
		case f.reference == toType && f.fd.IsList():
			return value.List().Get(0).String()
		case f.reference == toType:
			return value.String()
		case f.message == nil:
			continue
		case f.fd.IsList():
			for j := range value.List().Len() {
				if id := firstTypeIn(value.List().Get(j).Message(), f.message); id != "" {
					return id
				}
			}
		default:
			if id := firstTypeIn(value.Message(), f.message); id != "" {
				return id
			}
		}
	}
	return ""
}

// PrincipalOf returns the principal of a grant or a revoke, else nil.
func PrincipalOf(request proto.Message) *v2.ResourceId {
	switch request := request.(type) {
	case *v2.GrantManagerServiceGrantRequest:
		return request.GetPrincipal().GetId()
	case *v2.GrantManagerServiceRevokeRequest:
		return request.GetGrant().GetPrincipal().GetId()
	}
	return nil
}
