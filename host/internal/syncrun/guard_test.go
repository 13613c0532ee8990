package syncrun_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/sandbox/raced"
)

// roster is a connector of accounts (types "user" and "bot") and of what they are members
// of (every other type).
type roster struct {
	rows map[string][]entry
	// varying are the types that are marked by SkipSyncAnomalyDetection.
	varying map[string]bool
}

// entry is one resource of a roster. An account is enabled and has all attributes.
type entry struct {
	id                string
	disabled, unknown bool
	noEmail, noLogin  bool
	unnamed           bool
	members           []string // ids of users
	fails             error    // the listing of its grants fails
}

func (r roster) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	return v2.ConnectorMetadata_builder{DisplayName: "App"}.Build(), nil
}

func (r roster) Validate(context.Context) (annotations.Annotations, error) { return nil, nil }

func (r roster) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	var syncers []connectorbuilder.ResourceSyncerV2
	for _, typeID := range slices.Sorted(maps.Keys(r.rows)) {
		syncers = append(syncers, rosterType{r, typeID})
	}
	return syncers
}

type rosterType struct {
	roster
	typeID string
}

func (r rosterType) ofAccounts() bool { return r.typeID == "user" || r.typeID == "bot" }

func (r rosterType) ResourceType(context.Context) *v2.ResourceType {
	of := v2.ResourceType_builder{Id: r.typeID, DisplayName: r.typeID, Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP}}
	if r.ofAccounts() {
		of.Traits = []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}
	}
	if r.varying[r.typeID] {
		of.Annotations = annotations.New(&v2.SkipSyncAnomalyDetection{})
	}
	return of.Build()
}

func (r rosterType) List(context.Context, *v2.ResourceId, resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	var rows []*v2.Resource
	for _, one := range r.rows[r.typeID] {
		row := v2.Resource_builder{
			Id: v2.ResourceId_builder{ResourceType: r.typeID, Resource: one.id}.Build(), DisplayName: "Name of " + one.id,
			Annotations: annotations.New(&v2.GroupTrait{}),
		}.Build()
		if one.unnamed {
			row.SetDisplayName(one.id)
		}
		if r.ofAccounts() {
			trait := &v2.UserTrait{}
			if !one.noLogin {
				trait.SetLogin("login-" + one.id)
			}
			if !one.noEmail {
				trait.SetEmails([]*v2.UserTrait_Email{v2.UserTrait_Email_builder{Address: one.id + "@example.com", IsPrimary: true}.Build()})
			}
			row.SetAnnotations(annotations.New(trait))
			switch {
			case one.disabled:
				row.SetStatus(v2.Status_builder{Status: v2.Status_RESOURCE_STATUS_DISABLED}.Build())
			case !one.unknown:
				row.SetStatus(v2.Status_builder{Status: v2.Status_RESOURCE_STATUS_ENABLED}.Build())
			}
		}
		rows = append(rows, row)
	}
	return rows, &resource.SyncOpResults{}, nil
}

func (r rosterType) Entitlements(_ context.Context, of *v2.Resource, _ resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	if r.ofAccounts() {
		return nil, &resource.SyncOpResults{}, nil
	}
	return []*v2.Entitlement{entitlement.NewAssignmentEntitlement(of, "member")}, &resource.SyncOpResults{}, nil
}

func (r rosterType) Grants(_ context.Context, of *v2.Resource, _ resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	var grants []*v2.Grant
	for _, one := range r.rows[r.typeID] {
		if one.id != of.GetId().GetResource() || r.ofAccounts() {
			continue
		}
		if one.fails != nil {
			return nil, nil, one.fails
		}
		for _, id := range one.members {
			grants = append(grants, grant.NewGrant(of, "member", v2.ResourceId_builder{ResourceType: "user", Resource: id}.Build()))
		}
	}
	return grants, &resource.SyncOpResults{}, nil
}

// people are so many accounts, from a number on, each changed.
func people(from, n int, change func(*entry)) []entry {
	var all []entry
	for i := range n {
		one := entry{id: fmt.Sprint("u", from+i)}
		if change != nil {
			change(&one)
		}
		all = append(all, one)
	}
	return all
}

