package review

import (
	"cmp"
	"slices"
	"strings"
)

// Kind is what a sync would do with a row.
type Kind string

// The kinds of changes. All but Added take something away from C1, and need an approval
// where the change guard refuses them.
const (
	// Removed is a resource, such as an account, that is gone.
	Removed Kind = "removed"
	// Added is a resource that is new.
	Added Kind = "added"
	// Disabled is an account that was enabled and is not any more.
	Disabled Kind = "disabled"
	// Emptied is an account that has lost its e-mail address, its login or its name:
	// Attribute says which.
	Emptied Kind = "emptied"
	// Withdrawn is an entitlement that is gone.
	Withdrawn Kind = "withdrawn"
	// Ungranted is a grant that is gone.
	Ungranted Kind = "ungranted"
)

// Kinds are all of them, in the order in which they are shown.
var Kinds = []Kind{Removed, Disabled, Emptied, Withdrawn, Ungranted, Added}

// Attribute is what an account can lose.
type Attribute string

// The attributes that are compared.
const (
	Email Attribute = "email"
	Login Attribute = "login"
	Name  Attribute = "name"
)

// Change is one row that a sync would take from C1, or add.
type Change struct {
	// Plugin is the plugin whose row it is.
	Plugin string
	Kind   Kind
	// ResourceType and ID are the resource's: of a grant those of its principal, who
	// loses it; of an entitlement those of the resource that it is of.
	ResourceType, ID string
	// Name, Login and Email are those of the resource, as far as the files have them.
	Name, Login, Email string
	// Attribute is what was lost, of an emptied account only.
	Attribute Attribute
	// Entitlement is the id of the entitlement that is withdrawn, or of the grant.
	Entitlement string
	// OnType, OnID and OnName are the resource that the entitlement of a grant is of.
	OnType, OnID, OnName string
}

// Key is what an approval of the change is of. It is the same in every version.
func (c Change) Key() string {
	parts := []string{string(c.Kind), c.ResourceType, c.ID}
	switch c.Kind {
	case Emptied:
		parts = append(parts, string(c.Attribute))
	case Withdrawn, Ungranted:
		parts = append(parts, c.Entitlement)
	}
	return strings.Join(parts, "\x00")
}

// TakesAway says whether the change takes something away from C1.
func (c Change) TakesAway() bool { return c.Kind != Added }

// Count is how many changes there are of one resource type of a plugin. Entitlements and
// grants are counted for the type of the resource that they are of.
type Count struct {
	Plugin       string `json:"plugin"`
	ResourceType string `json:"resource_type"`
	Removed      int    `json:"removed,omitempty"`
	Disabled     int    `json:"disabled,omitempty"`
	Emptied      int    `json:"emptied,omitempty"`
	Withdrawn    int    `json:"withdrawn,omitempty"`
	Ungranted    int    `json:"ungranted,omitempty"`
	Added        int    `json:"added,omitempty"`
}

// TakenAway is how many changes take something away.
func (c Count) TakenAway() int {
	return c.Removed + c.Disabled + c.Emptied + c.Withdrawn + c.Ungranted
}

func (c *Count) add(kind Kind) {
	switch kind {
	case Removed:
		c.Removed++
	case Disabled:
		c.Disabled++
	case Emptied:
		c.Emptied++
	case Withdrawn:
		c.Withdrawn++
	case Ungranted:
		c.Ungranted++
	case Added:
		c.Added++
	}
}

// counts counts changes.
type counts map[[2]string]*Count

func (c counts) add(change Change) {
	typeID := cmp.Or(change.OnType, change.ResourceType)
	key := [2]string{change.Plugin, typeID}
	if c[key] == nil {
		c[key] = &Count{Plugin: change.Plugin, ResourceType: typeID}
	}
	c[key].add(change.Kind)
}

// all are the counts by plugin and resource type.
func (c counts) all() []Count {
	all := make([]Count, 0, len(c))
	for _, one := range c {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(x, y Count) int {
		return cmp.Or(cmp.Compare(x.Plugin, y.Plugin), cmp.Compare(x.ResourceType, y.ResourceType))
	})
	return all
}
