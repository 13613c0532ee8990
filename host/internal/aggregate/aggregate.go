package aggregate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorclient"
	"github.com/conductorone/baton-sdk/pkg/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/aggregate/pagecheck"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/baseline"
)

// Plugin is one plugin behind the aggregate.
type Plugin struct {
	// Instance is the plugin's name in the configuration: what messages and
	// events call it. Required and unique.
	Instance string

	// Namespace is put, with a dot, in front of the plugin's resource types.
	// It is permanent: another namespace renames every account. At most 64
	// letters, digits, "-" and "_". Empty opts out: the plugin's ids pass as
	// they are.
	Namespace string

	// DisplayName is put in front of the names of the plugin's resource types:
	// "Fullstory: User". If empty, the instance name. A plugin without a
	// namespace keeps its names as they are.
	DisplayName string

	// Conn reaches the plugin. Its replies must not share memory with anything
	// else, as they are rewritten in place; replies of a gRPC connection do not.
	Conn grpc.ClientConnInterface

	// Provisioning lets calls through that change something in the app: grants,
	// accounts, credentials, actions, tickets. Without it they are refused and
	// GetMetadata does not offer them.
	Provisioning bool

	// IdleTimeout is how long a listing may go on without a row, in time that the
	// plugin takes for its answers; zero is policy.DefaultIdleTimeout.
	IdleTimeout time.Duration

	// MaxRows is how many rows one listing may have; zero is policy.DefaultMaxRows.
	MaxRows int64

	// Listings is the limit on how many listings go on at the same time; nil is no
	// limit. An aggregate with such a plugin has to be closed.
	Listings policy.ListingLimit

	// Process is the process behind Conn, which may end between calls; nil: it does not.
	Process Process

	// OneVisit has the plugin called in as few rows as possible in a full sync, as its process
	// ends in between for want of room: its resource types are those of KnownTypes until its
	// first listing, before which it validates and lists them.
	OneVisit   bool
	KnownTypes *KnownTypes // nil: they are not kept
	// SDKVersion is the version of the SDK that the plugin is built with, as its manifest says.
	SDKVersion string

	// ReadAhead is how many pages of the plugin's listings are asked for before
	// the syncer wants them, and kept: at most policy.MostReadAhead; 0 is none. An
	// aggregate with such a plugin is for one sync and has to be closed.
	ReadAhead int

	// RequireProven refuses a listing of resources that the plugin does not report to be
	// proven complete, and any other that it reports to be unproven.
	RequireProven bool

	// Err is why the plugin cannot be called: it did not start, say. It then
	// counts as failed from the beginning, and Conn is not used.
	Err error

	// Credentials are those of the plugin's process, which can be renewed once the app has
	// refused them; nil: they cannot.
	Credentials policy.Credentials

	// Passwords encrypts the passwords in requests for the plugin; nil passes them
	// as they are.
	Passwords Passwords

	// Baseline is the plugin's part of the baseline, which is fallen back to once the
	// plugin has failed, for the rest of the aggregate's life. Without it a failure
	// fails the call. An aggregate with one is for one full sync.
	Baseline *baseline.Plugin

	// MayBeMissing has a plugin without Baseline that has failed answer with nothing, for
	// the rest of the aggregate's life, in place of failing the call. See Stale.Missing.
	MayBeMissing bool
}

// Option changes what New returns.
type Option func(*Aggregate)

// WithRetry sets how plugin calls that are safe to repeat are retried. Without
// it Retries has its defaults.
func WithRetry(retries policy.Retries) Option {
	return func(a *Aggregate) { a.retries = retries }
}

// WithObserver reports to the observer what the plugins list and where they are
// retried.
func WithObserver(observer Observer) Option {
	return func(a *Aggregate) { a.observer = observer }
}

