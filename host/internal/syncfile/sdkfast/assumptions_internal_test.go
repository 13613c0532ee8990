package sdkfast

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	gosync "sync"
	"testing"

	cockroach "github.com/cockroachdb/pebble/v2"
	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	readerv2 "github.com/conductorone/baton-sdk/pb/c1/reader/v2"
	v3 "github.com/conductorone/baton-sdk/pb/c1/storage/v3"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// Each test of this file, and of no other, is one assumption of this package about the
// inside of baton-sdk v0.25.0. Where one fails, another version of the SDK broke it; its
// message says what must be done without until this package follows.

func TestSDK_OpensAStoreThatCanBeSpared(t *testing.T) {
	t.Parallel()
	store, sparing, err := OpenStore(t.Context(), filepath.Join(t.TempDir(), "new.c1z"), t.TempDir(), "")
	require.NoError(t, err)
	const broken = "the SDK's default store is no longer its Pebble engine, or lacks a method of syncerStore: files are right, but every sync takes the long way"
	require.NotNil(t, sparing, broken)
	require.Same(t, store, sparing, broken)
	require.NoError(t, store.Close(t.Context()))
}

// The syncer's own source says what it asks a store whether it is.
func TestSDK_AsksItsStoreForNothingElse(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/conductorone/baton-sdk/pkg/sync").Output()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "*.go"))
	require.NoError(t, err)
	asked := map[string]bool{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if assertion, ok := n.(*ast.TypeAssertExpr); ok && isStore(assertion.X) {
				asked[nameOf(assertion.Type)] = true
			}
			return true
		})
	}
	var names []string
	for name := range asked {
		names = append(names, name)
	}
	slices.Sort(names)
	require.Equal(t, []string{
		"DBSizeProvider", "EntitlementGraphStore", "GrantGenerationDigestReader",
		"GrantsForEntitlementPrincipalSorted", "IngestInvariantStore", "ListGrantPrincipalKeysForEntitlement",
		"entitlementRecordDeleter", "grantByRefsDeleter", "grantsByRefsBatchDeleter", "resourceRecordDeleter",
	}, names, "the SDK's syncer asks its store for something else than before: add what is new to syncerStore, or the syncer checks less than it would without this package")
}

func isStore(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "store"
	case *ast.SelectorExpr:
		return x.Sel.Name == "store"
	}
	return false
}

// nameOf returns the name of an interface, or of the methods of one without a name.
func nameOf(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	case *ast.InterfaceType:
		var methods []string
		for _, method := range x.Methods.List {
			for _, name := range method.Names {
				methods = append(methods, name.Name)
			}
		}
		return strings.Join(methods, "+")
	}
	return fmt.Sprintf("%T", x)
}

// smallConnector has the types "a.role" and "a.team", of which each resource is asked for
// entitlements and grants, and "a.user", of which none is.
type smallConnector struct {
	types.ConnectorClient

	each int // how many resources there are of each type

	mu    gosync.Mutex
	asked []string // for their entitlements, in this order
}

func (c *smallConnector) Validate(context.Context, *connectorv2.ConnectorServiceValidateRequest, ...grpc.CallOption) (*connectorv2.ConnectorServiceValidateResponse, error) {
	return &connectorv2.ConnectorServiceValidateResponse{}, nil
}

func (c *smallConnector) Cleanup(context.Context, *connectorv2.ConnectorServiceCleanupRequest, ...grpc.CallOption) (*connectorv2.ConnectorServiceCleanupResponse, error) {
	return &connectorv2.ConnectorServiceCleanupResponse{}, nil
}

func (c *smallConnector) ListResourceTypes(context.Context, *connectorv2.ResourceTypesServiceListResourceTypesRequest, ...grpc.CallOption) (*connectorv2.ResourceTypesServiceListResourceTypesResponse, error) {
	return connectorv2.ResourceTypesServiceListResourceTypesResponse_builder{List: []*connectorv2.ResourceType{
		connectorv2.ResourceType_builder{Id: "a.role", DisplayName: "Role"}.Build(),
		connectorv2.ResourceType_builder{Id: "a.team", DisplayName: "Team"}.Build(),
		connectorv2.ResourceType_builder{Id: "a.user", DisplayName: "User", Annotations: annotations.New(&connectorv2.SkipEntitlementsAndGrants{})}.Build(),
	}}.Build(), nil
}