// team is a resource with the first so many people as its members.
func team(id string, members int) entry {
	one := entry{id: id}
	for i := range members {
		one.members = append(one.members, fmt.Sprint("u", i))
	}
	return one
}

func users(rows []entry) roster { return roster{rows: map[string][]entry{"user": rows}} }

// of is a roster of types with their rows.
func of(rows map[string][]entry) roster { return roster{rows: rows} }

// age makes the record of a line older, as if that time had passed since.
func (l *line) age(t *testing.T, by time.Duration) {
	t.Helper()
	data := bytesOf(t, l.path+".json")
	if len(data) == 0 {
		return
	}
	var record any
	require.NoError(t, json.Unmarshal(data, &record))
	var shift func(any) any
	shift = func(value any) any {
		switch value := value.(type) {
		case map[string]any:
			for key, one := range value {
				value[key] = shift(one)
			}
		case []any:
			for i, one := range value {
				value[i] = shift(one)
			}
		case string:
			if at, err := time.Parse(time.RFC3339, value); err == nil {
				return at.Add(-by).Format(time.RFC3339Nano)
			}
		}
		return value
	}
	data, err := json.Marshal(shift(record))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(l.path+".json", data, 0o600))
}

// TestChangeGuard has the syncs of an app follow one another, a day apart, beside another
// app that does not change. The last of them trips, or none does: then the file is refused,
// or the plugin falls back, until it is accepted.
// Every other case falls back here, and the others refuse; TestLongChangeGuard does both with all.
func TestChangeGuard(t *testing.T) {
	t.Parallel()
	changeGuard(t, func(number int, fallsBack bool) bool { return fallsBack == (number%2 == 0) })
}