// WithPackedProfiles leaves the profiles of listed resources encoded (page.Codec),
// which spares most of the work of decoding a page. It is for an aggregate whose
// answers go to a store, as those of a sync do, and to no code that looks into them.
func WithPackedProfiles() Option {
	return func(a *Aggregate) { a.packed = true }
}

// WithPackedGrants leaves out of listed grants what a sync file does not hold of them: all
// of their entitlements and principals but the ids (sdkfast.Codec). As WithPackedProfiles it
// is for the answers of a sync, into a store of an engine of which sdkfast.MayPackGrants is
// true.
func WithPackedGrants() Option {
	return func(a *Aggregate) { a.packedGrants = true }
}

// WithResourceTypes limits a sync to resource types, by their ids of the aggregate; none
// is no limit. The syncer has only these in its store: at the row of any other it drops
// the rest of the listing, and calls the sync a success. So such rows are left out here.
func WithResourceTypes(typeIDs []string) Option {
	return func(a *Aggregate) { a.only = typeIDs }
}

// Aggregate is one connector over many plugins. It is safe for concurrent use.
//
// Each call is routed by the first resource type that its request names: the plugin's
// namespace is removed from a clone of the request, and put on everything in the reply
// that names a resource type, an entitlement or a grant. Objects of no resource type
// (actions and their runs, event feeds, tickets and their schemas) have the namespace in
// front of their ids, and calls about them are routed by it. Calls that name nothing
// (Validate, GetMetadata, ListResourceTypes, Cleanup, the listings of such objects) go to
// all plugins. In a full sync a plugin that fails can be fallen back for
// ([Plugin].Baseline).
type Aggregate struct {
	plugins     []*plugin
	byNamespace map[string]*plugin
	bare        []*plugin // without a namespace
	retries     policy.Retries
	observer    Observer
	memory      MetadataMemory
	sessions    Sessions // nil: none
	packed      bool
	// packedGrants is WithPackedGrants.
	packedGrants bool
	others       atomic.Bool // see TypesChanged
	only         []string    // the resource types of the sync; none: all
}

var _ grpc.ClientConnInterface = (*Aggregate)(nil)

