package syncfile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/batonhost/baton-host/host/internal/syncfile/sdkfast"
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

// countRows counts the rows, because the number that the file says it has may be the one
// that was counted when they were put.
func (d *Draft) countRows(ctx context.Context) (full bool, err error) {
	file, err := sdkfast.Unpack(ctx, d.path, filepath.Join(d.work.Path(), "read-back"))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
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
	var each func(resourceType string, id, row []byte) error
	if d.withDigest {
		d.Digest, each = digesting(types, noted.GetResourcesByResourceType())
	}
	rows, err := file.EachResource(ctx, each)
	if err != nil {
		return false, err
	}
	if said := noted.GetResourcesByResourceType(); !maps.Equal(rows, said) {
		return false, fmt.Errorf("by resource type it holds %v resources, and says that it has %v", rows, said)
	}
	if d.rows != nil && !maps.Equal(rows, d.rows) {
		return false, fmt.Errorf("by resource type it holds %v resources, and %v were written", rows, d.rows)
	}
	for _, resourceType := range slices.Sorted(maps.Keys(d.grants)) {
		put := d.grants[resourceType]
		if said := noted.GetGrantsByResourceType()[resourceType]; said < put {
			return false, fmt.Errorf("of resource type %q it says that it has %d grants, and at least %d were written", resourceType, said, put)
		}
	}
	d.Digest.sort()
	d.Counts = countsOf(types, noted)
	return isFullSync(latest), nil
}

// countNoted relies on the storage engine, which counted the rows when they were all there.
func (d *Draft) countNoted(ctx context.Context) (full bool, err error) {
	file, err := openFinished(ctx, d.path, d.work.Path())
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close(ctx)) }()
	if d.Counts, err = count(ctx, file); err == nil && d.withDigest {
		d.Digest, err = file.digestPages(ctx)
	}
	return file.Full, err
}