func (c *smallConnector) ListResources(_ context.Context, request *connectorv2.ResourcesServiceListResourcesRequest, _ ...grpc.CallOption) (*connectorv2.ResourcesServiceListResourcesResponse, error) {
	list := make([]*connectorv2.Resource, c.each)
	for i := range list {
		list[i] = row(request.GetResourceTypeId(), fmt.Sprintf("r%06d", i), "name")
	}
	return connectorv2.ResourcesServiceListResourcesResponse_builder{List: list}.Build(), nil
}

func (c *smallConnector) ListStaticEntitlements(context.Context, *connectorv2.EntitlementsServiceListStaticEntitlementsRequest, ...grpc.CallOption) (*connectorv2.EntitlementsServiceListStaticEntitlementsResponse, error) {
	return &connectorv2.EntitlementsServiceListStaticEntitlementsResponse{}, nil
}

func (c *smallConnector) ListEntitlements(_ context.Context, request *connectorv2.EntitlementsServiceListEntitlementsRequest, _ ...grpc.CallOption) (*connectorv2.EntitlementsServiceListEntitlementsResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := request.GetResource().GetId()
	c.asked = append(c.asked, id.GetResourceType()+"/"+id.GetResource())
	return &connectorv2.EntitlementsServiceListEntitlementsResponse{}, nil
}

func (c *smallConnector) ListGrants(context.Context, *connectorv2.GrantsServiceListGrantsRequest, ...grpc.CallOption) (*connectorv2.GrantsServiceListGrantsResponse, error) {
	return &connectorv2.GrantsServiceListGrantsResponse{}, nil
}

// ids returns the ids of the resources that are asked for entitlements, in the store's
// order.
func (c *smallConnector) ids() []string {
	var all []string
	for _, resourceType := range []string{"a.role", "a.team"} {
		for i := range c.each {
			all = append(all, fmt.Sprintf("%s/r%06d", resourceType, i))
		}
	}
	return all
}

// recorder stands between the syncer and a store and notes, by step, what is asked.
type recorder struct {
	*Store

	mu     gosync.Mutex
	listed map[sync.ActionOp]int // listings of all resources that began
	events []string              // about single resources, while resources are listed
}

func (r *recorder) ListResources(ctx context.Context, request *connectorv2.ResourcesServiceListResourcesRequest) (*connectorv2.ResourcesServiceListResourcesResponse, error) {
	if request.GetResourceTypeId() == "" && request.GetParentResourceId() == nil && request.GetPageToken() == "" {
		r.mu.Lock()
		r.listed[r.step()]++
		r.mu.Unlock()
	}
	return r.Store.ListResources(ctx, request)
}

func (r *recorder) GetResource(ctx context.Context, request *readerv2.ResourcesReaderServiceGetResourceRequest) (*readerv2.ResourcesReaderServiceGetResourceResponse, error) {
	if r.step() == sync.SyncResourcesOp {
		r.note("look for", request.GetResourceId())
	}
	return r.Store.GetResource(ctx, request)
}

func (r *recorder) PutResources(ctx context.Context, resources ...*connectorv2.Resource) error {
	for _, one := range resources {
		r.note("put", one.GetId())
	}
	return r.Store.PutResources(ctx, resources...)
}

func (r *recorder) note(what string, id *connectorv2.ResourceId) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, what+" "+id.GetResourceType()+"/"+id.GetResource())
}

// syncInto runs the SDK's syncer with one worker.
func syncInto(t *testing.T, connector *smallConnector, store c1zstore.Store, begin func(sync.Action)) {
	t.Helper()
	syncer, err := sync.NewSyncer(t.Context(), connector,
		sync.WithConnectorStore(store), sync.WithTmpDir(t.TempDir()), sync.WithWorkerCount(1), sync.WithTransitionHandler(begin))
	require.NoError(t, err)
	require.NoError(t, syncer.Sync(t.Context()))
	require.NoError(t, syncer.Close(t.Context()))
}

func recorded(t *testing.T, each int) *recorder {
	t.Helper()
	_, store, err := OpenStore(t.Context(), filepath.Join(t.TempDir(), "new.c1z"), t.TempDir(), "")
	require.NoError(t, err)
	r := &recorder{Store: store, listed: map[sync.ActionOp]int{}}
	syncInto(t, &smallConnector{each: each}, r, store.BeginStep)
	return r
}

func TestSDK_ListsAllResourcesOnlyToFindTheNextToAsk(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[sync.ActionOp]int{sync.SyncEntitlementsOp: 1, sync.SyncGrantsOp: 1}, recorded(t, 3).listed,
		"the SDK's syncer lists all resources in another step or for another purpose, or no longer reports a step before it lists: Store.ListResources would answer without the types that have no entitlements where all are meant")
}

