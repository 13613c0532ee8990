package aggregate_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/actions"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/pagination"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
)

// desk is a connector built with the SDK that can do everything: it has one
// resource type, "user", and objects of every kind. Two of them share all ids.
type desk struct {
	*app
	users *deskUsers

	mu      sync.Mutex
	changed []string // what was changed, and of what ids
}

type deskUsers struct {
	*appType
	desk *desk
}

func newDesk() *desk {
	d := &desk{app: users(2)}
	d.users = &deskUsers{appType: d.types[0], desk: d}
	return d
}

func (d *desk) did(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed = append(d.changed, what)
}

// done is what was changed since the last call of done.
func (d *desk) done() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	changed := d.changed
	d.changed = nil
	return changed
}

func (d *desk) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{d.users}
}

func at(id *v2.ResourceId) string { return id.GetResourceType() + "/" + id.GetResource() }

func (u *deskUsers) Grant(_ context.Context, principal *v2.Resource, entitlement *v2.Entitlement) ([]*v2.Grant, annotations.Annotations, error) {
	u.desk.did("grant " + entitlement.GetId() + " to " + at(principal.GetId()))
	return []*v2.Grant{grant.NewGrant(entitlement.GetResource(), "boss", principal.GetId())}, nil, nil
}

func (u *deskUsers) Revoke(_ context.Context, g *v2.Grant) (annotations.Annotations, error) {
	u.desk.did("revoke " + g.GetId())
	return nil, nil
}

func (u *deskUsers) CreateAccount(_ context.Context, info *v2.AccountInfo, _ *v2.LocalCredentialOptions) (connectorbuilder.CreateAccountResponse, []*v2.PlaintextData, annotations.Annotations, error) {
	u.desk.did("account " + info.GetLogin())
	return v2.CreateAccountResponse_SuccessResult_builder{IsCreateAccountResult: true, Resource: user(info.GetLogin())}.Build(), nil, nil, nil
}

func (u *deskUsers) CreateAccountCapabilityDetails(context.Context) (*v2.CredentialDetailsAccountProvisioning, annotations.Annotations, error) {
	option := v2.CapabilityDetailCredentialOption_CAPABILITY_DETAIL_CREDENTIAL_OPTION_NO_PASSWORD
	return v2.CredentialDetailsAccountProvisioning_builder{
		SupportedCredentialOptions: []v2.CapabilityDetailCredentialOption{option}, PreferredCredentialOption: option,
	}.Build(), nil, nil
}

func (u *deskUsers) Create(_ context.Context, r *v2.Resource) (*v2.Resource, annotations.Annotations, error) {
	u.desk.did("create " + at(r.GetId()))
	return r, nil, nil
}

func (u *deskUsers) Delete(_ context.Context, id, _ *v2.ResourceId) (annotations.Annotations, error) {
	u.desk.did("delete " + at(id))
	return nil, nil
}

func (u *deskUsers) Rotate(_ context.Context, id *v2.ResourceId, _ *v2.LocalCredentialOptions) ([]*v2.PlaintextData, annotations.Annotations, error) {
	u.desk.did("rotate " + at(id))
	return nil, nil, nil
}

func (u *deskUsers) RotateCapabilityDetails(context.Context) (*v2.CredentialDetailsCredentialRotation, annotations.Annotations, error) {
	option := v2.CapabilityDetailCredentialOption_CAPABILITY_DETAIL_CREDENTIAL_OPTION_NO_PASSWORD
	return v2.CredentialDetailsCredentialRotation_builder{
		SupportedCredentialOptions: []v2.CapabilityDetailCredentialOption{option}, PreferredCredentialOption: option,
	}.Build(), nil, nil
}

// moved is the schema of an action of a user that takes and returns resources.
func moved(name string) *v2.BatonActionSchema {
	return v2.BatonActionSchema_builder{
		Name: name,
		Arguments: []*configv1.Field{
			configv1.Field_builder{Name: "who", ResourceIdField: &configv1.ResourceIdField{}}.Build(),
			configv1.Field_builder{Name: "under", ResourceField: &configv1.ResourceField{}}.Build(),
			configv1.Field_builder{Name: "peers", ResourceIdSliceField: &configv1.ResourceIdSliceField{}}.Build(),
			configv1.Field_builder{Name: "note", StringField: &configv1.StringField{}}.Build(),
		},
		ReturnTypes: []*configv1.Field{
			configv1.Field_builder{Name: "boss", ResourceField: &configv1.ResourceField{}}.Build(),
			configv1.Field_builder{Name: "who", ResourceIdField: &configv1.ResourceIdField{}}.Build(),
			configv1.Field_builder{Name: "grants", GrantSliceField: &configv1.GrantSliceField{}}.Build(),
			configv1.Field_builder{Name: "access", EntitlementSliceField: &configv1.EntitlementSliceField{}}.Build(),
		},
	}.Build()
}

// move runs such an action.
func (d *desk) move(_ context.Context, args *structpb.Struct) (*structpb.Struct, annotations.Annotations, error) {
	who, err := actions.RequireResourceIDArg(args, "who")
	if err != nil {
		return nil, nil, err
	}
	note, _ := actions.GetStringArg(args, "note")
	did := "move " + at(who) + " " + note
	if under, ok := actions.GetResourceFieldArg(args, "under"); ok {
		did += " under " + at(under.GetId())
	}
	if peers, ok := actions.GetResourceIdListArg(args, "peers"); ok {
		for _, peer := range peers {
			did += " beside " + at(peer)
		}
	}
	d.did(did)

	of := user("boss")
	member := v2.Entitlement_builder{Id: "user:boss:report", Resource: of}.Build()
	boss, err := actions.NewResourceReturnField("boss", of)
	if err != nil {
		return nil, nil, err
	}
	id, err := actions.NewResourceIdReturnField("who", who)
	if err != nil {
		return nil, nil, err
	}
	grants, err := actions.NewGrantListReturnField("grants", []*v2.Grant{grant.NewGrant(of, "report", who)})
	if err != nil {
		return nil, nil, err
	}
	access, err := actions.NewEntitlementListReturnField("access", []*v2.Entitlement{member})
	if err != nil {
		return nil, nil, err
	}
	return actions.NewReturnValues(true, boss, id, grants, access), nil, nil
}

func (d *desk) GlobalActions(ctx context.Context, registry actions.ActionRegistry) error {
	return registry.Register(ctx, moved("move"), d.move)
}

// swapper has two actions of one name, of which one takes a word and the other
// a user.
type swapper struct{ *desk }

