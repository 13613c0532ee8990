package syncfile

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/connectorclient"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/batonhost/baton-host/host/internal/syncfile/sdkfast"
)

// digestOf returns a digest of accounts of one type: "a" has every attribute and is enabled,
// "a:elnx" has an e-mail address, a login and a name, and is disabled.
func digestOf(accounts string) Digest {
	digest := Digest{}
	for one := range strings.FieldsSeq(accounts) {
		id, has, described := strings.Cut(one, ":")
		state := sdkfast.AccountState{Status: int32(connectorv2.Status_RESOURCE_STATUS_ENABLED), Email: true, Login: true, Name: true}
		if described {
			state = sdkfast.AccountState{Email: strings.Contains(has, "e"), Login: strings.Contains(has, "l"), Name: strings.Contains(has, "n")}
			for letter, status := range map[string]connectorv2.Status_ResourceStatus{
				"x": connectorv2.Status_RESOURCE_STATUS_DISABLED, "d": connectorv2.Status_RESOURCE_STATUS_DELETED, "+": connectorv2.Status_RESOURCE_STATUS_ENABLED,
			} {
				if strings.Contains(has, letter) {
					state.Status = int32(status)
				}
			}
		}
		digest["user"] = append(digest["user"], entryOf(xxhash.Sum64String(id), state))
	}
	digest.sort()
	return digest
}

func TestDigest_Compare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, now string
		want        Change
	}{
		"nothing":         {"", "", Change{}},
		"the same":        {"a b", "b a", Change{Before: 2, Now: 2, Enabled: 2, Had: [3]int{2, 2, 2}}},
		"all are new":     {"a b", "c d e", Change{Before: 2, Now: 3, Gone: 2, Enabled: 2}},
		"none are left":   {"a b", "", Change{Before: 2, Gone: 2, Enabled: 2}},
		"one is gone":     {"a b c", "a c d", Change{Before: 3, Now: 3, Gone: 1, Enabled: 3, Had: [3]int{2, 2, 2}}},
		"disabled":        {"a b:x c", "a:eln+ b:x c:elnx", Change{Before: 3, Now: 3, Enabled: 2, Disabled: 1, Had: [3]int{2, 2, 2}}},
		"deleted":         {"a", "a:elnd", Change{Before: 1, Now: 1, Enabled: 1, Disabled: 1, Had: [3]int{1, 1, 1}}},
		"not known":       {"a", "a:eln", Change{Before: 1, Now: 1, Enabled: 1, Had: [3]int{1, 1, 1}}},
		"gone, enabled":   {"a b", "b", Change{Before: 2, Now: 1, Gone: 1, Enabled: 2, Had: [3]int{1, 1, 1}}},
		"lost":            {"a b c d", "a:ln+ b:en+ c:el+", Change{Before: 4, Now: 3, Gone: 1, Enabled: 4, Had: [3]int{3, 3, 3}, Lost: [3]int{1, 1, 1}}},
		"gained":          {"a:+", "a", Change{Before: 1, Now: 1, Enabled: 1}},
		"another order":   {"a b c d e f g h", "h g f e d c b a", Change{Before: 8, Now: 8, Enabled: 8, Had: [3]int{8, 8, 8}}},
		"an unknown type": {"a", "a", Change{Before: 1, Now: 1, Enabled: 1, Had: [3]int{1, 1, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, digestOf(c.before).Compare(digestOf(c.now), "user"))
		})
	}
	require.Zero(t, Digest(nil).Compare(nil, "user"))
}

func TestDigest_RemovesWhatIsBeyondAnother(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, read, want string }{
		{"a b c d", "b d", "b d"},
		{"a b:x", "b:eln+ z", "b:x"},
		{"a b", "", ""},
		{"a b", "b a", "a b"},
		{"", "a", ""},
	} {
		digest := digestOf(c.file)
		kept := digest.Beyond(digestOf(c.read), "user")
		digest.Remove("user", kept)
		require.ElementsMatch(t, digestOf(c.want)["user"], digest["user"], "%q", c)
		digest.Remove("user", append(kept, 1, 2, 3)) // It is there no more, and what is cut off is none.
		require.ElementsMatch(t, digestOf(c.want)["user"], digest["user"], "%q", c)
	}
	require.Equal(t, "069276278d4c6372", fmt.Sprintf("%x", digestOf("a").Beyond(nil, "user")), "hashes outlive the process")
}

