package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/baseline"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// reporting adds annotations to every page of resources, or to those only that are the last.
func reporting(all bool, sent ...*anypb.Any) interference {
	return func(ctx context.Context, _ string, request any, handler grpc.UnaryHandler) (any, error) {
		answer, err := handler(ctx, request)
		if page, ok := answer.(*v2.ResourcesServiceListResourcesResponse); ok && (all || page.GetNextPageToken() == "") {
			page = proto.CloneOf(page)
			page.SetAnnotations(append(page.GetAnnotations(), sent...))
			return page, err
		}
		return answer, err
	}
}

func graded(grade pluginv1.EvidenceGrade, reason string) *anypb.Any {
	return annotations.New(&pluginv1.Evidence{Grade: grade, Reason: reason, Resources: 5})[0]
}

const (
	isProven   = pluginv1.EvidenceGrade_EVIDENCE_GRADE_PROVEN
	isUnproven = pluginv1.EvidenceGrade_EVIDENCE_GRADE_UNPROVEN
)

func TestEvidence_OfAListing(t *testing.T) {
	t.Parallel()
	const unreported = `plugin "a": listing resources of type "user": this connector does not report what proves that the list is complete, and require-evidence is proven`
	unproven := func(reason string) []baseline.Evidence {
		return []baseline.Evidence{{ResourceType: "a.user", Grade: baseline.Unproven, Reason: reason}}
	}
	proven := []baseline.Evidence{{ResourceType: "a.user", Grade: baseline.Proven}}
	for name, c := range map[string]struct {
		sends interference
		want  []baseline.Evidence
		// refused is the error where evidence is required; "" if there is none.
		refused string
	}{
		"proven":                  {reporting(false, graded(isProven, "")), proven, ""},
		"proven needs no reason":  {reporting(false, graded(isProven, "so it is")), proven, ""},
		"unproven":                {reporting(false, graded(isUnproven, "it ends at 100")), unproven("it ends at 100"), `plugin "a": listing resources of type "user": nothing proves that the list is complete (it ends at 100), and require-evidence is proven, so it is not used; let the app show all of the list, or leave require-evidence out`},
		"unproven for no reason":  {reporting(false, graded(isUnproven, " ")), unproven("the connector gives no reason"), "(the connector gives no reason)"},
		"a reason that is hidden": {reporting(false, graded(isUnproven, "a\x1b[2J\nb\u202ec")), unproven(`a\x1b[2J\nb\u202ec`), `(a\x1b[2J\nb\u202ec)`},
		"a reason that is long":   {reporting(false, graded(isUnproven, strings.Repeat("ä", 1000))), unproven(strings.Repeat("ä", 200) + "…"), "ä…)"},
		"the worst of several":    {reporting(false, graded(isProven, ""), graded(isUnproven, "it may be cut")), unproven("it may be cut"), "(it may be cut)"},
		"none":                    {reporting(false), nil, unreported},
		"no grade":                {reporting(false, graded(pluginv1.EvidenceGrade_EVIDENCE_GRADE_UNSPECIFIED, "")), nil, unreported},
		"a grade of a later time": {reporting(false, graded(7, "")), nil, unreported},
		"it cannot be decoded":    {reporting(false, &anypb.Any{TypeUrl: graded(isProven, "").GetTypeUrl(), Value: []byte{0xff}}), nil, unreported},
		"the last page counts":    {reporting(true, graded(isProven, "")), proven, ""},
		"not one that others follow": {func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
			answer, err := reporting(true, graded(isProven, ""))(ctx, method, request, handler)
			if page, ok := answer.(*v2.ResourcesServiceListResourcesResponse); ok && page.GetNextPageToken() == "" {
				page.SetAnnotations(nil)
			}
			return answer, err
		}, nil, unreported},
	} {
		for _, required := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/required %t", name, required), func(t *testing.T) {
				t.Parallel()
				a := aggregateOf(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: serve(t, users(5), c.sends), RequireProven: required, ReadAhead: 1}}, aggregate.WithPackedProfiles())
				_, err := synced(t.Context(), t, a.Client(t.Context()), 1)
				if required && c.refused != "" {
					require.ErrorContains(t, err, c.refused)
					require.Equal(t, codes.FailedPrecondition, status.Code(err))
					require.Equal(t, []string{"a"}, aggregate.FailedPlugins(err))
					require.Empty(t, a.Evidence("a"))
					return
				}
				require.NoError(t, err)
				require.Equal(t, c.want, a.Evidence("a"))
				require.Empty(t, a.Evidence("b"))
			})
		}
	}
}

// TestEvidence_OfGrants counts where it is reported, and need not be.
func TestEvidence_OfGrants(t *testing.T) {
	t.Parallel()
	// Of the grants of the groups: the first is proven, the second unproven, the others not reported.
	sends := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		asked, ok := request.(*v2.GrantsServiceListGrantsRequest)
		if !ok {
			return reporting(false, graded(isProven, ""))(ctx, method, request, handler)
		}
		answer, err := handler(ctx, request)
		page, ok := answer.(*v2.GrantsServiceListGrantsResponse)
		if !ok {
			return nil, errors.Join(err, fmt.Errorf("a %T", answer))
		}
		page = proto.CloneOf(page)
		switch asked.GetResource().GetId().GetResource() {
		case "g000":
			page.SetAnnotations(append(page.GetAnnotations(), graded(isProven, "")))
		case "g001":
			page.SetAnnotations(append(page.GetAnnotations(), graded(isUnproven, "members may be cut")))
		}
		return page, err
	}
	conn := serve(t, groups(4), sends)
	a := aggregateOf(t, []aggregate.Plugin{{Instance: "a", Conn: conn}})
	_, err := synced(t.Context(), t, a.Client(t.Context()), 1)
	require.NoError(t, err)
	all := a.Evidence("a")
	require.Contains(t, all, baseline.Evidence{ResourceType: "group", Grade: baseline.Proven})
	require.Contains(t, all, baseline.Evidence{ResourceType: "group", Kind: baseline.Grants, Grade: baseline.Unproven, Reason: "members may be cut"})
	require.Equal(t, baseline.Evidence{Grade: baseline.Unproven, Reason: "members may be cut"}, baseline.EvidenceOfAll(all))

	a = aggregateOf(t, []aggregate.Plugin{{Instance: "a", Conn: conn, RequireProven: true}})
	_, err = synced(t.Context(), t, a.Client(t.Context()), 1)
	require.ErrorContains(t, err, `plugin "a": listing grants of group "g001": nothing proves that the list is complete (members may be cut)`)
}
