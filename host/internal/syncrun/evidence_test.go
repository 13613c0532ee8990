package syncrun_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// reports adds evidence to the lists of these types: a reason is one of being unproven, "" is
// proven. A list of any other type has none; one of a type in fails fails with its error.
func reports(reasons map[string]string, fails map[string]error) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		answer, err := handler(ctx, request)
		page, ok := answer.(*v2.ResourcesServiceListResourcesResponse)
		asked, _ := request.(*v2.ResourcesServiceListResourcesRequest)
		if !ok {
			return answer, err
		}
		if err := fails[asked.GetResourceTypeId()]; err != nil {
			return nil, err
		}
		if reason, ok := reasons[asked.GetResourceTypeId()]; ok {
			sent := &pluginv1.Evidence{Grade: pluginv1.EvidenceGrade_EVIDENCE_GRADE_PROVEN, Reason: reason}
			if reason != "" {
				sent.Grade = pluginv1.EvidenceGrade_EVIDENCE_GRADE_UNPROVEN
			}
			page = proto.CloneOf(page)
			page.SetAnnotations(append(page.GetAnnotations(), annotations.New(sent)...))
		}
		return page, err
	}
}

func TestEvidence_OfASync(t *testing.T) {
	t.Parallel()
	const cut = "the list ends at 100"
	usersUnproven := []baseline.Evidence{{ResourceType: "app.user", Grade: baseline.Unproven, Reason: cut}}
	usersProven := []baseline.Evidence{{ResourceType: "app.user", Grade: baseline.Proven}}
	groupsProven := baseline.Evidence{ResourceType: "app.group", Grade: baseline.Proven}
	away := status.Error(codes.Unavailable, "away")
	wrong := status.Error(codes.DataLoss, "the list is wrong")
	type reading struct {
		app     counted
		reasons map[string]string
		fails   map[string]error
		proven  bool
	}
	for name, c := range map[string]struct {
		before *reading // the sync that becomes the baseline; nil: none
		now    reading

		want     []baseline.Evidence
		warnings []string
		grade    string // in the log
		stale    bool
		accounts int
		failure  string
	}{
		"proven": {
			now:  reading{app: counted{"user": 5}, reasons: map[string]string{"user": ""}},
			want: usersProven, grade: "proven", accounts: 5,
		},
		"unproven passes, and is visible": {
			now:      reading{app: counted{"user": 5, "group": 2}, reasons: map[string]string{"user": cut, "group": ""}},
			want:     []baseline.Evidence{groupsProven, usersUnproven[0]},
			warnings: []string{`plugin "app": nothing proves that its list of type "app.user" is complete: the list ends at 100`},
			grade:    "unproven", accounts: 5,
		},
		"not reported": {now: reading{app: counted{"user": 5}}, grade: "not reported", accounts: 5},
		"away, with a baseline that is unproven": {
			before: &reading{app: counted{"user": 5}, reasons: map[string]string{"user": cut}},
			now:    reading{app: counted{"user": 5}, reasons: map[string]string{"user": ""}, fails: map[string]error{"user": away}},
			want:   usersUnproven, grade: "unproven", stale: true, accounts: 5,
			warnings: []string{`plugin "app": nothing proves that its list of type "app.user" is complete: the list ends at 100`},
		},
		"away, with a baseline on which nothing is reported": {
			before: &reading{app: counted{"user": 5}},
			now:    reading{app: counted{"user": 5}, reasons: map[string]string{"user": ""}, fails: map[string]error{"user": away}},
			grade:  "not reported", stale: true, accounts: 5,
		},
		"G4: what was listed before a list that is wrong is not used, nor its evidence": {
			before: &reading{app: counted{"user": 5, "group": 2}, reasons: map[string]string{"user": ""}},
			now:    reading{app: counted{"user": 7, "group": 3}, reasons: map[string]string{"user": cut, "group": ""}, fails: map[string]error{"group": wrong}},
			want:   usersProven, grade: "proven", stale: true, accounts: 5,
		},
		"the guard trips: the baseline's counts": {
			before: &reading{app: counted{"user": 40}, reasons: map[string]string{"user": ""}},
			now:    reading{app: counted{"user": 2}, reasons: map[string]string{"user": cut}},
			want:   usersProven, grade: "proven", stale: true, accounts: 40,
		},
		"required, and proven": {
			now:  reading{app: counted{"user": 5}, reasons: map[string]string{"user": ""}, proven: true},
			want: usersProven, grade: "proven", accounts: 5,
		},
		"G4: required, and unproven: the baseline alone is used": {
			before: &reading{app: counted{"user": 5}, reasons: map[string]string{"user": ""}, proven: true},
			now:    reading{app: counted{"user": 7}, reasons: map[string]string{"user": cut}, proven: true},
			want:   usersProven, grade: "proven", stale: true, accounts: 5,
		},
		"required, and unproven, without a baseline": {
			now:     reading{app: counted{"user": 5}, reasons: map[string]string{"user": cut}, proven: true},
			failure: `plugin "app": listing resources of type "user": nothing proves that the list is complete (the list ends at 100), and require-evidence is proven`,
		},
		"required, and not reported": {
			now:     reading{app: counted{"user": 5}, proven: true},
			failure: `this connector does not report what proves that the list is complete, and require-evidence is proven, so it is not used; use a connector that reports it, or leave require-evidence out`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t)
			guard := config.DefaultChangeGuard()
			other := member{name: "other", app: counted{"user": 3}, guard: guard}
			figures := &syncrun.Figures{}
			run := func(r reading, into *syncrun.Figures) (*syncrun.Result, error) {
				app := member{name: "app", app: r.app, guard: guard, proven: r.proven, interfere: reports(r.reasons, r.fails)}
				return l.sync(t, true, syncrun.Spec{Plugins: plugins(t, app, other), Figures: into, Retry: policy.Retries{MaxAttempts: 1}})
			}
			if c.before != nil {
				_, err := run(*c.before, nil)
				require.NoError(t, err)
			}
			kept := bytesOf(t, l.path)
			result, err := run(c.now, figures)
			if c.failure != "" {
				require.ErrorContains(t, err, c.failure)
				require.Equal(t, kept, bytesOf(t, l.path))
				return
			}
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(c.want, result.Sync.Plugins["app"].Evidence, cmpopts.EquateEmpty()))
			require.Empty(t, result.Sync.Plugins["other"].Evidence)
			require.Equal(t, c.warnings, result.Warnings)
			require.Equal(t, c.stale, len(result.Stale) == 1)
			require.Equal(t, c.accounts, l.types(t)["app.user"])
			for _, warning := range c.warnings {
				require.Equal(t, 1, l.log.FilterMessage(warning).Len())
			}

			core, logged := observer.New(zap.InfoLevel)
			figures.Log(zap.New(core), nil, false, time.Second)
			line, err := json.Marshal(logged.All()[0].ContextMap()["plugins"])
			require.NoError(t, err)
			var of map[string]struct {
				Evidence string `json:"evidence"`
				Reason   string `json:"evidence_reason"`
			}
			require.NoError(t, json.Unmarshal(line, &of))
			require.Equal(t, c.grade, of["app"].Evidence)
			require.Equal(t, c.grade == "unproven", of["app"].Reason == cut)
			require.Equal(t, "not reported", of["other"].Evidence)

			record, err := baseline.At(l.path).Open(t.Context(), t.TempDir())
			require.NoError(t, err)
			defer func() { require.NoError(t, record.Close(context.WithoutCancel(t.Context()))) }()
			require.Empty(t, cmp.Diff(c.want, record.Sync.Plugins["app"].Evidence, cmpopts.EquateEmpty()), "a later sync knows it too")
		})
	}
}
