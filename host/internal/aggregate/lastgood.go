package aggregate

import (
	"context"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	reader_v2 "github.com/conductorone/baton-sdk/pb/c1/reader/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
)

// LastGood is what one plugin listed in an earlier sync: what is answered in its
// place once it has failed. All ids in it are those of the aggregate.
type LastGood struct {
	// Store is the sync file, open for reading at the sync that is meant, and for
	// as long as the aggregate is in use.
	Store Stored

	// ResourceTypes are the ids of the plugin's resource types in the file.
	ResourceTypes []string

	// Static are the plugin's static entitlements by resource type. The file has
	// them as entitlements of single resources only.
	Static map[string][]*v2.Entitlement

	// Elsewhere is what the plugin listed under another resource than its own; nil if
	// that is not known, as of a record that an older version wrote.
	Elsewhere *Elsewhere

	// AsOf is when the app itself was last read completely.
	AsOf time.Time
}

// Stored is what the aggregate reads of a sync file; the SDK's c1zstore.Store
// has it.
type Stored interface {
	ListResourceTypes(context.Context, *v2.ResourceTypesServiceListResourceTypesRequest) (*v2.ResourceTypesServiceListResourceTypesResponse, error)
	ListResources(context.Context, *v2.ResourcesServiceListResourcesRequest) (*v2.ResourcesServiceListResourcesResponse, error)
	ListEntitlements(context.Context, *v2.EntitlementsServiceListEntitlementsRequest) (*v2.EntitlementsServiceListEntitlementsResponse, error)
	GetResource(context.Context, *reader_v2.ResourcesReaderServiceGetResourceRequest) (*reader_v2.ResourcesReaderServiceGetResourceResponse, error)
	Grants() c1zstore.GrantStore
}

// Stale is a plugin that failed in a sync and was answered for from its last
// good one.
type Stale struct {
	Instance string
	// AsOf is when the app was last read completely: how old the answers are.
	AsOf time.Time
	// Accounts is how many accounts were answered from the last good sync. The
	// others of the plugin were listed before it failed.
	Accounts int
	// Err is why the plugin counts as failed.
	Err error
	// Contradicted says that a listing of the plugin was rejected as wrong, by its own
	// reader or by a check here, after the plugin had listed something. What it had
	// listed is in this sync and must not be used: the sync is to be made again with
	// nothing but the last good sync of this plugin.
	Contradicted bool
}

// Stale is every plugin that has been answered for so far, in the order of the
// plugins.
func (a *Aggregate) Stale() []Stale {
	var stale []Stale
	for _, r := range a.routes {
		if r.standIn == nil {
			continue
		}
		if one, failed := r.standIn.report(); failed {
			stale = append(stale, one)
		}
	}
	return stale
}

// Learned is what a later sync needs to know of a plugin's part in this one, in
// the aggregate's ids.
type Learned struct {
	ResourceTypes []string
	Static        map[string][]*v2.Entitlement
	Elsewhere     *Elsewhere // nil: not known
}

// Learned is what this sync has learned of a plugin, whether it was asked or
// answered for. Call it after the sync.
func (a *Aggregate) Learned(instance string) Learned {
	for _, r := range a.routes {
		if r.instance == instance {
			return r.learned()
		}
	}
	return Learned{}
}

// Owner is the instance that a resource type of the aggregate belongs to, as far
// as is known from a sync; "" if it is not.
func (a *Aggregate) Owner(resourceTypeID string) string { return a.owner(resourceTypeID) }
