package baseline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// Keep is the place of one upload's last good sync: a sync file, and a record of
// the same name with ".json" after it. One process at a time may write there.
//
// Its methods may be called concurrently: nobody sees a file with the record of
// another.
type Keep struct {
	path string
	mu   sync.RWMutex
}

// At is the keep whose sync file is at path.
func At(path string) *Keep { return &Keep{path: path} }

func (k *Keep) recordPath() string { return k.path + ".json" }

// Good is the last good sync, open. Close it.
type Good struct {
	// File is the sync file.
	File *syncfile.File
	// Sync is what is known of it. Without a record it knows no plugin.
	Sync Sync
	// Resources is how many resources there were by resource type id, Accounts the
	// same for types of accounts only: as many as the file has, but of a plugin that
	// the file has old resources of as many as its app had when it was last read.
	Resources, Accounts map[string]int
}

// Open opens the last good sync, unpacked below tmpDir. The error is
// [os.ErrNotExist] where there is none yet, and otherwise says in a sentence what
// is wrong with it: a file that is damaged, is no full sync or has another record.
func (k *Keep) Open(ctx context.Context, tmpDir string) (*Good, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	sum, err := sumOf(k.path)
	if err != nil {
		return nil, err
	}
	r, err := readRecord(k.recordPath())
	if err != nil {
		return nil, fmt.Errorf("the record of the last good sync cannot be used: %w", err)
	}
	file, err := syncfile.Open(ctx, k.path, tmpDir)
	if err != nil {
		return nil, err
	}
	good := &Good{File: file, Sync: r.Syncs[sum]}
	if !file.Full {
		err = fmt.Errorf("%s is no full sync", k.path)
	} else {
		good.Resources, good.Accounts, err = file.Count(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close(ctx))
	}
	for _, part := range good.Sync.Plugins {
		for typeID, n := range part.Counts {
			for _, counts := range []map[string]int{good.Resources, good.Accounts} {
				if _, counted := counts[typeID]; counted {
					counts[typeID] = n
				}
			}
		}
	}
	return good, nil
}

// Close closes the file and removes what was unpacked.
func (g *Good) Close(ctx context.Context) error { return g.File.Close(ctx) }

// Plugin is the plugin's part in the form that an aggregate answers from, or nil
// if nothing is known of it. It can be used until the Good is closed.
func (g *Good) Plugin(instance string) *aggregate.LastGood {
	part, ok := g.Sync.Plugins[instance]
	if !ok || part.AsOf.IsZero() {
		return nil
	}
	static := map[string][]*connectorv2.Entitlement{}
	for typeID, rows := range part.Static {
		for _, row := range rows {
			static[typeID] = append(static[typeID], row.Entitlement)
		}
	}
	good := &aggregate.LastGood{Store: g.File, ResourceTypes: part.ResourceTypes, Static: static, AsOf: part.AsOf}
	if part.Elsewhere != nil {
		good.Elsewhere = &aggregate.Elsewhere{Entitlements: part.Elsewhere.Entitlements, Grants: part.Elsewhere.Grants}
	}
	return good
}

// PartOf is a plugin's part as a sync learned it.
func PartOf(learned aggregate.Learned, asOf time.Time, accounts int) Part {
	part := Part{AsOf: asOf, Accounts: accounts, ResourceTypes: learned.ResourceTypes}
	if learned.Elsewhere != nil {
		part.Elsewhere = &Elsewhere{Entitlements: learned.Elsewhere.Entitlements, Grants: learned.Elsewhere.Grants}
	}
	for typeID, rows := range learned.Static {
		for _, row := range rows {
			if part.Static == nil {
				part.Static = map[string][]Entitlement{}
			}
			part.Static[typeID] = append(part.Static[typeID], Entitlement{row})
		}
	}
	return part
}

// Known is what is known of the sync that is kept, without opening its file; the
// zero value if nothing is.
func (k *Keep) Known() Sync {
	k.mu.RLock()
	defer k.mu.RUnlock()
	_, known := k.kept()
	return known
}

// kept is the sum of the file that is there, and what is known of it. Nothing is
// known where there is no file, or no record of it that can be read.
func (k *Keep) kept() (sum string, known Sync) {
	sum, err := sumOf(k.path)
	if err != nil {
		return "", Sync{}
	}
	r, err := readRecord(k.recordPath())
	if err != nil {
		return sum, Sync{}
	}
	return sum, r.Syncs[sum]
}

// Replace puts a draft in the place of the last good sync. The draft must be on
// the same file system. It is used up, unless there is an error.
func (k *Keep) Replace(draft *syncfile.Draft, made Sync) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	sum, known := k.kept()
	return k.replace(draft, made, sum, known)
}

// Advance is Replace for syncs that may end in another order than they began in:
// a draft of one that began before the one that is kept is discarded.
func (k *Keep) Advance(draft *syncfile.Draft, made Sync) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	sum, known := k.kept()
	if known.StartedAt.After(made.StartedAt) {
		draft.Discard()
		return nil
	}
	return k.replace(draft, made, sum, known)
}

// replace is called with the lock held.
func (k *Keep) replace(draft *syncfile.Draft, made Sync, sum string, known Sync) error {
	fresh, err := sumOf(draft.Path())
	if err != nil {
		return err
	}
	r := record{Version: recordVersion, Syncs: map[string]Sync{fresh: made}}
	if !known.StartedAt.IsZero() && sum != fresh {
		r.Syncs[sum] = known
	}
	if err := writeRecord(k.recordPath(), r); err != nil {
		return fmt.Errorf("the record of the last good sync cannot be written in %s: %w", filepath.Dir(k.path), err)
	}
	return draft.Publish(k.path)
}

// sumOf is a file's SHA-256 in hexadecimal.
func sumOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
