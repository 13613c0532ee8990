package scim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// TestProfile_PacksAsTheSDKDoes: encoded as the SDK's store encodes it, it is
// the same, byte for byte. It looks inside because its receiver cannot see the difference.
func TestProfile_PacksAsTheSDKDoes(t *testing.T) {
	t.Parallel()
	for name, attributes := range map[string][]attribute{
		"none":           {},
		"one":            {{"login", "ann@example.com"}},
		"not in order":   {{"user_id", "1"}, {"email", "ann@example.com"}, {"a", "b"}},
		"long and odd":   {{"title", strings.Repeat("ä", 5000)}, {"", "no key"}, {"empty", ""}, {strings.Repeat("k", 200), "x"}, {"NUL", "\x00"}},
		"127 and beyond": {{"a", strings.Repeat("x", 119)}, {"b", strings.Repeat("x", 125)}, {"c", strings.Repeat("x", 126)}, {"d", strings.Repeat("x", 128)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fields := map[string]any{}
			for _, one := range attributes {
				fields[one.key] = one.value
			}
			want, err := structpb.NewStruct(fields)
			require.NoError(t, err)
			packed, err := packProfile(attributes)
			require.NoError(t, err)

			encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
			require.NoError(t, err)
			got, err := proto.Marshal(packed)
			require.NoError(t, err)
			require.Equal(t, string(encoded), string(got))
			received := &structpb.Struct{}
			require.NoError(t, proto.Unmarshal(got, received))
			require.True(t, proto.Equal(want, received))
		})
	}
	_, err := packProfile([]attribute{{"title", "\xff"}})
	require.ErrorContains(t, err, `"title" is not valid text`)
}
