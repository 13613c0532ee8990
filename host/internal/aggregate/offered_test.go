package aggregate_test

import (
	"context"
	"errors"
	"path/filepath"
	stdsync "sync"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/conductorone/baton-sdk/pkg/types/sessions"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/aggregate"
)

// diary writes down what becomes of a session store.
type diary struct {
	mu     stdsync.Mutex
	store  sessions.SessionStore
	joined map[string]string // sync id, by instance
	ended  bool
	late   bool // a plugin joined after the end
	err    error
}

func (d *diary) SetSessionStore(_ context.Context, store sessions.SessionStore) { d.store = store }

func (d *diary) Join(instance, syncID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.joined == nil {
		d.joined = map[string]string{}
	}
	d.joined[instance] = syncID
	d.late = d.late || d.ended
}

func (d *diary) End(context.Context) error {
	d.ended = true
	return d.err
}

func TestSessions_PluginsJoinUntilTheSyncIsCleanedUp(t *testing.T) {
	t.Parallel()
	d := &diary{}
	agg, err := aggregate.New([]aggregate.Plugin{
		{Instance: "a", Namespace: "a", Conn: serve(t, users(5))},
		{Instance: "b", Namespace: "b", Conn: serve(t, users(3))},
	}, aggregate.WithSessions(d))
	require.NoError(t, err)
	client := agg.Client(t.Context())
	setter, ok := client.(sessions.SetSessionStore)
	require.True(t, ok, "the SDK looks for this")
	syncer, err := sync.NewSyncer(t.Context(), client, sync.WithC1ZPath(filepath.Join(t.TempDir(), "s.c1z")), sync.WithTmpDir(t.TempDir()), sync.WithSessionStore(setter))
	require.NoError(t, err)
	require.NoError(t, syncer.Sync(t.Context()))
	require.NoError(t, syncer.Close(t.Context()))
	require.NotNil(t, d.store)
	require.Len(t, d.joined, 2)
	require.NotEmpty(t, d.joined["a"])
	require.Equal(t, d.joined["a"], d.joined["b"])
	require.True(t, d.ended)
	require.False(t, d.late)

	d.err = errors.New("disk full")
	err = agg.Invoke(t.Context(), v2.ConnectorService_Cleanup_FullMethodName, &v2.ConnectorServiceCleanupRequest{}, &v2.ConnectorServiceCleanupResponse{})
	require.ErrorContains(t, err, "disk full")
}

// envelopes exchanges passwords for others.
type envelopes struct{ err error }

func (e envelopes) Reencrypt(_ context.Context, passwords []*v2.EncryptedData) ([]*v2.EncryptedData, error) {
	return []*v2.EncryptedData{v2.EncryptedData_builder{Name: "for the plugin, not " + passwords[0].GetName()}.Build()}, e.err
}

func TestPasswords_AreEncryptedForThePluginTheyGoTo(t *testing.T) {
	t.Parallel()
	var got []proto.Message
	conn := serve(t, users(1), func(_ context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		switch request := request.(type) {
		case *v2.CreateAccountRequest:
			got = append(got, request)
			return &v2.CreateAccountResponse{}, nil
		case *v2.RotateCredentialRequest:
			got = append(got, request)
			return &v2.RotateCredentialResponse{}, nil
		}
		return handler(t.Context(), request)
	})
	options := v2.CredentialOptions_builder{EncryptedPassword: v2.CredentialOptions_EncryptedPassword_builder{
		EncryptedPasswords: []*v2.EncryptedData{v2.EncryptedData_builder{Name: "the upload"}.Build()},
	}.Build()}.Build()
	create := v2.CreateAccountRequest_builder{ResourceTypeId: "a.user", CredentialOptions: options}.Build()
	rotate := v2.RotateCredentialRequest_builder{
		ResourceId: v2.ResourceId_builder{ResourceType: "a.user", Resource: "u1"}.Build(), CredentialOptions: options,
	}.Build()
	invoke := func(p aggregate.Plugin) (createErr, rotateErr error) {
		p.Instance, p.Namespace, p.Conn, got = "a", "a", conn, nil
		agg, err := aggregate.New([]aggregate.Plugin{p})
		require.NoError(t, err)
		return agg.Invoke(t.Context(), v2.AccountManagerService_CreateAccount_FullMethodName, create, &v2.CreateAccountResponse{}),
			agg.Invoke(t.Context(), v2.CredentialManagerService_RotateCredential_FullMethodName, rotate, &v2.RotateCredentialResponse{})
	}
	nameOf := func(m proto.Message) string {
		of, ok := m.(interface{ GetCredentialOptions() *v2.CredentialOptions })
		require.True(t, ok)
		return of.GetCredentialOptions().GetEncryptedPassword().GetEncryptedPasswords()[0].GetName()
	}

	createErr, rotateErr := invoke(aggregate.Plugin{Provisioning: true, Passwords: envelopes{}})
	require.NoError(t, createErr)
	require.NoError(t, rotateErr)
	require.Len(t, got, 2)
	for _, request := range got {
		require.Equal(t, "for the plugin, not the upload", nameOf(request))
	}
	require.Equal(t, "the upload", nameOf(create), "the caller's request stays as it is")

	createErr, rotateErr = invoke(aggregate.Plugin{Provisioning: true, Passwords: envelopes{err: errors.New("no key fits")}})
	for _, err := range []error{createErr, rotateErr} {
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.ErrorContains(t, err, `plugin "a": `)
		require.ErrorContains(t, err, "no key fits")
	}
	require.Empty(t, got)

	createErr, _ = invoke(aggregate.Plugin{Passwords: envelopes{err: errors.New("no key fits")}})
	require.ErrorContains(t, createErr, "provisioning: true", "nothing is decrypted for a call that is refused")

	createErr, rotateErr = invoke(aggregate.Plugin{Provisioning: true})
	require.NoError(t, errors.Join(createErr, rotateErr))
	require.Equal(t, "the upload", nameOf(got[0]))
}
