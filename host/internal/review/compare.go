package review

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"

	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// digest stands for a key: rows are compared, and approvals kept, by it. Two keys of the
// same digest would have to be looked for on purpose, for longer than anyone can.
type digest [16]byte

func digestOf(key string) digest {
	sum := sha256.Sum256([]byte(key))
	return digest(sum[:16])
}

func (d digest) compare(with digest) int { return bytes.Compare(d[:], with[:]) }

// Between calls each with every change between two finished files, in a stable order: what
// is gone and what became less, in the order of the old file, then what is new, in that of
// the new one. owner returns the plugin of a resource type; types of none are left out.
// after is nil where everything goes. It stops at the first error. The counts are those of
// all changes.
//
// It keeps 17 bytes for each row of the new file in memory, of one kind of rows at a time.
func Between(ctx context.Context, before, after *syncfile.File, owner func(typeID string) string, each func(Change) error) ([]Count, error) {
	counted := counts{}
	c := &comparison{before: before, after: after, owner: owner, named: true, each: func(change Change) error {
		counted.add(change)
		return each(change)
	}}
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	return counted.all(), nil
}

// comparison is one comparison under way.
type comparison struct {
	before, after *syncfile.File
	owner         func(typeID string) string
	each          func(Change) error
	// named says that the names of those who lose grants are looked up.
	named bool

	accounts map[string]bool // the resource types of accounts of the old file
	last     syncfile.Row    // the last one that was looked up
}

func (c *comparison) run(ctx context.Context) error {
	types, err := c.before.AccountTypes(ctx)
	if err != nil {
		return err
	}
	c.accounts = map[string]bool{}
	for typeID := range types {
		c.accounts[typeID] = true
	}
	if err := c.resources(ctx); err != nil {
		return err
	}
	if err := c.entitlements(ctx); err != nil {
		return err
	}
	return c.grants(ctx)
}

// What is remembered of an account.
const (
	enabled byte = 1 << iota
	hasEmail
	hasLogin
	hasName
)

func flagsOf(row syncfile.Row) byte {
	if !row.Account {
		return 0
	}
	var flags byte
	for _, one := range []struct {
		has  bool
		flag byte
	}{{row.Enabled, enabled}, {row.Email != "", hasEmail}, {row.Login != "", hasLogin}, {row.Name != "", hasName}} {
		if one.has {
			flags |= one.flag
		}
	}
	return flags
}

