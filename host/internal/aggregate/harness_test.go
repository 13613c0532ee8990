package aggregate_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/conductorone/baton-sdk/pkg/ugrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/aggregate"
)

// app is a connector built with the SDK, over data in memory.
type app struct {
	metadata *v2.ConnectorMetadata
	validate func() error
	types    []*appType
}

// appType is one resource type of an app.
type appType struct {
	resourceType *v2.ResourceType
	pageSize     int  // 0: all in one page
	flat         bool // lists also what has a parent, without being asked for its children
	resources    []*v2.Resource
	static       []*v2.Entitlement
	entitlements map[string][]*v2.Entitlement // by resource id
	grants       map[string][]*v2.Grant       // by resource id
	inserts      map[string]bool              // by resource id: its pages of grants bring resources
}

func (a *app) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	if a.metadata == nil {
		return v2.ConnectorMetadata_builder{DisplayName: "App"}.Build(), nil
	}
	return proto.CloneOf(a.metadata), nil
}

func (a *app) Validate(context.Context) (annotations.Annotations, error) {
	if a.validate == nil {
		return nil, nil
	}
	return nil, a.validate()
}

func (a *app) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	var syncers []connectorbuilder.ResourceSyncerV2
	for _, t := range a.types {
		syncers = append(syncers, t)
	}
	return syncers
}

func (t *appType) ResourceType(context.Context) *v2.ResourceType { return t.resourceType }

func (t *appType) List(_ context.Context, parent *v2.ResourceId, opts resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	var all []*v2.Resource
	for _, r := range t.resources {
		if proto.Equal(r.GetParentResourceId(), parent) || (parent == nil && (t.flat || r.GetParentResourceId() == nil)) {
			all = append(all, r)
		}
	}
	return paged(all, t.pageSize, opts)
}

func (t *appType) StaticEntitlements(_ context.Context, opts resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return paged(t.static, t.pageSize, opts)
}

func (t *appType) Entitlements(_ context.Context, r *v2.Resource, opts resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return paged(t.entitlements[r.GetId().GetResource()], t.pageSize, opts)
}

func (t *appType) Grants(_ context.Context, r *v2.Resource, opts resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	page, results, err := paged(t.grants[r.GetId().GetResource()], t.pageSize, opts)
	if err == nil && t.inserts[r.GetId().GetResource()] {
		results.Annotations = annotations.New(&v2.InsertResourceGrants{})
	}
	return page, results, err
}

func paged[T any](all []T, size int, opts resource.SyncOpAttrs) ([]T, *resource.SyncOpResults, error) {
	if size == 0 {
		return all, &resource.SyncOpResults{}, nil
	}
	from := 0
	if token := opts.PageToken.Token; token != "" {
		var err error
		if from, err = strconv.Atoi(token); err != nil {
			return nil, nil, fmt.Errorf("page token %q is not ours", token)
		}
	}
	to := min(from+size, len(all))
	results := &resource.SyncOpResults{}
	if to < len(all) {
		results.NextPageToken = strconv.Itoa(to)
	}
	return all[from:to], results, nil
}

// users is an app with nothing but n users, two a page.
func users(n int) *app {
	t := &appType{
		resourceType: v2.ResourceType_builder{
			Id: "user", DisplayName: "User", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER},
			Annotations: annotations.New(&v2.SkipEntitlementsAndGrants{}),
		}.Build(),
		pageSize: 2,
	}
	for i := range n {
		t.resources = append(t.resources, user(fmt.Sprintf("u%d", i+1)))
	}
	return &app{types: []*appType{t}}
}

func user(id string) *v2.Resource {
	return v2.Resource_builder{
		Id:          v2.ResourceId_builder{ResourceType: "user", Resource: id}.Build(),
		DisplayName: "User " + id,
		Annotations: annotations.New(v2.UserTrait_builder{Login: id + "@example.com"}.Build()),
	}.Build()
}

// interference stands between a connector and the wire. It may answer itself,
// or change what the connector answers.
type interference func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error)

// serve runs an app as a gRPC server, as a plugin does.
func serve(t testing.TB, a *app, interfere ...interference) grpc.ClientConnInterface {
	t.Helper()
	connector, err := connectorbuilder.NewConnector(t.Context(), a)
	require.NoError(t, err)
	return listen(t, func(s *grpc.Server) { register(s, connector) }, interfere...)
}

