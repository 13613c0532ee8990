package rename

import (
	"strings"
	"testing"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/actions"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestArguments_EveryKindOfFieldIsDecidedOn(t *testing.T) {
	t.Parallel()
	plain := map[protoreflect.Name]bool{
		"string_field": true, "int_field": true, "bool_field": true, "string_slice_field": true, "string_map_field": true,
	}
	kinds := (&configv1.Field{}).ProtoReflect().Descriptor().Oneofs().ByName("field").Fields()
	for i := range kinds.Len() {
		name := kinds.Get(i).Name()
		require.NotEqual(t, plain[name], fieldKinds[name] != nil, "%s is not decided on", name)
	}
	require.Equal(t, len(plain)+len(fieldKinds), kinds.Len())
}

func TestNames_RefusesAnObjectThatLooksLikeAnothers(t *testing.T) {
	t.Parallel()
	bare := &Names{Instance: "b", Owners: owners{namespaced: map[string]string{"a.": "the other"}}}
	action := func(name string) *v2.BatonActionSchema { return v2.BatonActionSchema_builder{Name: name}.Build() }
	require.NoError(t, bare.ToAggregate(action("b.lock"), nil))
	require.ErrorContains(t, bare.ToAggregate(action("a.lock"), nil), `the action "a.lock" belongs to plugin "the other"`)
	require.ErrorContains(t, bare.ToPlugin(v2.InvokeActionRequest_builder{Name: "a.lock"}.Build()), `belongs to plugin "the other"`)
	require.NoError(t, bare.ToAggregate(v2.Event_builder{Id: "a.1"}.Build(), nil), "no call is routed by the id of an event")
}

func TestArguments_RenamesAResourceWithItsAnnotations(t *testing.T) {
	t.Parallel()
	names := namesOf("c.", "")
	fields := map[string]*configv1.Field{"secret": configv1.Field_builder{Name: "secret", ResourceField: &configv1.ResourceField{}}.Build()}
	args := func(typeID, owner string) *structpb.Struct {
		args := &structpb.Struct{}
		r := of(typeID, "s1", v2.SecretTrait_builder{IdentityId: id(owner, "u1")}.Build(), v2.UserTrait_builder{Login: "x"}.Build())
		r.SetParentResourceId(id(owner, "u2"))
		require.NoError(t, actions.SetResourceFieldArg(args, "secret", r))
		return args
	}

	got := args("c.key", "c.user")
	require.NoError(t, names.Arguments(got, fields))
	require.Equal(t, args("key", "user").AsMap(), got.AsMap())
	require.NoError(t, names.Returned(got, fields))
	require.Equal(t, args("c.key", "c.user").AsMap(), got.AsMap())

	require.ErrorContains(t, names.Arguments(args("c.key", "a.user"), fields), `the argument "secret": the resource type "a.user" belongs to plugin "a"`)
}

func TestArguments_MayBeSpelledAnyWayThatTheSDKReads(t *testing.T) {
	t.Parallel()
	fields := map[string]*configv1.Field{
		"one":  configv1.Field_builder{Name: "one", ResourceIdField: &configv1.ResourceIdField{}}.Build(),
		"many": configv1.Field_builder{Name: "many", ResourceIdSliceField: &configv1.ResourceIdSliceField{}}.Build(),
	}
	for _, key := range []string{"resource_type_id", "resource_type", "resourceTypeId"} {
		args, err := structpb.NewStruct(map[string]any{
			"one": map[string]any{key: "c.user"}, "many": []any{map[string]any{key: "c.group"}, nil}, "other": map[string]any{key: "a.user"},
		})
		require.NoError(t, err)
		require.NoError(t, namesOf("c.", "").Arguments(args, fields))
		require.Equal(t, map[string]any{
			"one": map[string]any{key: "user"}, "many": []any{map[string]any{key: "group"}, nil}, "other": map[string]any{key: "a.user"},
		}, args.AsMap(), "what the schema does not name is not guessed at")
	}
	for name, unlike := range map[string]any{"a string": "user/u1", "a number": 3, "a list of lists": []any{[]any{}}} {
		args, err := structpb.NewStruct(map[string]any{"many": unlike})
		require.NoError(t, err)
		require.ErrorContains(t, namesOf("c.", "").Arguments(args, fields), `the argument "many": it is not of the form`, name)
		require.NoError(t, namesOf("c.", "").Returned(args, fields), "%s: the action has been done", name)
	}
}

func TestNames_RefusesIDsThatBecomeTooLong(t *testing.T) {
	t.Parallel()
	feed := func(n int) *v2.ListEventFeedsResponse {
		return v2.ListEventFeedsResponse_builder{List: []*v2.EventFeedMetadata{
			v2.EventFeedMetadata_builder{Id: strings.Repeat("f", n)}.Build(),
		}}.Build()
	}
	names := namesOf("c.", "")
	require.NoError(t, names.ToAggregate(feed(1022), nil))
	require.ErrorContains(t, names.ToAggregate(feed(1023), nil), "has 1025 bytes with the namespace in front, and no more than 1024 are allowed")
}