func swap(who *configv1.Field) *v2.BatonActionSchema {
	return v2.BatonActionSchema_builder{Name: "swap", Arguments: []*configv1.Field{who}}.Build()
}

func (s swapper) GlobalActions(ctx context.Context, registry actions.ActionRegistry) error {
	return registry.Register(ctx, swap(configv1.Field_builder{Name: "who", StringField: &configv1.StringField{}}.Build()), s.swap)
}

func (s swapper) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{swapperUsers{s.users}}
}

type swapperUsers struct{ *deskUsers }

func (u swapperUsers) ResourceActions(ctx context.Context, registry actions.ActionRegistry) error {
	return registry.Register(ctx, swap(configv1.Field_builder{Name: "who", ResourceIdField: &configv1.ResourceIdField{}}.Build()), swapper{u.desk}.swap)
}

func (s swapper) swap(_ context.Context, args *structpb.Struct) (*structpb.Struct, annotations.Annotations, error) {
	word, _ := actions.GetStringArg(args, "who")
	who, _ := actions.GetResourceIDArg(args, "who")
	s.did("swap " + word + at(who))
	return actions.NewReturnValues(true), nil, nil
}

func TestActions_OfOneNameHaveTheirOwnArguments(t *testing.T) {
	t.Parallel()
	d := newDesk()
	connector, err := connectorbuilder.NewConnector(t.Context(), swapper{d})
	require.NoError(t, err)
	client := of(t, map[string]grpc.ClientConnInterface{"b": listen(t, func(s *grpc.Server) { register(s, connector) })})
	for want, request := range map[string]*v2.InvokeActionRequest{
		"swap b.user/": v2.InvokeActionRequest_builder{Name: "b.swap", Args: &structpb.Struct{Fields: map[string]*structpb.Value{"who": structpb.NewStringValue("b.user")}}}.Build(),
		"swap user/u1": v2.InvokeActionRequest_builder{Name: "b.swap", ResourceTypeId: "b.user", Args: &structpb.Struct{Fields: map[string]*structpb.Value{"who": resourceIDArg("b.user", "u1")}}}.Build(),
	} {
		run, err := client.InvokeAction(t.Context(), request)
		require.NoError(t, err)
		require.Equal(t, []string{want}, d.done())
		_, err = client.GetActionStatus(t.Context(), v2.GetActionStatusRequest_builder{Id: run.GetId()}.Build())
		require.NoError(t, err)
	}
}

func (u *deskUsers) ResourceActions(ctx context.Context, registry actions.ActionRegistry) error {
	return registry.Register(ctx, moved("move.user"), u.desk.move)
}

type deskFeed struct{}

func (d *desk) EventFeeds(context.Context) []connectorbuilder.EventFeed {
	return []connectorbuilder.EventFeed{deskFeed{}}
}

func (deskFeed) EventFeedMetadata(context.Context) *v2.EventFeedMetadata {
	return v2.EventFeedMetadata_builder{Id: "logins", SupportedEventTypes: []v2.EventType{v2.EventType_EVENT_TYPE_USAGE}}.Build()
}

func (deskFeed) ListEvents(_ context.Context, _ *timestamppb.Timestamp, token *pagination.StreamToken) ([]*v2.Event, *pagination.StreamState, annotations.Annotations, error) {
	event := v2.Event_builder{
		Id:          "e1",
		UsageEvent:  v2.UsageEvent_builder{TargetResource: user("u1"), ActorResource: user("u2")}.Build(),
		Annotations: annotations.New(v2.ResourceDeleted_builder{ResourceId: user("u1").GetId()}.Build()),
	}.Build()
	return []*v2.Event{event}, &pagination.StreamState{Cursor: token.Cursor + "+", HasMore: true}, nil, nil
}

func ticketSchema(id string) *v2.TicketSchema {
	return v2.TicketSchema_builder{Id: id, DisplayName: "Schema " + id, Types: []*v2.TicketType{v2.TicketType_builder{Id: "task"}.Build()}}.Build()
}

func (d *desk) ListTicketSchemas(_ context.Context, token *pagination.Token) ([]*v2.TicketSchema, string, annotations.Annotations, error) {
	if token.Token == "" {
		return []*v2.TicketSchema{ticketSchema("s1")}, "more", nil, nil
	}
	return []*v2.TicketSchema{ticketSchema("s2")}, "", nil, nil
}

func (d *desk) GetTicketSchema(_ context.Context, id string) (*v2.TicketSchema, annotations.Annotations, error) {
	return ticketSchema(id), nil, nil
}

func (d *desk) GetTicket(_ context.Context, id string) (*v2.Ticket, annotations.Annotations, error) {
	return v2.Ticket_builder{Id: id, Reporter: user("u1"), Type: v2.TicketType_builder{Id: "task"}.Build()}.Build(), nil, nil
}

func (d *desk) CreateTicket(_ context.Context, ticket *v2.Ticket, schema *v2.TicketSchema) (*v2.Ticket, annotations.Annotations, error) {
	d.did("ticket " + ticket.GetDisplayName() + " of " + schema.GetId() + " for " + at(ticket.GetRequestedFor().GetId()))
	return v2.Ticket_builder{Id: ticket.GetDisplayName(), RequestedFor: ticket.GetRequestedFor()}.Build(), nil, nil
}

func (d *desk) BulkCreateTickets(ctx context.Context, request *v2.TicketsServiceBulkCreateTicketsRequest) (*v2.TicketsServiceBulkCreateTicketsResponse, error) {
	var tickets []*v2.TicketsServiceCreateTicketResponse
	for _, one := range request.GetTicketRequests() {
		if one.GetRequest().GetDisplayName() == "lost" {
			return nil, status.Error(codes.ResourceExhausted, "too many tickets")
		}
		ticket, _, err := d.CreateTicket(ctx, v2.Ticket_builder{
			DisplayName: one.GetRequest().GetDisplayName(), RequestedFor: one.GetRequest().GetRequestedFor(),
		}.Build(), one.GetSchema())
		if err != nil {
			return nil, err
		}
		tickets = append(tickets, v2.TicketsServiceCreateTicketResponse_builder{Ticket: ticket}.Build())
	}
	return v2.TicketsServiceBulkCreateTicketsResponse_builder{Tickets: tickets}.Build(), nil
}

func (d *desk) BulkGetTickets(ctx context.Context, request *v2.TicketsServiceBulkGetTicketsRequest) (*v2.TicketsServiceBulkGetTicketsResponse, error) {
	var tickets []*v2.TicketsServiceGetTicketResponse
	for _, one := range request.GetTicketRequests() {
		ticket, _, err := d.GetTicket(ctx, one.GetId())
		if err != nil {
			return nil, err
		}
		tickets = append(tickets, v2.TicketsServiceGetTicketResponse_builder{Ticket: ticket}.Build())
	}
	return v2.TicketsServiceBulkGetTicketsResponse_builder{Tickets: tickets}.Build(), nil
}

