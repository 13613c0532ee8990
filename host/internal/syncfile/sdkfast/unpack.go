package sdkfast

import (
	"context"
	"errors"
	"fmt"
	"os"

	cockroach "github.com/cockroachdb/pebble/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble/codec"
	formatv3 "github.com/conductorone/baton-sdk/pkg/dotc1z/format/v3"
)

// readCacheBytes is what reading a file once from its beginning to its end needs of a
// cache. The SDK's store takes 256 MiB, and fills them.
const readCacheBytes = 4 << 20

// Unpacked is a sync file of the Pebble engine, open for reading once from its beginning
// to its end.
type Unpacked struct {
	*pebble.Engine
	dir string
}

// Unpack opens the file at path, unpacked into dir, which must not exist.
func Unpack(ctx context.Context, path, dir string) (_ *Unpacked, err error) {
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
	defer cache.Unref() // The engine holds another reference.
	engine, err := pebble.Open(ctx, dir, pebble.WithReadOnly(true), pebble.WithSharedCache(cache))
	if err != nil {
		return nil, err
	}
	return &Unpacked{Engine: engine, dir: dir}, nil
}

// Close closes the file and removes what was unpacked.
func (u *Unpacked) Close() error { return errors.Join(u.Engine.Close(), os.RemoveAll(u.dir)) }

// CountResources reads every resource of the file and returns how many there are of each
// type. The blocks that they are in carry checksums: a damaged one is an error.
func (u *Unpacked) CountResources(ctx context.Context) (map[string]int64, error) {
	return u.EachResource(ctx, nil)
}

// EachResource is CountResources, and calls each, if it is not nil, with the type, the id
// and the row of every resource: for [StateOf]. They are good until it returns.
func (u *Unpacked) EachResource(ctx context.Context, each func(resourceType string, id, row []byte) error) (_ map[string]int64, err error) {
	lower := pebble.ResourceLowerBound()
	rows, err := u.NewIter(&cockroach.IterOptions{LowerBound: lower, UpperBound: pebble.ResourceUpperBound()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()

	type counted struct {
		id string
		n  int64
	}
	counts := map[string]*counted{}
	var resourceType, id []byte
	for rows.First(); rows.Valid(); rows.Next() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		key := rows.Key()
		if len(key) <= len(lower) {
			return nil, fmt.Errorf("a resource has the key %x, which is too short", key)
		}
		// Behind the bound: a separator, the type, another, the id.
		var next int
		resourceType, next, err = codec.DecodeTupleStringTo(resourceType[:0], key, len(lower)+1)
		if err != nil {
			return nil, fmt.Errorf("a resource has the key %x: %w", key, err)
		}
		count := counts[string(resourceType)]
		if count == nil {
			count = &counted{id: string(resourceType)}
			counts[count.id] = count
		}
		count.n++
		if each == nil {
			continue
		}
		if next >= len(key) {
			return nil, fmt.Errorf("a resource has the key %x, which has no id", key)
		}
		id, _, err = codec.DecodeTupleStringTo(id[:0], key, next+1)
		if err != nil {
			return nil, fmt.Errorf("a resource has the key %x: %w", key, err)
		}
		if err := each(count.id, id, rows.Value()); err != nil {
			return nil, fmt.Errorf("resource %q of type %q: %w", id, count.id, err)
		}
	}
	if err := rows.Error(); err != nil {
		return nil, err
	}
	result := make(map[string]int64, len(counts))
	for id, count := range counts {
		result[id] = count.n
	}
	return result, nil
}
