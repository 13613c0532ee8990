package syncfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/types/resource"

	"github.com/batonhost/baton-host/host/workdir"
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
	// Status is "enabled", "disabled", "deleted" or "unspecified".
	Status string `json:"status"`
	// LastLogin is nil where the app does not tell it.
	LastLogin *time.Time `json:"last_login"`
}

// Accounts gives every account of the file's latest finished sync to each, in
// the order of the file, which is stable. It stops at the first error.
//
// It returns an error for a file that is missing, is no sync file, is damaged
// or holds no finished sync. The file is unpacked into a directory below
// [os.TempDir] for the time of the call.
func Accounts(ctx context.Context, path string, each func(Account) error) (err error) {
	store, err := openFinished(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(ctx)) }()

	types, err := accountTypes(ctx, store)
	if err != nil {
		return damaged(path, err)
	}
	if len(types) == 0 {
		return nil
	}
	token := ""
	for {
		page, err := store.ListResources(ctx, connectorv2.ResourcesServiceListResourcesRequest_builder{PageToken: token}.Build())
		if err != nil {
			return damaged(path, err)
		}
		for _, row := range page.GetList() {
			resourceType, ok := types[row.GetId().GetResourceType()]
			if !ok {
				continue
			}
			account, err := accountOf(resourceType, row)
			if err != nil {
				return damaged(path, err)
			}
			if err := each(account); err != nil {
				return err
			}
		}
		token = page.GetNextPageToken()
		if token == "" {
			return nil
		}
	}
}

// countAccounts is the number of accounts in a sync by resource type, with a
// zero for account types that have none.
func countAccounts(ctx context.Context, store c1zstore.Store, syncID string) (map[string]int, error) {
	types, err := accountTypes(ctx, store)
	if err != nil {
		return nil, err
	}
	stats, err := store.SyncMeta().StatsV2(ctx, connectorstore.SyncTypeAny, syncID)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for id := range types {
		counts[id] = int(stats.GetResourcesByResourceType()[id])
	}
	return counts, nil
}

// unpacked is an open sync file and the directory that it is unpacked into.
type unpacked struct {
	c1zstore.Store
	work *workdir.Dir
}

// Close closes the store and removes what was unpacked.
func (u *unpacked) Close(ctx context.Context) error {
	return errors.Join(u.Store.Close(ctx), u.work.Remove())
}

// openFinished opens the file at its latest finished sync.
func openFinished(ctx context.Context, path string) (*unpacked, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s", path)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no sync file: it is not a regular file", path)
	case info.Size() == 0:
		return nil, fmt.Errorf("%s is no sync file: it is empty", path)
	}

	workdir.Sweep(os.TempDir(), readPrefix)
	work, err := workdir.Make(os.TempDir(), readPrefix)
	if err != nil {
		return nil, noRoom(path, err)
	}
	store, err := openFinishedIn(ctx, path, work.Path())
	if err != nil {
		return nil, errors.Join(err, work.Remove())
	}
	return &unpacked{Store: store, work: work}, nil
}

func openFinishedIn(ctx context.Context, path, work string) (c1zstore.Store, error) {
	if err := checkDisk(work, freeOnDisk); err != nil {
		return nil, noRoom(path, err)
	}
	store, err := open(ctx, path, work)
	if err != nil && (isFull(err) || checkDisk(work, freeOnDisk) != nil) {
		return nil, noRoom(path, err)
	}
	if err != nil {
		return nil, damaged(path, err)
	}
	latest, err := store.SyncMeta().LatestFinishedSyncOfAnyType(ctx)
	if err == nil && latest == nil {
		err = errors.New("it holds no finished sync")
	}
	if err == nil {
		err = store.SetCurrentSync(ctx, latest.ID)
	}
	if err != nil {
		return nil, errors.Join(damaged(path, err), store.Close(ctx))
	}
	return store, nil
}

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

func open(ctx context.Context, path, tmpDir string) (c1zstore.Store, error) {
	return dotc1z.NewStore(ctx, path, dotc1z.WithReadOnly(true), dotc1z.WithTmpDir(tmpDir))
}

func accountTypes(ctx context.Context, store c1zstore.Store) (map[string]*connectorv2.ResourceType, error) {
	types := map[string]*connectorv2.ResourceType{}
	token := ""
	for {
		page, err := store.ListResourceTypes(ctx, connectorv2.ResourceTypesServiceListResourceTypesRequest_builder{PageToken: token}.Build())
		if err != nil {
			return nil, err
		}
		for _, resourceType := range page.GetList() {
			for _, trait := range resourceType.GetTraits() {
				if trait == connectorv2.ResourceType_TRAIT_USER {
					types[resourceType.GetId()] = resourceType
				}
			}
		}
		token = page.GetNextPageToken()
		if token == "" {
			return types, nil
		}
	}
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
		Status:       statusOf(row),
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