func serveDesk(t testing.TB, d *desk, interfere ...interference) grpc.ClientConnInterface {
	t.Helper()
	connector, err := connectorbuilder.NewConnector(t.Context(), d)
	require.NoError(t, err)
	return listen(t, func(s *grpc.Server) { register(s, connector) }, interfere...)
}

// closed puts plugins behind one client, none of which may provision.
func closed(t testing.TB, plugins ...aggregate.Plugin) types.ConnectorClient {
	t.Helper()
	a, err := aggregate.New(plugins)
	require.NoError(t, err)
	return a.Client(t.Context())
}

func twoDesks(t testing.TB) (client types.ConnectorClient, a, b *desk) {
	t.Helper()
	a, b = newDesk(), newDesk()
	return of(t, map[string]grpc.ClientConnInterface{"a": serveDesk(t, a), "b": serveDesk(t, b), "plain": serve(t, users(1))}), a, b
}

func userOf(namespace, id string) *v2.Resource {
	r := user(id)
	r.GetId().SetResourceType(namespace + ".user")
	return r
}

// resourceIDArg is a resource id as C1 writes it into an action's arguments.
func resourceIDArg(typeID, id string) *structpb.Value {
	return structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
		"resource_type_id": structpb.NewStringValue(typeID), "resource_id": structpb.NewStringValue(id),
	}})
}

// changingCalls are all calls that change something, for user u1 of plugin b
// with a principal (or what is like one) of another or the same.
func changingCalls(client types.ConnectorClient, other string) map[string]func(context.Context) error {
	const own = "b"
	subject := userOf(own, "u1")
	entitlement := v2.Entitlement_builder{Id: own + ".user:u1:boss", Resource: subject}.Build()
	ticket := v2.TicketsServiceCreateTicketRequest_builder{
		Schema:  ticketSchema(own + ".s1"),
		Request: v2.TicketRequest_builder{DisplayName: "t1", RequestedFor: userOf(other, "u2")}.Build(),
	}.Build()
	return map[string]func(context.Context) error{
		"Grant": func(ctx context.Context) error {
			_, err := client.Grant(ctx, v2.GrantManagerServiceGrantRequest_builder{Entitlement: entitlement, Principal: userOf(other, "u2")}.Build())
			return err
		},
		"Revoke": func(ctx context.Context) error {
			g := v2.Grant_builder{Id: own + ".user:u1:boss:" + other + ".user:u2", Entitlement: entitlement, Principal: userOf(other, "u2")}.Build()
			_, err := client.Revoke(ctx, v2.GrantManagerServiceRevokeRequest_builder{Grant: g}.Build())
			return err
		},
		"CreateResource": func(ctx context.Context) error {
			made := userOf(own, "u9")
			made.SetParentResourceId(userOf(other, "u2").GetId())
			_, err := client.CreateResource(ctx, v2.CreateResourceRequest_builder{Resource: made}.Build())
			return err
		},
		"DeleteResource": func(ctx context.Context) error {
			_, err := client.DeleteResource(ctx, v2.DeleteResourceRequest_builder{ResourceId: subject.GetId(), ParentResourceId: userOf(other, "u2").GetId()}.Build())
			return err
		},
		"DeleteResourceV2": func(ctx context.Context) error {
			_, err := client.DeleteResourceV2(ctx, v2.DeleteResourceV2Request_builder{ResourceId: subject.GetId(), ParentResourceId: userOf(other, "u2").GetId()}.Build())
			return err
		},
		"InvokeAction": func(ctx context.Context) error {
			_, err := client.InvokeAction(ctx, v2.InvokeActionRequest_builder{Name: own + ".move", Args: &structpb.Struct{Fields: map[string]*structpb.Value{
				"who": resourceIDArg(other+".user", "u2"),
			}}}.Build())
			return err
		},
		"CreateTicket": func(ctx context.Context) error {
			_, err := client.CreateTicket(ctx, ticket)
			return err
		},
		"BulkCreateTickets": func(ctx context.Context) error {
			_, err := client.BulkCreateTickets(ctx, v2.TicketsServiceBulkCreateTicketsRequest_builder{TicketRequests: []*v2.TicketsServiceCreateTicketRequest{ticket}}.Build())
			return err
		},
	}
}

// loneCalls are the changing calls that name no more than one resource.
func loneCalls(client types.ConnectorClient) map[string]func(context.Context) error {
	const own = "b"
	return map[string]func(context.Context) error{
		"RotateCredential": func(ctx context.Context) error {
			_, err := client.RotateCredential(ctx, v2.RotateCredentialRequest_builder{
				ResourceId: userOf(own, "u1").GetId(), CredentialOptions: v2.CredentialOptions_builder{NoPassword: &v2.CredentialOptions_NoPassword{}}.Build(),
			}.Build())
			return err
		},
		"CreateAccount": func(ctx context.Context) error {
			_, err := client.CreateAccount(ctx, v2.CreateAccountRequest_builder{
				ResourceTypeId: own + ".user", AccountInfo: v2.AccountInfo_builder{Login: "new"}.Build(),
				CredentialOptions: v2.CredentialOptions_builder{NoPassword: &v2.CredentialOptions_NoPassword{}}.Build(),
			}.Build())
			return err
		},
	}
}

func TestChanges_ReachTheirPluginInItsOwnIDs(t *testing.T) {
	t.Parallel()
	client, a, b := twoDesks(t)
	ctx := t.Context()
	calls := changingCalls(client, "b")
	maps.Copy(calls, loneCalls(client))
	for name, want := range map[string]string{
		"Grant":             "grant user:u1:boss to user/u2",
		"Revoke":            "revoke user:u1:boss:user:u2",
		"CreateResource":    "create user/u9",
		"DeleteResource":    "delete user/u1",
		"DeleteResourceV2":  "delete user/u1",
		"InvokeAction":      "move user/u2 ",
		"CreateTicket":      "ticket t1 of s1 for user/u2",
		"BulkCreateTickets": "ticket t1 of s1 for user/u2",
		"RotateCredential":  "rotate user/u1",
		"CreateAccount":     "account new",
	} {
		require.NoError(t, calls[name](ctx), name)
		require.Equal(t, []string{want}, b.done(), name)
	}
	require.Empty(t, a.done())
}

