package sdkfast_test

import (
	"bytes"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/syncfile/sdkfast"
)

// grantsOfEachKind are grants with all that connectors put into them.
func grantsOfEachKind(t testing.TB) []*v2.Grant {
	t.Helper()
	org := v2.ResourceId_builder{ResourceType: "org", Resource: "ö/1"}.Build()
	group := v2.Resource_builder{
		Id: v2.ResourceId_builder{ResourceType: "group", Resource: "g"}.Build(), ParentResourceId: org, DisplayName: "Group", Description: "All",
		Annotations: annotations.New(&v2.GroupTrait{}), Status: v2.Status_builder{Status: v2.Status_RESOURCE_STATUS_ENABLED}.Build(),
	}.Build()
	ada := account(t, 1, map[string]any{"a": "b"})
	ada.SetParentResourceId(org)
	whole := v2.Grant_builder{
		Id: "own id", Principal: ada, Entitlement: entitlement.NewAssignmentEntitlement(group, "member",
			entitlement.WithGrantableTo(v2.ResourceType_builder{Id: "user", DisplayName: "User"}.Build()), entitlement.WithExclusionGroup("x")),
		Annotations: annotations.New(&v2.GrantImmutable{}, v2.GrantExpandable_builder{EntitlementIds: []string{"a", "b"}, Shallow: true}.Build()),
		Sources:     v2.GrantSources_builder{Sources: map[string]*v2.GrantSources_GrantSource{"x": {IsDirect: true}, "y": {}}}.Build(),
	}.Build()
	nothing := &v2.Grant{}
	empty := v2.Grant_builder{Entitlement: v2.Entitlement_builder{Resource: &v2.Resource{}}.Build(), Principal: v2.Resource_builder{Id: &v2.ResourceId{}, ParentResourceId: &v2.ResourceId{}}.Build()}.Build()
	withMore := grant.NewGrant(group, "member", ada.GetId())
	withMore.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 7))
	return []*v2.Grant{grant.NewGrant(group, "member", ada.GetId()), whole, grant.NewGrant(group, "member", ada), nothing, empty, withMore}
}

func decodedGrants(data []byte) (*v2.GrantsServiceListGrantsResponse, error) {
	cut := len(data) / 2
	into := &v2.GrantsServiceListGrantsResponse{NextPageToken: "of before"}
	err := sdkfast.Codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(bytes.Clone(data[:cut])), mem.SliceBuffer(bytes.Clone(data[cut:]))}, into)
	return into, err
}

// requireSameGrants requires that the engine would store the same of two pages, and that
// the syncer sees the same beside.
func requireSameGrants(t testing.TB, want, got *v2.GrantsServiceListGrantsResponse) {
	t.Helper()
	require.Equal(t, want.GetNextPageToken(), got.GetNextPageToken())
	require.Len(t, got.GetList(), len(want.GetList()))
	require.True(t, proto.Equal(&v2.GrantsServiceListGrantsResponse{Annotations: want.GetAnnotations()}, &v2.GrantsServiceListGrantsResponse{Annotations: got.GetAnnotations()}))
	for i, one := range want.GetList() {
		wantRow, err := deterministic.Marshal(pebble.V2GrantToV3("", one))
		require.NoError(t, err)
		gotRow, err := deterministic.Marshal(pebble.V2GrantToV3("", got.GetList()[i]))
		require.NoError(t, err)
		require.Equal(t, wantRow, gotRow, "row %d", i+1)
		require.True(t, proto.Equal(one.GetEntitlement().GetResource().GetParentResourceId(), got.GetList()[i].GetEntitlement().GetResource().GetParentResourceId()), "row %d", i+1)
		require.Equal(t, one.ProtoReflect().GetUnknown(), got.GetList()[i].ProtoReflect().GetUnknown(), "row %d", i+1)
	}
}

func TestCodec_DecodesOfGrantsWhatIsStored(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]*v2.GrantsServiceListGrantsResponse{
		"nothing":    {},
		"one":        {List: grantsOfEachKind(t)[:1]},
		"every kind": {List: grantsOfEachKind(t), NextPageToken: "next", Annotations: annotations.New(&v2.RateLimitDescription{Limit: 5})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			encoded, err := proto.Marshal(page)
			require.NoError(t, err)
			got, err := decodedGrants(encoded)
			require.NoError(t, err)
			requireSameGrants(t, page, got)
			for i, row := range got.GetList() {
				require.Empty(t, row.GetEntitlement().GetDisplayName()+row.GetEntitlement().GetResource().GetDisplayName()+row.GetPrincipal().GetDisplayName(), "row %d was to be packed", i+1)
				require.Empty(t, row.GetEntitlement().GetGrantableTo())
			}
		})
	}
}

