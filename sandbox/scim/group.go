package scim

import (
	"fmt"
	"slices"
)

// Group is a group of people and groups (RFC 7643 section 4.2).
type Group struct {
	ID          string   `json:"id"`
	DisplayName string   `json:"display_name"`
	ExternalID  string   `json:"external_id,omitempty"`
	Members     []Member `json:"members"`
}

// Member is a person or a group in a group.
type Member struct {
	ID string `json:"id"`
	// Type is [UserMember] or [GroupMember].
	Type string `json:"type"`
}

// The types of members, as the wire has them.
const (
	UserMember  = "User"
	GroupMember = "Group"
)

func (g Group) id() string { return g.ID }

func (g Group) clone() Group {
	g.Members = slices.Clone(g.Members)
	return g
}

var teams = []string{"Research", "Growth", "Platform", "Field Sales", "Customer Care", "Finance", "Büro Köln", "Security", "Partners", "Design"}

// MakeGroups makes up the groups of an app. The same arguments make the same
// groups everywhere. Ids count up from "g-000001". The first group has everybody,
// the second none; of the others some have people, some have a group among
// their members, down to several levels, and no group is in itself.
func MakeGroups(app string, seed uint64, people []Account, count int) []Group {
	random := repeatable(app, seed, 1)
	groups := make([]Group, count)
	for i := range groups {
		groups[i] = Group{ID: fmt.Sprintf("g-%06d", i+1), DisplayName: fmt.Sprintf("%s %d", pick(random, teams), i+1)}
		switch i {
		case 0:
			groups[i].DisplayName = "Everyone"
			for _, account := range people {
				groups[i].Members = append(groups[i].Members, Member{account.ID, UserMember})
			}
		case 1:
			groups[i].DisplayName, groups[i].ExternalID = "Nobody", "00gnobody"
		default:
			for _, account := range people {
				if random.IntN(10) == 0 {
					groups[i].Members = append(groups[i].Members, Member{account.ID, UserMember})
				}
			}
			if i%2 == 1 { // 3 holds 2, 5 holds 3, 7 holds 5: groups of groups
				groups[i].Members = append(groups[i].Members, Member{groups[max(2, i-2)].ID, GroupMember})
			}
		}
	}
	return groups
}
