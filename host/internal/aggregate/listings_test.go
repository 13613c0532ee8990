package aggregate_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/sandbox/raced"
)

// groups is an app of n groups with two members each, with pages of one row, beside
// users that have none.
func groups(n int) *app {
	people := users(7).types[0]
	group := &appType{
		resourceType: v2.ResourceType_builder{Id: "group", DisplayName: "Group", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP}}.Build(),
		pageSize:     1, entitlements: map[string][]*v2.Entitlement{}, grants: map[string][]*v2.Grant{},
	}
	for i := range n {
		id := fmt.Sprintf("g%03d", i)
		one := v2.Resource_builder{
			Id: v2.ResourceId_builder{ResourceType: "group", Resource: id}.Build(), DisplayName: id,
			Annotations: annotations.New(&v2.GroupTrait{}),
		}.Build()
		group.resources = append(group.resources, one)
		group.entitlements[id] = []*v2.Entitlement{
			entitlement.NewAssignmentEntitlement(one, "member", entitlement.WithGrantableTo(people.resourceType)),
			entitlement.NewAssignmentEntitlement(one, "owner", entitlement.WithGrantableTo(people.resourceType)),
		}
		group.grants[id] = []*v2.Grant{
			grant.NewGrant(one, "member", people.resources[i%7].GetId()),
			grant.NewGrant(one, "owner", people.resources[(i+1)%7].GetId()),
		}
	}
	return &app{types: []*appType{people, group}}
}

type request interface{ GetPageToken() string }

type reply interface {
	proto.Message
	GetNextPageToken() string
	SetNextPageToken(token string)
}

// lastToken is a connector over a cursor of its app: it accepts only the page token
// that it has issued most recently, in whatever listing.
type lastToken struct {
	mu     sync.Mutex
	serial int
	issued string
}

func (l *lastToken) interference(ctx context.Context, _ string, asked any, handler grpc.UnaryHandler) (any, error) {
	paged, ok := asked.(request)
	if !ok {
		return handler(ctx, asked)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	token := paged.GetPageToken()
	if token != "" && token != l.issued {
		return nil, status.Errorf(codes.Internal, "cursor %q is closed", token)
	}
	l.issued = ""
	if setter, ok := asked.(interface{ SetPageToken(token string) }); ok && token != "" {
		_, own, _ := strings.Cut(token, "|")
		setter.SetPageToken(own)
	}
	answer, err := handler(ctx, asked)
	if page, ok := answer.(reply); ok && err == nil && page.GetNextPageToken() != "" {
		l.serial++
		l.issued = fmt.Sprintf("%d|%s", l.serial, page.GetNextPageToken())
		page.SetNextPageToken(l.issued)
	}
	return answer, err
}

// TestListings_OneAtATime: the limit is the plugin's, whatever the number
// of workers, of pages read ahead, and of syncs that read the plugin.
func TestListings_OneAtATime(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		ahead int
		syncs int
	}{
		{"H2: a cursor for all listings", 0, 1},
		{"H2: a cursor for all listings, read ahead", 1, 1},
		{"H2: a cursor for all listings, two pages ahead", 2, 1},
		{"H2: a cursor for all listings, two syncs at once", 1, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			conn := serve(t, groups(20), (&lastToken{}).interference)
			beside := serve(t, groups(20))
			limit := supervise.New(t.Context(), supervise.Settings{})
			var running sync.WaitGroup
			errs, drafts := make([]error, tc.syncs), make([]*syncfile.Draft, tc.syncs)
			for i := range tc.syncs {
				a := aggregateOf(t, []aggregate.Plugin{
					{Instance: "a", Namespace: "a", Conn: conn, ReadAhead: tc.ahead, Listings: limit},
					{Instance: "b", Namespace: "b", Conn: beside, ReadAhead: tc.ahead},
				}, aggregate.WithPackedProfiles())
				dir := t.TempDir()
				running.Go(func() {
					drafts[i], errs[i] = syncfile.Make(t.Context(), a.Client(t.Context()), dir, syncfile.Settings{Workers: 100})
				})
			}
			running.Wait()
			for i := range tc.syncs {
				require.NoError(t, errs[i])
				require.Equal(t, map[string]int{"a.user": 7, "a.group": 20, "b.user": 7, "b.group": 20}, drafts[i].Resources)
				require.Len(t, read(t, drafts[i].Path()).grants, 2*2*20)
			}
		})
	}
}

