package baseline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	readerv2 "github.com/conductorone/baton-sdk/pb/c1/reader/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"

	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// Store is where one upload's baseline is: a sync file, and a record of the same name
// with ".json" after it. One process at a time may write there.
//
// Its methods may be called concurrently: a file is never seen with the record of
// another.
type Store struct {
	path string
	mu   sync.RWMutex
}

// At returns the store whose sync file is at path.
func At(path string) *Store { return &Store{path: path} }

func (s *Store) recordPath() string { return s.path + ".json" }

// Baseline is the last sync file that C1 accepted, open. Close it.
type Baseline struct {
	// File is the sync file.
	File *syncfile.File
	// Sum is its SHA-256, in hexadecimal.
	Sum string
	// Sync is what is known of it. Without a record it knows no plugin.
	Sync Sync
	// Counts is how many rows there were by resource type: as many as the file has, but
	// of a plugin that the file has old rows of as many as its app had when it was last
	// read. What is not known of such a plugin is missing.
	syncfile.Counts
	// Digest is of the file, without what was never read completely; only where it was
	// opened to compare.
	Digest syncfile.Digest
	// RecordErr is why nothing is known of it although it has a record: that is damaged.
	RecordErr error
}

// Open opens the baseline, unpacked below tmpDir. The error is
// [os.ErrNotExist] where there is none yet, and otherwise says in a sentence what
// is wrong with it: a file that is damaged or is no full sync, or a record of a newer host.
// A damaged record is as good as none: the file can be compared with all the same.
func (s *Store) Open(ctx context.Context, tmpDir string) (*Baseline, error) {
	return s.open(ctx, tmpDir, func(ctx context.Context, path, tmpDir string) (*syncfile.File, syncfile.Digest, error) {
		file, err := syncfile.Open(ctx, path, tmpDir)
		return file, nil, err
	})
}

// OpenToCompare is Open for a sync that is to be compared with the baseline: it has its
// digest too.
func (s *Store) OpenToCompare(ctx context.Context, tmpDir string) (*Baseline, error) {
	return s.open(ctx, tmpDir, syncfile.OpenWithDigest)
}

func (s *Store) open(ctx context.Context, tmpDir string, openFile func(ctx context.Context, path, tmpDir string) (*syncfile.File, syncfile.Digest, error)) (*Baseline, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sum, err := files.Sum(s.path, files.Whole)
	if err != nil {
		return nil, err
	}
	r, recordErr := readRecord(s.recordPath())
	if recordErr != nil {
		recordErr = fmt.Errorf("the record of the baseline cannot be used: %w", recordErr)
	}
	if files.IsNewer(recordErr) {
		return nil, recordErr
	}
	file, digest, err := openFile(ctx, s.path, tmpDir)
	if err != nil {
		return nil, err
	}
	opened := &Baseline{File: file, Sum: sum, Sync: r.Syncs[sum], Digest: digest, RecordErr: recordErr}
	if !file.Full {
		err = fmt.Errorf("%s is no full sync", s.path)
	} else {
		opened.Counts, err = file.Count(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close(ctx))
	}
	for _, part := range opened.Sync.Plugins {
		for typeID, hashes := range part.Unread {
			if digest != nil {
				digest.Remove(typeID, hashes)
			}
		}
		for typeID, n := range part.Counts {
			for _, counts := range []map[string]int{opened.Resources, opened.Accounts} {
				if _, counted := counts[typeID]; counted {
					counts[typeID] = n
				}
			}
			lastRead(opened.Entitlements, part.EntitlementCounts, typeID)
			lastRead(opened.Grants, part.GrantCounts, typeID)
		}
	}
	return opened, nil
}

// lastRead puts the number of the last reading in the place of that of the file. Where it
// is not known there is none.
func lastRead(counts, before map[string]int, typeID string) {
	delete(counts, typeID)
	if n, known := before[typeID]; known {
		counts[typeID] = n
	}
}

// Close closes the file and removes what was unpacked.
func (b *Baseline) Close(ctx context.Context) error { return b.File.Close(ctx) }

// Plugin is what one plugin listed in an earlier sync: what is read in its place once
// it has failed. All ids in it are those of the aggregate.
type Plugin struct {
	// File is the sync file, open for reading at the sync that is meant, and for as
	// long as the Plugin is in use.
	File Reader
	// Facts are what must be known of the plugin's rows in the file.
	Facts
	// AsOf is when the app itself was last read completely.
	AsOf time.Time
}

// Reader is what is read of a sync file; the SDK's c1zstore.Store has it.
type Reader interface {
	ListResourceTypes(context.Context, *connectorv2.ResourceTypesServiceListResourceTypesRequest) (*connectorv2.ResourceTypesServiceListResourceTypesResponse, error)
	ListResources(context.Context, *connectorv2.ResourcesServiceListResourcesRequest) (*connectorv2.ResourcesServiceListResourcesResponse, error)
	ListEntitlements(context.Context, *connectorv2.EntitlementsServiceListEntitlementsRequest) (*connectorv2.EntitlementsServiceListEntitlementsResponse, error)
	GetResource(context.Context, *readerv2.ResourcesReaderServiceGetResourceRequest) (*readerv2.ResourcesReaderServiceGetResourceResponse, error)
	Grants() c1zstore.GrantStore
}

