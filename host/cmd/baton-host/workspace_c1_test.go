package main_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/crypto"
	"github.com/conductorone/baton-sdk/pkg/crypto/providers/jwk"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/ticket"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/workspace"
)

const alone = "alone"

// desk is C1 with one connector, the workspace, that is served in one of the ways.
type desk struct {
	*tenant
	place  place
	secret *jose.JSONWebKey
	stop   func()
}

func startDesk(t *testing.T, way string) *desk {
	t.Helper()
	d := &desk{tenant: startC1(t, c1.Options{}), place: startWorkspace(t, asItIs)}
	credentials := d.client(t, "workspace")
	var err error
	d.secret, err = crypto.ParseClientSecret([]byte(credentials.Secret), true)
	require.NoError(t, err)
	env := []string{d.trust(), "BATON_CLIENT_ID=" + credentials.ID, "BATON_CLIENT_SECRET=" + credentials.Secret}
	if way != alone {
		host := startRun(t, append(env, "TOKEN="+d.place.token), "--config", d.place.config(t, way, ""), "--state-dir", t.TempDir())
		d.stop = func() {
			host.stop()
			require.NotContains(t, host.output.String(), d.place.token)
		}
		return d
	}

	cmd := command(context.WithoutCancel(t.Context()), t, append(append(env, d.place.env()...), "TMPDIR="+t.TempDir()), filepath.Join(unmodified, "baton-workspace"), "--provisioning")
	output := &transcript{changed: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = output, output
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	d.stop = func() {
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		<-ended
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("the connector wrote:\n%s", output)
		}
	})
	return d
}

// do has C1 hand out a task, and returns how it ended.
func (d *desk) do(t *testing.T, task *v1.Task) c1.Outcome {
	t.Helper()
	id, err := d.AddTask("workspace", task)
	require.NoError(t, err)
	return d.finished(t, id)
}

func plainID(typeID, id string) *v2.ResourceId {
	return v2.ResourceId_builder{ResourceType: typeID, Resource: id}.Build()
}

func plainResource(typeID, id string) *v2.Resource {
	return v2.Resource_builder{Id: plainID(typeID, id)}.Build()
}

func structOf(t *testing.T, values map[string]any) *structpb.Struct {
	t.Helper()
	made, err := structpb.NewStruct(values)
	require.NoError(t, err)
	return made
}

// opened returns what was encrypted for a key.
func opened(t *testing.T, key *jose.JSONWebKey, data []*v2.EncryptedData) string {
	t.Helper()
	require.Len(t, data, 1)
	plain, err := (&jwk.JWKEncryptionProvider{}).Decrypt(t.Context(), data[0], key)
	require.NoError(t, err)
	return string(plain.GetBytes())
}

func randomPassword() *v2.CredentialOptions {
	return v2.CredentialOptions_builder{RandomPassword: v2.CredentialOptions_RandomPassword_builder{Length: 20}.Build()}.Build()
}

// TestConnector_IsProvisionedTheSameInEveryWay has C1 hand out every kind of task
// that changes or asks something.
func TestConnector_IsProvisionedTheSameInEveryWay(t *testing.T) {
	t.Parallel()
	for _, way := range append([]string{alone}, hosted...) {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			d := startDesk(t, way)
			want := d.place.State()

			synced := d.finished(t, d.fullSync(t, "workspace"))
			require.True(t, synced.Succeeded, "%v", synced.Status)
			require.Len(t, synced.Uploads, 1)
			requireTruth(t, d.place, contentOf(t, synced.Uploads[0].Path))

			d.grantsAndRevokes(t, &want)
			d.accounts(t, &want)
			d.actions(t, &want)
			d.events(t)
			d.tickets(t, &want)

			require.Equal(t, want, d.place.State(), "nothing but what was asked for")
			d.stop()
			require.Empty(t, d.Violations())
		})
	}
}

func (d *desk) grantsAndRevokes(t *testing.T, want *workspace.State) {
	t.Helper()
	give := func(of *v2.Resource, slug, user string) c1.Outcome {
		return d.do(t, v1.Task_builder{Grant: v1.Task_GrantTask_builder{
			Entitlement: entitlement.NewAssignmentEntitlement(of, slug), Principal: plainResource("user", user),
		}.Build()}.Build())
	}
	platform, owner := plainResource("group", "platform"), plainResource("role", "owner")
	granted := responseOf(t, give(platform, "member", "u003"), &v2.GrantManagerServiceGrantResponse{})
	require.Equal(t, "group:platform:member:user:u003", granted.GetGrants()[0].GetId())
	want.Groups["platform"] = append(want.Groups["platform"], workspace.Member{Kind: workspace.UserKind, Key: "person003@example.com"})

	// By the first version of the provisioner's interface, which returns no grants.
	require.Empty(t, responseOf(t, give(owner, "assigned", "u002"), &v2.GrantManagerServiceGrantResponse{}).GetGrants())
	want.Roles["owner"] = append(want.Roles["owner"], workspace.Member{Kind: workspace.UserKind, Key: "person002@example.com"})

	refused := give(platform, "member", "u999")
	require.False(t, refused.Succeeded)
	require.True(t, refused.NonRetryable)
	require.Contains(t, refused.Status.GetMessage(), "404")

	take := func(one *v2.Grant) {
		revoked := d.do(t, v1.Task_builder{Revoke: v1.Task_RevokeTask_builder{Grant: one}.Build()}.Build())
		require.True(t, revoked.Succeeded, "%v", revoked.Status)
	}
	take(grant.NewGrant(platform, "member", plainID("user", "u002")))
	want.Groups["platform"] = want.Groups["platform"][1:]
	take(grant.NewGrant(owner, "assigned", plainID("user", "u001")))
	want.Roles["owner"] = want.Roles["owner"][1:]
}

