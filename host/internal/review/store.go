package review

import (
	"context"
	"time"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// Store is where the refused sync of one upload and its approval are, beside its baseline.
// Its methods may be called concurrently.
type Store struct{ path string }

// At returns the store of the upload whose baseline is at path.
func At(path string) *Store { return &Store{path: path} }

// Reason is why a plugin's part of a sync was refused.
type Reason struct {
	Plugin string `json:"plugin"`
	Text   string `json:"text"`
}

// Refused is a sync that was refused.
type Refused struct {
	Version int       `json:"version"`
	ID      string    `json:"id"`
	Upload  string    `json:"upload"`
	At      time.Time `json:"at"`
	Reasons []Reason  `json:"reasons"`
	Counts  []Count   `json:"counts"`
}

// Until is how long it is kept.
func (r *Refused) Until() time.Time { return r.At.Add(keptFor) }

const keptFor = 7 * 24 * time.Hour

// Sync is a sync that is refused.
type Sync struct {
	Upload  string
	Reasons []Reason
	// Before is the baseline that it was compared with.
	Before *baseline.Baseline
	// After is its sync file, open, at Path; nil and "" if nothing was read.
	After *syncfile.File
	Path  string
	// Owner returns the plugin of a resource type.
	Owner func(typeID string) string
}

// Approval is what may be taken away once, by plugin.
type Approval struct{ Plugins []Approved }

// Approved is the approval of one plugin.
type Approved struct {
	Plugin string    `json:"plugin"`
	ID     string    `json:"id"`
	Keys   int       `json:"keys"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
}

// Review is a refused sync with the files that it is of, open. Close it.
type Review struct{ Refused }

// Each calls each with every change, in a stable order.
func (r *Review) Each(ctx context.Context, each func(Change) error) error { panic("TODO") }

// Close closes the files.
func (r *Review) Close(ctx context.Context) error { panic("TODO") }

// Between calls each with every change between two finished files, in a stable order.
func Between(ctx context.Context, before, after *syncfile.File, owner func(typeID string) string, each func(Change) error) error {
	panic("TODO")
}

// Keep keeps a refused sync in the place of the one that was kept before.
func (s *Store) Keep(ctx context.Context, sync Sync) (*Refused, error) { panic("TODO") }

// Refused returns the refused sync that is kept; [os.ErrNotExist] if there is none.
func (s *Store) Refused() (*Refused, error) { panic("TODO") }

// Open opens the refused sync for a look at its changes, unpacked below tmpDir.
func (s *Store) Open(ctx context.Context, tmpDir string) (*Review, error) { panic("TODO") }

// Approve approves what the refused sync of this id would take away.
func (s *Store) Approve(ctx context.Context, id string, valid time.Duration, by string) (*Approval, error) {
	panic("TODO")
}

// Approval returns what is approved now; [os.ErrNotExist] if nothing is.
func (s *Store) Approval() (*Approval, error) { panic("TODO") }

// Used removes the approvals of plugins, and the refused sync if a good one followed.
func (s *Store) Used(fresh []string, good bool) ([]Approved, error) { panic("TODO") }
