package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/sandbox/c1"
)

// ledgers is a service with one upload of three plugins of one app, of which the
// last may not change anything.
type ledgers struct {
	*tenant
	host   *service
	secret string // of the upload
	paths  map[string]string
}

func startLedgers(t *testing.T, args ...string) *ledgers {
	t.Helper()
	l := &ledgers{tenant: startC1(t, c1.Options{}), paths: map[string]string{}}
	credentials := l.client(t, "books")
	l.secret = credentials.Secret
	dir := t.TempDir()
	text := "plugins:\n"
	for name, provisioning := range map[string]string{"east": "true", "west": "true", "shut": "false"} {
		l.paths[name] = filepath.Join(dir, name)
		text += "  " + name + ": { app: ledger, provisioning: " + provisioning + ", sandbox: { write: [" + dir + "] }, config: { ledger: " + l.paths[name] + " } }\n"
	}
	text += "uploads:\n  books: { plugins: [east, west, shut] }\n"
	l.host = startRun(t, []string{l.trust(), "BATON_CLIENT_ID=" + credentials.ID, "BATON_CLIENT_SECRET=" + credentials.Secret},
		append([]string{"--config", writeConfig(t, text), "--state-dir", t.TempDir()}, args...)...)
	return l
}

func (l *ledgers) do(t *testing.T, task *v1.Task) c1.Outcome {
	t.Helper()
	id, err := l.AddTask("books", task)
	require.NoError(t, err)
	return l.finished(t, id)
}

// did returns what a plugin was asked to change.
func (l *ledgers) did(t *testing.T, instance string) []string {
	t.Helper()
	text, err := os.ReadFile(l.paths[instance])
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func resourceOf(instance, typeID, id string) *v2.Resource {
	return v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: instance + "." + typeID, Resource: id}.Build()}.Build()
}

func grantTask(of, to string) *v1.Task {
	return v1.Task_builder{Grant: v1.Task_GrantTask_builder{
		Entitlement: entitlement.NewAssignmentEntitlement(resourceOf(of, "group", "g1"), "member"),
		Principal:   resourceOf(to, "user", "u2"),
	}.Build()}.Build()
}

func accountTask(typeID string) *v1.Task {
	return v1.Task_builder{CreateAccount: v1.Task_CreateAccountTask_builder{
		AccountInfo:       v2.AccountInfo_builder{Login: "new@example.com"}.Build(),
		CredentialOptions: v2.CredentialOptions_builder{NoPassword: &v2.CredentialOptions_NoPassword{}}.Build(),
		ResourceTypeId:    typeID,
	}.Build()}.Build()
}

func responseOf[T proto.Message](t *testing.T, outcome c1.Outcome, into T) T {
	t.Helper()
	require.True(t, outcome.Succeeded, "%v", outcome.Status)
	require.NoError(t, outcome.Response.UnmarshalTo(into))
	return into
}

func TestProvisioning_ReachesTheRightPlugin(t *testing.T) {
	t.Parallel()
	l := startLedgers(t)
	granted := responseOf(t, l.do(t, grantTask("west", "west")), &v2.GrantManagerServiceGrantResponse{})
	require.Equal(t, "west.group:g1:member:west.user:u2", granted.GetGrants()[0].GetId())
	revoked := l.do(t, v1.Task_builder{Revoke: v1.Task_RevokeTask_builder{
		Grant: grant.NewGrant(resourceOf("east", "group", "g1"), "member", resourceOf("east", "user", "u1").GetId()),
	}.Build()}.Build())
	require.True(t, revoked.Succeeded, "%v", revoked.Status)
	made := responseOf(t, l.do(t, accountTask("east.user")), &v2.CreateAccountResponse{})
	require.Equal(t, "east.user", made.GetSuccess().GetResource().GetId().GetResourceType())
	require.Equal(t, []string{"revoke group:g1:member:user:u1", "account new@example.com"}, l.did(t, "east"))
	require.Equal(t, []string{"grant group:g1:member to user/u2"}, l.did(t, "west"))

	encrypted := accountTask("east.user")
	encrypted.GetCreateAccount().SetCredentialOptions(v2.CredentialOptions_builder{EncryptedPassword: v2.CredentialOptions_EncryptedPassword_builder{
		EncryptedPasswords: []*v2.EncryptedData{v2.EncryptedData_builder{Provider: "baton/jwk/v1", KeyIds: []string{"k"}, EncryptedBytes: []byte("x")}.Build()},
	}.Build()}.Build())
	for name, c := range map[string]struct {
		task *v1.Task
		want []string
	}{
		"a password for another client secret": {encrypted, []string{`plugin "east"`, "cannot be decrypted with the upload's client secret"}},
		"a principal of another plugin":        {grantTask("west", "east"), []string{`"east.user" belongs to plugin "east"`}},
		"an account of no type, for several":   {accountTask(""), []string{`"east", "west"`, "the request must name the resource type"}},
		"a plugin that may not change things":  {grantTask("shut", "shut"), []string{`plugin "shut"`, "set `provisioning: true` in its entry of the configuration"}},
	} {
		refused := l.do(t, c.task)
		require.False(t, refused.Succeeded, name)
		require.True(t, refused.NonRetryable, name)
		for _, want := range c.want {
			require.Contains(t, refused.Status.GetMessage(), want, name)
		}
	}
	l.host.says(`"msg":"task failed"`)
	require.Len(t, l.did(t, "east"), 2)
	require.Len(t, l.did(t, "west"), 1)
	require.Empty(t, l.did(t, "shut"))
	l.host.stop()
	require.Empty(t, l.Violations())
}

// TestProvisioning_MakesNoChangeTwiceWhoseReportIsLost loses the one report that the SDK's
// handler makes: C1 hears of the result all the same, without the plugin being
// asked again.
func TestProvisioning_MakesNoChangeTwiceWhoseReportIsLost(t *testing.T) {
	t.Parallel()
	l := startLedgers(t)
	l.Inject(c1.Fault{Call: c1.FinishTaskCall, Times: 2, Code: codes.Unavailable, Message: "busy"})
	made := responseOf(t, l.do(t, accountTask("east.user")), &v2.CreateAccountResponse{})
	require.Equal(t, "east.user", made.GetSuccess().GetResource().GetId().GetResourceType())
	require.Equal(t, []string{"account new@example.com"}, l.did(t, "east"))

	l.Inject(c1.Fault{Call: c1.FinishTaskCall, Times: 1, Code: codes.Unavailable, Message: "busy"})
	refused := l.do(t, grantTask("west", "east"))
	require.False(t, refused.Succeeded)
	require.True(t, refused.NonRetryable)

	// A handler that reports no failure to C1.
	unknown := l.do(t, v1.Task_builder{ListEvents: v1.Task_ListEventsTask_builder{EventFeedId: "no.such"}.Build()}.Build())
	require.False(t, unknown.Succeeded)
	require.Contains(t, unknown.Status.GetMessage(), "no.such")
	l.host.stop()
	require.Empty(t, l.Violations())
}
