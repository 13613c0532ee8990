package syncrun_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/conductorone/baton-sdk/pkg/ugrpc"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/sandbox/raced"
)

// counted is a connector with so many resources of each type, built with the SDK.
// The type "group" is none of accounts.
type counted map[string]int

func (c counted) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	return v2.ConnectorMetadata_builder{DisplayName: "App"}.Build(), nil
}

func (c counted) Validate(context.Context) (annotations.Annotations, error) { return nil, nil }

func (c counted) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	var syncers []connectorbuilder.ResourceSyncerV2
	for typeID := range c {
		syncers = append(syncers, countedType{c, typeID})
	}
	return syncers
}

type countedType struct {
	app    counted
	typeID string
}

func (c countedType) ResourceType(context.Context) *v2.ResourceType {
	trait, skip := v2.ResourceType_TRAIT_USER, &v2.SkipEntitlementsAndGrants{}
	if c.typeID == "group" {
		trait = v2.ResourceType_TRAIT_GROUP
	}
	return v2.ResourceType_builder{
		Id: c.typeID, DisplayName: c.typeID, Traits: []v2.ResourceType_Trait{trait}, Annotations: annotations.New(skip),
	}.Build()
}

func (c countedType) List(context.Context, *v2.ResourceId, resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	var rows []*v2.Resource
	for i := range c.app[c.typeID] {
		id := fmt.Sprintf("%s%d", c.typeID, i)
		row := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: c.typeID, Resource: id}.Build(), DisplayName: id}.Build()
		if c.typeID == "group" {
			row.SetAnnotations(annotations.New(&v2.GroupTrait{}))
		} else {
			row.SetAnnotations(annotations.New(v2.UserTrait_builder{Login: id + "@example.com"}.Build()))
		}
		rows = append(rows, row)
	}
	return rows, &resource.SyncOpResults{}, nil
}

func (c countedType) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, &resource.SyncOpResults{}, nil
}

func (c countedType) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, &resource.SyncOpResults{}, nil
}

// member is one plugin of an upload in a test.
type member struct {
	name  string
	bare  bool // without a namespace
	app   connectorbuilder.ConnectorBuilderV2
	guard config.ChangeGuard
	// interfere stands between the connector and the wire; nil: nothing does.
	interfere grpc.UnaryServerInterceptor
	// proven says that evidence is required.
	proven bool
}

func (m member) plugin(t *testing.T) syncrun.Plugin {
	t.Helper()
	connector, err := connectorbuilder.NewConnector(t.Context(), m.app)
	require.NoError(t, err)
	interceptors := ugrpc.UnaryServerInterceptor(t.Context())
	if m.interfere != nil {
		interceptors = append(interceptors, m.interfere)
	}
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(interceptors...))
	v2.RegisterConnectorServiceServer(server, connector)
	v2.RegisterResourceTypesServiceServer(server, connector)
	v2.RegisterResourcesServiceServer(server, connector)
	v2.RegisterEntitlementsServiceServer(server, connector)
	v2.RegisterGrantsServiceServer(server, connector)
	listener := bufconn.Listen(1 << 20)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:///plugin", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-served
	})
	namespace := m.name
	if m.bare {
		namespace = ""
	}
	return syncrun.Plugin{Plugin: aggregate.Plugin{Instance: m.name, Namespace: namespace, Conn: conn, RequireProven: m.proven}, Guard: m.guard}
}

// line is an upload whose syncs follow one another in one place.
type line struct {
	path string
	log  *observer.ObservedLogs
	// recorded says that there is a record also where the line does not fall back, as
	// the host has it for guarded plugins.
	recorded bool
	// newPlugin is that of the upload.
	newPlugin string
}

func newLine(t *testing.T) *line {
	t.Helper()
	return &line{path: filepath.Join(t.TempDir(), "workforce.c1z")}
}

func plugins(t *testing.T, running ...member) []syncrun.Plugin {
	t.Helper()
	var all []syncrun.Plugin
	for _, m := range running {
		all = append(all, m.plugin(t))
	}
	return all
}

// sync runs a sync, and keeps it, with its record if the line falls back.
func (l *line) sync(t *testing.T, fallsBack bool, spec syncrun.Spec) (*syncrun.Result, error) {
	t.Helper()
	var core zapcore.Core
	core, l.log = observer.New(zap.WarnLevel)
	spec.Upload = &config.Upload{Name: "workforce", LastGood: fallsBack, NewPlugin: l.newPlugin}
	spec.Keep, spec.Dir = baseline.At(l.path), filepath.Dir(l.path)
	made, err := syncrun.Run(ctxzap.ToContext(t.Context(), zap.New(core)), spec)
	if err != nil {
		return nil, err
	}
	if !made.Whole {
		made.Draft.Discard()
		return made, nil
	}
	if fallsBack || l.recorded {
		require.NoError(t, spec.Keep.Replace(made.Draft, made.Sync))
	} else {
		require.NoError(t, made.Draft.Publish(l.path))
	}
	return made, nil
}