// changeGuard does the cases, numbered in the order of their names, that are wanted.
func changeGuard(t *testing.T, wanted func(number int, fallsBack bool) bool) {
	t.Helper()
	numbers := func(all ...int) []roster {
		var syncs []roster
		for _, n := range all {
			syncs = append(syncs, users(people(0, n, nil)))
		}
		return syncs
	}
	disabled := func(one *entry) { one.disabled = true }
	unknown := func(one *entry) { one.unknown = true }
	noEmail := func(one *entry) { one.noEmail = true }
	noLogin := func(one *entry) { one.noLogin = true }
	unnamed := func(one *entry) { one.unnamed = true }
	some := func(n int, change func(*entry), of int) []entry {
		return append(people(0, n, change), people(n, of-n, nil)...)
	}
	both := func(users, bots []entry) roster {
		return of(map[string][]entry{"user": users, "bot": bots})
	}
	teams := func(groups, roles entry) roster {
		return of(map[string][]entry{"user": people(0, 60, nil), "group": {groups}, "role": {roles}})
	}
	refuse := config.DefaultChangeGuard()
	refuse.RefuseAttributes = true
	strict := config.DefaultChangeGuard()
	strict.ByType = map[string]config.GuardLimits{"user": {KeepPercent: 95, MinMissing: 2, Explicit: true}}
	twoDays := config.DefaultChangeGuard()
	twoDays.Window = 50 * time.Hour
	varying := func(n int) roster {
		r := both(people(0, n, nil), people(100, 5, nil))
		r.varying = map[string]bool{"user": true}
		return r
	}

	cases := map[string]struct {
		guard    *config.ChangeGuard
		syncs    []roster
		trips    []string // the last sync: every part of its error
		warnings []string // the last sync, if it does not trip
	}{
		"G1: an app shrinks in five syncs":   {syncs: numbers(100, 60, 36), trips: []string{`lists 36 accounts of type "app.user", but 100 at the highest of the last 168h (20`}},
		"G1: and stops at the half":          {syncs: numbers(100, 80, 65, 50)},
		"G1: one at a time":                  {syncs: numbers(20, 18, 16, 14, 12, 9), trips: []string{"9 accounts", "but 20 at the highest"}},
		"G1: a short list, one at a time":    {syncs: numbers(10, 9, 8, 7, 6, 5), trips: []string{"5 accounts", "but 10 at the highest"}},
		"G1: it grew in between":             {syncs: numbers(60, 100, 55, 45), trips: []string{"45 accounts", "but 100 at the highest"}},
		"G1: beyond the window":              {guard: &twoDays, syncs: numbers(100, 90, 80, 70, 60, 50, 42)},
		"G1: within it":                      {guard: &twoDays, syncs: numbers(100, 90, 60, 44), trips: []string{"44 accounts", "but 90 at the highest of the last 50h"}},
		"G1: groups shrink":                  {syncs: []roster{of(map[string][]entry{"user": people(0, 3, nil), "group": people(0, 40, nil)}), of(map[string][]entry{"user": people(0, 3, nil), "group": people(0, 30, nil)}), of(map[string][]entry{"user": people(0, 3, nil), "group": people(0, 19, nil)})}, trips: []string{`lists 19 resources of type "app.group", but 40 at the highest`}},
		"G2: all ids are new":                {syncs: []roster{users(people(0, 30, nil)), users(people(500, 30, nil))}, trips: []string{`no longer lists 30 of the 30 ids of type "app.user" that are in the baseline (20`}},
		"G2: more than half are":             {syncs: []roster{users(people(0, 30, nil)), users(people(16, 30, nil))}, trips: []string{"16 of the 30 ids"}},
		"G2: half are":                       {syncs: []roster{users(people(0, 30, nil)), users(people(15, 30, nil))}},
		"G2: of a growing list":              {syncs: []roster{users(people(0, 30, nil)), users(people(500, 300, nil))}, trips: []string{"30 of the 30 ids"}},
		"G2: of one of two types":            {syncs: []roster{both(people(0, 30, nil), people(100, 30, nil)), both(people(0, 30, nil), people(700, 30, nil))}, trips: []string{`30 of the 30 ids of type "app.bot"`}},
		"G2: ids of groups":                  {syncs: []roster{of(map[string][]entry{"user": people(0, 3, nil), "group": people(0, 20, nil)}), of(map[string][]entry{"user": people(0, 3, nil), "group": people(50, 20, nil)})}, trips: []string{`20 of the 20 ids of type "app.group"`}},
		"G2: fewer than ten":                 {syncs: []roster{users(people(0, 9, nil)), users(people(500, 9, nil))}},
		"G2: all are disabled":               {syncs: []roster{users(people(0, 30, nil)), users(people(0, 30, disabled))}, trips: []string{`lists as disabled 30 of the 30 accounts of type "app.user" that are enabled in the baseline (20`}},
		"G2: more than half of the enabled":  {syncs: []roster{users(some(20, disabled, 40)), users(some(31, disabled, 40))}, trips: []string{"11 of the 20 accounts"}},
		"G2: half of the enabled":            {syncs: []roster{users(some(20, disabled, 40)), users(some(30, disabled, 40))}},
		"G2: nine of nine":                   {syncs: []roster{users(people(0, 9, nil)), users(people(0, 9, disabled))}},
		"G2: of one of two types, of status": {syncs: []roster{both(people(0, 30, nil), people(100, 30, nil)), both(people(0, 30, nil), people(100, 30, disabled))}, trips: []string{`of type "app.bot" that are enabled`}},
		"G2: a status that is not known":     {syncs: []roster{users(people(0, 30, nil)), users(people(0, 30, unknown))}},
		"G2: they are enabled again":         {syncs: []roster{users(people(0, 30, disabled)), users(people(0, 30, nil))}},
		"G2: some leave, others are disabled": {
			syncs: []roster{users(people(0, 30, nil)), users(append(people(8, 12, disabled), people(20, 10, nil)...))}, // 8 are gone, 12 disabled
		},
		"G2: all e-mail addresses are gone": {
			syncs:    []roster{users(people(0, 30, nil)), users(people(0, 30, noEmail))},
			warnings: []string{`plugin "app" lists without an e-mail address 30 of the 30 accounts of type "app.user" that have one in the baseline (20`},
		},
		"G2: all logins are gone": {syncs: []roster{users(people(0, 30, nil)), users(people(0, 30, noLogin))}, warnings: []string{`lists without a login 30 of the 30 accounts`}},
		"G2: all names are gone":  {syncs: []roster{users(people(0, 30, nil)), users(people(0, 30, unnamed))}, warnings: []string{`lists without a name 30 of the 30 accounts`}},
		"G2: two attributes": {
			syncs:    []roster{users(people(0, 30, nil)), users(people(0, 30, func(one *entry) { noEmail(one); noLogin(one) }))},
			warnings: []string{"an e-mail address 30 of the 30", "a login 30 of the 30"},
		},
		"G2: half of the addresses":                {syncs: []roster{users(people(0, 30, nil)), users(some(15, noEmail, 30))}},
		"G2: few had an address":                   {syncs: []roster{users(some(21, noEmail, 30)), users(people(0, 30, noEmail))}},
		"G2: the addresses of those who are new":   {syncs: []roster{users(people(0, 30, nil)), users(append(people(0, 30, nil), people(30, 300, noEmail)...))}},
		"G2: all addresses, and they are required": {guard: &refuse, syncs: []roster{users(people(0, 30, nil)), users(people(0, 30, noEmail))}, trips: []string{"an e-mail address 30 of the 30"}},
		"G2: all names, and they are required":     {guard: &refuse, syncs: []roster{users(people(0, 30, nil)), users(people(0, 30, unnamed))}, trips: []string{"a name 30 of the 30"}},
		"G7: the members of groups":                {syncs: []roster{teams(team("g", 50), team("r", 5)), teams(team("g", 3), team("r", 5))}, trips: []string{`lists 3 grants of resources of type "app.group", but 50 in the baseline`}},
		"G7: of one type, while another grows":     {syncs: []roster{teams(team("g", 50), team("r", 5)), teams(team("g", 20), team("r", 60))}, trips: []string{`20 grants of resources of type "app.group"`}},
		"G7: to none":                              {syncs: []roster{teams(team("g", 50), team("r", 1)), teams(team("g", 50), team("r", 0))}, trips: []string{`0 grants of resources of type "app.role", but 1 in the baseline`}},
		"G7: slowly":                               {syncs: []roster{teams(team("g", 50), team("r", 5)), teams(team("g", 30), team("r", 5)), teams(team("g", 20), team("r", 5))}, trips: []string{"20 grants", "50 at the highest"}},
		"G7: half of them":                         {syncs: []roster{teams(team("g", 50), team("r", 5)), teams(team("g", 25), team("r", 5))}},
		"G7: a group that is skipped": {syncs: []roster{
			of(map[string][]entry{"user": people(0, 60, nil), "group": {team("g", 50), team("h", 5)}}),
			of(map[string][]entry{"user": people(0, 60, nil), "group": {{id: "g", fails: status.Error(codes.NotFound, "gone")}, team("h", 5)}}),
		}, warnings: []string{`plugin "app" no longer finds 1 resource`}},
		"G8: a type that varies":        {syncs: []roster{varying(40), varying(2), varying(0)}},
		"G8: beside one that does not":  {syncs: []roster{varying(40), both(people(0, 2, nil), people(100, 5, nil))}, trips: []string{`lists 2 accounts of type "app.user"`}},
		"a stricter limit for one type": {guard: &strict, syncs: numbers(100, 90), trips: []string{"90 accounts"}},
		"a stricter limit for ids":      {guard: &strict, syncs: []roster{users(people(0, 30, nil)), users(people(5, 30, nil))}, trips: []string{"5 of the 30 ids"}},
		"joiners, leavers and movers":   {syncs: []roster{users(people(0, 100, nil)), users(people(10, 100, nil)), users(people(30, 90, nil))}},
	}
	for number, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		for _, fallsBack := range []bool{false, true} {
			if !wanted(number, fallsBack) {
				continue
			}
			t.Run(fmt.Sprintf("%s/last-good %t", name, fallsBack), func(t *testing.T) {
				raced.Sample(t, 5)
				t.Parallel()
				l := newLine(t)
				l.recorded = true
				guard := config.DefaultChangeGuard()
				if c.guard != nil {
					guard = *c.guard
				}
				other := member{name: "other", app: counted{"user": 3}, guard: guard}
				spec := func(app roster) syncrun.Spec {
					return syncrun.Spec{Plugins: plugins(t, member{name: "app", app: app, guard: guard}, other), Retry: policy.Retries{MaxAttempts: 1}}
				}
				last := len(c.syncs) - 1
				for _, app := range c.syncs[:last] {
					_, err := l.sync(t, fallsBack, spec(app))
					require.NoError(t, err)
					l.age(t, 24*time.Hour)
				}
				kept := bytesOf(t, l.path)
				before := l.types(t)
				made, err := l.sync(t, fallsBack, spec(c.syncs[last]))
				if len(c.trips) == 0 {
					require.NoError(t, err)
					require.Empty(t, made.Stale)
					require.Len(t, made.Warnings, len(c.warnings), "%v", made.Warnings)
					for i, warning := range c.warnings {
						require.Contains(t, made.Warnings[i], warning)
						require.Equal(t, 1, l.log.FilterMessage(made.Warnings[i]).Len())
					}
					return
				}
				if fallsBack {
					require.NoError(t, err)
					require.Len(t, made.Stale, 1)
					err = made.Stale[0].Err
					require.Equal(t, before, l.types(t), "the baseline's part is used")
				} else {
					require.True(t, bytes.Equal(kept, bytesOf(t, l.path)), "the baseline stays")
				}
				var tripped *syncrun.GuardError
				require.ErrorAs(t, err, &tripped)
				require.Equal(t, "app", tripped.Instance)
				for _, said := range append(c.trips, "let it through once with --accept-deletions app") {
					require.ErrorContains(t, err, said)
				}

				// It trips again for as long as nobody accepts it; then it is the new truth.
				accepted := spec(c.syncs[last])
				accepted.Accept = map[string]bool{"app": true}
				made, err = l.sync(t, fallsBack, accepted)
				require.NoError(t, err)
				require.Empty(t, made.Stale)
				let := slices.IndexFunc(made.Warnings, func(w string) bool {
					return strings.Contains(w, c.trips[0]) && strings.HasSuffix(w, ", as --accept-deletions lets through")
				})
				require.NotEqual(t, -1, let, "%v", made.Warnings)
				require.Equal(t, 1, l.log.FilterMessage(made.Warnings[let]).Len())
				made, err = l.sync(t, fallsBack, spec(c.syncs[last]))
				require.NoError(t, err)
				require.Empty(t, made.Stale, "the window begins again at what was accepted")
			})
		}
	}
}