// staff is a connector with people, and with teams in teams: a team's members follow from
// those of the team below it.
type staff struct{ people, teams int }

func (s staff) Metadata(context.Context) (*connectorv2.ConnectorMetadata, error) {
	return connectorv2.ConnectorMetadata_builder{DisplayName: "Staff"}.Build(), nil
}

func (s staff) Validate(context.Context) (annotations.Annotations, error) { return nil, nil }

func (s staff) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{staffType{s, "person"}, staffType{s, "team"}}
}

type staffType struct {
	staff
	typeID string
}

func (s staffType) ResourceType(context.Context) *connectorv2.ResourceType {
	of := connectorv2.ResourceType_builder{Id: s.typeID, DisplayName: s.typeID, Traits: []connectorv2.ResourceType_Trait{connectorv2.ResourceType_TRAIT_GROUP}}
	if s.typeID == "person" {
		of.Traits = []connectorv2.ResourceType_Trait{connectorv2.ResourceType_TRAIT_USER}
		of.Annotations = annotations.New(&connectorv2.SkipSyncAnomalyDetection{})
	}
	return of.Build()
}

func (s staffType) List(context.Context, *connectorv2.ResourceId, resource.SyncOpAttrs) ([]*connectorv2.Resource, *resource.SyncOpResults, error) {
	var rows []*connectorv2.Resource
	for i := range map[string]int{"person": s.people, "team": s.teams}[s.typeID] {
		row := connectorv2.Resource_builder{
			Id:          connectorv2.ResourceId_builder{ResourceType: s.typeID, Resource: fmt.Sprint(i)}.Build(),
			DisplayName: fmt.Sprintf("%s %d", s.typeID, i), Annotations: annotations.New(&connectorv2.GroupTrait{}),
		}.Build()
		if s.typeID == "person" {
			trait := connectorv2.UserTrait_builder{Login: fmt.Sprintf("p%d", i)}.Build()
			if i%2 == 0 {
				trait.SetEmails([]*connectorv2.UserTrait_Email{connectorv2.UserTrait_Email_builder{Address: fmt.Sprintf("p%d@x.y", i)}.Build()})
			}
			row.SetAnnotations(annotations.New(trait))
			row.SetStatus(connectorv2.Status_builder{Status: connectorv2.Status_ResourceStatus(i % 4)}.Build())
		}
		rows = append(rows, row)
	}
	return rows, &resource.SyncOpResults{}, nil
}

func (s staffType) Entitlements(_ context.Context, of *connectorv2.Resource, _ resource.SyncOpAttrs) ([]*connectorv2.Entitlement, *resource.SyncOpResults, error) {
	if s.typeID == "person" {
		return nil, &resource.SyncOpResults{}, nil
	}
	return []*connectorv2.Entitlement{entitlement.NewAssignmentEntitlement(of, "member")}, &resource.SyncOpResults{}, nil
}

func (s staffType) Grants(_ context.Context, of *connectorv2.Resource, _ resource.SyncOpAttrs) ([]*connectorv2.Grant, *resource.SyncOpResults, error) {
	var grants []*connectorv2.Grant
	switch n := of.GetId().GetResource(); {
	case s.typeID == "person":
	case n == "0":
		for i := range s.people {
			grants = append(grants, grant.NewGrant(of, "member", connectorv2.ResourceId_builder{ResourceType: "person", Resource: fmt.Sprint(i)}.Build()))
		}
	default:
		grants = append(grants, grant.NewGrant(of, "member", connectorv2.ResourceId_builder{ResourceType: "team", Resource: "0"}.Build(),
			grant.WithAnnotation(connectorv2.GrantExpandable_builder{EntitlementIds: []string{"team:0:member"}, Shallow: false, ResourceTypeIds: []string{"person"}}.Build())))
	}
	return grants, &resource.SyncOpResults{}, nil
}

