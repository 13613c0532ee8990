package pagecheck

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/host/internal/rename"
)

// TestTexts_EveryControlCharacterIsFound: wherever it stands among the eight bytes that are
// looked at together.
func TestTexts_EveryControlCharacterIsFound(t *testing.T) {
	t.Parallel()
	for r := range rune(0x250) {
		for before := range 10 {
			for _, after := range []string{"", "x", "0123456789", "ü"} {
				text := strings.Repeat("~", before) + string(r) + after
				require.Equal(t, unicode.IsControl(r), flaw(text, oneLine) != "", "%q", text)
				require.Equal(t, unicode.IsControl(r) && r < 0x80 && !unicode.IsSpace(r), flaw(text, lines) != "", "%q", text)
			}
		}
	}
	for _, text := range []string{"\xff", "12345678\xfc", "ü\xc3", "\xed\xa0\x80"} {
		require.Equal(t, "is not valid UTF-8", flaw(text, lines), "%q", text)
	}
	require.Empty(t, flaw("�", oneLine), "the character that stands for a broken one is one itself")
}

// TestTexts_AnIDIsShownCut: ids may have megabytes.
func TestTexts_AnIDIsShownCut(t *testing.T) {
	t.Parallel()
	require.Equal(t, `"a\nb"`, named("a\nb"))
	require.Equal(t, `"`+strings.Repeat("x", shownID)+`"…`, named(strings.Repeat("x", 5<<20)))
}

// TestTexts_OfEveryAnnotationAreLookedThrough: no message of the SDK has a number
// that is not looked at.
func TestTexts_OfEveryAnnotationAreLookedThrough(t *testing.T) {
	t.Parallel()
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		fields := mt.Descriptor().Fields()
		for i := range fields.Len() {
			if fields.Get(i).Kind() == protoreflect.StringKind && mt.Descriptor().ParentFile().Package() == "c1.connector.v2" {
				require.LessOrEqual(t, int(fields.Get(i).Number()), maxPackedNumber, "%s", fields.Get(i).FullName())
			}
		}
		return true
	})
}

// goodAccounts are accounts without a flaw; encoded says how their profiles are.
func goodAccounts(tb testing.TB, n int, encoded bool) []*v2.Resource {
	tb.Helper()
	rows := make([]*v2.Resource, 0, n)
	for i := range n {
		trait, err := anypb.New(v2.UserTrait_builder{
			Login:  fmt.Sprintf("person%d@example.com", i),
			Emails: []*v2.UserTrait_Email{v2.UserTrait_Email_builder{Address: fmt.Sprintf("person%d@example.com", i), IsPrimary: true}.Build()},
		}.Build())
		require.NoError(tb, err)
		profile := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for j := range 11 {
			profile.GetFields()[fmt.Sprintf("attribute_%d", j)] = structpb.NewStringValue(fmt.Sprintf("value of the attribute %d", j))
		}
		if encoded {
			raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(profile)
			require.NoError(tb, err)
			profile = &structpb.Struct{}
			profile.ProtoReflect().SetUnknown(raw)
		}
		rows = append(rows, v2.Resource_builder{
			Id:          v2.ResourceId_builder{ResourceType: "user", Resource: fmt.Sprintf("2819c223-7f76-453a-919d-%012d", i)}.Build(),
			DisplayName: fmt.Sprintf("Person Number %d", i), Annotations: []*anypb.Any{trait}, Profile: profile,
		}.Build())
	}
	return rows
}

// TestChecker_AGoodRowIsCheckedWithoutAllocating: there are 100,000 of them in a sync.
func TestChecker_AGoodRowIsCheckedWithoutAllocating(t *testing.T) { //nolint:paralleltest // It counts what the process allocates.
	traits := []string{traitNames[v2.ResourceType_TRAIT_USER]}
	c := NewChecker(&rename.Names{}, &Types{}, NewMemory(), false)
	for _, encoded := range []bool{false, true} {
		rows := goodAccounts(t, 100, encoded)
		require.Zero(t, testing.AllocsPerRun(10, func() {
			for _, row := range rows {
				if words := c.resourceFlaw(row, traits); words != "" {
					panic(words)
				}
			}
		}))
	}
}

// BenchmarkCheck1000 checks a page of 1,000 accounts.
func BenchmarkCheck1000(b *testing.B) {
	traits := []string{traitNames[v2.ResourceType_TRAIT_USER]}
	c := NewChecker(&rename.Names{}, &Types{}, NewMemory(), false)
	for name, encoded := range map[string]bool{"decoded profiles": false, "encoded profiles": true} {
		rows := goodAccounts(b, 1000, encoded)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, row := range rows {
					if words := c.resourceFlaw(row, traits); words != "" {
						b.Fatal(words)
					}
				}
			}
		})
	}
}