func (d *desk) accounts(t *testing.T, want *workspace.State) {
	t.Helper()
	recipient, key, err := (&jwk.JWKEncryptionProvider{}).GenerateKey(t.Context())
	require.NoError(t, err)
	create := func(login string, options *v2.CredentialOptions, recipients ...*v2.EncryptionConfig) *v2.CreateAccountResponse {
		made := responseOf(t, d.do(t, v1.Task_builder{CreateAccount: v1.Task_CreateAccountTask_builder{
			AccountInfo:       v2.AccountInfo_builder{Login: login, Profile: structOf(t, map[string]any{"name": "New " + login})}.Build(),
			CredentialOptions: options, EncryptionConfigs: recipients, ResourceTypeId: "user",
		}.Build()}.Build()), &v2.CreateAccountResponse{})
		id := made.GetSuccess().GetResource().GetId()
		require.Equal(t, "user", id.GetResourceType())
		want.Users = append(want.Users, workspace.User{ID: id.GetResource(), Login: login, Email: login, Name: "New " + login, Created: "2026-02-01"})
		return made
	}

	made := create("random@example.com", randomPassword(), recipient)
	require.Equal(t, "n001", made.GetSuccess().GetResource().GetId().GetResource())
	want.Passwords["n001"] = opened(t, key, made.GetEncryptedData())
	require.Len(t, want.Passwords["n001"], 20)

	// C1 encrypts what a person has chosen with the public half of the client secret.
	public, err := d.secret.Public().MarshalJSON()
	require.NoError(t, err)
	chosen, err := (&jwk.JWKEncryptionProvider{}).Encrypt(t.Context(), v2.EncryptionConfig_builder{
		JwkPublicKeyConfig: v2.EncryptionConfig_JWKPublicKeyConfig_builder{PubKey: public}.Build(),
	}.Build(), v2.PlaintextData_builder{Name: "password", Bytes: []byte("chosen by a person")}.Build())
	require.NoError(t, err)
	require.Equal(t, []string{d.secret.KeyID}, chosen.GetKeyIds())
	create("chosen@example.com", v2.CredentialOptions_builder{
		EncryptedPassword: v2.CredentialOptions_EncryptedPassword_builder{EncryptedPasswords: []*v2.EncryptedData{chosen}}.Build(),
	}.Build())
	want.Passwords["n002"] = "chosen by a person"

	create("none@example.com", v2.CredentialOptions_builder{NoPassword: &v2.CredentialOptions_NoPassword{}}.Build())

	rotated := responseOf(t, d.do(t, v1.Task_builder{RotateCredentials: v1.Task_RotateCredentialsTask_builder{
		ResourceId: plainID("user", "n002"), CredentialOptions: randomPassword(), EncryptionConfigs: []*v2.EncryptionConfig{recipient},
	}.Build()}.Build()), &v2.RotateCredentialResponse{})
	require.Equal(t, "n002", rotated.GetResourceId().GetResource())
	want.Passwords["n002"] = opened(t, key, rotated.GetEncryptedData())
	require.NotEqual(t, "chosen by a person", want.Passwords["n002"])

	deleted := d.do(t, v1.Task_builder{DeleteResource: v1.Task_DeleteResourceTask_builder{ResourceId: plainID("user", "n003")}.Build()}.Build())
	require.True(t, deleted.Succeeded, "%v", deleted.Status)
	want.Users = want.Users[:len(want.Users)-1]
}

