package syncfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	readerv2 "github.com/conductorone/baton-sdk/pb/c1/reader/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"

	"github.com/batonhost/baton-host/host/internal/files"
)

// readPrefix begins the names of the directories that files are unpacked into.
const readPrefix = "baton-host-read-"

// reader is what every storage engine answers.
type reader interface {
	ListResourceTypes(ctx context.Context, request *connectorv2.ResourceTypesServiceListResourceTypesRequest) (*connectorv2.ResourceTypesServiceListResourceTypesResponse, error)
	SetCurrentSync(ctx context.Context, syncID string) error
	SyncMeta() c1zstore.SyncMeta
}

// Counts is how many rows a sync file has, by resource type id, with a zero for a type
// that has none.
type Counts struct {
	// Resources are all resources, Accounts those of the types that have the user trait.
	Resources, Accounts map[string]int
	// Entitlements are those of resources of the type, Grants those of such entitlements.
	// Grants that follow from others are among them where the sync worked them out.
	Entitlements, Grants map[string]int
	// Varying are the types that the connector marks as of numbers which vary
	// (SkipSyncAnomalyDetection).
	Varying map[string]bool
}

// count returns how many rows there are in a file, by what it says of itself.
func count(ctx context.Context, file *File) (Counts, error) {
	types, err := resourceTypes(ctx, file)
	if err != nil {
		return Counts{}, err
	}
	noted, err := notedRows(ctx, file, file.syncID)
	if err != nil {
		return Counts{}, err
	}
	return countsOf(types, noted), nil
}

// notedRows returns how many rows of each type the file itself says it has.
func notedRows(ctx context.Context, store reader, syncID string) (*readerv2.SyncStats, error) {
	return store.SyncMeta().StatsV2(ctx, connectorstore.SyncTypeAny, syncID)
}

func countsOf(types []*connectorv2.ResourceType, rows *readerv2.SyncStats) Counts {
	c := Counts{map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}, map[string]bool{}}
	for _, resourceType := range types {
		id := resourceType.GetId()
		c.Resources[id] = int(rows.GetResourcesByResourceType()[id])
		c.Entitlements[id] = int(rows.GetEntitlementsByResourceType()[id])
		c.Grants[id] = int(rows.GetGrantsByResourceType()[id])
		if isOfAccounts(resourceType) {
			c.Accounts[id] = c.Resources[id]
		}
		annos := annotations.Annotations(resourceType.GetAnnotations())
		if annos.Contains(&connectorv2.SkipSyncAnomalyDetection{}) {
			c.Varying[id] = true
		}
	}
	return c
}

// File is a sync file, open for reading at its latest finished sync.
type File struct {
	c1zstore.Store
	// FinishedAt is when that sync ended.
	FinishedAt time.Time
	// Full is whether it is a full sync, in the SDK's sense: not of single
	// resources, and with entitlements and grants.
	Full bool
	// Kind is what sort of sync it is, as the SDK calls it: "full", "partial",
	// "resources_only".
	Kind string

	path   string
	syncID string
	work   *files.Dir
}

// Open opens a sync file. It is unpacked into a directory below tmpDir, which
// goes when the file is closed; what runs that died left behind there is removed.
//
// It returns an error for a file that is missing ([os.ErrNotExist]), is no sync
// file, is damaged or has no finished sync.
func Open(ctx context.Context, path, tmpDir string) (*File, error) {
	file, _, err := open(ctx, path, tmpDir, false)
	return file, err
}

// OpenWithDigest is Open, and reads every resource of the file for its digest.
func OpenWithDigest(ctx context.Context, path, tmpDir string) (*File, Digest, error) {
	return open(ctx, path, tmpDir, true)
}

func open(ctx context.Context, path, tmpDir string, withDigest bool) (*File, Digest, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil, &missingError{path}
	case err != nil:
		return nil, nil, err
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("%s is no sync file: it is not a regular file", path)
	case info.Size() == 0:
		return nil, nil, fmt.Errorf("%s is no sync file: it is empty", path)
	}

	files.Sweep(tmpDir, readPrefix)
	work, err := files.Make(tmpDir, readPrefix)
	if err != nil {
		return nil, nil, noRoom(path, err)
	}
	var digest Digest
	var undigested error
	if withDigest {
		digest, undigested = digestRows(ctx, path, work.Path())
	}
	file, err := openFinishedIn(ctx, path, work.Path())
	if err != nil {
		return nil, nil, errors.Join(err, work.Remove())
	}
	file.work = work
	if undigested != nil {
		if digest, err = file.digestOtherwise(ctx, undigested); err != nil {
			return nil, nil, errors.Join(err, file.Close(ctx))
		}
	}
	return file, digest, nil
}

