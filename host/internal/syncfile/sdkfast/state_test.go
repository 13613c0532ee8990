package sdkfast_test

import (
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/host/internal/syncfile/sdkfast"
)

func TestStateOf(t *testing.T) {
	t.Parallel()
	const enabled, disabled = v2.Status_RESOURCE_STATUS_ENABLED, v2.Status_RESOURCE_STATUS_DISABLED
	email := func(addresses ...string) *v2.UserTrait {
		trait := &v2.UserTrait{}
		for _, address := range addresses {
			trait.SetEmails(append(trait.GetEmails(), v2.UserTrait_Email_builder{Address: address, IsPrimary: true}.Build()))
		}
		return trait
	}
	login := v2.UserTrait_builder{Login: "ada"}.Build()
	oldStatus := v2.UserTrait_builder{Status: v2.UserTrait_Status_builder{Status: v2.UserTrait_Status_STATUS_DISABLED, Details: "locked"}.Build()}.Build() //nolint:staticcheck // Where older connectors have it.
	for name, c := range map[string]struct {
		name   string
		status *v2.Status
		traits []proto.Message
		want   sdkfast.AccountState
	}{
		"nothing":                        {want: sdkfast.AccountState{}},
		"a name":                         {name: "Ada Lovelace", want: sdkfast.AccountState{Name: true}},
		"a name that is the id":          {name: "u1"},
		"a name that is the login":       {name: "ada", traits: []proto.Message{login}, want: sdkfast.AccountState{Login: true}},
		"a name that is an address":      {name: "a@x.y", traits: []proto.Message{email("b@x.y", "a@x.y")}, want: sdkfast.AccountState{Email: true}},
		"an address":                     {name: "Ada", traits: []proto.Message{email("a@x.y")}, want: sdkfast.AccountState{Email: true, Name: true}},
		"an empty address":               {traits: []proto.Message{email("")}},
		"an address behind an empty one": {traits: []proto.Message{email("", "a@x.y")}, want: sdkfast.AccountState{Email: true}},
		"enabled":                        {status: v2.Status_builder{Status: enabled, Details: "x"}.Build(), want: sdkfast.AccountState{Status: 1}},
		"disabled":                       {status: v2.Status_builder{Status: disabled}.Build(), want: sdkfast.AccountState{Status: 2}},
		"disabled, where it was before":  {traits: []proto.Message{oldStatus}, want: sdkfast.AccountState{Status: 2}},
		"its own status counts":          {status: v2.Status_builder{Status: enabled}.Build(), traits: []proto.Message{oldStatus}, want: sdkfast.AccountState{Status: 1}},
		"its own, if it is unspecified":  {status: &v2.Status{}, traits: []proto.Message{oldStatus}},
		"a trait of something else":      {name: "Ada", traits: []proto.Message{&v2.GroupTrait{}, login}, want: sdkfast.AccountState{Login: true, Name: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			profile, err := structpb.NewStruct(map[string]any{"a": "b", "n": 1.5})
			require.NoError(t, err)
			row := v2.Resource_builder{
				Id: v2.ResourceId_builder{ResourceType: "user", Resource: "u1"}.Build(), DisplayName: c.name, Description: "d",
				Status: c.status, Profile: profile, Annotations: annotations.New(c.traits...),
			}.Build()
			stored, err := proto.MarshalOptions{Deterministic: true}.Marshal(pebble.V2ResourceToV3("sync", row))
			require.NoError(t, err)
			state, err := sdkfast.StateOf(stored)
			require.NoError(t, err)
			require.Equal(t, c.want, state)
			for cut := 1; cut < len(stored); cut++ {
				_, _ = sdkfast.StateOf(stored[:cut]) // It may be an error, and must be nothing worse.
			}
		})
	}
	_, err := sdkfast.StateOf([]byte{0xff})
	require.EqualError(t, err, "a resource is stored in another form")
}
