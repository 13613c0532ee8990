package rename

import (
	"regexp"
	"slices"
	"testing"

	_ "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// idLike are names that a field with a reference in it could have.
var idLike = regexp.MustCompile(`^ids?$|_ids?$|resource|entitlement|grant|principal|source|group`)

// left are fields whose names look like references and that are passed on as
// they are, by reason.
var left = func() map[protoreflect.FullName]bool {
	all := map[protoreflect.FullName]bool{}
	for _, names := range map[string][]protoreflect.FullName{
		"an object inside its resource type, which is renamed": {
			"c1.connector.v2.ResourceId.resource", "c1.config.v1.ResourceId.resource_id", "c1.config.v1.Entitlement.resource_id",
		},
		"the app's own id, for people and for matching": {
			"c1.connector.v2.Aliases.ids", "c1.connector.v2.RawId.id", "c1.connector.v2.V1Identifier.id", "c1.connector.v2.ExternalId.id",
			"c1.connector.v2.UserTrait.employee_ids", "c1.connector.v2.EntitlementImmutable.source_id", "c1.connector.v2.GrantImmutable.source_id",
			"c1.connector.v2.VendorTrait.vendor_id", "c1.connector.v2.VendorTrait.external_vendor_id",
			"c1.connector.v2.VendorTrait.source_business_id", "c1.connector.v2.VendorTrait.source_entity_id",
			"c1.connector.v2.SecurityInsightTrait.AppUserTarget.external_id", "c1.connector.v2.SecurityInsightTrait.ExternalResourceTarget.external_id",
		},
		"an id in another sync file": {
			"c1.connector.v2.ExternalResourceMatchID.id",
		},
		"an id of the syncer, of C1 or of a key": {
			"c1.connector.v2.ConnectorServiceCleanupRequest.active_sync_id",
			"c1.connector.v2.ResourceTypesServiceListResourceTypesRequest.active_sync_id", "c1.connector.v2.ResourcesServiceListResourcesRequest.active_sync_id",
			"c1.connector.v2.EntitlementsServiceListEntitlementsRequest.active_sync_id", "c1.connector.v2.EntitlementsServiceListStaticEntitlementsRequest.active_sync_id",
			"c1.connector.v2.GrantsServiceListGrantsRequest.active_sync_id", "c1.connector.v2.ResourceGetterServiceGetResourceRequest.active_sync_id",
			"c1.connector.v2.IssueCredentialRequest.request_id", "c1.connector.v2.IssueCredentialResponse.request_id", "c1.connector.v2.RequestId.request_id",
			"c1.connector.v2.EncryptedData.key_id", "c1.connector.v2.EncryptedData.key_ids", "c1.connector.v2.EncryptionConfig.key_id",
			"c1.connector.v2.ExternalTicketRef.id", "c1.connector.v2.ExternalTicketRef.external_ticket_provisioner_config_id",
			"c1.config.v1.Configuration.catalog_id",
		},
		"a word, not an id": {
			"c1.connector.v2.AppTrait.app_source_type", "c1.connector.v2.AppTrait.raw_app_source_type",
			"c1.connector.v2.GroupTrait.group_source_type", "c1.connector.v2.GroupTrait.raw_group_source_type", "c1.connector.v2.RiskScore.source_score",
		},
		"an object inside its ticket schema, which is renamed": {
			"c1.connector.v2.TicketCustomField.id", "c1.connector.v2.TicketCustomFieldObjectValue.id",
			"c1.connector.v2.TicketStatus.id", "c1.connector.v2.TicketType.id",
		},
		"a picture, which only a single plugin is asked for": {
			"c1.connector.v2.AssetRef.id",
		},
	} {
		for _, name := range names {
			all[name] = true
		}
	}
	return all
}()

func TestReferences_EveryFieldThatLooksLikeOneIsDecidedOn(t *testing.T) {
	t.Parallel()
	var undecided []string
	found := map[protoreflect.FullName]bool{}
	for md := range connectorMessages() {
		fields := md.Fields()
		for i := range fields.Len() {
			fd := fields.Get(i)
			found[fd.FullName()] = true
			value := fd
			if fd.IsMap() {
				value = fd.MapKey()
			}
			if value.Kind() != protoreflect.StringKind || !idLike.MatchString(string(fd.Name())) {
				continue
			}
			decided := left[fd.FullName()] || references[fd.FullName()] != noReference || dropped[md.FullName()] || dropped[md.Parent().FullName()]
			if !decided {
				undecided = append(undecided, string(fd.FullName()))
			}
		}
	}
	slices.Sort(undecided)
	require.Empty(t, undecided)
	for name := range references {
		require.True(t, found[name], "%s is renamed, but this SDK has no such field", name)
	}
	for name := range left {
		require.True(t, found[name], "%s is left alone, but this SDK has no such field", name)
	}
	for name := range exempt {
		require.True(t, found[name], "%s is exempt, but this SDK has no such field", name)
	}
}

// connectorMessages are all message types that a connector can be sent or
// send, map entries aside.
func connectorMessages() map[protoreflect.MessageDescriptor]bool {
	all := map[protoreflect.MessageDescriptor]bool{}
	var collect func(protoreflect.MessageDescriptors)
	collect = func(mds protoreflect.MessageDescriptors) {
		for i := range mds.Len() {
			if md := mds.Get(i); !md.IsMapEntry() {
				all[md] = true
				collect(md.Messages())
			}
		}
	}
	for _, pkg := range []protoreflect.FullName{"c1.connector.v2", "c1.config.v1"} {
		protoregistry.GlobalFiles.RangeFilesByPackage(pkg, func(fd protoreflect.FileDescriptor) bool {
			collect(fd.Messages())
			return true
		})
	}
	return all
}

func TestReferences_OnlyMessagesWithSomeAreVisited(t *testing.T) {
	t.Parallel()
	for _, m := range []proto.Message{
		&v2.UserTrait{}, &v2.GroupTrait{}, &v2.RoleTrait{}, &v2.RateLimitDescription{}, &v2.ExternalResourceMatchID{},
		&v2.EnqueuePageTokens{}, &v2.SessionStoreUsage{}, &v2.Aliases{}, &v2.V1Identifier{}, &v2.GrantImmutable{},
	} {
		require.Nil(t, planFor(m.ProtoReflect().Descriptor()), "%T", m)
	}
	for _, m := range []proto.Message{
		&v2.ScopeBindingTrait{}, &v2.SecretTrait{}, &v2.AgentTrait{}, &v2.LicenseProfileTrait{}, &v2.SecurityInsightTrait{},
		&v2.ChildResourceType{}, &v2.GrantExpandable{}, &v2.ResourceDeleted{}, &v2.Event{}, &v2.Ticket{},
	} {
		require.NotNil(t, planFor(m.ProtoReflect().Descriptor()), "%T", m)
	}
}

// TestGrantFields_AreAllDecidedOn: grants are renamed without reflection (grantFields), which
// looks for these.
func TestGrantFields_AreAllDecidedOn(t *testing.T) {
	t.Parallel()
	for message, want := range map[proto.Message][]protoreflect.Name{
		&v2.Grant{}:       {"annotations", "entitlement", "id", "principal", "sources"},
		&v2.Entitlement{}: {"annotations", "grantable_to", "id", "resource"},
		&v2.Resource{}:    {"annotations", "id", "parent_resource_id"},
		&v2.ResourceId{}:  {"resource_type"},
	} {
		var got []protoreflect.Name
		for _, field := range planFor(message.ProtoReflect().Descriptor()).fields {
			got = append(got, field.fd.Name())
		}
		slices.Sort(got)
		require.Equal(t, want, got, "%T", message)
	}
}

// TestGrantFields_AreRenamedAsByReflection: in both directions, for each shape.
func TestGrantFields_AreRenamedAsByReflection(t *testing.T) {
	t.Parallel()
	id := func(kind, name string) *v2.ResourceId {
		return v2.ResourceId_builder{ResourceType: kind, Resource: name}.Build()
	}
	group := v2.Resource_builder{Id: id("group", "g"), ParentResourceId: id("org", "o"), DisplayName: "G"}.Build()
	user := v2.Resource_builder{Id: id("user", "u")}.Build()
	member := v2.Entitlement_builder{Id: "group:g:member", Resource: group}.Build()
	const batonID = "bid:e:org/o/group/g:member"
	names := &Names{Instance: "a", Prefix: "a.", Display: "a: ", Owners: owners{}}
	for name, one := range map[string]*v2.Grant{
		"made by the SDK":        v2.Grant_builder{Id: "group:g:member:user:u", Entitlement: member, Principal: user}.Build(),
		"own id":                 v2.Grant_builder{Id: "77", Entitlement: member, Principal: user}.Build(),
		"no id":                  v2.Grant_builder{Entitlement: member, Principal: user}.Build(),
		"a Baton ID":             v2.Grant_builder{Id: batonID + ":user:u", Entitlement: v2.Entitlement_builder{Id: batonID, Resource: group}.Build(), Principal: group}.Build(),
		"nothing":                {},
		"an empty resource":      v2.Grant_builder{Entitlement: v2.Entitlement_builder{Resource: &v2.Resource{}}.Build(), Principal: &v2.Resource{}}.Build(),
		"empty ids":              v2.Grant_builder{Entitlement: v2.Entitlement_builder{Resource: v2.Resource_builder{Id: id("", "")}.Build()}.Build(), Principal: v2.Resource_builder{Id: id("", "x")}.Build()}.Build(),
		"an entitlement alone":   v2.Grant_builder{Id: "1", Entitlement: member}.Build(),
		"a principal alone":      v2.Grant_builder{Id: "1", Principal: user}.Build(),
		"of another entitlement": v2.Grant_builder{Id: "2", Entitlement: v2.Entitlement_builder{Id: "e", Resource: user}.Build(), Principal: group}.Build(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := planFor(one.ProtoReflect().Descriptor())
			there := [2]*v2.Grant{proto.CloneOf(one), proto.CloneOf(one)}
			for _, removing := range []bool{false, true} {
				require.NoError(t, (&rewriter{names: names, removing: removing}).grantFields(there[0], p))
				require.NoError(t, (&rewriter{names: names, removing: removing}).fields(there[1].ProtoReflect(), p))
				require.True(t, proto.Equal(there[1], there[0]), "%v\n%v", there[1], there[0])
			}
			require.True(t, proto.Equal(one, there[0]))
			if one.GetPrincipal().HasId() {
				require.Equal(t, grant.NewGrantID(one.GetPrincipal(), one.GetEntitlement()), madeID(one))
			}
		})
	}
}