type missingError struct{ path string }

func (e *missingError) Error() string        { return "there is no file " + e.path }
func (e *missingError) Is(target error) bool { return target == os.ErrNotExist }

// Close closes the file and removes what was unpacked.
func (f *File) Close(ctx context.Context) error {
	err := f.Store.Close(ctx)
	if f.work == nil {
		return err
	}
	return errors.Join(err, f.work.Remove())
}

// Count returns how many rows the file declares.
func (f *File) Count(ctx context.Context) (Counts, error) { return count(ctx, f) }

// errUnfinished is about a file in which nothing can be relied on.
var errUnfinished = errors.New("holds no finished sync; what wrote it broke off")

func openFinishedIn(ctx context.Context, path, work string) (*File, error) {
	if err := checkDisk(work, freeOnDisk); err != nil {
		return nil, noRoom(path, err)
	}
	file, err := openFinished(ctx, path, work)
	if err == nil {
		return file, nil
	}
	if errors.Is(err, errUnfinished) {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return nil, unreadable(path, work, err)
}

// unreadable returns an error about a file that could not be unpacked into work, or read
// there.
func unreadable(path, work string, err error) error {
	if isFull(err) || checkDisk(work, freeOnDisk) != nil {
		return noRoom(path, err)
	}
	return damaged(path, err)
}

// openFinished opens a file with its temporary files in an existing directory,
// which stays.
func openFinished(ctx context.Context, path, work string) (*File, error) {
	store, err := dotc1z.NewStore(ctx, path, dotc1z.WithReadOnly(true), dotc1z.WithTmpDir(work))
	if err != nil {
		return nil, err
	}
	latest, err := goToLatest(ctx, store)
	if err != nil {
		return nil, errors.Join(err, store.Close(ctx))
	}
	file := &File{Store: store, path: path, syncID: latest.ID, Full: isFullSync(latest), Kind: string(latest.Type)}
	if latest.EndedAt != nil {
		file.FinishedAt = *latest.EndedAt
	}
	return file, nil
}

// goToLatest has the store answer from its latest finished sync.
func goToLatest(ctx context.Context, store reader) (*c1zstore.SyncRun, error) {
	latest, err := store.SyncMeta().LatestFinishedSyncOfAnyType(ctx)
	if err == nil && latest == nil {
		err = errUnfinished
	}
	if err != nil {
		return nil, err
	}
	return latest, store.SetCurrentSync(ctx, latest.ID)
}

func isFullSync(run *c1zstore.SyncRun) bool { return run.Type == connectorstore.SyncTypeFull }

func damaged(path string, err error) error {
	return fmt.Errorf("%s cannot be read as a sync file; it is damaged, cut short or something else: %w", path, err)
}

// noRoom returns an error about the place for temporary files, not about the sync file.
func noRoom(path string, err error) error {
	return fmt.Errorf("%s cannot be unpacked, which reading it takes, in the directory for temporary files: %w; fix that, or set TMPDIR to a directory with room", path, err)
}

// isFull reports whether something could not be written for want of room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

func resourceTypes(ctx context.Context, store reader) ([]*connectorv2.ResourceType, error) {
	var types []*connectorv2.ResourceType
	token := ""
	for {
		page, err := store.ListResourceTypes(ctx, connectorv2.ResourceTypesServiceListResourceTypesRequest_builder{PageToken: token}.Build())
		if err != nil {
			return nil, err
		}
		types = append(types, page.GetList()...)
		token = page.GetNextPageToken()
		if token == "" {
			return types, nil
		}
	}
}

// ResourceName returns the display name of a resource; empty if it has none, or the file
// has no such resource.
func (f *File) ResourceName(ctx context.Context, id *connectorv2.ResourceId) string {
	found, err := f.GetResource(ctx, readerv2.ResourcesReaderServiceGetResourceRequest_builder{ResourceId: id}.Build())
	if err != nil {
		return ""
	}
	return found.GetResource().GetDisplayName()
}

// Unfinished returns when the latest sync in the file began that is later than the one
// that is read and was never finished; the zero time if there is none.
func (f *File) Unfinished(ctx context.Context) (time.Time, error) {
	var began time.Time
	token := ""
	for {
		page, err := f.ListSyncs(ctx, readerv2.SyncsReaderServiceListSyncsRequest_builder{PageToken: token}.Build())
		if err != nil {
			return time.Time{}, damaged(f.path, err)
		}
		for _, run := range page.GetSyncs() {
			at := run.GetStartedAt().AsTime()
			if !run.HasEndedAt() && at.After(f.FinishedAt) && at.After(began) {
				began = at
			}
		}
		token = page.GetNextPageToken()
		if token == "" {
			return began, nil
		}
	}
}