func TestChanges_RefuseWhatIsOfAnotherPlugin(t *testing.T) {
	t.Parallel()
	client, a, b := twoDesks(t)
	for name, call := range changingCalls(client, "a") {
		err := call(t.Context())
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
		require.ErrorContains(t, err, `plugin "b"`, name)
		require.ErrorContains(t, err, `the resource type "a.user" belongs to plugin "a"`, name)
	}
	_, err := client.IssueCredential(t.Context(), v2.IssueCredentialRequest_builder{RequestId: "r1", IdentityId: userOf("none", "u1").GetId()}.Build())
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Empty(t, a.done())
	require.Empty(t, b.done())
}

func TestProvisioning_WithoutItNothingIsChanged(t *testing.T) {
	t.Parallel()
	d := newDesk()
	asked := make(chan string, 100)
	client := closed(t, aggregate.Plugin{Instance: "the desk", Namespace: "b", Conn: serveDesk(t, d, func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		asked <- method
		return handler(ctx, request)
	})})
	calls := changingCalls(client, "b")
	maps.Copy(calls, loneCalls(client))
	calls["IssueCredential"] = func(ctx context.Context) error {
		_, err := client.IssueCredential(ctx, v2.IssueCredentialRequest_builder{RequestId: "r1", IdentityId: userOf("b", "u1").GetId()}.Build())
		return err
	}
	calls["CreateAccount of no type"] = func(ctx context.Context) error {
		_, err := client.CreateAccount(ctx, &v2.CreateAccountRequest{})
		return err
	}
	for name, call := range calls {
		err := call(t.Context())
		require.Equal(t, codes.FailedPrecondition, status.Code(err), name)
		require.ErrorContains(t, err, `plugin "the desk"`, name)
		require.ErrorContains(t, err, "set `provisioning: true` in its entry of the configuration", name)
	}
	require.Empty(t, asked, "the plugin was not called")

	answer, err := client.GetMetadata(t.Context(), &v2.ConnectorServiceGetMetadataRequest{})
	require.NoError(t, err)
	offered := answer.GetMetadata().GetCapabilities()
	require.Equal(t, []v2.Capability{v2.Capability_CAPABILITY_SYNC, v2.Capability_CAPABILITY_EVENT_FEED_V2}, offered.GetConnectorCapabilities())
	require.Equal(t, []v2.Capability{v2.Capability_CAPABILITY_SYNC}, offered.GetResourceTypeCapabilities()[0].GetCapabilities())
	require.Nil(t, offered.GetCredentialDetails())

	// Reading goes on.
	schemas, err := client.ListActionSchemas(t.Context(), &v2.ListActionSchemasRequest{})
	require.NoError(t, err)
	require.Len(t, schemas.GetSchemas(), 2)
	_, err = client.GetTicket(t.Context(), v2.TicketsServiceGetTicketRequest_builder{Id: "b.t1"}.Build())
	require.NoError(t, err)
	_, err = client.ListEvents(t.Context(), v2.ListEventsRequest_builder{EventFeedId: "b.logins"}.Build())
	require.NoError(t, err)
	require.Empty(t, d.done())
}

func TestProvisioning_OffersWhatAPluginCan(t *testing.T) {
	t.Parallel()
	client, _, _ := twoDesks(t)
	answer, err := client.GetMetadata(t.Context(), &v2.ConnectorServiceGetMetadataRequest{})
	require.NoError(t, err)
	for _, c := range []v2.Capability{
		v2.Capability_CAPABILITY_PROVISION, v2.Capability_CAPABILITY_ACCOUNT_PROVISIONING, v2.Capability_CAPABILITY_CREDENTIAL_ROTATION,
		v2.Capability_CAPABILITY_TICKETING, v2.Capability_CAPABILITY_ACTIONS, v2.Capability_CAPABILITY_EVENT_FEED_V2,
	} {
		require.Contains(t, answer.GetMetadata().GetCapabilities().GetConnectorCapabilities(), c)
	}
}

func TestActions_AreNeverRepeated(t *testing.T) {
	t.Parallel()
	calls := make(chan string, 10)
	client := of(t, map[string]grpc.ClientConnInterface{"b": serveDesk(t, newDesk(), func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		if method == v2.ActionService_InvokeAction_FullMethodName {
			calls <- method
			return nil, status.Error(codes.Unavailable, "the line is dead")
		}
		return handler(ctx, request)
	})})
	err := changingCalls(client, "b")["InvokeAction"](t.Context())
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Len(t, calls, 1)
}

func TestPlugin_ThatDoesNotAnswerDelaysNoCallForLong(t *testing.T) {
	t.Parallel()
	hangs := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		if method == v2.ConnectorService_GetMetadata_FullMethodName {
			<-ctx.Done()
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		return handler(ctx, request)
	}
	request := v2.CreateAccountRequest_builder{
		AccountInfo:       v2.AccountInfo_builder{Login: "new"}.Build(),
		CredentialOptions: v2.CredentialOptions_builder{NoPassword: &v2.CredentialOptions_NoPassword{}}.Build(),
	}.Build()
	short := aggregate.WithRetry(policy.Retries{CallTimeout: 2 * time.Second})
	d := newDesk()
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1), hangs), "b": serveDesk(t, d)}, short)
	_, err := client.CreateAccount(t.Context(), request)
	require.ErrorContains(t, err, `plugin "a": reading metadata: it did not answer within 2s`)
	require.Empty(t, d.done(), "it could have been for the other")

	client = of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1), hangs), "c": serve(t, users(1))}, short)
	_, err = client.CreateAccount(t.Context(), request)
	require.Equal(t, codes.Aborted, status.Code(err))
	require.ErrorContains(t, err, `plugin "a": reading metadata: it did not answer within 2s`)
}

