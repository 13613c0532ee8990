package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/state"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// Kept is where the files of an upload's syncs are. The zero value is the state directory
// of the service; OutputDir and File are those of [SyncOptions].
type Kept struct {
	OutputDir string
	File      string
}

// Review is a sync that the change guard refused, for a person to look at.
type Review struct {
	Upload string `json:"upload"`
	// ID is what [Host.Approve] takes. The same difference has the same id.
	ID string `json:"id"`
	// RefusedAt is when it was refused, and Until how long it is kept.
	RefusedAt time.Time `json:"refused_at"`
	Until     time.Time `json:"until"`
	// Reasons are why, in a sentence for each plugin.
	Reasons []RefusedPlugin `json:"reasons"`
	// Counts are how many changes there are, by plugin and resource type.
	Counts []ChangeCount `json:"counts"`
	// Approval is what is approved at the moment; nil if nothing is.
	Approval *Approval `json:"approval,omitempty"`

	each func(ctx context.Context, each func(Change) error) error
}

// RefusedPlugin is why the part of a plugin was refused.
type RefusedPlugin struct {
	Plugin string `json:"plugin"`
	Reason string `json:"reason"`
}

// ChangeCount is how many changes there are of one resource type of a plugin.
// Entitlements and grants count for the type of the resource that they are of.
type ChangeCount struct {
	Plugin       string `json:"plugin"`
	ResourceType string `json:"resource_type"`
	Removed      int    `json:"removed"`
	Disabled     int    `json:"disabled"`
	Emptied      int    `json:"emptied"`
	Withdrawn    int    `json:"withdrawn"`
	Ungranted    int    `json:"ungranted"`
	Added        int    `json:"added"`
}

// Change is one row that the refused sync would have changed in C1.
type Change struct {
	Plugin string `json:"plugin"`
	// Kind is "removed", "disabled", "emptied" (an account that lost an attribute),
	// "withdrawn" (an entitlement that is gone), "ungranted" or "added".
	Kind string `json:"change"`
	// ResourceType and ID are the resource's: of a grant those of its principal, who
	// loses it; of an entitlement those of the resource that it is of.
	ResourceType string `json:"resource_type"`
	ID           string `json:"id"`
	Name         string `json:"display_name,omitempty"`
	Login        string `json:"login,omitempty"`
	Email        string `json:"email,omitempty"`
	// Attribute is what an emptied account lost: "email", "login" or "name".
	Attribute string `json:"attribute,omitempty"`
	// Entitlement is the id of the entitlement of a withdrawn or ungranted one.
	Entitlement string `json:"entitlement,omitempty"`
	// OnType, OnID and OnName are the resource that a lost grant is on.
	OnType string `json:"on_resource_type,omitempty"`
	OnID   string `json:"on_id,omitempty"`
	OnName string `json:"on_display_name,omitempty"`
}

// Approval is what may be taken away from C1 once.
type Approval struct {
	Upload string `json:"upload"`
	// Plugins are the approvals of its plugins.
	Plugins []ApprovedPlugin `json:"plugins"`
}

// ApprovedPlugin is the approval of one plugin.
type ApprovedPlugin struct {
	Plugin string `json:"plugin"`
	// ID is that of the [Review] that was approved.
	ID string `json:"id"`
	// Changes is how many changes are approved.
	Changes int       `json:"changes"`
	At      time.Time `json:"at"`
	Until   time.Time `json:"until"`
	By      string    `json:"by"`
}

// ApproveOptions are how an approval is given.
type ApproveOptions struct {
	Kept Kept
	// For is how long it is valid; 0 is [DefaultApproval].
	For time.Duration
	// By is who approves; empty: the user of this process. A running service asks the
	// system who has connected.
	By string
}

// DefaultApproval is how long an approval is valid.
const DefaultApproval = 24 * time.Hour

// Each calls each with every change, in a stable order. It stops at the first error.
func (r *Review) Each(ctx context.Context, each func(Change) error) error { return r.each(ctx, each) }