func TestSDK_LooksForEachResourceBeforeItPutsIt(t *testing.T) {
	t.Parallel()
	const each = 3
	var want []string
	for _, resourceType := range []string{"a.role", "a.team", "a.user"} {
		for _, what := range []string{"look for", "put"} {
			for i := range each {
				want = append(want, fmt.Sprintf("%s %s/r%06d", what, resourceType, i))
			}
		}
	}
	require.ElementsMatch(t, want, recorded(t, each).events,
		"the SDK's syncer no longer looks for each resource once before it puts it, or does not put what it did not find: what Store.GetResource says of the step may be asked for another purpose")
}

func TestSDK_SkipsResourcesWhoseTypeHasNoEntitlements(t *testing.T) {
	t.Parallel()
	store, err := dotc1z.NewStore(t.Context(), filepath.Join(t.TempDir(), "new.c1z"), dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	connector := &smallConnector{each: 3}
	syncInto(t, connector, store, func(sync.Action) {})
	require.ElementsMatch(t, connector.ids(), connector.asked,
		"the SDK's syncer asks resources of a type with SkipEntitlementsAndGrants for entitlements, or no longer asks those of the others: Store.ListResources leaves out what the SDK would ask")
}

func TestSDK_AsksNeighborsInItsStoreByTheHundred(t *testing.T) {
	t.Parallel()
	store, err := dotc1z.NewStore(t.Context(), filepath.Join(t.TempDir(), "new.c1z"), dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	connector := &smallConnector{each: 150}
	syncInto(t, connector, store, func(sync.Action) {})
	const atATime = 100
	want := connector.ids() // fewer than a page, of which the syncer begins with the last
	slices.Reverse(want)
	require.Len(t, connector.asked, len(want))
	for from := 0; from < len(want); from += atATime {
		require.ElementsMatch(t, want[from:from+atATime], connector.asked[from:from+atATime],
			"the SDK's syncer no longer asks resources by the hundred, neighbors in the list of its store together: interleaving them does nothing, and plugins with one listing at a time wait for each other")
	}
}

func TestSDK_TakesATupleOfTypeAndIDForAPageToken(t *testing.T) {
	t.Parallel()
	const broken = "the SDK's engine encodes page tokens another way: the resources of a type are not found where cursorBehind looks for them"
	store := newSparing(t, map[string]int{"a.group": 3, "b.group": 3})
	page, err := store.syncerStore.ListResources(t.Context(), connectorv2.ResourcesServiceListResourcesRequest_builder{PageSize: 2}.Build())
	require.NoError(t, err)
	require.Equal(t, page.GetNextPageToken(), cursorBehind("a.group", "r000001"), broken)

	for id, want := range map[string]string{"a.group": "a.group/r000000", "b": "b.group/r000000", "b.group": "b.group/r000000"} {
		page, err := store.syncerStore.ListResources(t.Context(), connectorv2.ResourcesServiceListResourcesRequest_builder{PageToken: cursorBehind(id, ""), PageSize: 1}.Build())
		require.NoError(t, err)
		require.Equal(t, []string{want}, slices.Collect(func(yield func(string) bool) {
			for _, row := range page.GetList() {
				yield(row.GetId().GetResourceType() + "/" + row.GetId().GetResource())
			}
		}), broken)
	}
}

// What a put looks for is seen in the index of parents: an engine that has not looked for
// a resource leaves it under the parent that it had.
func TestSDK_LooksForNothingInTheFirstPutOfAFreshSyncOnly(t *testing.T) {
	t.Parallel()
	store, _ := begun(t, "unit")
	engine, raw := store.engine, store.syncerStore
	put := func(parent string) {
		require.NoError(t, raw.PutResources(t.Context(), connectorv2.Resource_builder{
			Id:               connectorv2.ResourceId_builder{ResourceType: "unit", Resource: "x"}.Build(),
			ParentResourceId: connectorv2.ResourceId_builder{ResourceType: "unit", Resource: parent}.Build(),
		}.Build()))
	}
	below := func(parent string) int {
		page, err := raw.ListResources(t.Context(), connectorv2.ResourcesServiceListResourcesRequest_builder{
			ParentResourceId: connectorv2.ResourceId_builder{ResourceType: "unit", Resource: parent}.Build(),
		}.Build())
		require.NoError(t, err)
		return len(page.GetList())
	}
	put("first")
	id := engine.CurrentSyncID()
	require.NoError(t, engine.MarkFreshSync(id))
	require.Equal(t, id, engine.CurrentSyncID(), "MarkFreshSync changes the sync that is written")
	require.True(t, engine.IsFreshSync())
	require.Equal(t, 1, below("first"), "MarkFreshSync removes what was put before")

	put("second")
	require.Equal(t, 1, below("first"), "MarkFreshSync no longer spares the first put behind it the look for each resource: files are right, but putting them takes longer")
	put("third")
	require.Zero(t, below("second"), "MarkFreshSync spares more than the first put behind it: a resource that moves to another parent would stay under the old one too")
	require.Equal(t, 1, below("third"))
	store.finish(t)
}

func TestSDK_SeesWhatWasPutInTheSameSync(t *testing.T) {
	t.Parallel()
	store, _ := begun(t, "user")
	for id, want := range map[string]bool{"a": true, "b": false} {
		if want {
			require.NoError(t, store.syncerStore.PutResources(t.Context(), row("user", id, "")))
		}
		has, err := store.engine.HasResourceRecord(t.Context(), "user", id)
		require.NoError(t, err)
		require.Equal(t, want, has, "HasResourceRecord does not see what was put: a resource that is put twice would be counted twice")
	}
	store.finish(t)
}

func TestSDK_TakesCountsThatItIsGiven(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stash *v3.SyncStatsRecord
		want  int64
	}{
		"given":   {v3.SyncStatsRecord_builder{ResourceTypes: 1, Resources: 7, ResourcesByResourceType: map[string]int64{"user": 7}}.Build(), 7},
		"counted": {nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, path := begun(t, "user")
			require.NoError(t, store.syncerStore.PutResources(t.Context(), row("user", "a", "")))
			store.engine.StashComputedSyncStats(store.engine.CurrentSyncID(), tc.stash)
			require.NoError(t, store.syncerStore.EndSync(t.Context()))
			require.NoError(t, store.Close(t.Context()))
			file, syncID := unpackedAt(t, path)
			require.Equal(t, map[string]int64{"user": tc.want}, noted(t, file, syncID),
				"EndSync no longer takes the counts of StashComputedSyncStats, or no longer counts without them: what a file says of itself is compared with something else than what this package put")
		})
	}
}