// draftOf makes a sync file of a connector.
func draftOf(tb testing.TB, of connectorbuilder.ConnectorBuilderV2, settings Settings) *Draft {
	tb.Helper()
	server := grpc.NewServer()
	connector, err := connectorbuilder.NewConnector(tb.Context(), of)
	require.NoError(tb, err)
	connectorv2.RegisterConnectorServiceServer(server, connector)
	connectorv2.RegisterResourceTypesServiceServer(server, connector)
	connectorv2.RegisterResourcesServiceServer(server, connector)
	connectorv2.RegisterEntitlementsServiceServer(server, connector)
	connectorv2.RegisterGrantsServiceServer(server, connector)
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(tb, err)
	tb.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-served
	})
	draft, err := Make(tb.Context(), connectorclient.NewConnectorClient(tb.Context(), conn), tb.TempDir(), settings)
	require.NoError(tb, err)
	tb.Cleanup(draft.Discard)
	return draft
}

// TestDraft_CountsAndDigests: both storage engines, read back and opened, count the same and
// have the same digest; grants that follow from others are counted.
func TestDraft_CountsAndDigests(t *testing.T) {
	t.Parallel()
	want := Counts{
		Resources: map[string]int{"person": 23, "team": 3}, Accounts: map[string]int{"person": 23},
		Entitlements: map[string]int{"person": 0, "team": 3}, Grants: map[string]int{"person": 0, "team": 23 + 2*24},
		Varying: map[string]bool{"person": true},
	}
	direct := want
	direct.Grants = map[string]int{"person": 0, "team": 23 + 2}
	var first Digest
	for _, engine := range []c1zstore.Engine{c1zstore.EnginePebble, c1zstore.EngineSQLite} {
		draft := draftOf(t, staff{23, 3}, Settings{Engine: engine, Workers: 1, Digest: true})
		require.Equal(t, want, draft.Counts, engine)
		require.Len(t, draft.Digest["person"], 23)
		require.Len(t, draft.Digest["team"], 3)
		if first == nil {
			first = draft.Digest
		}
		file, opened, err := OpenWithDigest(t.Context(), draft.Path(), t.TempDir())
		require.NoError(t, err)
		counts, err := file.Count(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, counts, engine)
		pages, err := file.digestPages(t.Context())
		require.NoError(t, err)
		for _, digest := range []Digest{draft.Digest, opened, pages} {
			require.Equal(t, first, digest, engine)
		}
		require.NoError(t, file.Close(context.WithoutCancel(t.Context())))

		undigested := draftOf(t, staff{23, 3}, Settings{Engine: engine, Workers: 1, Scope: Scope{DontExpandGrants: true}})
		require.Equal(t, direct, undigested.Counts, engine)
		require.Nil(t, undigested.Digest)
	}
	require.Equal(t, Change{Before: 23, Now: 23, Enabled: 6, Had: [3]int{12, 23, 23}}, first.Compare(first, "person"))
}

// TestOpenWithDigest_RefusesWhatItCannotRead: and leaves nothing behind.
func TestOpenWithDigest_RefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	good := draftOf(t, staff{5, 1}, Settings{Workers: 1})
	whole, err := os.ReadFile(good.Path())
	require.NoError(t, err)
	for name, content := range map[string][]byte{"cut short": whole[:len(whole)-100], "cut to its head": whole[:100], "something else": []byte("no sync file")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, temporary := filepath.Join(t.TempDir(), "sync.c1z"), t.TempDir()
			require.NoError(t, os.WriteFile(path, content, 0o600))
			_, _, err := OpenWithDigest(t.Context(), path, temporary)
			require.ErrorContains(t, err, path+" cannot be read as a sync file")
			left, err := os.ReadDir(temporary)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}
