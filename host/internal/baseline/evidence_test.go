package baseline

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
)

func TestMergeEvidence(t *testing.T) {
	t.Parallel()
	proven := func(typeID string) Evidence { return Evidence{ResourceType: typeID, Grade: Proven} }
	unproven := func(typeID, reason string) Evidence {
		return Evidence{ResourceType: typeID, Grade: Unproven, Reason: reason}
	}
	grants := Evidence{ResourceType: "user", Kind: Grants, Grade: Proven}
	for name, c := range map[string]struct{ first, second, want []Evidence }{
		"nothing":                    {nil, nil, nil},
		"one":                        {[]Evidence{proven("user")}, nil, []Evidence{proven("user")}},
		"in order":                   {[]Evidence{grants, proven("user")}, []Evidence{proven("group")}, []Evidence{proven("group"), proven("user"), grants}},
		"the worst":                  {[]Evidence{proven("user")}, []Evidence{unproven("user", "cut")}, []Evidence{unproven("user", "cut")}},
		"the worst, the other way":   {[]Evidence{unproven("user", "cut")}, []Evidence{proven("user")}, []Evidence{unproven("user", "cut")}},
		"the first reason":           {[]Evidence{unproven("user", "first")}, []Evidence{unproven("user", "second")}, []Evidence{unproven("user", "first")}},
		"what is not known is none":  {[]Evidence{{ResourceType: "user", Grade: NotReported}}, []Evidence{{ResourceType: "user", Grade: "sworn"}}, nil},
		"grants are another listing": {[]Evidence{unproven("user", "cut")}, []Evidence{grants}, []Evidence{unproven("user", "cut"), grants}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cmp.Diff(c.want, MergeEvidence(c.first, c.second), cmpopts.EquateEmpty()))
		})
	}

	var many []Evidence
	for i := range 2 * mostEvidence {
		many = MergeEvidence(many, []Evidence{proven(fmt.Sprintf("type%03d", i))})
	}
	many = MergeEvidence(many, []Evidence{unproven("zebra", "cut")})
	require.Len(t, many, mostEvidence)
	require.Equal(t, Evidence{Grade: Unproven, Reason: "cut"}, EvidenceOfAll(many), "the worst is kept")
	for i := range 2 * mostEvidence {
		many = MergeEvidence(many, []Evidence{unproven(fmt.Sprintf("type%03d", i), "cut")})
	}
	require.Len(t, many, mostEvidence)
	require.Equal(t, "cut (and lists of other resource types: 49)", EvidenceOfAll(many).Reason)
	require.Equal(t, Evidence{Grade: NotReported}, EvidenceOfAll(nil))
	require.Equal(t, Evidence{Grade: Proven}, EvidenceOfAll([]Evidence{proven("user"), proven("group")}))
}

func TestWorstGrade(t *testing.T) {
	t.Parallel()
	require.Equal(t, Unproven, WorstGrade(Proven, Unproven, NotReported))
	require.Equal(t, NotReported, WorstGrade(Proven, NotReported))
	require.Equal(t, Proven, WorstGrade(Proven, Proven))
	require.Empty(t, WorstGrade())
}