// TestChangeGuard_LooksAtWhatWasReadCompletely: what a stale sync has, and what was
// rejected, is nothing to compare with, in the baseline or in the window.
func TestChangeGuard_LooksAtWhatWasReadCompletely(t *testing.T) {
	t.Parallel()
	guard := config.DefaultChangeGuard()
	other := member{name: "other", app: counted{"user": 3}, guard: guard}
	sync := func(t *testing.T, l *line, app roster, interfere grpc.UnaryServerInterceptor) (*syncrun.Result, error) {
		t.Helper()
		defer l.age(t, 24*time.Hour)
		return l.sync(t, true, syncrun.Spec{Plugins: plugins(t, member{name: "app", app: app, guard: guard, interfere: interfere}, other), Retry: policy.Retries{MaxAttempts: 1}})
	}
	failing := func(code codes.Code) grpc.UnaryServerInterceptor {
		return reports(nil, map[string]error{"group": status.Error(code, "no groups")})
	}
	app := func(n, members int) roster {
		return of(map[string][]entry{"user": people(0, n, nil), "group": {team("g", members)}})
	}
	for name, code := range map[string]codes.Code{"G4: a plugin that is away": codes.Unavailable, "G4: a list that is rejected": codes.DataLoss} {
		t.Run(name+": too many", func(t *testing.T) {
			t.Parallel()
			l := newLine(t)
			_, err := sync(t, l, app(30, 20), nil)
			require.NoError(t, err)
			made, err := sync(t, l, app(900, 20), failing(code))
			require.NoError(t, err)
			require.Len(t, made.Stale, 1)
			require.Len(t, made.Sync.Plugins["app"].Window, 1, "the window is that of before")
			require.Equal(t, 30, made.Sync.Plugins["app"].Window[0].Resources["app.user"])
			made, err = sync(t, l, app(29, 19), nil)
			require.NoError(t, err)
			require.Empty(t, made.Stale, "the true list passes")
		})
		t.Run(name+": too few", func(t *testing.T) {
			t.Parallel()
			l := newLine(t)
			_, err := sync(t, l, app(30, 20), nil)
			require.NoError(t, err)
			made, err := sync(t, l, app(18, 12), failing(code))
			require.NoError(t, err)
			require.Len(t, made.Stale, 1)
			require.Equal(t, map[string]int{"app.user": 30, "app.group": 1}, made.Sync.Plugins["app"].Counts)
			require.Equal(t, map[string]int{"app.user": 0, "app.group": 20}, made.Sync.Plugins["app"].GrantCounts)
			made, err = sync(t, l, app(11, 12), nil)
			require.NoError(t, err)
			require.Len(t, made.Stale, 1)
			require.ErrorContains(t, made.Stale[0].Err, `lists 11 accounts of type "app.user", but 30`)
		})
	}
}