// types are how many accounts the kept file has, by resource type.
func (l *line) types(t *testing.T) map[string]int {
	t.Helper()
	file, err := syncfile.Open(t.Context(), l.path, t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close(context.WithoutCancel(t.Context()))) }()
	counts, err := file.Count(t.Context())
	require.NoError(t, err)
	return counts.Accounts
}

func bytesOf(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	return data
}

func TestChangeGuard_RefusesAShorterList(t *testing.T) {
	t.Parallel()
	explicit := func(percent, missing int) config.ChangeGuard {
		return config.ChangeGuard{Limits: config.GuardLimits{KeepPercent: percent, MinMissing: missing, Explicit: true}}
	}
	usual := func(percent int) config.ChangeGuard {
		return config.ChangeGuard{Limits: config.GuardLimits{KeepPercent: percent, MinMissing: 10}}
	}
	ofGroups := config.ChangeGuard{Limits: usual(50).Limits, ByType: map[string]config.GuardLimits{"group": explicit(50, 3).Limits}}
	noGroups := config.ChangeGuard{Limits: usual(50).Limits, ByType: map[string]config.GuardLimits{"group": {}}}
	for name, c := range map[string]struct {
		before, now counted
		guard       config.ChangeGuard
		trips       bool
	}{
		"G3: 9 accounts become none":                            {counted{"user": 9}, counted{"user": 0}, usual(50), true},
		"G3: the only account is gone":                          {counted{"user": 1}, counted{"user": 0}, usual(50), true},
		"G3: none left, and their type with them":               {counted{"user": 3, "bot": 4}, counted{"bot": 4}, usual(50), true},
		"G3: one of two types of accounts becomes empty":        {counted{"user": 30, "bot": 2}, counted{"user": 30, "bot": 0}, usual(50), true},
		"G3: none left, whatever min-missing is":                {counted{"user": 40}, counted{"user": 0}, explicit(50, 41), true},
		"G3: none left, whatever keep-percent is":               {counted{"user": 3}, counted{"user": 0}, usual(1), true},
		"G3: 18 become 9":                                       {counted{"user": 18}, counted{"user": 9}, usual(50), true},
		"G3: 18 become 10":                                      {counted{"user": 18}, counted{"user": 10}, usual(50), false},
		"G3: 19 become 9":                                       {counted{"user": 19}, counted{"user": 9}, usual(50), true},
		"G3: 19 become 10":                                      {counted{"user": 19}, counted{"user": 10}, usual(50), false},
		"G3: 9 become 4":                                        {counted{"user": 9}, counted{"user": 4}, usual(50), true},
		"G3: 9 become 5":                                        {counted{"user": 9}, counted{"user": 5}, usual(50), false},
		"G3: 2 become 1":                                        {counted{"user": 2}, counted{"user": 1}, usual(50), true},
		"G3: 3 become 2":                                        {counted{"user": 3}, counted{"user": 2}, usual(50), false},
		"G3: 20 become 10, which is not below half":             {counted{"user": 20}, counted{"user": 10}, usual(50), false},
		"G3: 20 become 9":                                       {counted{"user": 20}, counted{"user": 9}, usual(50), true},
		"G3: a min-missing of the operator's holds for 18 to 9": {counted{"user": 18}, counted{"user": 9}, explicit(50, 10), false},
		"G3: a small min-missing makes nothing laxer":           {counted{"user": 18}, counted{"user": 9}, explicit(50, 3), true},
		"G3: 4 become 2 with a min-missing of 3":                {counted{"user": 4}, counted{"user": 2}, explicit(50, 3), false},
		"G3: a lower keep-percent holds for short lists":        {counted{"user": 18}, counted{"user": 9}, usual(30), false},
		"G3: and is undercut there":                             {counted{"user": 18}, counted{"user": 5}, usual(30), true},
		"G3: a higher keep-percent still needs min-missing":     {counted{"user": 18}, counted{"user": 12}, usual(80), false},
		"G3: off is off":                                        {counted{"user": 9}, counted{"user": 0}, config.ChangeGuard{Off: true}, false},
		"G3: groups become none":                                {counted{"user": 9, "group": 9}, counted{"user": 9, "group": 0}, usual(50), true},
		"G3: groups of which the guard is off become none":      {counted{"user": 9, "group": 9}, counted{"user": 9, "group": 0}, noGroups, false},
		"G3: groups that are guarded become none":               {counted{"user": 9, "group": 2}, counted{"user": 9, "group": 0}, ofGroups, true},
		"G3: more are fine":                                     {counted{"user": 2}, counted{"user": 200}, usual(50), false},
		"G3: none become none":                                  {counted{"user": 0}, counted{"user": 0}, usual(50), false},
	} {
		t.Run(name, func(t *testing.T) {
			raced.Sample(t, 5)
			t.Parallel()
			l := newLine(t)
			_, err := l.sync(t, false, syncrun.Spec{Plugins: plugins(t, member{name: "app", app: c.before, guard: c.guard})})
			require.NoError(t, err)
			kept := bytesOf(t, l.path)

			now := plugins(t, member{name: "app", app: c.now, guard: c.guard})
			_, err = l.sync(t, false, syncrun.Spec{Plugins: now})
			if !c.trips {
				require.NoError(t, err)
				return
			}
			var tripped *syncrun.GuardError
			require.ErrorAs(t, err, &tripped)
			require.Equal(t, "app", tripped.Instance)
			require.Equal(t, kept, bytesOf(t, l.path), "the baseline stays")

			_, err = l.sync(t, false, syncrun.Spec{Plugins: now, Accept: map[string]bool{"app": true}})
			require.NoError(t, err)
		})
	}
}

