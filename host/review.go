package host

import (
	"context"
	"time"
)

// Kept is where the files of an upload's syncs are. The zero value is the state directory
// of the service; OutputDir and File are those of [SyncOptions].
type Kept struct {
	OutputDir string
	File      string
}

// Review is a sync that the change guard refused, for a person to look at.
type Review struct {
	Upload string
	// ID is what [Host.Approve] takes. The same difference has the same id.
	ID string
	// RefusedAt is when it was refused, and Until how long it is kept.
	RefusedAt, Until time.Time
	// Reasons are why, in a sentence for each plugin.
	Reasons []RefusedPlugin
	// Counts are how many changes there are, by plugin and resource type.
	Counts []ChangeCount
	// Approval is what is approved at the moment; nil if nothing is.
	Approval *Approval

	each func(ctx context.Context, each func(Change) error) error
}

// RefusedPlugin is why the part of a plugin was refused.
type RefusedPlugin struct{ Plugin, Reason string }

// ChangeCount is how many changes there are of one resource type of a plugin.
// Entitlements and grants count for the type of the resource that they are of.
type ChangeCount struct {
	Plugin, ResourceType                                    string
	Removed, Disabled, Emptied, Withdrawn, Ungranted, Added int
}

// Change is one row that the refused sync would have changed in C1.
type Change struct {
	Plugin string
	// Kind is "removed", "disabled", "emptied" (an account that lost an attribute),
	// "withdrawn" (an entitlement that is gone), "ungranted" or "added".
	Kind string
	// ResourceType and ID are the resource's: of a grant those of its principal, who
	// loses it; of an entitlement those of the resource that it is of.
	ResourceType, ID   string
	Name, Login, Email string
	// Attribute is what an emptied account lost: "email", "login" or "name".
	Attribute string
	// Entitlement is the id of the entitlement of a withdrawn or ungranted one.
	Entitlement string
	// OnType, OnID and OnName are the resource that a lost grant is on.
	OnType, OnID, OnName string
}

// Approval is what may be taken away from C1 once.
type Approval struct {
	Upload string
	// Plugins are the approvals of its plugins.
	Plugins []ApprovedPlugin
}

// ApprovedPlugin is the approval of one plugin.
type ApprovedPlugin struct {
	Plugin string
	// ID is that of the [Review] that was approved.
	ID string
	// Changes is how many changes are approved.
	Changes   int
	At, Until time.Time
	By        string
}

// ApproveOptions are how an approval is given.
type ApproveOptions struct {
	Kept Kept
	// For is how long it is valid; 0 is [DefaultApproval].
	For time.Duration
	// By is who approves, as far as that is known.
	By string
}

// DefaultApproval is how long an approval is valid.
const DefaultApproval = 24 * time.Hour

// Each calls each with every change, in a stable order. It stops at the first error.
func (r *Review) Each(ctx context.Context, each func(Change) error) error { return r.each(ctx, each) }

// Review returns the refused sync of an upload that waits for an approval; "" is the only
// upload. It is [os.ErrNotExist] where none waits.
func (h *Host) Review(ctx context.Context, upload string, kept Kept) (*Review, error) {
	panic("TODO")
}

// Approve approves what the refused sync of an upload with this id would take away from
// C1: the next sync may take away that, or less, once. A running service has not to be
// restarted. An id that is not that of the newest refused sync is refused.
func (h *Host) Approve(ctx context.Context, upload, id string, options ApproveOptions) (*Approval, error) {
	panic("TODO")
}
