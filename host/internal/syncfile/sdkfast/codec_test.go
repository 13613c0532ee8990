package sdkfast_test

import (
	"bytes"
	"fmt"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/batonhost/baton-host/host/internal/syncfile/sdkfast"
)

var deterministic = proto.MarshalOptions{Deterministic: true}

func account(t testing.TB, n int, profile map[string]any) *v2.Resource {
	t.Helper()
	r := v2.Resource_builder{
		Id:          v2.ResourceId_builder{ResourceType: "user", Resource: fmt.Sprint("u", n)}.Build(),
		DisplayName: fmt.Sprint("User ", n),
		Annotations: annotations.New(v2.UserTrait_builder{Login: fmt.Sprint("user", n)}.Build()),
		Status:      v2.Status_builder{Status: v2.Status_RESOURCE_STATUS_ENABLED}.Build(),
		CreatedAt:   timestamppb.New(timestamppb.Now().AsTime()),
	}.Build()
	if profile != nil {
		made, err := structpb.NewStruct(profile)
		require.NoError(t, err)
		r.SetProfile(made)
	}
	return r
}

func decoded(t testing.TB, encoded []byte) (*v2.ResourcesServiceListResourcesResponse, error) {
	t.Helper()
	// Cut where it is inconvenient, as it comes from a connection.
	cut := len(encoded) / 2
	data := mem.BufferSlice{mem.SliceBuffer(bytes.Clone(encoded[:cut])), mem.SliceBuffer(bytes.Clone(encoded[cut:]))}
	into := &v2.ResourcesServiceListResourcesResponse{NextPageToken: "of before"}
	err := sdkfast.Codec.Unmarshal(data, into)
	return into, err
}

// TestCodec_DecodesWhatIsStoredAlike: whatever is in a profile, what the store writes
// of a resource is the same, byte for byte, and it is packed where it can be.
func TestCodec_DecodesWhatIsStoredAlike(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		profile map[string]any
		packed  bool
	}{
		"none":       {nil, false},
		"empty":      {map[string]any{}, false},
		"one text":   {map[string]any{"a": "b"}, true},
		"many texts": {map[string]any{"z": "1", "a": "2", "m": "3", "": "", "ä": "ö", "aa": "long " + string(bytes.Repeat([]byte("x"), 300))}, true},
		"every kind": {map[string]any{"n": nil, "t": true, "f": false, "x": 1.5, "zero": 0.0, "s": ""}, true},
		"a list":     {map[string]any{"a": "b", "list": []any{"x", 1.0}}, false},
		"an object":  {map[string]any{"a": "b", "object": map[string]any{"z": "1", "y": "2"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := v2.ResourcesServiceListResourcesResponse_builder{
				List:          []*v2.Resource{account(t, 1, tc.profile), account(t, 2, nil), account(t, 3, tc.profile)},
				NextPageToken: "next",
				Annotations:   annotations.New(&v2.RateLimitDescription{Limit: 5}),
			}.Build()
			encoded, err := proto.Marshal(want) // The order of a profile is random.
			require.NoError(t, err)
			got, err := decoded(t, encoded)
			require.NoError(t, err)
			require.Equal(t, tc.packed, packed(got.GetList()[0].GetProfile()))
			requireSame(t, want, got)
		})
	}
}

func packed(profile *structpb.Struct) bool {
	return len(profile.GetFields()) == 0 && len(profile.ProtoReflect().GetUnknown()) > 0
}

func requireSame(t testing.TB, want, got *v2.ResourcesServiceListResourcesResponse) {
	t.Helper()
	require.Equal(t, want.GetNextPageToken(), got.GetNextPageToken())
	require.Len(t, got.GetList(), len(want.GetList()))
	for i := range want.GetList() {
		wantRow, err := deterministic.Marshal(want.GetList()[i])
		require.NoError(t, err)
		gotRow, err := deterministic.Marshal(got.GetList()[i])
		require.NoError(t, err)
		require.Equal(t, wantRow, gotRow, "row %d", i+1)
	}
	wantPage, err := deterministic.Marshal(want)
	require.NoError(t, err)
	gotPage, err := deterministic.Marshal(got)
	require.NoError(t, err)
	require.Equal(t, wantPage, gotPage)
}