func TestChangeGuard_NeedsAnApprovalForAPluginThatIsGone(t *testing.T) {
	t.Parallel()
	guard := config.DefaultChangeGuard()
	off := config.ChangeGuard{Off: true}
	old := member{name: "old", app: counted{"user": 40, "group": 3}, guard: guard}
	stays := member{name: "stays", app: counted{"user": 25}, guard: guard}
	renamed := old
	renamed.name = "renamed"
	oldBare, renamedBare := old, renamed
	oldBare.bare, renamedBare.bare = true, true
	oldOff := old
	oldOff.guard = off
	otherBare := member{name: "other", bare: true, app: counted{"person": 7}, guard: guard}
	for name, c := range map[string]struct {
		before, now []member
		gone        string // "" if nothing is
		says        []string
		unrecorded  string // what it is called where there is no record, if otherwise
		accounts    int
	}{
		"G5: removed": {
			before: []member{old, stays}, now: []member{stays}, gone: "old", accounts: 40,
			says: []string{`plugin "old" is no longer in upload "workforce"`, "40 accounts", "put it back"},
		},
		"G5: removed, with its guard off": {before: []member{oldOff, stays}, now: []member{stays}, gone: "old", accounts: 40},
		"G5: renamed": {
			before: []member{old, stays}, now: []member{renamed, stays}, gone: "old", accounts: 40,
			says: []string{`plugin "old" is no longer in upload "workforce"`, `new in the upload: "renamed"`, "give it its old name back"},
		},
		"G5: the only plugin is renamed":               {before: []member{old}, now: []member{renamed}, gone: "old", accounts: 40},
		"G5: replaced by one of the same size":         {before: []member{old}, now: []member{stays}, gone: "old", accounts: 40},
		"G5: two are removed":                          {before: []member{old, renamed, stays}, now: []member{stays}, gone: "old", accounts: 40, says: []string{`plugin "renamed" is no longer`}},
		"G5: a single account":                         {before: []member{{name: "old", app: counted{"user": 1}, guard: guard}, stays}, now: []member{stays}, gone: "old", accounts: 1, says: []string{"1 account "}},
		"G5: its namespace is taken away":              {before: []member{old, stays}, now: []member{oldBare, stays}, gone: "old", accounts: 40, says: []string{`the namespace of plugin "old" has changed`}},
		"G5: it is given a namespace":                  {before: []member{oldBare, stays}, now: []member{old, stays}, gone: "old", accounts: 40, unrecorded: "user"},
		"G5: one without a namespace is removed":       {before: []member{oldBare, stays}, now: []member{stays}, gone: "old", accounts: 40, unrecorded: "user"},
		"G5: one of two without a namespace":           {before: []member{oldBare, otherBare}, now: []member{otherBare}, gone: "old", accounts: 40, unrecorded: "-"},
		"G5: removed, from beside one without":         {before: []member{old, otherBare}, now: []member{otherBare}, gone: "old", accounts: 40},
		"G5: renamed without a namespace, same ids":    {before: []member{oldBare, stays}, now: []member{renamedBare, stays}},
		"G5: it had no accounts":                       {before: []member{{name: "old", app: counted{"user": 0, "group": 5}, guard: guard}, stays}, now: []member{stays}},
		"G5: another one is new":                       {before: []member{stays}, now: []member{stays, renamed}},
		"G5: its guard is off, and its namespace goes": {before: []member{oldOff, stays}, now: []member{{name: "old", bare: true, app: old.app, guard: off}, stays}},
	} {
		for _, recorded := range []bool{false, true} {
			gone := c.gone
			if !recorded && c.unrecorded != "" {
				gone = c.unrecorded
			}
			if gone == "-" {
				continue // Without a record nothing says whose the resource type was.
			}
			t.Run(fmt.Sprintf("%s/record %t", name, recorded), func(t *testing.T) {
				raced.Sample(t, 5)
				t.Parallel()
				l := newLine(t)
				_, err := l.sync(t, recorded, syncrun.Spec{Plugins: plugins(t, c.before...)})
				require.NoError(t, err)
				kept, record := bytesOf(t, l.path), bytesOf(t, l.path+".json")
				before := l.types(t)

				now := plugins(t, c.now...)
				_, err = l.sync(t, recorded, syncrun.Spec{Plugins: now})
				if gone == "" {
					require.NoError(t, err)
					return
				}
				var refused *syncrun.GoneError
				require.ErrorAs(t, err, &refused)
				require.Equal(t, gone, refused.Instance)
				require.Equal(t, c.accounts, refused.Accounts)
				require.Contains(t, err.Error(), "--accept-deletions "+gone)
				require.Contains(t, err.Error(), refused.Since.UTC().Format("2006-01-02T15:04:05Z"))
				for _, said := range c.says {
					require.Contains(t, err.Error(), said)
				}
				require.Equal(t, kept, bytesOf(t, l.path), "the baseline stays")
				require.Equal(t, record, bytesOf(t, l.path+".json"))

				_, err = l.sync(t, recorded, syncrun.Spec{Plugins: now, Scope: syncfile.Scope{SkipGrants: true}})
				require.NoError(t, err, "a part of a sync deletes nothing")

				// Approving another plugin approves nothing.
				_, err = l.sync(t, recorded, syncrun.Spec{Plugins: now, Accept: map[string]bool{"stays": true}})
				require.ErrorAs(t, err, &refused)

				everything := map[string]bool{gone: true, "renamed": true}
				_, err = l.sync(t, recorded, syncrun.Spec{Plugins: now, Accept: everything})
				require.NoError(t, err)
				require.NotZero(t, l.log.FilterMessageSnippet("no longer has this plugin").Len())
				require.NotEqual(t, before, l.types(t))
				_, err = l.sync(t, recorded, syncrun.Spec{Plugins: now})
				require.NoError(t, err, "what was approved is no longer in the baseline")
			})
		}
	}
}