// A namespace ends at the first dot of a resource type id, and ":", "/" and
// "\" separate the parts of the SDK's ids.
var namespaceForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// New returns one connector over the plugins. It refuses an empty list, a plugin
// without a name or a connection, a namespace of a wrong form, and a name or a
// namespace that two plugins share; all that is wrong is reported together.
// It calls no plugin.
func New(plugins []Plugin, opts ...Option) (*Aggregate, error) {
	if len(plugins) == 0 {
		return nil, errors.New("an aggregate needs at least one plugin")
	}
	a := &Aggregate{byNamespace: map[string]*plugin{}, observer: noObserver{}, memory: noMemory{}}
	for _, opt := range opts {
		opt(a)
	}
	a.retries = a.retries.WithDefaults()
	if a.observer == nil {
		a.observer = noObserver{}
	}

	var problems []error
	instances := map[string]bool{}
	bare := 0
	for _, plugin := range plugins {
		if plugin.Namespace == "" {
			bare++
		}
	}
	shared := pagecheck.NewMemory() // by the plugins without a namespace
	for i, plugin := range plugins {
		switch {
		case plugin.Instance == "":
			problems = append(problems, fmt.Errorf("plugin %d has no instance name", i+1))
		case instances[plugin.Instance]:
			problems = append(problems, fmt.Errorf("two plugins are named %q", plugin.Instance))
		}
		instances[plugin.Instance] = true
		if plugin.Conn == nil && plugin.Err == nil {
			problems = append(problems, fmt.Errorf("plugin %q has no connection", plugin.Instance))
		}

		memory := pagecheck.NewMemory()
		if plugin.Namespace == "" {
			memory = shared
		}
		p := newPlugin(a, plugin, memory, bare > 1)
		a.plugins = append(a.plugins, p)
		if plugin.Namespace == "" {
			a.bare = append(a.bare, p)
			continue
		}
		if !namespaceForm.MatchString(plugin.Namespace) {
			problems = append(problems, fmt.Errorf(
				"plugin %q: the namespace %q is not of the form letters, digits, \"-\", \"_\" (at most 64)", plugin.Instance, plugin.Namespace))
			continue
		}
		if other, taken := a.byNamespace[plugin.Namespace]; taken {
			problems = append(problems, fmt.Errorf(
				"plugins %q and %q share the namespace %q", other.Instance, plugin.Instance, plugin.Namespace))
			continue
		}
		a.byNamespace[plugin.Namespace] = p
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return a, nil
}

// Close ends the calls that were made ahead of need and waits for them, and ends the
// listings that go on; the aggregate can be asked for what it has learned, and answers
// calls without reading ahead.
func (a *Aggregate) Close() {
	for _, p := range a.plugins {
		p.ahead.Close()
		p.listings.Close()
	}
}

// Client returns the aggregate as the SDK's syncer and task handlers want it. As those
// of the SDK it takes the session store of a sync file (sessions.SetSessionStore);
// without WithSessions it does nothing with it.
func (a *Aggregate) Client(ctx context.Context) types.ConnectorClient {
	client := connectorclient.NewConnectorClient(ctx, a)
	if a.sessions == nil {
		return client
	}
	return &sessionClient{ConnectorClient: client, to: a.sessions}
}

// Invoke answers one call of any c1.connector.v2 service. args is never
// changed. Errors carry a gRPC code and name the plugin:
//
//   - the plugin's own code, where none of the following holds;
//   - FAILED_PRECONDITION where a plugin's listing answered NOT_FOUND (the
//     syncer would take that for a warning and drop the rest of the listing)
//     and it is not that of a resource that is skipped ([Aggregate.Skipped]),
//     where a listing is not proven to be complete although Plugin.RequireProven is set,
//     where the resource types or the event feeds of two plugins clash, or where
//     a call that changes something is for a plugin without Provisioning;
//   - ABORTED where retries came to their end, where a plugin broke the call off
//     or cannot be called at all;
//   - INTERNAL where a reply cannot be used as it is (see pagecheck), or where
//     the baseline of a plugin that failed cannot be read;
//   - INVALID_ARGUMENT where the request names an id of a plugin that the call
//     does not go to, a resource type or an object of none, or nothing to
//     distinguish several plugins by;
//   - UNIMPLEMENTED where no plugin has what the call is about;
//   - CANCELED and DEADLINE_EXCEEDED only if ctx itself ended.
func (a *Aggregate) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	request, ok := args.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "%s: the request is a %T, not a protobuf message", method, args)
	}
	response, ok := reply.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "%s: the reply is a %T, not a protobuf message", method, reply)
	}

	switch request := request.(type) {
	case *v2.ConnectorServiceValidateRequest:
		return a.validate(ctx, request, response, opts)
	case *v2.ConnectorServiceGetMetadataRequest:
		return a.metadata(ctx, response)
	case *v2.ConnectorServiceCleanupRequest:
		return a.cleanup(ctx, request, response, opts)
	case *v2.ResourceTypesServiceListResourceTypesRequest:
		return a.listResourceTypes(ctx, request, response, opts)
	}
	if answered, err := a.untyped(ctx, method, request, response, opts); answered {
		return err
	}
	p, err := a.pick(ctx, method, request)
	if err != nil {
		return err
	}
	return p.call(ctx, method, request, response, opts)
}

// NewStream opens the only streaming call there is, AssetService/GetAsset. An
// asset id names no plugin, so this works for a single plugin only.
func (a *Aggregate) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if method == v2.AssetService_GetAsset_FullMethodName && len(a.plugins) == 1 && a.plugins[0].Err == nil {
		return a.plugins[0].Conn.NewStream(ctx, desc, method, opts...)
	}
	return nil, status.Errorf(codes.Unimplemented, "%s: not offered by an aggregate of %d plugins", method, len(a.plugins))
}