// Facts are what a later sync needs to know of a plugin's rows in a sync file, and the
// file does not say.
type Facts struct {
	// ResourceTypes are the ids of the plugin's resource types in the file.
	ResourceTypes []string
	// Static are the plugin's static entitlements by resource type. The file has
	// them as entitlements of single resources only.
	Static map[string][]*connectorv2.Entitlement
	// Elsewhere is what the plugin listed under another resource than its own; nil if
	// that is not known, as of a record that an older version wrote.
	Elsewhere *Elsewhere
}

// Plugin returns a plugin's part of the baseline, or nil if nothing is known of it. It
// can be used until the Baseline is closed.
func (b *Baseline) Plugin(instance string) *Plugin {
	part, ok := b.Sync.Plugins[instance]
	if !ok || part.AsOf.IsZero() {
		return nil
	}
	static := map[string][]*connectorv2.Entitlement{}
	for typeID, rows := range part.Static {
		for _, row := range rows {
			static[typeID] = append(static[typeID], row.Entitlement)
		}
	}
	return &Plugin{File: b.File, Facts: Facts{ResourceTypes: part.ResourceTypes, Static: static, Elsewhere: part.Elsewhere}, AsOf: part.AsOf}
}

// PartOf returns a plugin's part, to be recorded with a sync file.
func PartOf(facts Facts, asOf time.Time, accounts int) Part {
	part := Part{AsOf: asOf, Accounts: accounts, ResourceTypes: facts.ResourceTypes, Elsewhere: facts.Elsewhere}
	for typeID, rows := range facts.Static {
		for _, row := range rows {
			if part.Static == nil {
				part.Static = map[string][]Entitlement{}
			}
			part.Static[typeID] = append(part.Static[typeID], Entitlement{row})
		}
	}
	return part
}

// Known returns what is known of the baseline, without opening its file; the
// zero value if nothing is.
func (s *Store) Known() Sync {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, err := os.Stat(s.recordPath()); err != nil {
		return Sync{} // The file need not be read to its end for that.
	}
	_, known := s.recorded()
	return known
}

// Exists reports whether there is a file, whatever is known of it.
func (s *Store) Exists() bool {
	_, err := os.Stat(s.path)
	return err == nil
}

// Recorded returns the SHA-256 of the baseline's file in hexadecimal, without opening it as
// a sync file, and what is known of it. The sum is "" where there is no file.
func (s *Store) Recorded() (sum string, known Sync) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.recorded()
}

// recorded returns the sum of the file that is there, and what is known of it. Nothing is
// known where there is no file, or no record of it that can be read.
func (s *Store) recorded() (sum string, known Sync) {
	sum, err := files.Sum(s.path, files.Whole)
	if err != nil {
		return "", Sync{}
	}
	r, err := readRecord(s.recordPath())
	if err != nil {
		return sum, Sync{}
	}
	return sum, r.Syncs[sum]
}

// Replace puts a draft in the place of the baseline. The draft must be on
// the same file system. It is used up, unless there is an error.
func (s *Store) Replace(draft *syncfile.Draft, of Sync) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, known := s.recorded()
	return s.replace(draft, of, sum, known)
}

// Advance is Replace for syncs that may end in another order than they began in:
// a draft of one that began before the baseline is discarded.
func (s *Store) Advance(draft *syncfile.Draft, of Sync) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, known := s.recorded()
	// One of the future is not newer: the clock was wrong when it was written, or it is now.
	if known.StartedAt.After(of.StartedAt) && !known.StartedAt.After(time.Now()) {
		draft.Discard()
		return nil
	}
	return s.replace(draft, of, sum, known)
}

// Check returns why the baseline can be neither used nor replaced: a newer host wrote it.
func (s *Store) Check() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.check()
}

func (s *Store) check() error {
	if _, err := readRecord(s.recordPath()); files.IsNewer(err) {
		return err
	}
	return nil // What else is wrong with it, the next sync puts right.
}

// replace is called with the lock held.
func (s *Store) replace(draft *syncfile.Draft, of Sync, sum string, known Sync) error {
	if err := s.check(); err != nil {
		return err
	}
	fresh, err := files.Sum(draft.Path(), files.Whole)
	if err != nil {
		return err
	}
	r := record{Syncs: map[string]Sync{fresh: of}}
	if !known.StartedAt.IsZero() && sum != fresh {
		r.Syncs[sum] = known
	}
	if err := writeRecord(s.recordPath(), r); err != nil {
		return fmt.Errorf("the record of the baseline cannot be written in %s: %w", filepath.Dir(s.path), err)
	}
	return draft.Publish(s.path)
}
