package syncfile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/types/resource"

	"github.com/batonhost/baton-host/host/internal/files"
)

// readPrefix begins the names of the directories that files are unpacked into.
const readPrefix = "baton-host-read-"

// Account is one account in a sync file, as people look at it.
type Account struct {
	// App is the instance name in front of the resource type's id
	// ("fullstory" of "fullstory.user"); in the file of a stand-alone connector,
	// which has none, the resource type's id.
	App string `json:"app"`
	// ResourceType is the full id of the resource type, for example
	// "fullstory.user".
	ResourceType string `json:"resource_type"`
	// ID is the account's id in its app.
	ID string `json:"id"`
	// Login is what the person signs in with.
	Login string `json:"login"`
	// DisplayName is the person's name.
	DisplayName string `json:"display_name"`
	// Email is the primary address.
	Email string `json:"email"`
	// OtherEmails are the others, in alphabetical order.
	OtherEmails []string `json:"other_emails,omitempty"`
	// Status is "enabled", "disabled", "deleted" or "unspecified".
	Status string `json:"status"`
	// LastLogin is nil where the app does not tell it.
	LastLogin *time.Time `json:"last_login"`
	// Profile is what else the app tells of the account: a JSON object with its
	// members sorted by name, empty for none.
	Profile string `json:"-"`
}

// Accounts gives every account of the file's latest finished sync to each, in
// the order of the file, which is stable. It stops at the first error.
//
// It returns an error for a file that is missing, is no sync file, is damaged
// or holds no finished sync. The file is unpacked into a directory below
// [os.TempDir] for the time of the call.
func Accounts(ctx context.Context, path string, each func(Account) error) (err error) {
	store, err := Open(ctx, path, os.TempDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(ctx)) }()

	return store.EachAccount(ctx, each)
}

// reader is what every storage engine can be asked.
type reader interface {
	ListResourceTypes(ctx context.Context, request *connectorv2.ResourceTypesServiceListResourceTypesRequest) (*connectorv2.ResourceTypesServiceListResourceTypesResponse, error)
	SetCurrentSync(ctx context.Context, syncID string) error
	SyncMeta() c1zstore.SyncMeta
}

// count is the number of resources in a file by resource type, of all types and
// of those of accounts, with a zero for types that have none.
func count(ctx context.Context, file *File) (resources, accounts map[string]int, err error) {
	types, err := resourceTypes(ctx, file)
	if err != nil {
		return nil, nil, err
	}
	noted, err := notedRows(ctx, file, file.syncID)
	if err != nil {
		return nil, nil, err
	}
	resources, accounts = countOf(types, noted)
	return resources, accounts, nil
}

// notedRows is what a file says of itself: how many resources it has, by type.
func notedRows(ctx context.Context, store reader, syncID string) (map[string]int64, error) {
	stats, err := store.SyncMeta().StatsV2(ctx, connectorstore.SyncTypeAny, syncID)
	return stats.GetResourcesByResourceType(), err
}

func countOf(types []*connectorv2.ResourceType, rows map[string]int64) (resources, accounts map[string]int) {
	resources, accounts = map[string]int{}, map[string]int{}
	for _, resourceType := range types {
		id := resourceType.GetId()
		resources[id] = int(rows[id])
		if ofAccounts(resourceType) {
			accounts[id] = resources[id]
		}
	}
	return resources, accounts
}

// File is a sync file, open for reading at its latest finished sync.
type File struct {
	c1zstore.Store
	// FinishedAt is when that sync ended.
	FinishedAt time.Time
	// Full says that it is a full sync, in the SDK's sense: not of single
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
// file, is damaged or holds no finished sync.
func Open(ctx context.Context, path, tmpDir string) (*File, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, &missingError{path}
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no sync file: it is not a regular file", path)
	case info.Size() == 0:
		return nil, fmt.Errorf("%s is no sync file: it is empty", path)
	}

	files.Sweep(tmpDir, readPrefix)
	work, err := files.Make(tmpDir, readPrefix)
	if err != nil {
		return nil, noRoom(path, err)
	}
	file, err := openFinishedIn(ctx, path, work.Path())
	if err != nil {
		return nil, errors.Join(err, work.Remove())
	}
	file.work = work
	return file, nil
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

// Count is how many resources the file holds, by resource type id, with a zero
// for a type that has none, and the same for the types of accounts only.
func (f *File) Count(ctx context.Context) (resources, accounts map[string]int, err error) {
	return count(ctx, f)
}

// errUnfinished says of a file that nothing in it can be relied on.
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
	if isFull(err) || checkDisk(work, freeOnDisk) != nil {
		return nil, noRoom(path, err)
	}
	return nil, damaged(path, err)
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

// noRoom is for what is wrong with the place for temporary files, not with the
// sync file.
func noRoom(path string, err error) error {
	return fmt.Errorf("%s cannot be unpacked, which reading it takes, in the directory for temporary files: %w; mend that, or set TMPDIR to a directory with room", path, err)
}

// isFull says that something could not be written for want of room.
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

func ofAccounts(resourceType *connectorv2.ResourceType) bool {
	return slices.Contains(resourceType.GetTraits(), connectorv2.ResourceType_TRAIT_USER)
}

func accountOf(resourceType *connectorv2.ResourceType, row *connectorv2.Resource) (Account, error) {
	trait, err := resource.GetUserTrait(row)
	if err != nil {
		return Account{}, fmt.Errorf("account %s: %w", row.GetId().GetResource(), err)
	}
	account := Account{
		App:          appOf(resourceType),
		ResourceType: resourceType.GetId(),
		ID:           row.GetId().GetResource(),
		Login:        trait.GetLogin(),
		DisplayName:  row.GetDisplayName(),
		Email:        primaryEmail(trait),
		OtherEmails:  otherEmails(trait),
		Status:       statusOf(row),
	}
	if profile := resource.GetProfile(row); len(profile.GetFields()) > 0 {
		encoded, err := json.Marshal(profile.AsMap())
		if err != nil {
			return Account{}, fmt.Errorf("the profile of account %s: %w", row.GetId().GetResource(), err)
		}
		account.Profile = string(encoded)
	}
	if trait.HasLastLogin() {
		at := trait.GetLastLogin().AsTime()
		account.LastLogin = &at
	}
	return account, nil
}

func appOf(resourceType *connectorv2.ResourceType) string {
	app, _, _ := strings.Cut(resourceType.GetId(), ".")
	return app
}

// primaryEmail is the address marked as primary, else the first.
func primaryEmail(trait *connectorv2.UserTrait) string {
	for _, email := range trait.GetEmails() {
		if email.GetIsPrimary() {
			return email.GetAddress()
		}
	}
	if len(trait.GetEmails()) == 0 {
		return ""
	}
	return trait.GetEmails()[0].GetAddress()
}

func otherEmails(trait *connectorv2.UserTrait) []string {
	var others []string
	for _, email := range trait.GetEmails() {
		if address := email.GetAddress(); address != primaryEmail(trait) {
			others = append(others, address)
		}
	}
	slices.Sort(others)
	return others
}

func statusOf(row *connectorv2.Resource) string {
	switch resource.GetStatus(row).GetStatus() {
	case connectorv2.Status_RESOURCE_STATUS_ENABLED:
		return "enabled"
	case connectorv2.Status_RESOURCE_STATUS_DISABLED:
		return "disabled"
	case connectorv2.Status_RESOURCE_STATUS_DELETED:
		return "deleted"
	default:
		return "unspecified"
	}
}