// unusual are encodings of a profile that no Go program writes, and of pages that are
// none.
func unusual() map[string][]byte {
	field := func(number protowire.Number, body ...byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), body)
	}
	text := func(s string) []byte { return field(3, []byte(s)...) }
	pair := func(key string, value []byte) []byte {
		return field(1, append(field(1, []byte(key)...), field(2, value...)...)...)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	row := func(profile []byte) []byte {
		return field(1, join(field(1, field(2, 'u')...), field(9, profile...), field(3, 'n'))...)
	}
	return map[string][]byte{
		"nothing":                      nil,
		"garbage":                      []byte("garbage"),
		"cut short":                    row(pair("a", text("b")))[:10],
		"a key twice":                  row(join(pair("a", text("b")), pair("c", text("d")), pair("a", text("e")))),
		"a value before its key":       row(field(1, join(field(2, text("b")...), field(1, 'a'))...)),
		"a key without a value":        row(field(1, field(1, 'a')...)),
		"a value without a key":        row(field(1, field(2, text("b")...)...)),
		"a value of two":               row(pair("a", join(text("b"), text("c")))),
		"an empty value":               row(pair("a", nil)),
		"an unknown field of a value":  row(pair("a", field(15, 'x'))),
		"an unknown field of a struct": row(join(pair("a", text("b")), field(7, 'x'))),
		"a key that is no text":        row(pair("\xff", text("b"))),
		"a text that is none":          row(pair("a", text("\xff"))),
		"a boolean of many bits":       row(pair("a", []byte{4 << 3, 0x85, 0x01})),
		"a null that is none":          row(pair("a", []byte{1 << 3, 5})),
		"a long length":                row(append([]byte{1<<3 | 2, 0x88, 0x00}, join(field(1, 'a'), field(2, text("b")...))...)),
		"two profiles":                 field(1, join(field(9, pair("a", text("b"))...), field(9, pair("c", text("d"))...))...),
		"a profile that is a number":   field(1, 9<<3, 5),
		"a list that is a number":      {1 << 3, 5},
		"a group":                      {1<<3 | 3, 1<<3 | 4},
		"a row that is no text":        field(1, field(3, 0xff)...),
		"a token that is no text":      field(2, 0xff),
		"an unknown field":             join(row(pair("a", text("b"))), field(99, 'x')),
		"two tokens":                   join(field(2, 'a'), row(pair("a", text("b"))), field(2, 'b')),
	}
}

func TestCodec_LeavesTheUnusualToGRPC(t *testing.T) {
	t.Parallel()
	for name, encoded := range unusual() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireAsGRPC(t, encoded)
		})
	}
}

// requireAsGRPC decodes with gRPC's own codec too.
func requireAsGRPC(t testing.TB, encoded []byte) {
	t.Helper()
	want := &v2.ResourcesServiceListResourcesResponse{}
	wantErr := encoding.GetCodecV2("proto").Unmarshal(mem.BufferSlice{mem.SliceBuffer(encoded)}, want)
	got, err := decoded(t, encoded)
	if wantErr != nil {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	requireSame(t, want, got)
}

func FuzzCodec_DecodesAsGRPCDoes(f *testing.F) {
	for _, encoded := range unusual() {
		f.Add(encoded)
	}
	whole, err := proto.Marshal(v2.ResourcesServiceListResourcesResponse_builder{
		List: []*v2.Resource{account(f, 1, map[string]any{"a": "b", "c": 1.0, "d": true, "e": nil, "f": []any{"g"}})},
	}.Build())
	require.NoError(f, err)
	f.Add(whole)
	f.Fuzz(func(t *testing.T, encoded []byte) { requireAsGRPC(t, encoded) })
}

func TestCodec_LeavesOtherMessagesToGRPC(t *testing.T) {
	t.Parallel()
	want := account(t, 1, map[string]any{"a": "b"})
	data, err := sdkfast.Codec.Marshal(want)
	require.NoError(t, err)
	got := &v2.Resource{}
	require.NoError(t, sdkfast.Codec.Unmarshal(data, got))
	require.True(t, proto.Equal(want, got))
	require.Equal(t, "proto", sdkfast.Codec.Name())
}

func benchmarkDecode(b *testing.B, codec encoding.CodecV2) {
	profile := map[string]any{}
	for i := range 16 {
		profile[fmt.Sprintf("attribute_%d", i)] = fmt.Sprintf("value of the attribute %d", i)
	}
	full := &v2.ResourcesServiceListResourcesResponse{}
	for i := range 1000 {
		full.List = append(full.List, account(b, i, profile))
	}
	encoded, err := proto.Marshal(full)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		into := &v2.ResourcesServiceListResourcesResponse{}
		if err := codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(encoded)}, into); err != nil {
			b.Fatal(err)
		}
		// What the store does with each.
		for _, row := range into.GetList() {
			if _, err := deterministic.Marshal(row.GetProfile()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkDecode1000 decodes a page of 1,000 accounts and encodes their profiles as
// the store does.
func BenchmarkDecode1000(b *testing.B) {
	b.Run("grpc", func(b *testing.B) { benchmarkDecode(b, encoding.GetCodecV2("proto")) })
	b.Run("sdkfast", func(b *testing.B) { benchmarkDecode(b, sdkfast.Codec) })
}