func TestSDK_KeysResourcesByTypeAndID(t *testing.T) {
	t.Parallel()
	store, path := begun(t, "user", "user.x", "us")
	want := map[string]int64{}
	for _, id := range []*connectorv2.Resource{
		row("user", "a", ""), row("user", "a/b", ""), row("user", "a\x00b", ""), row("user", "\x00", ""), row("user", "ä\x01", ""),
		row("user.x", "a", ""), row("us", "er", ""), row("u\x00s", "er", ""),
	} {
		want[id.GetId().GetResourceType()]++
		require.NoError(t, store.syncerStore.PutResources(t.Context(), id))
	}
	store.uncounted.Store(true)
	store.finish(t)
	file, syncID := unpackedAt(t, path)
	rows, err := file.CountResources(t.Context())
	const broken = "the SDK's engine has another form of keys: CountResources, which reads a file back, counts something else"
	require.NoError(t, err, broken)
	require.Equal(t, want, rows, broken)
	require.Equal(t, want, noted(t, file, syncID), "the engine's own count")
}

func TestSDK_PacksTheEnginesDirectoryIntoAFile(t *testing.T) {
	t.Parallel()
	store, path := begun(t, "user")
	require.NoError(t, store.PutResources(t.Context(), row("user", "a", "")))
	store.finish(t)
	dir := filepath.Join(t.TempDir(), "unpacked")
	const broken = "a sync file is no longer the packed directory of the Pebble engine: Unpack cannot read back what was written"
	file, err := Unpack(t.Context(), path, dir)
	require.NoError(t, err, broken)
	rows, err := file.CountResources(t.Context())
	require.NoError(t, err, broken)
	require.Equal(t, map[string]int64{"user": 1}, rows, broken)
	require.NoError(t, file.Close())
	require.NoDirExists(t, dir)
}