func TestIssuedCredential_IsOfThePluginOfItsIdentity(t *testing.T) {
	t.Parallel()
	asked := make(chan *v2.IssueCredentialRequest, 2)
	issuer := func(ctx context.Context, _ string, request any, handler grpc.UnaryHandler) (any, error) {
		issue, ok := request.(*v2.IssueCredentialRequest)
		if !ok {
			return handler(ctx, request)
		}
		asked <- issue
		return v2.IssueCredentialResponse_builder{
			RequestId: issue.GetRequestId(),
			Secret: v2.Resource_builder{
				Id:          v2.ResourceId_builder{ResourceType: "key", Resource: "k1"}.Build(),
				Annotations: annotations.New(v2.SecretTrait_builder{IdentityId: issue.GetIdentityId()}.Build()),
			}.Build(),
		}.Build(), nil
	}
	client := of(t, map[string]grpc.ClientConnInterface{"a": serveDesk(t, newDesk()), "b": serveDesk(t, newDesk(), issuer)})
	recipients := []*v2.EncryptionConfig{v2.EncryptionConfig_builder{Principal: userOf("a", "c1")}.Build()}
	issued, err := client.IssueCredential(t.Context(), v2.IssueCredentialRequest_builder{
		RequestId: "r1", IdentityId: userOf("b", "u1").GetId(), EncryptionConfigs: recipients,
	}.Build())
	require.NoError(t, err)
	seen := <-asked
	require.Equal(t, "user/u1", at(seen.GetIdentityId()))
	require.Equal(t, "a.user/c1", at(seen.GetEncryptionConfigs()[0].GetPrincipal().GetId()), "a principal of C1 is none of a plugin")
	require.Equal(t, "r1", issued.GetRequestId())
	require.Equal(t, "b.key/k1", at(issued.GetSecret().GetId()))
	trait := &v2.SecretTrait{}
	annos := annotations.Annotations(issued.GetSecret().GetAnnotations())
	_, err = annos.Pick(trait)
	require.NoError(t, err)
	require.Equal(t, "b.user/u1", at(trait.GetIdentityId()))
	require.Empty(t, asked)
}

func TestMetadata_OffersTicketSettingsAndOldFeedsAsTheyCanBeServed(t *testing.T) {
	t.Parallel()
	says := func(enabled bool) interference {
		return func(ctx context.Context, _ string, request any, handler grpc.UnaryHandler) (any, error) {
			reply, err := handler(ctx, request)
			if answer, ok := reply.(*v2.ConnectorServiceGetMetadataResponse); ok {
				offered := answer.GetMetadata().GetCapabilities()
				offered.SetConnectorCapabilities(append(offered.GetConnectorCapabilities(), v2.Capability_CAPABILITY_EVENT_FEED))
				answer.GetMetadata().SetAnnotations(annotations.New(v2.ExternalTicketSettings_builder{Enabled: enabled}.Build()))
			}
			return reply, err
		}
	}
	offered := func(plugins ...aggregate.Plugin) *v2.ConnectorMetadata {
		answer, err := closed(t, plugins...).GetMetadata(t.Context(), &v2.ConnectorServiceGetMetadataRequest{})
		require.NoError(t, err)
		return answer.GetMetadata()
	}
	a := aggregate.Plugin{Instance: "a", Namespace: "a", Conn: serveDesk(t, newDesk(), says(false)), Provisioning: true}
	b := aggregate.Plugin{Instance: "b", Namespace: "b", Conn: serveDesk(t, newDesk(), says(true)), Provisioning: true}
	shut := b
	shut.Provisioning = false

	both := offered(a, b)
	require.NotContains(t, both.GetCapabilities().GetConnectorCapabilities(), v2.Capability_CAPABILITY_EVENT_FEED, "it could be of either")
	require.Len(t, both.GetAnnotations(), 1)
	settings := &v2.ExternalTicketSettings{}
	require.NoError(t, both.GetAnnotations()[0].UnmarshalTo(settings))
	require.True(t, settings.GetEnabled())

	require.Contains(t, offered(a).GetCapabilities().GetConnectorCapabilities(), v2.Capability_CAPABILITY_EVENT_FEED)
	require.Len(t, offered(a).GetAnnotations(), 1)
	require.Empty(t, offered(shut).GetAnnotations(), "its tickets would be refused")
	one := offered(a, shut)
	require.NoError(t, one.GetAnnotations()[0].UnmarshalTo(settings))
	require.False(t, settings.GetEnabled())
	for _, of := range one.GetCapabilities().GetResourceTypeCapabilities() {
		provisions := of.GetResourceType().GetId() == "a.user"
		require.Equal(t, provisions, slices.Contains(of.GetCapabilities(), v2.Capability_CAPABILITY_PROVISION), of.GetResourceType().GetId())
	}
	require.NotNil(t, one.GetCapabilities().GetCredentialDetails().GetCapabilityAccountProvisioning(), "only one may create accounts")
}

func TestTickets_OfAPluginThatMayNotProvisionFailAlone(t *testing.T) {
	t.Parallel()
	a, b := newDesk(), newDesk()
	client := closed(t,
		aggregate.Plugin{Instance: "a", Namespace: "a", Conn: serveDesk(t, a)},
		aggregate.Plugin{Instance: "b", Namespace: "b", Conn: serveDesk(t, b), Provisioning: true})
	request := func(whose string) *v2.TicketsServiceCreateTicketRequest {
		return v2.TicketsServiceCreateTicketRequest_builder{
			Schema: ticketSchema(whose + ".s1"), Request: v2.TicketRequest_builder{DisplayName: "t1", RequestedFor: userOf(whose, "u1")}.Build(),
		}.Build()
	}
	made, err := client.BulkCreateTickets(t.Context(), v2.TicketsServiceBulkCreateTicketsRequest_builder{
		TicketRequests: []*v2.TicketsServiceCreateTicketRequest{request("a"), request("b")},
	}.Build())
	require.NoError(t, err)
	require.Contains(t, made.GetTickets()[0].GetError(), "set `provisioning: true`")
	require.Equal(t, "b.t1", made.GetTickets()[1].GetTicket().GetId())
	require.Empty(t, a.done())
	require.Len(t, b.done(), 1)
}

// fixedMemory is a memory that learns nothing new.
type fixedMemory map[string]*v2.ConnectorMetadata

func (fixedMemory) Remember(string, *v2.ConnectorMetadata) {}

func (r fixedMemory) Recall(instance string) *v2.ConnectorMetadata { return r[instance] }

func TestMetadata_OfAPluginThatCannotBeAskedIsTheLast(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	down := failing(v2.ConnectorService_GetMetadata_FullMethodName, code(codes.PermissionDenied, "no"))
	offered := func(memory fixedMemory) *v2.ConnectorMetadata {
		a, err := aggregate.New([]aggregate.Plugin{
			{Instance: "a", Namespace: "a", Conn: serve(t, users(1))},
			{Instance: "b", Namespace: "b", Conn: serve(t, users(1), down)},
			{Instance: "c", Namespace: "c", Err: errors.New("it did not start")},
		}, aggregate.WithMetadataMemory(memory))
		require.NoError(t, err)
		answer, err := a.Client(ctx).GetMetadata(ctx, &v2.ConnectorServiceGetMetadataRequest{})
		require.NoError(t, err)
		return answer.GetMetadata()
	}
	require.Equal(t, "App, b, c", offered(nil).GetDisplayName())
	said := v2.ConnectorMetadata_builder{DisplayName: "B", Capabilities: v2.ConnectorCapabilities_builder{
		ResourceTypeCapabilities: []*v2.ResourceTypeCapability{v2.ResourceTypeCapability_builder{
			ResourceType: v2.ResourceType_builder{Id: "thing"}.Build(), Capabilities: []v2.Capability{v2.Capability_CAPABILITY_SYNC},
		}.Build()},
	}.Build()}.Build()
	for range 2 {
		offers := offered(fixedMemory{"b": said})
		require.Equal(t, "App, B, c", offers.GetDisplayName())
		var types []string
		for _, of := range offers.GetCapabilities().GetResourceTypeCapabilities() {
			types = append(types, of.GetResourceType().GetId())
		}
		require.Equal(t, []string{"a.user", "b.thing"}, types)
	}
}

