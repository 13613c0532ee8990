// Package same compares the accounts, and where there are others all rows, that the two sides
// of the benchmark wrote.
//
// The benchmark's command calls it after each pair of runs. It reads files with the SDK, and
// must never rely on what the product reports about its file: a fast sync that lost an
// account is no result.
package same

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"golang.org/x/sync/errgroup"
)

// File is the accounts of one sync file: a digest of each, by its id and by the
// id of its resource type. A type without accounts has an empty map.
type File map[string]map[string]digest

type digest [sha256.Size / 2]byte

// Count is how many accounts there are.
func (f File) Count() int {
	count := 0
	for _, accounts := range f {
		count += len(accounts)
	}
	return count
}

// Files reads sync files, two at a time. tmpDir is where they are unpacked.
func Files(ctx context.Context, paths []string, tmpDir string) ([]File, error) {
	files := make([]File, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for i, path := range paths {
		group.Go(func() error {
			var err error
			if files[i], err = read(ctx, path, tmpDir); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			return nil
		})
	}
	return files, group.Wait()
}

// Differ reports in which way the product's file is not what the baseline's files
// are together: the accounts of the first of them are those of the resource type
// types[0], and so on. It is nil if it is the same.
func Differ(product File, types []string, baseline []File) error {
	if got, want := slices.Sorted(maps.Keys(product)), slices.Sorted(slices.Values(types)); !slices.Equal(got, want) {
		return fmt.Errorf("the product's file has the resource types %v, and not %v", got, want)
	}
	for i, file := range baseline {
		if len(file) != 1 {
			return fmt.Errorf("file %d of the baseline has %d resource types", i+1, len(file))
		}
		ours := product[types[i]]
		for _, theirs := range file {
			if err := differ(ours, theirs); err != nil {
				return fmt.Errorf("app %d: %w", i+1, err)
			}
		}
	}
	return nil
}

func differ(ours, theirs map[string]digest) error {
	if len(ours) != len(theirs) {
		return fmt.Errorf("the product has %d accounts, the baseline %d", len(ours), len(theirs))
	}
	for id, account := range theirs {
		switch found, known := ours[id]; {
		case !known:
			return fmt.Errorf("the product does not have the account %s", id)
		case found != account:
			return fmt.Errorf("the account %s is not the same for the product and the baseline", id)
		}
	}
	return nil
}

func read(ctx context.Context, path, tmpDir string) (_ File, err error) {
	store, err := openFull(ctx, path, tmpDir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close(ctx)) }()

	file := File{}
	for token, more := "", true; more; more = token != "" {
		page, err := store.ListResourceTypes(ctx, v2.ResourceTypesServiceListResourceTypesRequest_builder{PageToken: token}.Build())
		if err != nil {
			return nil, err
		}
		for _, resourceType := range page.GetList() {
			file[resourceType.GetId()] = map[string]digest{}
		}
		token = page.GetNextPageToken()
	}
	for token, more := "", true; more; more = token != "" {
		page, err := store.ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{PageToken: token, PageSize: 10_000}.Build())
		if err != nil {
			return nil, err
		}
		for _, account := range page.GetList() {
			digest, err := digestOf(account)
			if err != nil {
				return nil, fmt.Errorf("account %s: %w", account.GetId().GetResource(), err)
			}
			accounts := file[account.GetId().GetResourceType()]
			if accounts == nil {
				return nil, fmt.Errorf("account %s is of a resource type that is not listed, %q", account.GetId().GetResource(), account.GetId().GetResourceType())
			}
			accounts[account.GetId().GetResource()] = digest
		}
		token = page.GetNextPageToken()
	}
	return file, nil
}

// account is what is compared of one, as the SDK's readers return it.
type account struct {
	DisplayName, Description, Parent string
	Login                            string
	Aliases, EmployeeIDs             []string
	Emails                           []email
	Status                           string
	StatusDetails                    string
	TraitStatus                      string
	Created, LastLogin               time.Time
	Profile                          map[string]any
}

type email struct {
	Address string
	Primary bool
}

func digestOf(r *v2.Resource) (digest, error) {
	trait, err := resource.GetUserTrait(r)
	if err != nil {
		return digest{}, err
	}
	a := account{
		DisplayName:   r.GetDisplayName(),
		Description:   r.GetDescription(),
		Parent:        r.GetParentResourceId().GetResource(),
		Login:         trait.GetLogin(),
		Aliases:       trait.GetLoginAliases(),
		EmployeeIDs:   trait.GetEmployeeIds(),
		Status:        r.GetStatus().GetStatus().String(),
		StatusDetails: r.GetStatus().GetDetails(),
		TraitStatus:   trait.GetStatus().GetStatus().String(), //nolint:staticcheck // Readers of the trait see it.
		Created:       r.GetCreatedAt().AsTime(),
		LastLogin:     trait.GetLastLogin().AsTime(),
		Profile:       resource.GetProfile(r).AsMap(),
	}
	for _, e := range trait.GetEmails() {
		a.Emails = append(a.Emails, email{e.GetAddress(), e.GetIsPrimary()})
	}
	encoded, err := json.Marshal(a)
	if err != nil {
		return digest{}, err
	}
	sum := sha256.Sum256(encoded)
	return digest(sum[:len(digest{})]), nil
}