func (c *comparison) resources(ctx context.Context) error {
	now := &index{}
	if c.after != nil {
		err := c.after.EachRow(ctx, func(row syncfile.Row) error {
			if c.owner(row.ResourceType) != "" {
				now.add(digestOf(rowKey(row)), flagsOf(row))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	now.sort()
	err := c.before.EachRow(ctx, func(row syncfile.Row) error {
		change := Change{Plugin: c.owner(row.ResourceType), ResourceType: row.ResourceType, ID: row.ID, Name: row.Name, Login: row.Login, Email: row.Email}
		if change.Plugin == "" {
			return nil
		}
		flags, found := now.find(digestOf(rowKey(row)))
		if !found {
			change.Kind = Removed
			return c.each(change)
		}
		return c.lost(change, flagsOf(row)&^flags)
	})
	if err != nil || c.after == nil {
		return err
	}
	return c.after.EachRow(ctx, func(row syncfile.Row) error {
		plugin := c.owner(row.ResourceType)
		if plugin == "" || now.seen(digestOf(rowKey(row))) {
			return nil
		}
		return c.each(Change{Plugin: plugin, Kind: Added, ResourceType: row.ResourceType, ID: row.ID, Name: row.Name, Login: row.Login, Email: row.Email})
	})
}

// lost reports what an account that is still there has lost.
func (c *comparison) lost(change Change, flags byte) error {
	if flags&enabled != 0 {
		change.Kind = Disabled
		if err := c.each(change); err != nil {
			return err
		}
	}
	change.Kind = Emptied
	for _, one := range []struct {
		flag      byte
		attribute Attribute
	}{{hasEmail, Email}, {hasLogin, Login}, {hasName, Name}} {
		if flags&one.flag == 0 {
			continue
		}
		change.Attribute = one.attribute
		if err := c.each(change); err != nil {
			return err
		}
	}
	return nil
}

func rowKey(row syncfile.Row) string { return row.ResourceType + "\x00" + row.ID }

func (c *comparison) entitlements(ctx context.Context) error {
	change := func(row syncfile.Entitlement) Change {
		typeID := row.Resource.GetResourceType()
		return Change{Plugin: c.owner(typeID), Kind: Withdrawn, ResourceType: typeID, ID: row.Resource.GetResource(), Entitlement: row.ID}
	}
	now := &index{}
	if c.after != nil {
		err := c.after.EachEntitlement(ctx, func(row syncfile.Entitlement) error {
			now.addChange(change(row))
			return nil
		})
		if err != nil {
			return err
		}
	}
	now.sort()
	return c.before.EachEntitlement(ctx, func(row syncfile.Entitlement) error {
		gone := change(row)
		if now.hasChange(gone) {
			return nil
		}
		if c.named {
			gone.Name = c.row(ctx, gone.ResourceType, gone.ID).Name
		}
		return c.each(gone)
	})
}

func (c *comparison) grants(ctx context.Context) error {
	change := func(row syncfile.Grant) Change {
		return Change{
			Plugin: c.owner(row.Resource.GetResourceType()), Kind: Ungranted,
			ResourceType: row.Principal.GetResourceType(), ID: row.Principal.GetResource(), Entitlement: row.Entitlement,
			OnType: row.Resource.GetResourceType(), OnID: row.Resource.GetResource(),
		}
	}
	now := &index{}
	if c.after != nil {
		err := c.after.EachGrant(ctx, func(row syncfile.Grant) error {
			now.addChange(change(row))
			return nil
		})
		if err != nil {
			return err
		}
	}
	now.sort()
	return c.before.EachGrant(ctx, func(row syncfile.Grant) error {
		gone := change(row)
		if now.hasChange(gone) {
			return nil
		}
		if c.named {
			gone.OnName = c.row(ctx, gone.OnType, gone.OnID).Name
			principal, _ := c.before.Row(ctx, gone.ResourceType, gone.ID, c.accounts[gone.ResourceType])
			gone.Name, gone.Login, gone.Email = principal.Name, principal.Login, principal.Email
		}
		return c.each(gone)
	})
}

// row returns a resource of the old file. Rows of one resource follow each other.
func (c *comparison) row(ctx context.Context, typeID, id string) syncfile.Row {
	if c.last.ResourceType != typeID || c.last.ID != id {
		c.last, _ = c.before.Row(ctx, typeID, id, false)
		c.last.ResourceType, c.last.ID = typeID, id
	}
	return c.last
}

// index is a set of rows, each with flags. Rows are added first, then it is sorted.
type index struct {
	rows  []indexed
	found []uint64 // a bit for each row that was found
}

type indexed struct {
	digest digest
	flags  byte
}

func (i *index) add(one digest, flags byte) { i.rows = append(i.rows, indexed{one, flags}) }

func (i *index) addChange(change Change) {
	if change.Plugin != "" {
		i.add(digestOf(change.Key()), 0)
	}
}

func (i *index) sort() {
	slices.SortFunc(i.rows, func(x, y indexed) int { return x.digest.compare(y.digest) })
	i.found = make([]uint64, (len(i.rows)+63)/64)
}

func (i *index) search(one digest) (int, bool) {
	return slices.BinarySearchFunc(i.rows, one, func(row indexed, one digest) int { return row.digest.compare(one) })
}

// find returns a row's flags, and remembers that it was found.
func (i *index) find(one digest) (flags byte, ok bool) {
	at, ok := i.search(one)
	if !ok {
		return 0, false
	}
	i.found[at/64] |= 1 << (at % 64)
	return i.rows[at].flags, true
}

// seen says whether a row was found before.
func (i *index) seen(one digest) bool {
	at, ok := i.search(one)
	return ok && i.found[at/64]&(1<<(at%64)) != 0
}

// hasChange says whether the new file has the row of a change, or it is of no plugin.
func (i *index) hasChange(change Change) bool {
	if change.Plugin == "" {
		return true
	}
	_, ok := i.search(digestOf(change.Key()))
	return ok
}