func TestCreateAccount_OfNoTypeGoesToTheOnlyPluginThatCreatesAccounts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	request := v2.CreateAccountRequest_builder{
		AccountInfo:       v2.AccountInfo_builder{Login: "new"}.Build(),
		CredentialOptions: v2.CredentialOptions_builder{NoPassword: &v2.CredentialOptions_NoPassword{}}.Build(),
		// C1's own: it must not be taken for where the account goes.
		EncryptionConfigs: []*v2.EncryptionConfig{v2.EncryptionConfig_builder{Principal: user("c1")}.Build()},
	}.Build()

	d := newDesk()
	down := failing(v2.ConnectorService_GetMetadata_FullMethodName, code(codes.PermissionDenied, "no"))
	unclear := map[string]grpc.ClientConnInterface{"a": serve(t, users(1)), "b": serveDesk(t, d), "c": serve(t, users(1), down)}
	_, err := of(t, unclear).CreateAccount(ctx, request)
	require.ErrorContains(t, err, `plugin "c": reading metadata: no`)
	require.Empty(t, d.done(), "it could have been for the plugin that does not answer")
	one := of(t, unclear, aggregate.WithMetadataMemory(fixedMemory{"c": &v2.ConnectorMetadata{}}))
	made, err := one.CreateAccount(ctx, request)
	require.NoError(t, err)
	require.Equal(t, "b.user", made.GetSuccess().GetResource().GetId().GetResourceType())
	require.Equal(t, []string{"account new"}, d.done())

	none := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1)), "b": serve(t, users(1))})
	_, err = none.CreateAccount(ctx, request)
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.ErrorContains(t, err, `none of the plugins "a", "b" does`)

	several, a, b := twoDesks(t)
	_, err = several.CreateAccount(ctx, request)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, `the plugins "a", "b" all could`)
	require.Empty(t, a.done())
	require.Empty(t, b.done())

	shut := closed(t,
		aggregate.Plugin{Instance: "a", Namespace: "a", Conn: serveDesk(t, a)},
		aggregate.Plugin{Instance: "b", Namespace: "b", Conn: serveDesk(t, b)})
	_, err = shut.CreateAccount(ctx, request)
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.ErrorContains(t, err, "`provisioning: true`")

	// One that may not provision is no candidate.
	half, err := aggregate.New([]aggregate.Plugin{
		{Instance: "a", Namespace: "a", Conn: serveDesk(t, a)},
		{Instance: "b", Namespace: "b", Conn: serveDesk(t, b), Provisioning: true},
	})
	require.NoError(t, err)
	_, err = half.Client(ctx).CreateAccount(ctx, request)
	require.NoError(t, err)
	require.Equal(t, []string{"account new"}, b.done())
	require.Empty(t, a.done())
}

func TestActions_AreDistinguished(t *testing.T) {
	t.Parallel()
	client, a, b := twoDesks(t)
	ctx := t.Context()
	all, err := client.ListActionSchemas(ctx, &v2.ListActionSchemasRequest{})
	require.NoError(t, err)
	var names []string
	for _, schema := range all.GetSchemas() {
		names = append(names, schema.GetName()+" "+schema.GetResourceTypeId())
	}
	slices.Sort(names)
	require.Equal(t, []string{"a.move ", "a.move.user a.user", "b.move ", "b.move.user b.user"}, names)

	typed, err := client.ListActionSchemas(ctx, v2.ListActionSchemasRequest_builder{ResourceTypeId: "b.user"}.Build())
	require.NoError(t, err)
	require.Len(t, typed.GetSchemas(), 1)
	require.Equal(t, "b.move.user", typed.GetSchemas()[0].GetName())

	one, err := client.GetActionSchema(ctx, v2.GetActionSchemaRequest_builder{Name: "b.move"}.Build())
	require.NoError(t, err)
	require.Equal(t, "b.move", one.GetSchema().GetName())

	args := func() *structpb.Struct {
		args := &structpb.Struct{Fields: map[string]*structpb.Value{
			"who":   resourceIDArg("b.user", "u1"),
			"peers": structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{resourceIDArg("b.user", "u3")}}),
			"note":  structpb.NewStringValue("a.user"),
		}}
		require.NoError(t, actions.SetResourceFieldArg(args, "under", userOf("b", "u2")))
		return args
	}
	for _, request := range []*v2.InvokeActionRequest{
		v2.InvokeActionRequest_builder{Name: "b.move", Args: args()}.Build(),
		v2.InvokeActionRequest_builder{Name: "b.move.user", ResourceTypeId: "b.user", Args: args()}.Build(),
	} {
		before := proto.CloneOf(request)
		run, err := client.InvokeAction(ctx, request)
		require.NoError(t, err)
		require.True(t, proto.Equal(before, request), "the caller's request stays as it was")
		require.Equal(t, []string{"move user/u1 a.user under user/u2 beside user/u3"}, b.done(), "a string is a string")
		require.Equal(t, request.GetName(), run.GetName())
		require.Regexp(t, `^b\..`, run.GetId())

		status, err := client.GetActionStatus(ctx, v2.GetActionStatusRequest_builder{Id: run.GetId(), Name: request.GetName()}.Build()) //nolint:staticcheck // C1 may send it
		require.NoError(t, err)
		require.Equal(t, run.GetId(), status.GetId())
		require.Equal(t, request.GetName(), status.GetName())
		for _, response := range []*structpb.Struct{run.GetResponse(), status.GetResponse()} {
			boss, ok := actions.GetResourceFieldArg(response, "boss")
			require.True(t, ok)
			require.Equal(t, "b.user/boss", at(boss.GetId()))
			require.Equal(t, "b.user", response.GetFields()["who"].GetStructValue().GetFields()["resourceTypeId"].GetStringValue())
			grants, ok := actions.GetGrantListFieldArg(response, "grants")
			require.True(t, ok)
			require.Equal(t, "b.user:boss:report:b.user:u1", grants[0].GetId())
			require.Equal(t, "b.user:boss:report", grants[0].GetEntitlement().GetId())
			require.Equal(t, "b.user/u1", at(grants[0].GetPrincipal().GetId()))
			access, ok := actions.GetEntitlementListFieldArg(response, "access")
			require.True(t, ok)
			require.Equal(t, "b.user:boss:report", access[0].GetId())
			require.Equal(t, "b.user/boss", at(access[0].GetResource().GetId()))
		}
	}

	for name, refused := range map[string]struct {
		request *v2.InvokeActionRequest
		words   string
	}{
		"an action of no plugin":                {v2.InvokeActionRequest_builder{Name: "move"}.Build(), `the action "move" is of no plugin`},
		"an action and a type of two plugins":   {v2.InvokeActionRequest_builder{Name: "a.move", ResourceTypeId: "b.user"}.Build(), `the action "a.move" belongs to plugin "a"`},
		"a resource of another in a list":       {v2.InvokeActionRequest_builder{Name: "b.move", Args: &structpb.Struct{Fields: map[string]*structpb.Value{"peers": structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{resourceIDArg("a.user", "u1")}})}}}.Build(), `the argument "peers": the resource type "a.user" belongs to plugin "a"`},
		"a resource that is not as it is to be": {v2.InvokeActionRequest_builder{Name: "b.move", Args: &structpb.Struct{Fields: map[string]*structpb.Value{"who": structpb.NewStringValue("a.user:u1")}}}.Build(), `the argument "who": it is not of the form of a c1.config.v1.ResourceId`},
	} {
		_, err := client.InvokeAction(ctx, refused.request)
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
		require.ErrorContains(t, err, refused.words, name)
	}
	_, err = client.GetActionStatus(ctx, v2.GetActionStatusRequest_builder{Id: "a.1", Name: "b.move"}.Build()) //nolint:staticcheck // C1 may send it
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = client.InvokeAction(ctx, v2.InvokeActionRequest_builder{Name: "b.nothing"}.Build())
	require.Equal(t, codes.NotFound, status.Code(err))
	require.Empty(t, a.done())
	require.Empty(t, b.done())
}

