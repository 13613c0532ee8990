package diff

import (
	"context"
	"fmt"
	"slices"
	"strings"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"

	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// roles are what accounts of both files have been granted. A role stands once, and
// accounts have numbers.
type roles struct {
	numbers map[role]uint32
	known   []role
	names   map[string]string // of resources, those that were needed

	before, after map[string][]uint32 // by the account's key
	compared      bool
}

// role is an entitlement of a resource.
type role struct{ resourceType, resource, entitlement string }

func newRoles() *roles {
	return &roles{numbers: map[role]uint32{}, names: map[string]string{}}
}

// readRoles reads both files' grants, if both have any to read.
func (c *comparison) readRoles(ctx context.Context) error {
	for _, one := range []struct {
		side Side
		file *namedFile
	}{{c.result.Old, c.before}, {c.result.New, c.after}} {
		if one.file.Kind != "full" {
			c.note("the sync in %s may lack roles (%s), so that roles are not compared", one.side.Path, strings.ReplaceAll(one.file.Kind, "_", " "))
			return nil
		}
	}
	var err error
	if c.roles.before, err = c.roles.read(ctx, c.before); err != nil {
		return err
	}
	if c.roles.after, err = c.roles.read(ctx, c.after); err != nil {
		return err
	}
	c.roles.compared = true
	return nil
}

// read gives the numbers of the roles of every account, sorted.
func (r *roles) read(ctx context.Context, file *namedFile) (map[string][]uint32, error) {
	types, err := file.AccountTypes(ctx)
	if err != nil {
		return nil, err
	}
	rolesOf := map[string][]uint32{}
	err = file.EachGrant(ctx, func(grant syncfile.Grant) error {
		if _, ok := types[grant.Principal.GetResourceType()]; !ok {
			return nil
		}
		account := key(grant.Principal.GetResourceType(), grant.Principal.GetResource())
		rolesOf[account] = append(rolesOf[account], r.number(role{grant.Resource.GetResourceType(), grant.Resource.GetResource(), grant.Entitlement}))
		return nil
	})
	for account, numbers := range rolesOf {
		slices.Sort(numbers)
		rolesOf[account] = slices.Compact(numbers)
	}
	return rolesOf, err
}

func (r *roles) number(one role) uint32 {
	number, ok := r.numbers[one]
	if !ok {
		number = uint32(len(r.known)) //nolint:gosec // There are not that many.
		r.numbers[one] = number
		r.known = append(r.known, one)
	}
	return number
}

// changes returns the roles that an account was granted and those that were revoked.
func (r *roles) changes(ctx context.Context, c *comparison, account string) []Field {
	if !r.compared || slices.Equal(r.before[account], r.after[account]) {
		return nil
	}
	var fields []Field
	for _, number := range r.after[account] {
		if _, had := slices.BinarySearch(r.before[account], number); !had {
			fields = append(fields, Field{Field: "role", New: r.name(ctx, c.after, "new", r.known[number])})
		}
	}
	for _, number := range r.before[account] {
		if _, has := slices.BinarySearch(r.after[account], number); !has {
			fields = append(fields, Field{Field: "role", Old: r.name(ctx, c.before, "old", r.known[number])})
		}
	}
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.New+a.Old, b.New+b.Old) })
	return fields
}

// name returns what people call a role: "group Admins: member".
func (r *roles) name(ctx context.Context, file *namedFile, which string, one role) string {
	known := which + "\x00" + key(one.resourceType, one.resource)
	name, ok := r.names[known]
	if !ok {
		name = file.ResourceName(ctx, connectorv2.ResourceId_builder{ResourceType: one.resourceType, Resource: one.resource}.Build())
		if name == "" {
			name = one.resource
		}
		r.names[known] = name
	}
	// The entitlement's id is, by the SDK's convention, type:resource:slug.
	slug := one.entitlement[strings.LastIndex(one.entitlement, ":")+1:]
	_, kind, prefixed := strings.Cut(one.resourceType, ".")
	if !prefixed {
		kind = one.resourceType
	}
	return fmt.Sprintf("%s %s: %s", kind, name, slug)
}