func TestChangeGuard_FindsAPluginThatIsGoneBeforeASync(t *testing.T) {
	t.Parallel()
	guard := config.DefaultChangeGuard()
	old, stays := member{name: "old", app: counted{"user": 4}, guard: guard}, member{name: "stays", app: counted{"user": 5}, guard: guard}
	bare := stays
	bare.bare = true
	none := func(string) string { return "" }
	for name, c := range map[string]struct {
		before, now []member
		owner       func(string) string
		want        []string
	}{
		"G5: removed":                        {[]member{old, stays}, []member{stays}, nil, []string{"old: 4"}},
		"G5: nothing is":                     {[]member{old, stays}, []member{stays, old}, nil, nil},
		"G5: beside one without namespace":   {[]member{old, bare}, []member{bare}, none, []string{"old: 4"}},
		"G5: which may have it, as it seems": {[]member{old, bare}, []member{bare}, nil, nil},
		"G5: it had no accounts":             {[]member{{name: "old", app: counted{"group": 2}, guard: guard}, stays}, []member{stays}, nil, []string{"old: 0"}},
	} {
		for _, recorded := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/record %t", name, recorded), func(t *testing.T) {
				t.Parallel()
				l := newLine(t)
				gone, err := syncrun.Gone(t.Context(), baseline.At(l.path), t.TempDir(), "workforce", nil, nil)
				require.NoError(t, err, "there is no baseline yet")
				require.Empty(t, gone)
				_, err = l.sync(t, recorded, syncrun.Spec{Plugins: plugins(t, c.before...)})
				require.NoError(t, err)

				gone, err = syncrun.Gone(t.Context(), baseline.At(l.path), t.TempDir(), "workforce", plugins(t, c.now...), c.owner)
				require.NoError(t, err)
				var got []string
				for _, one := range gone {
					got = append(got, fmt.Sprintf("%s: %d", one.Instance, one.Accounts))
				}
				require.Equal(t, c.want, got)
			})
		}
	}
}