// TestChangeGuard_KnowsWhoWasReadCompletely: an app that numbers everyone again, and is lost
// in the middle of it, is in the file twice; C1 has both.
func TestChangeGuard_KnowsWhoWasReadCompletely(t *testing.T) {
	t.Parallel()
	guard := config.DefaultChangeGuard()
	other := member{name: "other", app: counted{"user": 3}, guard: guard}
	away := reports(nil, map[string]error{"group": status.Error(codes.Unavailable, "no groups")})
	for name, c := range map[string]struct {
		now   []entry
		trips bool
	}{
		"G2: all ids are new, after half of them were seen": {people(500, 30, nil), true},
		"G2: the ids of before are back":                    {people(0, 30, nil), false},
		"G2: and some have left":                            {people(0, 18, nil), false},
	} {
		t.Run(name, func(t *testing.T) {
			raced.Sample(t, 4)
			t.Parallel()
			l := newLine(t)
			sync := func(rows []entry, interfere grpc.UnaryServerInterceptor) *syncrun.Result {
				app := of(map[string][]entry{"user": rows, "group": {team("g", 1)}})
				made, err := l.sync(t, true, syncrun.Spec{Plugins: plugins(t, member{name: "app", app: app, guard: guard, interfere: interfere}, other), Retry: policy.Retries{MaxAttempts: 1}})
				require.NoError(t, err)
				return made
			}
			sync(people(0, 30, nil), nil)
			for range 2 { // All who are new are listed, and so are the old ones, but for some.
				require.Len(t, sync(append(people(0, 18, nil), people(500, 70, nil)...), away).Stale, 1)
			}
			made := sync(c.now, nil)
			require.Equal(t, c.trips, len(made.Stale) == 1)
			if c.trips {
				// Of those before, the ones who were seen again; all, where the groups were read first.
				require.Regexp(t, `no longer lists (18 of the 18|30 of the 30) ids of type "app.user" that are in the baseline`, made.Stale[0].Err.Error())
			}
		})
	}
}