func (d *desk) actions(t *testing.T, want *workspace.State) {
	t.Helper()
	schemas := responseOf(t, d.do(t, v1.Task_builder{ActionListSchemas: &v1.Task_ActionListSchemasTask{}}.Build()), &v2.ListActionSchemasResponse{})
	types := map[string]string{}
	for _, schema := range schemas.GetSchemas() {
		types[schema.GetName()] = schema.GetResourceTypeId()
	}
	require.Equal(t, map[string]string{"announce": "", "suspend": "user"}, types)
	schema := responseOf(t, d.do(t, v1.Task_builder{ActionGetSchema: v1.Task_ActionGetSchemaTask_builder{Name: "announce"}.Build()}.Build()), &v2.GetActionSchemaResponse{})
	require.Equal(t, "text", schema.GetSchema().GetArguments()[0].GetName())

	invoke := func(name, typeID string, args map[string]any) *v2.InvokeActionResponse {
		done := responseOf(t, d.do(t, v1.Task_builder{ActionInvoke: v1.Task_ActionInvokeTask_builder{Name: name, ResourceTypeId: typeID, Args: structOf(t, args)}.Build()}.Build()), &v2.InvokeActionResponse{})
		require.Equal(t, v2.BatonActionStatus_BATON_ACTION_STATUS_COMPLETE, done.GetStatus(), "%v", done)
		return done
	}
	announced := invoke("announce", "", map[string]any{"text": "Lunch is served"})
	require.InDelta(t, float64(len(want.Users)), announced.GetResponse().GetFields()["readers"].GetNumberValue(), 0)
	want.Announcements = append(want.Announcements, "Lunch is served")
	status := responseOf(t, d.do(t, v1.Task_builder{ActionStatus: v1.Task_ActionStatusTask_builder{Name: "announce", Id: announced.GetId()}.Build()}.Build()), &v2.GetActionStatusResponse{})
	require.Equal(t, v2.BatonActionStatus_BATON_ACTION_STATUS_COMPLETE, status.GetStatus())

	invoke("suspend", "user", map[string]any{"user": map[string]any{"resource_type_id": "user", "resource_id": "u005"}})
	require.False(t, want.Users[4].Suspended)
	want.Users[4].Suspended = true
}

func (d *desk) events(t *testing.T) {
	t.Helper()
	feeds := responseOf(t, d.do(t, v1.Task_builder{ListEventFeeds: &v1.Task_ListEventFeedsTask{}}.Build()), &v2.ListEventFeedsResponse{})
	require.Len(t, feeds.GetList(), 1)
	require.Equal(t, []v2.EventType{v2.EventType_EVENT_TYPE_USAGE}, feeds.GetList()[0].GetSupportedEventTypes())
	var actors []string
	for cursor, more := "", true; more; {
		page := responseOf(t, d.do(t, v1.Task_builder{ListEvents: v1.Task_ListEventsTask_builder{
			EventFeedId: feeds.GetList()[0].GetId(), Cursor: cursor,
		}.Build()}.Build()), &v2.ListEventsResponse{})
		for _, event := range page.GetEvents() {
			require.Equal(t, "role", event.GetUsageEvent().GetTargetResource().GetId().GetResourceType())
			actors = append(actors, event.GetUsageEvent().GetActorResource().GetId().GetResource())
		}
		cursor, more = page.GetCursor(), page.GetHasMore()
	}
	require.Len(t, actors, 60)
	require.Equal(t, "u060", actors[59])
}

func (d *desk) tickets(t *testing.T, want *workspace.State) {
	t.Helper()
	schemas := responseOf(t, d.do(t, v1.Task_builder{ListTicketSchemas: &v1.Task_ListTicketSchemasTask{}}.Build()), &v2.TicketsServiceListTicketSchemasResponse{})
	require.Len(t, schemas.GetList(), 1)
	request := func(title string) *v1.Task_CreateTicketTask {
		return v1.Task_CreateTicketTask_builder{
			TicketSchema: schemas.GetList()[0],
			TicketRequest: v2.TicketRequest_builder{
				DisplayName: title, Description: "Please.", Labels: []string{"new"}, RequestedFor: plainResource("user", "u001"),
				CustomFields: map[string]*v2.TicketCustomField{"queue": ticket.StringField("queue", "IT")},
			}.Build(),
		}.Build()
	}
	made := responseOf(t, d.do(t, v1.Task_builder{CreateTicketTask: request("A laptop")}.Build()), &v2.TicketsServiceCreateTicketResponse{})
	bulk := responseOf(t, d.do(t, v1.Task_builder{BulkCreateTickets: v1.Task_BulkCreateTicketsTask_builder{
		TicketRequests: []*v1.Task_CreateTicketTask{request("A desk"), request("A chair")},
	}.Build()}.Build()), &v2.TicketsServiceBulkCreateTicketsResponse{})
	var ids []*v1.Task_GetTicketTask
	for _, one := range append([]*v2.TicketsServiceCreateTicketResponse{made}, bulk.GetTickets()...) {
		require.Empty(t, one.GetError())
		ids = append(ids, v1.Task_GetTicketTask_builder{TicketId: one.GetTicket().GetId()}.Build())
	}
	for n, title := range []string{"A laptop", "A desk", "A chair"} {
		want.Tickets = append(want.Tickets, workspace.Ticket{ID: []string{"T-1", "T-2", "T-3"}[n], Title: title, Text: "Please.", Queue: "IT", Labels: []string{"new"}})
	}
	found := responseOf(t, d.do(t, v1.Task_builder{GetTicket: ids[1]}.Build()), &v2.TicketsServiceGetTicketResponse{})
	require.Equal(t, "A desk", found.GetTicket().GetDisplayName())
	all := responseOf(t, d.do(t, v1.Task_builder{BulkGetTickets: v1.Task_BulkGetTicketsTask_builder{TicketRequests: ids}.Build()}.Build()), &v2.TicketsServiceBulkGetTicketsResponse{})
	require.Len(t, all.GetTickets(), 3)
	require.Equal(t, "A chair", all.GetTickets()[2].GetTicket().GetDisplayName())
}