func TestRun_ReportsThatThereIsNoBaseline(t *testing.T) {
	t.Parallel()
	guard := config.DefaultChangeGuard()
	one, other := member{name: "one", app: counted{"user": 4}, guard: guard}, member{name: "other", app: counted{"user": 5}, guard: guard}
	const first = "First sync: there is no baseline yet, so the change guard had nothing to compare."

	t.Run("first sync: a sentence, once", func(t *testing.T) {
		t.Parallel()
		l := newLine(t)
		made, err := l.sync(t, false, syncrun.Spec{Plugins: plugins(t, one)})
		require.NoError(t, err)
		require.Equal(t, first, made.Unguarded)
		made, err = l.sync(t, false, syncrun.Spec{Plugins: plugins(t, one)})
		require.NoError(t, err)
		require.Empty(t, made.Unguarded)
	})
	t.Run("first sync: not with the guard off", func(t *testing.T) {
		t.Parallel()
		made, err := newLine(t).sync(t, false, syncrun.Spec{Plugins: plugins(t, member{name: "one", app: counted{"user": 4}, guard: config.ChangeGuard{Off: true}})})
		require.NoError(t, err)
		require.Empty(t, made.Unguarded)
	})
	t.Run("first sync: a new plugin is named", func(t *testing.T) {
		t.Parallel()
		l := newLine(t)
		_, err := l.sync(t, false, syncrun.Spec{Plugins: plugins(t, one)})
		require.NoError(t, err)
		made, err := l.sync(t, false, syncrun.Spec{Plugins: plugins(t, one, other)})
		require.NoError(t, err)
		require.Equal(t, `Plugin "other" is new in upload "workforce": the baseline has nothing of it, so the change guard had nothing to compare for it.`, made.Unguarded)
	})
	t.Run("first sync: not for a baseline that cannot be read", func(t *testing.T) {
		t.Parallel()
		l := newLine(t)
		require.NoError(t, os.WriteFile(l.path, []byte("no sync file"), 0o600))
		made, err := l.sync(t, false, syncrun.Spec{Plugins: plugins(t, one)})
		require.NoError(t, err)
		require.NotContains(t, made.Unguarded, "First sync")
		require.Contains(t, made.Unguarded, `plugin "one" was compared with no baseline`)
	})
}

func TestRun_WarnsOfZeroAccounts(t *testing.T) {
	t.Parallel()
	with := func(name string, app counted) member {
		return member{name: name, app: app, guard: config.DefaultChangeGuard()}
	}
	off := func(m member) member {
		m.guard = config.ChangeGuard{Off: true}
		return m
	}
	for name, c := range map[string]struct {
		running []member
		want    []string
	}{
		"zero accounts: a plugin":              {[]member{with("a", counted{"user": 0}), with("b", counted{"user": 2})}, []string{`plugin "a" has not a single account`}},
		"zero accounts: a plugin, guard off":   {[]member{off(with("a", counted{"user": 0})), with("b", counted{"user": 2})}, []string{`plugin "a" has not a single account`}},
		"zero accounts: a plugin with groups":  {[]member{with("a", counted{"group": 4}), with("b", counted{"user": 2})}, []string{`plugin "a" has not a single account`}},
		"zero accounts: an upload":             {[]member{with("a", counted{"user": 0}), with("b", counted{"group": 1})}, []string{`upload "workforce" has not a single account: none of its plugins ("a", "b") lists any`}},
		"zero accounts: an upload of one, off": {[]member{off(with("a", counted{"user": 0}))}, []string{`upload "workforce" has not a single account: none of its plugins ("a") lists any`}},
		"zero accounts: every plugin has some": {[]member{with("a", counted{"user": 1}), with("b", counted{"user": 2})}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t)
			made, err := l.sync(t, false, syncrun.Spec{Plugins: plugins(t, c.running...)})
			require.NoError(t, err)
			require.Equal(t, c.want, made.Warnings)
			for _, warning := range c.want {
				require.Equal(t, 1, l.log.FilterMessage(warning).Len())
			}
			// Also when it is no news.
			again, err := l.sync(t, false, syncrun.Spec{Plugins: plugins(t, c.running...)})
			require.NoError(t, err)
			require.Equal(t, c.want, again.Warnings)
			part, err := l.sync(t, false, syncrun.Spec{Plugins: plugins(t, c.running...), Scope: syncfile.Scope{SkipGrants: true}})
			require.NoError(t, err)
			require.False(t, slices.ContainsFunc(part.Warnings, func(w string) bool { return strings.Contains(w, "account") }))
		})
	}
}