// TestChangeGuard_OverARestartAndWithAnotherClock: the window is in the record, not in the
// process, and a clock that is set back or forth neither loses it nor keeps it for ever.
func TestChangeGuard_OverARestartAndWithAnotherClock(t *testing.T) {
	t.Parallel()
	guard := config.DefaultChangeGuard()
	const day = 24 * time.Hour
	type step struct {
		n     int
		clock time.Duration // how far it goes on behind the sync
		trips bool
	}
	for name, steps := range map[string][]step{
		"G1: a day between":                      {{100, day, false}, {60, day, false}, {45, day, true}},
		"G1: the clock goes back a month":        {{100, day, false}, {60, -30 * day, false}, {45, 0, true}},
		"G1: and goes on from there":             {{100, -30 * day, false}, {60, 6 * day, false}, {45, 0, true}},
		"G1: the numbers of the future age":      {{100, -30 * day, false}, {60, 8 * day, false}, {45, 0, false}},
		"G1: forth and back":                     {{100, 5 * day, false}, {60, -5 * day, false}, {45, 0, true}},
		"G1: a week later nobody looks that far": {{100, 4 * day, false}, {60, 4 * day, false}, {45, 0, false}},
	} {
		for _, fallsBack := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/last-good %t", name, fallsBack), func(t *testing.T) {
				raced.Sample(t, 4)
				t.Parallel()
				l := newLine(t)
				l.recorded = true
				for _, one := range steps {
					// Each sync has a new store, and new plugins: nothing but files is left of the last.
					made, err := l.sync(t, fallsBack, syncrun.Spec{Plugins: plugins(t,
						member{name: "app", app: counted{"user": one.n}, guard: guard}, member{name: "other", app: counted{"user": 3}, guard: guard})})
					if fallsBack && one.trips && err == nil {
						require.Len(t, made.Stale, 1)
						err = made.Stale[0].Err
					}
					require.Equal(t, one.trips, err != nil, "%v", err)
					if one.trips {
						require.ErrorContains(t, err, "but 100 at the highest of the last 168h")
					}
					l.age(t, one.clock)
				}
			})
		}
	}
}