// TestCodec_DecodesAllOfGrantsThatBringResources: the syncer stores these.
func TestCodec_DecodesAllOfGrantsThatBringResources(t *testing.T) {
	t.Parallel()
	onePage := &v2.GrantsServiceListGrantsResponse{List: grantsOfEachKind(t), Annotations: annotations.New(&v2.InsertResourceGrants{})}
	oneRow := &v2.GrantsServiceListGrantsResponse{List: grantsOfEachKind(t)}
	oneRow.GetList()[0].SetAnnotations(annotations.New(&v2.InsertResourceGrants{}))
	for name, page := range map[string]*v2.GrantsServiceListGrantsResponse{"by the page": onePage, "by a row": oneRow} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			encoded, err := proto.Marshal(page)
			require.NoError(t, err)
			got, err := decodedGrants(encoded)
			require.NoError(t, err)
			require.True(t, proto.Equal(page, got))
		})
	}
}

// unusualGrants are pages that no Go program writes, and what is none.
func unusualGrants(t testing.TB) map[string][]byte {
	t.Helper()
	field := func(number protowire.Number, parts ...[]byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), bytes.Join(parts, nil))
	}
	text := func(number protowire.Number, s string) []byte { return field(number, []byte(s)) }
	id := func(number protowire.Number, kind, name string) []byte {
		return field(number, text(1, kind), text(2, name))
	}
	usual := [][]byte{field(1, field(1, id(1, "group", "g")), text(2, "group:g:member")), field(2, id(1, "user", "u")), text(3, "id")}
	row := func(more ...[]byte) []byte { return field(1, append(append([][]byte{}, usual...), more...)...) }
	whole, err := proto.Marshal(&v2.GrantsServiceListGrantsResponse{List: grantsOfEachKind(t)})
	require.NoError(t, err)
	return map[string][]byte{
		"nothing": nil, "garbage": []byte("garbage"), "cut short": whole[:len(whole)-3], "all": whole,
		"two entitlements":         row(field(1, text(2, "another"), field(1, id(2, "org", "o")))),
		"two principals":           row(field(2, id(2, "org", "o"))),
		"two ids":                  row(text(3, "another")),
		"an empty id behind":       row(text(3, "")),
		"two resources":            row(field(1, field(1, id(1, "a", "b")), field(1, id(2, "c", "d")))),
		"a type twice":             field(1, field(2, field(1, text(1, "a"), text(1, "b"), text(2, "c")))),
		"an id that is no text":    field(1, text(3, "\xff")),
		"a type that is no text":   field(1, field(2, field(1, text(1, "\xff")))),
		"a principal of a number":  field(1, []byte{2 << 3, 5}),
		"an id of a number":        field(1, []byte{3 << 3, 5}),
		"a list of a number":       {1 << 3, 5},
		"a list of a number, more": append(row(), 1<<3, 5),
		"a group":                  {1<<3 | 3, 1<<3 | 4},
		"a row that is cut short":  field(1, usual[0][:5]),
		"a long length":            {1<<3 | 2, 0x82, 0x00, 3<<3 | 2, 0},
		"annotations in between":   field(1, field(4, text(1, "a")), usual[0], field(4, text(1, "b")), usual[1], usual[2], field(4, text(1, "c"))),
		"a token in between":       bytes.Join([][]byte{row(), text(2, "a"), row(), text(2, "b")}, nil),
		"a token that is no text":  text(2, "\xff"),
	}
}

// requireGrantsAsGRPC requires that a page is decoded as gRPC's codec does. What is not
// stored need not be in order.
func requireGrantsAsGRPC(t testing.TB, data []byte) {
	t.Helper()
	want := &v2.GrantsServiceListGrantsResponse{}
	wantErr := proto.Unmarshal(data, want)
	got, err := decodedGrants(data)
	if wantErr != nil {
		return
	}
	require.NoError(t, err)
	requireSameGrants(t, want, got)
}

func TestCodec_DecodesUnusualGrantsAsGRPCDoes(t *testing.T) {
	t.Parallel()
	for name, data := range unusualGrants(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireGrantsAsGRPC(t, data)
			want := proto.Unmarshal(data, &v2.GrantsServiceListGrantsResponse{})
			_, err := decodedGrants(data)
			require.Equal(t, want == nil, err == nil, "%v, %v", want, err)
		})
	}
}

func FuzzCodec_DecodesGrantsAsGRPCDoes(f *testing.F) {
	for _, data := range unusualGrants(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { requireGrantsAsGRPC(t, data) })
}

func BenchmarkCodec_Decode500Grants(b *testing.B) {
	var rows []*v2.Grant
	for range 500 {
		rows = append(rows, grantsOfEachKind(b)[0])
	}
	encoded, err := proto.Marshal(&v2.GrantsServiceListGrantsResponse{List: rows})
	require.NoError(b, err)
	for name, decode := range map[string]func() error{
		"grpc": func() error { return proto.Unmarshal(encoded, &v2.GrantsServiceListGrantsResponse{}) },
		"ours": func() error {
			return sdkfast.Codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(encoded)}, &v2.GrantsServiceListGrantsResponse{})
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := decode(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