func TestEventFeeds_AreDistinguished(t *testing.T) {
	t.Parallel()
	client, _, _ := twoDesks(t)
	ctx := t.Context()
	feeds, err := client.ListEventFeeds(ctx, &v2.ListEventFeedsRequest{})
	require.NoError(t, err)
	var ids []string
	for _, feed := range feeds.GetList() {
		ids = append(ids, feed.GetId())
	}
	require.Equal(t, []string{"a.logins", "b.logins"}, ids)

	page, err := client.ListEvents(ctx, v2.ListEventsRequest_builder{EventFeedId: "b.logins", Cursor: "a.7"}.Build())
	require.NoError(t, err)
	require.Equal(t, "a.7+", page.GetCursor(), "cursors are the plugin's own")
	event := page.GetEvents()[0]
	require.Equal(t, "b.e1", event.GetId())
	require.Equal(t, "b.user/u1", at(event.GetUsageEvent().GetTargetResource().GetId()))
	require.Equal(t, "b.user/u2", at(event.GetUsageEvent().GetActorResource().GetId()))
	deleted := &v2.ResourceDeleted{}
	annos := annotations.Annotations(event.GetAnnotations())
	_, err = annos.Pick(deleted)
	require.NoError(t, err)
	require.Equal(t, "b.user/u1", at(deleted.GetResourceId()))

	_, err = client.ListEvents(ctx, v2.ListEventsRequest_builder{EventFeedId: "logins"}.Build())
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = client.ListEvents(ctx, &v2.ListEventsRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err), "none has the old feed")
}

// oldDesk has the one feed of before there were several.
type oldDesk struct{ *app }

func (oldDesk) ListEvents(ctx context.Context, start *timestamppb.Timestamp, token *pagination.StreamToken) ([]*v2.Event, *pagination.StreamState, annotations.Annotations, error) {
	return deskFeed{}.ListEvents(ctx, start, token)
}

func TestEvents_OfNoFeedAreThoseOfTheOnlyOldFeed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	old := func() grpc.ClientConnInterface {
		connector, err := connectorbuilder.NewConnector(ctx, oldDesk{users(1)})
		require.NoError(t, err)
		return listen(t, func(s *grpc.Server) { register(s, connector) })
	}
	one := of(t, map[string]grpc.ClientConnInterface{"a": serveDesk(t, newDesk()), "b": old()})
	page, err := one.ListEvents(ctx, &v2.ListEventsRequest{})
	require.NoError(t, err)
	require.Equal(t, "b.e1", page.GetEvents()[0].GetId())

	two := of(t, map[string]grpc.ClientConnInterface{"a": old(), "b": old()})
	_, err = two.ListEvents(ctx, &v2.ListEventsRequest{})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, `"a", "b" all have such events`)

	bare := of(t, map[string]grpc.ClientConnInterface{"bare:a": old(), "bare:b": old()})
	_, err = bare.ListEventFeeds(ctx, &v2.ListEventFeedsRequest{})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.ErrorContains(t, err, `the plugins "a" and "b" have no namespace and both have the event feed`)
}