func TestSDK_CountsTheBytesThatArePut(t *testing.T) {
	t.Parallel()
	store, _ := begun(t, "user")
	before := store.engine.Metrics()
	const size = 1 << 20
	require.NoError(t, store.syncerStore.PutResources(t.Context(), row("user", "a", strings.Repeat("x", size))))
	after := store.engine.Metrics()
	require.GreaterOrEqual(t, after.WAL.BytesIn-before.WAL.BytesIn, uint64(size),
		"the engine no longer counts what is put in WAL.BytesIn: its memory is not flushed on the way and grows to its own limits")
	require.NoError(t, store.engine.Flush(t.Context()))
	require.Greater(t, store.engine.Metrics().Flush.Count, before.Flush.Count,
		"Flush no longer writes the engine's memory to its files: it grows to the engine's own limits")
	store.finish(t)
}

func TestSDK_WritesProfilesByKey(t *testing.T) {
	t.Parallel()
	profile, err := structpb.NewStruct(map[string]any{"z": "1", "a": "2", "m": true, "n": nil, "x": 1.5})
	require.NoError(t, err)
	page := connectorv2.ResourcesServiceListResourcesResponse_builder{List: []*connectorv2.Resource{
		connectorv2.Resource_builder{Id: connectorv2.ResourceId_builder{ResourceType: "user", Resource: "a"}.Build(), Profile: profile}.Build(),
	}}.Build()
	encoded, err := proto.Marshal(page)
	require.NoError(t, err)
	packed := &connectorv2.ResourcesServiceListResourcesResponse{}
	require.NoError(t, Codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(encoded)}, packed))
	require.Empty(t, packed.GetList()[0].GetProfile().GetFields(), "the profile was to stay encoded")
	require.Equal(t, stored(t, page.GetList()[0]), stored(t, packed.GetList()[0]),
		"the SDK's store writes a profile another way than sorted by key: files with profiles that stayed encoded differ from those of the SDK's own connection")
}

// stored returns the bytes that the engine keeps of a resource.
func stored(t *testing.T, resource *connectorv2.Resource) []byte {
	t.Helper()
	store, path := begun(t, "user")
	require.NoError(t, store.PutResources(t.Context(), resource))
	store.finish(t)
	file, _ := unpackedAt(t, path)
	rows, err := file.NewIter(&cockroach.IterOptions{LowerBound: pebble.ResourceLowerBound(), UpperBound: pebble.ResourceUpperBound()})
	require.NoError(t, err)
	require.True(t, rows.First())
	value := &v3.ResourceRecord{}
	require.NoError(t, proto.Unmarshal(rows.Value(), value))
	value.ClearDiscoveredAt()
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(value)
	require.NoError(t, err)
	require.NoError(t, rows.Close())
	return bytes
}

func TestSDK_NumbersFieldsAsTheCodecDoes(t *testing.T) {
	t.Parallel()
	page := (&connectorv2.ResourcesServiceListResourcesResponse{}).ProtoReflect().Descriptor().Fields()
	resource := (&connectorv2.Resource{}).ProtoReflect().Descriptor().Fields()
	const broken = "the SDK's messages number a field another way: the codec would leave another field than the profile encoded"
	require.Equal(t, listField, page.ByName("list").Number(), broken)
	require.Equal(t, profileField, resource.ByName("profile").Number(), broken)
	require.Equal(t, proto.MessageName(&structpb.Struct{}), resource.ByName("profile").Message().FullName(), broken)
}

func TestSDK_StoresResourcesAsTheDigestReadsThem(t *testing.T) {
	t.Parallel()
	store, path := begun(t, "user")
	trait := connectorv2.UserTrait_builder{Login: "ada", Emails: []*connectorv2.UserTrait_Email{connectorv2.UserTrait_Email_builder{Address: "a@x.y"}.Build()}}.Build()
	want := map[string]AccountState{}
	for _, id := range []string{"a", "a\x00b", "\x00", "ä\x01", ""} {
		ada := row("user", id, "Ada")
		ada.SetAnnotations(annotations.New(trait))
		ada.SetStatus(connectorv2.Status_builder{Status: connectorv2.Status_RESOURCE_STATUS_DISABLED}.Build())
		require.NoError(t, store.PutResources(t.Context(), ada))
		want["user "+id] = AccountState{Status: 2, Email: true, Login: true, Name: true}
	}
	store.finish(t)
	file, _ := unpackedAt(t, path)
	got := map[string]AccountState{}
	_, err := file.EachResource(t.Context(), func(resourceType string, id, row []byte) error {
		state, err := StateOf(row)
		got[resourceType+" "+string(id)] = state
		return err
	})
	const broken = "the SDK's engine stores rows in another form: the change guard sees other accounts than there are"
	require.NoError(t, err, broken)
	require.Equal(t, want, got, broken)
}

