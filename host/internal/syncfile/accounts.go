package syncfile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

// Account is one account in a sync file, as people look at it.
type Account struct {
	// App is the instance name in front of the resource type's id
	// ("fullstory" of "fullstory.user"); in the file of a stand-alone connector,
	// which has none, [File.Connector], or else the resource type's id.
	App string `json:"app"`
	// ResourceType is the full id of the resource type, for example
	// "fullstory.user".
	ResourceType string `json:"resource_type"`
	// ID is the account's id in its app.
	ID string `json:"id"`
	// ExternalID is what another system, such as a directory, calls the account: its profile's
	// "external_id", empty where there is none.
	ExternalID string `json:"-"`
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
	// LastLogin is nil where the app does not have it.
	LastLogin *time.Time `json:"last_login"`
	// Profile is what else the app has of the account: a JSON object with its
	// members sorted by name, empty for none.
	Profile string `json:"-"`
}

// Accounts calls each with every account of the file's latest finished sync, in
// the order of the file, which is stable. It stops at the first error.
//
// It returns an error for a file that is missing, is no sync file, is damaged
// or has no finished sync. The file is unpacked into a directory below
// [os.TempDir] for the time of the call.
func Accounts(ctx context.Context, path string, each func(Account) error) (err error) {
	store, err := Open(ctx, path, os.TempDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(ctx)) }()

	return store.EachAccount(ctx, each)
}

// pageSize is how many rows are held at a time.
const pageSize = 2000

// AccountTypes returns the resource types of accounts, by id.
func (f *File) AccountTypes(ctx context.Context) (map[string]*connectorv2.ResourceType, error) {
	all, err := resourceTypes(ctx, f)
	if err != nil {
		return nil, damaged(f.path, err)
	}
	types := map[string]*connectorv2.ResourceType{}
	for _, resourceType := range all {
		if isOfAccounts(resourceType) {
			types[resourceType.GetId()] = resourceType
		}
	}
	return types, nil
}

// EachAccount calls each with every account, in the order of the file, which is
// stable. It stops at the first error.
func (f *File) EachAccount(ctx context.Context, each func(Account) error) error {
	types, err := f.AccountTypes(ctx)
	if err != nil || len(types) == 0 {
		return err
	}
	token := ""
	for {
		page, err := f.ListResources(ctx, connectorv2.ResourcesServiceListResourcesRequest_builder{PageToken: token, PageSize: pageSize}.Build())
		if err != nil {
			return damaged(f.path, err)
		}
		for _, row := range page.GetList() {
			resourceType, ok := types[row.GetId().GetResourceType()]
			if !ok {
				continue
			}
			account, err := f.accountOf(resourceType, row)
			if err != nil {
				return damaged(f.path, err)
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

// Grant is one grant: a principal has an entitlement of a resource.
type Grant struct {
	// Principal is who has it.
	Principal *connectorv2.ResourceId
	// Resource is what the entitlement is of, such as a group.
	Resource *connectorv2.ResourceId
	// Entitlement is its id.
	Entitlement string
}

// EachGrant calls each with every grant, those that follow from others included. It
// stops at the first error.
func (f *File) EachGrant(ctx context.Context, each func(Grant) error) error {
	token := ""
	for {
		page, err := f.ListGrants(ctx, connectorv2.GrantsServiceListGrantsRequest_builder{PageToken: token, PageSize: pageSize}.Build())
		if err != nil {
			return damaged(f.path, err)
		}
		for _, row := range page.GetList() {
			grant := Grant{
				Principal: row.GetPrincipal().GetId(), Resource: row.GetEntitlement().GetResource().GetId(), Entitlement: row.GetEntitlement().GetId(),
			}
			if err := each(grant); err != nil {
				return err
			}
		}
		token = page.GetNextPageToken()
		if token == "" {
			return nil
		}
	}
}

// isOfAccounts reports whether resources of a type are accounts.
func isOfAccounts(resourceType *connectorv2.ResourceType) bool {
	return slices.Contains(resourceType.GetTraits(), connectorv2.ResourceType_TRAIT_USER)
}

func (f *File) accountOf(resourceType *connectorv2.ResourceType, row *connectorv2.Resource) (Account, error) {
	trait, err := resource.GetUserTrait(row)
	if err != nil {
		return Account{}, fmt.Errorf("account %s: %w", row.GetId().GetResource(), err)
	}
	account := Account{
		App:          f.appOf(resourceType),
		ResourceType: resourceType.GetId(),
		ID:           row.GetId().GetResource(),
		Login:        trait.GetLogin(),
		DisplayName:  row.GetDisplayName(),
		Email:        primaryEmail(trait),
		OtherEmails:  otherEmails(trait),
		Status:       statusOf(row),
	}
	if profile := resource.GetProfile(row); len(profile.GetFields()) > 0 {
		account.ExternalID = profile.GetFields()["external_id"].GetStringValue()
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

func (f *File) appOf(resourceType *connectorv2.ResourceType) string {
	app, _, isNamespaced := strings.Cut(resourceType.GetId(), ".")
	if isNamespaced {
		return app
	}
	return cmp.Or(f.Connector(), app)
}

// Connector returns the name of the stand-alone connector whose file it is, as far as the
// file's name has it: "github" of baton-github.c1z. What is in the file does not name it.
func (f *File) Connector() string {
	name, isNamed := strings.CutPrefix(filepath.Base(f.path), "baton-")
	if !isNamed {
		return ""
	}
	return strings.TrimSuffix(name, filepath.Ext(name))
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