func TestTickets_AreDistinguished(t *testing.T) {
	t.Parallel()
	client, a, b := twoDesks(t)
	ctx := t.Context()
	var ids []string
	var tokens []string
	for token := ""; ; {
		page, err := client.ListTicketSchemas(ctx, v2.TicketsServiceListTicketSchemasRequest_builder{PageToken: token}.Build())
		require.NoError(t, err)
		for _, schema := range page.GetList() {
			ids = append(ids, schema.GetId())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
		tokens = append(tokens, token)
	}
	require.Equal(t, []string{"a.s1", "a.s2", "b.s1", "b.s2"}, ids)
	for _, token := range []string{"more", tokens[0] + "x", "eyJwbHVnaW4iOiJ6IiwidG9rZW4iOiJtb3JlIn0", "eyJwbHVnaW4iOiAiYSIsICJ0b2tlbiI6ICJtb3JlIn0"} {
		_, err := client.ListTicketSchemas(ctx, v2.TicketsServiceListTicketSchemasRequest_builder{PageToken: token}.Build())
		require.Equal(t, codes.InvalidArgument, status.Code(err), token)
	}

	schema, err := client.GetTicketSchema(ctx, v2.TicketsServiceGetTicketSchemaRequest_builder{Id: "b.s2"}.Build())
	require.NoError(t, err)
	require.Equal(t, "b.s2", schema.GetSchema().GetId())
	require.Equal(t, "Schema s2", schema.GetSchema().GetDisplayName())
	got, err := client.GetTicket(ctx, v2.TicketsServiceGetTicketRequest_builder{Id: "b.t7"}.Build())
	require.NoError(t, err)
	require.Equal(t, "b.t7", got.GetTicket().GetId())
	require.Equal(t, "task", got.GetTicket().GetType().GetId(), "inside its schema")
	require.Equal(t, "b.user/u1", at(got.GetTicket().GetReporter().GetId()))

	many, err := client.BulkGetTickets(ctx, v2.TicketsServiceBulkGetTicketsRequest_builder{TicketRequests: []*v2.TicketsServiceGetTicketRequest{
		v2.TicketsServiceGetTicketRequest_builder{Id: "b.1"}.Build(), v2.TicketsServiceGetTicketRequest_builder{Id: "a.2"}.Build(),
		v2.TicketsServiceGetTicketRequest_builder{Id: "nowhere"}.Build(), v2.TicketsServiceGetTicketRequest_builder{Id: "b.3"}.Build(),
	}}.Build())
	require.NoError(t, err)
	ids = nil
	for _, one := range many.GetTickets() {
		ids = append(ids, one.GetTicket().GetId())
	}
	require.Equal(t, []string{"b.1", "a.2", "", "b.3"}, ids)
	require.Contains(t, many.GetTickets()[2].GetError(), `the ticket "nowhere" is of no plugin`)

	request := func(schema, name, whose string) *v2.TicketsServiceCreateTicketRequest {
		return v2.TicketsServiceCreateTicketRequest_builder{
			Schema: ticketSchema(schema), Request: v2.TicketRequest_builder{DisplayName: name, RequestedFor: userOf(whose, "u1")}.Build(),
		}.Build()
	}
	made, err := client.BulkCreateTickets(ctx, v2.TicketsServiceBulkCreateTicketsRequest_builder{TicketRequests: []*v2.TicketsServiceCreateTicketRequest{
		request("b.s1", "t1", "b"), request("a.s1", "lost", "a"), request("b.s1", "t2", "a"), request("b.s2", "t3", "b"),
	}}.Build())
	require.NoError(t, err)
	ids = nil
	for _, one := range made.GetTickets() {
		ids = append(ids, one.GetTicket().GetId())
	}
	require.Equal(t, []string{"b.t1", "", "", "b.t3"}, ids)
	require.Contains(t, made.GetTickets()[1].GetError(), `plugin "a": `)
	require.Contains(t, made.GetTickets()[1].GetError(), "too many tickets")
	require.Contains(t, made.GetTickets()[2].GetError(), `the resource type "a.user" belongs to plugin "a"`)
	require.Equal(t, []string{"ticket t1 of s1 for user/u1", "ticket t3 of s2 for user/u1"}, b.done())
	require.Empty(t, a.done())

	_, err = client.BulkCreateTickets(ctx, v2.TicketsServiceBulkCreateTicketsRequest_builder{
		TicketRequests: []*v2.TicketsServiceCreateTicketRequest{request("a.s1", "lost", "a")},
	}.Build())
	require.Equal(t, codes.ResourceExhausted, status.Code(err), "nothing was created, so the plugin's code says more")
}

func TestObjects_PluginsWithoutAnyDisturbNoOther(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	without := func() grpc.ClientConnInterface {
		connector, err := connectorbuilder.NewConnector(ctx, users(1))
		require.NoError(t, err)
		return listen(t, func(s *grpc.Server) {
			v2.RegisterConnectorServiceServer(s, connector)
			v2.RegisterResourceTypesServiceServer(s, connector)
		})
	}
	none := of(t, map[string]grpc.ClientConnInterface{"a": without(), "b": without()})
	_, err := none.ListEventFeeds(ctx, &v2.ListEventFeedsRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	_, err = none.ListActionSchemas(ctx, &v2.ListActionSchemasRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	_, err = none.ListTicketSchemas(ctx, &v2.TicketsServiceListTicketSchemasRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err))

	some := of(t, map[string]grpc.ClientConnInterface{"a": without(), "b": serveDesk(t, newDesk()), "c": without()})
	feeds, err := some.ListEventFeeds(ctx, &v2.ListEventFeedsRequest{})
	require.NoError(t, err)
	require.Len(t, feeds.GetList(), 1)
	schemas, err := some.ListActionSchemas(ctx, &v2.ListActionSchemasRequest{})
	require.NoError(t, err)
	require.Len(t, schemas.GetSchemas(), 2)
	first, err := some.ListTicketSchemas(ctx, &v2.TicketsServiceListTicketSchemasRequest{})
	require.NoError(t, err)
	require.Equal(t, "b.s1", first.GetList()[0].GetId())

	broken := failing(v2.ActionService_ListActionSchemas_FullMethodName, code(codes.PermissionDenied, "no"))
	part := of(t, map[string]grpc.ClientConnInterface{"a": serveDesk(t, newDesk(), broken), "b": serveDesk(t, newDesk())})
	_, err = part.ListActionSchemas(ctx, &v2.ListActionSchemasRequest{})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	require.ErrorContains(t, err, `plugin "a": `)
}

func TestObjects_WithoutNamespaceAreRoutedAsFarAsIsKnown(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	one := of(t, map[string]grpc.ClientConnInterface{"bare:x": serveDesk(t, d), "bare:y": serve(t, users(1)), "a": serveDesk(t, newDesk())})
	got, err := one.GetTicket(ctx, v2.TicketsServiceGetTicketRequest_builder{Id: "t1"}.Build())
	require.NoError(t, err)
	require.Equal(t, "t1", got.GetTicket().GetId())

	two := of(t, map[string]grpc.ClientConnInterface{"bare:x": serveDesk(t, d), "bare:y": serveDesk(t, newDesk())})
	_, err = two.GetTicket(ctx, v2.TicketsServiceGetTicketRequest_builder{Id: "t1"}.Build())
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, `the plugins "x", "y" all could`)

	single := of(t, map[string]grpc.ClientConnInterface{"bare:x": serveDesk(t, d)})
	run, err := single.InvokeAction(ctx, v2.InvokeActionRequest_builder{Name: "move", Args: &structpb.Struct{Fields: map[string]*structpb.Value{
		"who": resourceIDArg("user", "u1"),
	}}}.Build())
	require.NoError(t, err)
	require.Equal(t, "move", run.GetName())
	require.Equal(t, []string{"move user/u1 "}, d.done())
}