// The filter says "new" only of what was never put, so one file holds one sync.
func TestSDK_BeginsAFileWithoutResources(t *testing.T) {
	t.Parallel()
	store, _ := begun(t)
	page, err := store.syncerStore.ListResources(t.Context(), &connectorv2.ResourcesServiceListResourcesRequest{})
	require.NoError(t, err)
	require.Empty(t, page.GetList(), "a new sync file begins with resources: the filter of what was put says of them that they are not there")
	run, err := store.SyncMeta().LatestFinishedSyncOfAnyType(t.Context())
	require.NoError(t, err)
	require.Nil(t, run, "a new sync file begins with a finished sync")
	store.finish(t)
}

func TestSDK_PutsUniqueGrantsBesideWhatIsThere(t *testing.T) {
	t.Parallel()
	const broken = "the SDK's put of unique grants no longer takes those of a fresh sync that has some already: grants.putPage must put them the store's own way"
	store, path := granting(t)
	require.NoError(t, store.syncerStore.PutGrants(t.Context(), granted("t", "u0", "before")))
	require.NoError(t, store.engine.UnsafePutUniqueGrants(t.Context(), granted("t", "u1", "own id"), granted("t", "u2", "expandable")), broken)
	require.NoError(t, store.engine.UnsafePutUniqueGrants(t.Context()), broken)
	require.True(t, store.engine.IsFreshSync(), broken)
	require.NoError(t, store.syncerStore.PutGrants(t.Context(), granted("t", "u1", "again")))
	store.uncounted.Store(true)
	store.finish(t)
	var ids []string
	for one, err := range reopened(t, path).Grants().ListWithAnnotations(t.Context()) {
		require.NoError(t, err)
		ids = append(ids, fmt.Sprint(one.GrantExternalID, " ", one.NeedsExpansion))
	}
	require.Equal(t, []string{"team:t:member:user:u0 false", "team:t:member:user:u1 false", "team:t:member:user:u2 true"}, ids, broken)
}

func TestSDK_ImportsGrantsBesideWhatIsThere(t *testing.T) {
	t.Parallel()
	const broken = "the SDK's import of grants is no longer for a sync that has rows already: grants.add must put them one by one"
	store, path := granting(t)
	id := store.engine.CurrentSyncID()
	require.NoError(t, store.syncerStore.PutGrants(t.Context(), granted("t", "u0", "before")))
	for n := range 2 {
		open, err := store.engine.StartBulkSyncImport(t.Context(), id, t.TempDir())
		require.NoError(t, err, broken)
		shard, err := open.NewGrantShard()
		require.NoError(t, err)
		require.NoError(t, shard.AddGrants(t.Context(), granted("t", fmt.Sprint("u", n+1), "imported")))
		require.NoError(t, store.syncerStore.PutResources(t.Context(), row("team", fmt.Sprint("found", n), "")), "while an import is open")
		shard.Close()
		require.NoError(t, open.Finish(t.Context()), broken)
		require.Equal(t, id, store.engine.CurrentSyncID(), broken)
		require.True(t, store.engine.IsFreshSync(), "an import ends the fresh sync: the second one would be refused")
	}
	// The last one of an identity stays, whatever it was put by.
	require.NoError(t, store.syncerStore.PutGrants(t.Context(), granted("t", "u2", "own id")))
	store.uncounted.Store(true)
	store.finish(t)
	file := reopened(t, path)
	var ids []string
	for one, err := range file.Grants().ListWithAnnotations(t.Context()) {
		require.NoError(t, err)
		ids = append(ids, one.GrantExternalID)
	}
	require.Equal(t, []string{"team:t:member:user:u0", "team:t:member:user:u1", "membership/u2"}, ids, broken)
	require.EqualValues(t, 3, statsOf(t, file)["grants"], broken)
}

func TestSDK_LeavesNothingOfAnImportThatIsAborted(t *testing.T) {
	t.Parallel()
	store, path := granting(t)
	dir := t.TempDir()
	open, err := store.engine.StartBulkSyncImport(t.Context(), store.engine.CurrentSyncID(), dir)
	require.NoError(t, err)
	shard, err := open.NewGrantShard()
	require.NoError(t, err)
	require.NoError(t, shard.AddGrants(t.Context(), granted("t", "u", "")))
	open.Abort()
	store.uncounted.Store(true)
	const broken = "an import that is aborted leaves something behind: a sync that fails fills the disk"
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Empty(t, left, broken)
	store.finish(t)
	require.Zero(t, statsOf(t, reopened(t, path))["grants"], broken)
}