// TestRun_DoesNotFallBackOnTheFuture: how old it is cannot be known.
func TestRun_DoesNotFallBackOnTheFuture(t *testing.T) {
	t.Parallel()
	guard := config.DefaultChangeGuard()
	l := newLine(t)
	away := reports(nil, map[string]error{"user": status.Error(codes.Unavailable, "away")})
	sync := func(interfere grpc.UnaryServerInterceptor) (*syncrun.Result, error) {
		return l.sync(t, true, syncrun.Spec{Retry: policy.Retries{MaxAttempts: 1}, Plugins: plugins(t,
			member{name: "app", app: counted{"user": 30}, guard: guard, interfere: interfere}, member{name: "other", app: counted{"user": 3}, guard: guard})})
	}
	_, err := sync(nil)
	require.NoError(t, err)
	l.age(t, -time.Hour)
	_, err = sync(away)
	require.ErrorContains(t, err, `there is no baseline to fall back on for plugin "app": it is of 20`)
	require.ErrorContains(t, err, "which is in the future: the clock of this machine is wrong, or was when it was written")
	_, err = sync(nil)
	require.NoError(t, err, "a good sync is one again, and dates it")
	made, err := sync(away)
	require.NoError(t, err)
	require.Len(t, made.Stale, 1)
}

// TestBaseline_OfTheFutureGivesWay: a clock that was ahead keeps no later sync from being the
// baseline; a sync that began before the baseline is none, as ever.
func TestBaseline_OfTheFutureGivesWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		by   time.Duration // how much older the baseline is made
		ends bool          // the sync that began before it is the baseline in the end
	}{
		"G1: a baseline of the future":   {-time.Hour, true},
		"G1: one that is a little newer": {0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t)
			spec := syncrun.Spec{
				Plugins: plugins(t, member{name: "app", app: counted{"user": 30}, guard: config.DefaultChangeGuard()}),
				Upload:  &config.Upload{Name: "workforce", LastGood: true}, Keep: baseline.At(l.path), Dir: filepath.Dir(l.path),
			}
			earlier, err := syncrun.Run(t.Context(), spec)
			require.NoError(t, err)
			_, err = l.sync(t, true, syncrun.Spec{Plugins: spec.Plugins})
			require.NoError(t, err)
			l.age(t, c.by)
			require.NoError(t, spec.Keep.Advance(earlier.Draft, earlier.Sync))
			require.Equal(t, c.ends, spec.Keep.Known().StartedAt.Equal(earlier.Sync.StartedAt))
		})
	}
}