// TestListings_LeaveNoPluginWaiting: plugins that serve one listing at a time are read
// side by side. Here each serves the grants of its next group only once all of them
// are asked for that many. One app has groups for more than all workers.
func TestListings_LeaveNoPluginWaiting(t *testing.T) {
	t.Parallel()
	const apps, each, together, workers = 4, 30, 10, 20
	var steps [together]struct {
		missing atomic.Int32
		all     chan struct{}
	}
	for i := range steps {
		steps[i].missing.Store(apps)
		steps[i].all = make(chan struct{})
	}
	var plugins []aggregate.Plugin
	for i := range apps {
		var asked atomic.Int32
		name := string(rune('a' + i))
		conn := serve(t, groups(each), func(ctx context.Context, _ string, request any, handler grpc.UnaryHandler) (any, error) {
			page, ok := request.(*v2.GrantsServiceListGrantsRequest)
			if n := asked.Load(); ok && page.GetPageToken() == "" && n < together {
				asked.Add(1)
				if steps[n].missing.Add(-1) == 0 {
					close(steps[n].all)
				}
				select {
				case <-steps[n].all:
				case <-ctx.Done():
					return nil, status.Errorf(codes.Internal, "only %d of %d plugins were asked for group %d", apps-steps[n].missing.Load(), apps, n)
				}
			}
			return handler(ctx, request)
		})
		plugins = append(plugins, aggregate.Plugin{Instance: name, Namespace: name, Conn: conn, Listings: supervise.New(t.Context(), supervise.Settings{})})
	}
	t.Run("H2: four apps of many groups", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		a := aggregateOf(t, plugins)
		draft, err := syncfile.Make(ctx, a.Client(ctx), t.TempDir(), syncfile.Settings{Workers: workers})
		require.NoError(t, err, "a plugin waited for another")
		require.Len(t, read(t, draft.Path()).grants, apps*each*2)
	})
}

// TestRows_OfTypesThatAreNotSyncedAreLeftOut: at such a row the syncer would drop
// the rest of the listing without an error, and never ask for its next page.
func TestRows_OfTypesThatAreNotSyncedAreLeftOut(t *testing.T) {
	t.Parallel()
	app := groups(5)
	role := &appType{resourceType: v2.ResourceType_builder{Id: "role", DisplayName: "Role"}.Build()}
	odd := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "role", Resource: "r1"}.Build(), DisplayName: "r1"}.Build()
	app.types[1].resources = slices.Insert(app.types[1].resources, 1, odd)
	app.types = append(app.types, role)
	types := []string{"a.group", "a.user"}
	a := aggregateOf(t, []aggregate.Plugin{{
		Instance: "a", Namespace: "a", Conn: serve(t, app), Listings: supervise.New(t.Context(), supervise.Settings{}),
	}}, aggregate.WithResourceTypes(types))
	draft, err := syncfile.Make(t.Context(), a.Client(t.Context()), t.TempDir(), syncfile.Settings{Workers: 100, Scope: syncfile.Scope{ResourceTypes: types}})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"a.group": 5, "a.user": 7}, draft.Resources, "H2: a listing that is dropped in the middle")
}

// limitCounter is a limit that counts.
type limitCounter struct{ begun, ended atomic.Int32 }

func (c *limitCounter) BeginListing(context.Context) (func(), error) {
	c.begun.Add(1)
	return func() { c.ended.Add(1) }, nil
}

// TestListings_EachIsEnded: a listing that is not ended would keep all later ones
// of the plugin waiting, in every upload.
func TestListings_EachIsEnded(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, a *aggregate.Aggregate, token string) (string, error) {
		t.Helper()
		_, next, err := listed(t.Context(), a, token)
		return next, err
	}
	answer := func(at string, change func(*v2.ResourcesServiceListResourcesResponse) error) interference {
		return func(ctx context.Context, _ string, request any, handler grpc.UnaryHandler) (any, error) {
			reply, err := handler(ctx, request)
			if page, ok := request.(*v2.ResourcesServiceListResourcesRequest); ok && page.GetPageToken() == at && err == nil {
				changed, _ := reply.(*v2.ResourcesServiceListResourcesResponse)
				err = change(changed)
			}
			return reply, err
		}
	}
	for _, tc := range []struct {
		name    string
		answers interference
		pages   int // that are asked for
		open    int32
		failing string
	}{
		{name: "H2: read to its end", pages: 3},
		{name: "H2: between two pages", pages: 1, open: 1},
		{name: "H2: an error in the middle", pages: 2, failing: "not now", answers: answer("2", func(*v2.ResourcesServiceListResourcesResponse) error {
			return status.Error(codes.PermissionDenied, "not now")
		})},
		{name: "H2: a page that is refused", pages: 2, failing: "the resource type", answers: answer("2", func(page *v2.ResourcesServiceListResourcesResponse) error {
			page.SetList([]*v2.Resource{{}})
			return nil
		})},
		{name: "H2: a token that comes again", pages: 3, failing: "never end", answers: answer("4", func(page *v2.ResourcesServiceListResourcesResponse) error {
			page.SetNextPageToken("2")
			return nil
		})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			limit := &limitCounter{}
			var interfere []interference
			if tc.answers != nil {
				interfere = append(interfere, tc.answers)
			}
			a := aggregateOf(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: serve(t, users(6), interfere...), Listings: limit, ReadAhead: 1}})
			token, err := "", error(nil)
			for range tc.pages {
				require.NoError(t, err)
				token, err = ask(t, a, token)
			}
			if tc.failing != "" {
				for i := 0; err == nil && i < 10; i++ {
					token, err = ask(t, a, token)
				}
				require.Error(t, err)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, tc.open, limit.begun.Load()-limit.ended.Load())
			a.Close()
			require.Equal(t, limit.begun.Load(), limit.ended.Load(), "Close ends what goes on")
		})
	}
}

