package aggregate

import "time"

// Observer follows what happens behind the aggregate. Its methods are called
// from the goroutines of the calls themselves, also concurrently, and delay
// them: they must be quick and must not call the aggregate.
type Observer interface {
	// Listed is called for every page of resources, of entitlements of a resource, and of
	// grants that was accepted.
	Listed(Page)

	// Retrying is called before every wait for another attempt.
	Retrying(Retry)

	// FellBack is called once for a plugin that failed and is fallen back for.
	FellBack(Fallback)

	// Skipped is called once for a resource of which entitlements or grants are skipped.
	Skipped(Skipped)
}

// Fallback is a plugin that is not asked any more in this sync.
type Fallback struct {
	Instance string
	AsOf     time.Time // when the app was last read completely
	Err      error
	// Contradicted and Missing are those of Stale.
	Contradicted, Missing bool
}

// Page is one page of a ListResources, a ListEntitlements or a ListGrants call.
type Page struct {
	Instance       string
	ResourceTypeID string // as the sync file has it, with the namespace; of entitlements and grants: what they give access to
	Entitlements   bool   // its rows are entitlements, not resources
	Grants         bool   // its rows are grants, not resources
	Accounts       bool   // they are resources of a type that has the user trait
	Rows           int    // in this page
	Done           bool   // it is the last page of its listing (a child type has one listing per parent, entitlements and grants one per resource)
}

// Retry is a failed attempt that will be repeated.
type Retry struct {
	Instance string
	Method   string        // the gRPC method's own name, for example "ListResources"
	Attempt  int           // which one failed, from 1
	Wait     time.Duration // 0 where the plugin's process ended and the next one is waited for
	Err      error         // what the attempt answered
}

type noObserver struct{}

func (noObserver) Listed(Page)    {}
func (noObserver) Retrying(Retry) {}

func (noObserver) FellBack(Fallback) {}
func (noObserver) Skipped(Skipped)   {}