// TestChangeGuard_ComparesNoPartOfASync: what was not read is not gone.
func TestChangeGuard_ComparesNoPartOfASync(t *testing.T) {
	t.Parallel()
	guard := config.DefaultChangeGuard()
	full := of(map[string][]entry{"user": people(0, 30, nil), "group": {team("g", 30)}})
	for name, scope := range map[string]syncfile.Scope{
		"G7: without grants":                  {SkipGrants: true},
		"G7: without entitlements and grants": {SkipEntitlementsAndGrants: true},
		"G7: of one type":                     {ResourceTypes: []string{"app.user"}},
		"G7: of one resource":                 {Resources: []*v2.Resource{v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "app.group", Resource: "g"}.Build()}.Build()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t)
			l.recorded = true
			_, err := l.sync(t, false, syncrun.Spec{Plugins: plugins(t, member{name: "app", app: full, guard: guard})})
			require.NoError(t, err)
			record := bytesOf(t, l.path+".json")
			made, err := l.sync(t, false, syncrun.Spec{Plugins: plugins(t, member{name: "app", app: full, guard: guard}), Scope: scope})
			require.NoError(t, err)
			require.False(t, made.Whole)
			require.Equal(t, record, bytesOf(t, l.path+".json"))
		})
	}
	t.Run("G7: without those that follow from others", func(t *testing.T) {
		t.Parallel()
		l := newLine(t)
		l.recorded = true
		sync := func(members int, unexpanded bool) error {
			app := of(map[string][]entry{"user": people(0, 60, nil), "group": {team("g", members)}})
			_, err := l.sync(t, false, syncrun.Spec{Plugins: plugins(t, member{name: "app", app: app, guard: guard}), Scope: syncfile.Scope{DontExpandGrants: unexpanded}})
			return err
		}
		require.NoError(t, sync(50, false))
		require.NoError(t, sync(3, true), "these cannot be compared")
		require.NoError(t, sync(40, true))
		require.ErrorContains(t, sync(3, true), "but 40 in the baseline")
		require.ErrorContains(t, sync(3, false), "but 50 at the highest")
	})
}

// capable is a roster whose connector marks its types in its capabilities only.
type capable struct{ varying []string }

func (c capable) interfere(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	answer, err := handler(ctx, request)
	if metadata, ok := answer.(*v2.ConnectorServiceGetMetadataResponse); ok {
		for _, one := range metadata.GetMetadata().GetCapabilities().GetResourceTypeCapabilities() {
			one.SetSkipSyncAnomalyDetection(slices.Contains(c.varying, one.GetResourceType().GetId()))
		}
	}
	return answer, err
}

func TestChangeGuard_HonorsCapabilities(t *testing.T) {
	t.Parallel()
	usual := config.DefaultChangeGuard()
	explicit := config.DefaultChangeGuard()
	explicit.ByType = map[string]config.GuardLimits{"user": explicit.Limits}
	for name, c := range map[string]struct {
		varying []string
		guard   config.ChangeGuard
		trips   bool
	}{
		"G8: marked in the capabilities":     {[]string{"user"}, usual, false},
		"G8: another type is":                {[]string{"bot"}, usual, true},
		"G8: none is":                        {nil, usual, true},
		"G8: marked, and the operator knows": {[]string{"user"}, explicit, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t)
			for i, n := range []int{40, 2} {
				_, err := l.sync(t, false, syncrun.Spec{Plugins: plugins(t, member{
					name: "app", app: counted{"user": n, "bot": 3}, guard: c.guard, interfere: capable{c.varying}.interfere,
				})})
				require.Equal(t, i == 1 && c.trips, err != nil, "%v", err)
			}
		})
	}
}