func listen(t testing.TB, register func(*grpc.Server), interfere ...interference) grpc.ClientConnInterface {
	t.Helper()
	interceptors := ugrpc.UnaryServerInterceptor(t.Context())
	for _, i := range interfere {
		interceptors = append(interceptors, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			return i(ctx, info.FullMethod, req, handler)
		})
	}
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(interceptors...))
	register(server)
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
	return conn
}

func register(s *grpc.Server, c types.ConnectorServer) {
	v2.RegisterConnectorServiceServer(s, c)
	v2.RegisterResourceTypesServiceServer(s, c)
	v2.RegisterResourcesServiceServer(s, c)
	v2.RegisterResourceGetterServiceServer(s, c)
	v2.RegisterEntitlementsServiceServer(s, c)
	v2.RegisterGrantsServiceServer(s, c)
	v2.RegisterGrantManagerServiceServer(s, c)
	v2.RegisterResourceManagerServiceServer(s, c)
	v2.RegisterResourceDeleterServiceServer(s, c)
	v2.RegisterAccountManagerServiceServer(s, c)
	v2.RegisterCredentialManagerServiceServer(s, c)
	v2.RegisterEventServiceServer(s, c)
	v2.RegisterTicketsServiceServer(s, c)
	v2.RegisterActionServiceServer(s, c)
	v2.RegisterAssetServiceServer(s, c)
}

// of puts plugins, given by name, behind one client. The name is instance and
// namespace; "bare:x" is instance x without a namespace. All may provision and are
// read ahead.
func of(t testing.TB, conns map[string]grpc.ClientConnInterface, opts ...aggregate.Option) types.ConnectorClient {
	t.Helper()
	var plugins []aggregate.Plugin
	for name, conn := range conns {
		plugin := aggregate.Plugin{Instance: name, Namespace: name, Conn: conn, Provisioning: true, ReadAhead: 1}
		if len(name) > 5 && name[:5] == "bare:" {
			plugin.Instance, plugin.Namespace = name[5:], ""
		}
		plugins = append(plugins, plugin)
	}
	slices.SortFunc(plugins, func(x, y aggregate.Plugin) int {
		if x.Instance < y.Instance {
			return -1
		}
		return 1
	})
	a, err := aggregate.New(plugins, opts...)
	require.NoError(t, err)
	t.Cleanup(a.Close)
	return a.Client(t.Context())
}

// synced runs the SDK's syncer and returns the path of what it wrote.
func synced(ctx context.Context, t testing.TB, client types.ConnectorClient, workers int, opts ...sync.SyncOpt) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sync.c1z")
	syncer, err := sync.NewSyncer(ctx, client, append([]sync.SyncOpt{
		sync.WithC1ZPath(path), sync.WithTmpDir(t.TempDir()), sync.WithFailFastInvariants(), sync.WithWorkerCount(workers),
	}, opts...)...)
	require.NoError(t, err)
	err = syncer.Sync(ctx)
	require.NoError(t, syncer.Close(context.WithoutCancel(ctx)))
	return path, err
}

// contents is what a sync file holds.
type contents struct {
	types        []*v2.ResourceType
	resources    []*v2.Resource
	entitlements []*v2.Entitlement
	grants       []*v2.Grant
}

func read(t testing.TB, path string) contents {
	t.Helper()
	ctx := t.Context()
	store, err := dotc1z.NewStore(ctx, path, dotc1z.WithReadOnly(true), dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close(ctx)) }()

	var c contents
	for token := ""; ; {
		page, err := store.ListResourceTypes(ctx, v2.ResourceTypesServiceListResourceTypesRequest_builder{PageToken: token}.Build())
		require.NoError(t, err)
		c.types = append(c.types, page.GetList()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for token := ""; ; {
		page, err := store.ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{PageToken: token}.Build())
		require.NoError(t, err)
		c.resources = append(c.resources, page.GetList()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for token := ""; ; {
		page, err := store.ListEntitlements(ctx, v2.EntitlementsServiceListEntitlementsRequest_builder{PageToken: token}.Build())
		require.NoError(t, err)
		c.entitlements = append(c.entitlements, page.GetList()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for row, err := range store.Grants().ListWithAnnotations(ctx) {
		require.NoError(t, err)
		c.grants = append(c.grants, row.Grant)
	}
	return c
}

// resourceIDs are "type/id" of all resources, sorted.
func (c contents) resourceIDs() []string {
	var ids []string
	for _, r := range c.resources {
		ids = append(ids, r.GetId().GetResourceType()+"/"+r.GetId().GetResource())
	}
	slices.Sort(ids)
	return ids
}
