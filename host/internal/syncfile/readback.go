package syncfile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	cockroach "github.com/cockroachdb/pebble/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble/codec"
	formatv3 "github.com/conductorone/baton-sdk/pkg/dotc1z/format/v3"
)

// readBack counts what is in the file: what goes anywhere must say of itself that
// it holds a finished sync, and can be read.
func (d *Draft) readBack(ctx context.Context, whole bool) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("the sync file that was just written cannot be read back: %w", err)
		}
	}()
	read := d.countNoted
	if d.spared {
		read = d.countRows
	}
	full, err := read(ctx)
	if err != nil {
		return err
	}
	if whole && !full {
		return errors.New("the sync ended without an error but the file holds no finished full sync")
	}
	return nil
}

// countRows counts the rows, because how many the file says it has may be what was
// counted when they were put.
func (d *Draft) countRows(ctx context.Context) (full bool, err error) {
	file, err := unpack(ctx, d.path, filepath.Join(d.work.Path(), "read-back"))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.close()) }()
	latest, err := goToLatest(ctx, file)
	if err != nil {
		return false, err
	}
	types, err := resourceTypes(ctx, file)
	if err != nil {
		return false, err
	}
	noted, err := notedRows(ctx, file, latest.ID)
	if err != nil {
		return false, err
	}
	rows, err := countRows(ctx, file)
	if err != nil {
		return false, err
	}
	if !maps.Equal(rows, noted) {
		return false, fmt.Errorf("by resource type it holds %v resources, and says that it has %v", rows, noted)
	}
	if d.rows != nil && !maps.Equal(rows, d.rows) {
		return false, fmt.Errorf("by resource type it holds %v resources, and %v were written", rows, d.rows)
	}
	d.Resources, d.Accounts = countOf(types, rows)
	return isFullSync(latest), nil
}

// countNoted relies on the storage engine, which counted the rows when they were all there.
func (d *Draft) countNoted(ctx context.Context) (full bool, err error) {
	file, err := openFinished(ctx, d.path, d.work.Path())
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close(ctx)) }()
	d.Resources, d.Accounts, err = count(ctx, file)
	return file.Full, err
}

// readCacheBytes is what reading a file once from its beginning to its end needs of a
// cache. The SDK's store takes 256 MiB, and fills them.
const readCacheBytes = 4 << 20

// unpacked is a sync file of the Pebble engine, open for reading.
type unpacked struct {
	*pebble.Engine
	dir string
}

// unpack opens the file at path, unpacked into dir, which must not exist.
func unpack(ctx context.Context, path, dir string) (_ *unpacked, err error) {
	packed, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, packed.Close()) }()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if _, _, err := formatv3.ExtractEnvelopePayload(packed, dir); err != nil {
		return nil, err
	}
	cache := cockroach.NewCache(readCacheBytes)
	defer cache.Unref() // The engine has a reference of its own.
	engine, err := pebble.Open(ctx, dir, pebble.WithReadOnly(true), pebble.WithSharedCache(cache))
	if err != nil {
		return nil, err
	}
	return &unpacked{Engine: engine, dir: dir}, nil
}

func (u *unpacked) close() error { return errors.Join(u.Close(), os.RemoveAll(u.dir)) }

// countRows reads every resource of a file, and gives how many there are of each type.
// The blocks that they are in carry checksums: one that was damaged is an error.
func countRows(ctx context.Context, file *unpacked) (_ map[string]int64, err error) {
	lower := pebble.ResourceLowerBound()
	rows, err := file.NewIter(&cockroach.IterOptions{LowerBound: lower, UpperBound: pebble.ResourceUpperBound()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()

	counts := map[string]*int64{}
	var resourceType []byte
	for rows.First(); rows.Valid(); rows.Next() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		key := rows.Key()
		if len(key) <= len(lower) {
			return nil, fmt.Errorf("a resource has the key %x, which is too short", key)
		}
		// Behind the bound: a separator, the type, another, the id.
		resourceType, _, err = codec.DecodeTupleStringTo(resourceType[:0], key[len(lower)+1:], 0)
		if err != nil {
			return nil, fmt.Errorf("a resource has the key %x: %w", key, err)
		}
		count := counts[string(resourceType)]
		if count == nil {
			count = new(int64)
			counts[string(resourceType)] = count
		}
		*count++
	}
	if err := rows.Error(); err != nil {
		return nil, err
	}
	result := make(map[string]int64, len(counts))
	for id, count := range counts {
		result[id] = *count
	}
	return result, nil
}