// endless answers one kind of listing with pages of a row each, whose tokens are given
// by a function of the page's number.
func endless(kind string, token func(page int) string) interference {
	var pages atomic.Int32
	return func(ctx context.Context, method string, asked any, handler grpc.UnaryHandler) (any, error) {
		if !strings.HasSuffix(method, "/"+kind) {
			return handler(ctx, asked)
		}
		if setter, ok := asked.(interface{ SetPageToken(token string) }); ok {
			setter.SetPageToken("")
		}
		answer, err := handler(ctx, asked)
		if page, ok := answer.(reply); ok && err == nil {
			page.SetNextPageToken(token(int(pages.Add(1))))
		}
		return answer, err
	}
}

// TestListings_RefuseOneThatNeverEnds.
func TestListings_RefuseOneThatNeverEnds(t *testing.T) {
	t.Parallel()
	circle := func(before, period int) func(int) string {
		return func(page int) string {
			if page <= before {
				return fmt.Sprint("before", page)
			}
			return fmt.Sprint("circle", (page-before)%period)
		}
	}
	forever := func(page int) string { return fmt.Sprint("page", page) }
	type testCase struct {
		name    string
		kind    string
		token   func(int) string
		maxRows int64
		want    string
	}
	cases := []testCase{
		{"H9: new tokens and rows for ever", "ListResources", forever, 500, "lists more than 500 rows"},
		{"H9: new tokens and grants for ever", "ListGrants", forever, 500, "lists more than 500 rows"},
		{"H9: new tokens and resource types for ever", "ListResourceTypes", forever, 500, "lists more than 500 rows"},
	}
	for _, kind := range []string{"ListResources", "ListEntitlements", "ListStaticEntitlements", "ListGrants", "ListResourceTypes"} {
		for _, period := range []int{1, 2, 3, 10} {
			cases = append(cases, testCase{fmt.Sprintf("H9: %s in a circle of %d", kind, period), kind, circle(0, period), 0, "never end"})
		}
	}
	for _, period := range []int{1, 2, 97, 300} {
		cases = append(cases, testCase{fmt.Sprintf("H9: a circle of %d behind 150 pages", period), "ListResources", circle(150, period), 0, "never end"})
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			raced.Sample(t, 5)
			t.Parallel()
			// All types have grants and static entitlements: each kind is asked for.
			a := groups(3)
			for _, one := range a.types {
				one.pageSize = 0
				one.static = []*v2.Entitlement{v2.Entitlement_builder{Slug: "seat", DisplayName: "Seat"}.Build()}
			}
			client := aggregateOf(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: serve(t, a, endless(tc.kind, tc.token)), MaxRows: tc.maxRows}}).Client(t.Context())
			_, err := synced(t.Context(), t, client, 4)
			require.ErrorContains(t, err, `plugin "a": `)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, codes.Internal, status.Code(err))
		})
	}
}

// TestListings_CountEnqueuedCursors: a listing that goes on in cursors beside its first
// is one listing.
func TestListings_CountEnqueuedCursors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		rows bool
		want string
	}{
		{"H9: cursors for ever, with rows", true, "lists more than 100 rows"},
		{"H9: cursors for ever, without a row", false, "it has given no row for 100ms of its time"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			refusesCursors(t, tc.rows, tc.want)
		})
	}
}

func refusesCursors(t *testing.T, rows bool, want string) {
	t.Helper()
	var pages atomic.Int32
	conn := serve(t, groups(1), func(ctx context.Context, _ string, request any, handler grpc.UnaryHandler) (any, error) {
		asked, ok := request.(*v2.GrantsServiceListGrantsRequest)
		if !ok {
			return handler(ctx, request)
		}
		asked.SetPageToken("")
		answer, err := handler(ctx, request)
		if page, ok := answer.(*v2.GrantsServiceListGrantsResponse); ok {
			if !rows {
				page.SetList(nil)
			}
			page.SetNextPageToken("")
			page.SetAnnotations(annotations.New(v2.EnqueuePageTokens_builder{PageTokens: []string{fmt.Sprint("cursor", pages.Add(1))}}.Build()))
		}
		return answer, err
	})
	limit := &limitCounter{}
	a := aggregateOf(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: conn, MaxRows: 100, IdleTimeout: 100 * time.Millisecond, Listings: limit}})
	_, err := synced(t.Context(), t, a.Client(t.Context()), 4)
	require.ErrorContains(t, err, want)
	a.Close()
	require.Equal(t, limit.begun.Load(), limit.ended.Load())
}