// Review returns the refused sync of an upload that waits for an approval; "" is the only
// upload. It is [os.ErrNotExist] where none waits.
func (h *Host) Review(ctx context.Context, upload string, kept Kept) (*Review, error) {
	of, err := h.uploadOf(upload)
	if err != nil {
		return nil, err
	}
	place, err := h.place(of, kept)
	if err != nil {
		return nil, err
	}
	var found *Review
	err = place.Read(ctx, func(view state.View) error {
		refused, err := view.Review.Refused()
		if err != nil {
			return err
		}
		found = reviewOf(of.Name, refused)
		found.each = func(ctx context.Context, each func(Change) error) error {
			return place.Read(ctx, func(view state.View) error { return eachChange(ctx, view.Review, refused, each) })
		}
		switch approval, err := view.Review.Approval(); {
		case err == nil:
			found.Approval = approvalOf(of.Name, approval)
		case review.IsDamaged(err): // It approves nothing, and the next approval replaces it.
			ctxzap.Extract(ctx).Warn("what was approved for the change guard cannot be read, so nothing is approved", zap.Error(err))
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("upload %q: %w", of.Name, err)
	}
	return found, nil
}

func reviewOf(upload string, refused *review.Refused) *Review {
	found := &Review{Upload: upload, ID: refused.ID, RefusedAt: refused.At, Until: refused.Until()}
	for _, one := range refused.Reasons {
		found.Reasons = append(found.Reasons, RefusedPlugin{one.Plugin, one.Text})
	}
	for _, one := range refused.Counts {
		found.Counts = append(found.Counts, ChangeCount(one))
	}
	return found
}

// eachChange calls each with every change of a refused sync, which must still be there.
func eachChange(ctx context.Context, store *review.Store, refused *review.Refused, each func(Change) error) (err error) {
	open, err := store.Open(ctx, os.TempDir())
	if err != nil {
		return fmt.Errorf("upload %q: %w", refused.Upload, err)
	}
	defer func() { err = errors.Join(err, open.Close(context.WithoutCancel(ctx))) }()
	if open.ID != refused.ID {
		return fmt.Errorf("upload %q: %s was refused meanwhile, in the place of %s; look at that", refused.Upload, open.ID, refused.ID)
	}
	return open.Each(ctx, func(one review.Change) error { return each(changeOf(one)) })
}

func changeOf(one review.Change) Change {
	return Change{
		Plugin: one.Plugin, Kind: string(one.Kind), ResourceType: one.ResourceType, ID: one.ID, Name: one.Name, Login: one.Login, Email: one.Email,
		Attribute: string(one.Attribute), Entitlement: one.Entitlement, OnType: one.OnType, OnID: one.OnID, OnName: one.OnName,
	}
}

// Approve approves what the refused sync of an upload with this id would take away from
// C1: the next sync may take away that, or less, once. A running service has not to be
// restarted. An id that is not that of the newest refused sync is refused.
func (h *Host) Approve(ctx context.Context, upload, id string, options ApproveOptions) (*Approval, error) {
	if options.Kept == (Kept{}) {
		return h.approveInService(ctx, upload, id, options)
	}
	return h.approveHere(ctx, upload, id, options)
}

// approve approves by this process.
func (h *Host) approve(ctx context.Context, upload, id string, options ApproveOptions) (*Approval, error) {
	of, err := h.uploadOf(upload)
	if err != nil {
		return nil, err
	}
	place, err := h.place(of, options.Kept)
	if err != nil {
		return nil, err
	}
	var given *review.Approval
	err = place.Change(ctx, func(view state.View) error {
		given, err = view.Review.Approve(ctx, id, cmp.Or(options.For, DefaultApproval), options.By)
		return err
	})
	if other, ok := errors.AsType[*review.NotNewestError](err); ok {
		other.Command = h.reviewCommand(options.Kept)
		return nil, other // It names the upload.
	}
	if _, onDisk := errors.AsType[*os.PathError](err); onDisk {
		return nil, fmt.Errorf("upload %q: the approval cannot be kept, so nothing is approved: %w; make room there, or let the user of the host write there", of.Name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("upload %q: %w", of.Name, err)
	}
	approval := approvalOf(of.Name, given)
	for _, one := range approval.Plugins {
		ctxzap.Extract(ctx).Info("approved", zap.String("upload", of.Name), zap.String("plugin", one.Plugin), zap.String("id", one.ID),
			zap.String("by", one.By), zap.Int("approved", one.Changes), zap.Time("until", one.Until))
	}
	return approval, nil
}

func approvalOf(upload string, given *review.Approval) *Approval {
	approval := &Approval{Upload: upload}
	for _, one := range given.Plugins {
		approval.Plugins = append(approval.Plugins, ApprovedPlugin{Plugin: one.Plugin, ID: one.ID, Changes: one.Keys, At: one.At, Until: one.Until, By: one.By})
	}
	return approval
}

// uploadOf returns the upload of that name; "" is the only one.
func (h *Host) uploadOf(name string) (*config.Upload, error) {
	var names []string
	uploads := h.served()
	for _, one := range uploads {
		if one.Name == name || name == "" && len(uploads) == 1 {
			return one, nil
		}
		names = append(names, one.Name)
	}
	switch {
	case len(names) == 0:
		return nil, h.nothingToSync()
	case name == "":
		return nil, fmt.Errorf("there is more than one upload; name one of %s", strings.Join(names, ", "))
	}
	if near := errtext.Nearest(name, names); near != "" {
		return nil, fmt.Errorf("there is no upload %q; did you mean %q?", name, near)
	}
	return nil, fmt.Errorf("there is no upload %q; there is %s", name, strings.Join(names, ", "))
}

// keptAt returns where the baseline of an upload is, beside which the refused sync is.
func (h *Host) keptAt(upload *config.Upload, kept Kept) (string, error) {
	path := kept.File
	if path == "" {
		dir := kept.OutputDir
		if dir == "" {
			var err error
			if dir, err = h.stateDir(); err != nil {
				return "", err
			}
		}
		path = filepath.Join(dir, upload.Name+".c1z")
	}
	return syncfile.BehindLinks(path)
}
