package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// app is the users of one app, as JSON, made before anybody asks: one after the
// other with a comma behind each, so that any page is a part of it.
type app struct {
	json []byte
	// at is where each user begins, and at the end where another would.
	at  []int
	ids []string // of the users

	// groups and groupAt are the same for groups, whole is each with its members, by its id.
	groups  []byte
	groupAt []int
	whole   map[string][]byte
}

// page is the JSON of the rows from number first (0 is the first) to before last, of which
// at is where each begins.
func page(rows []byte, at []int, first, last int) []byte {
	if first >= last {
		return nil
	}
	return rows[at[first] : at[last]-1]
}

// user is a User (RFC 7643 section 4.1) of the sort that services send.
type user struct {
	Schemas     []string `json:"schemas"`
	ID          string   `json:"id"`
	ExternalID  string   `json:"externalId"`
	UserName    string   `json:"userName"`
	Name        name     `json:"name"`
	DisplayName string   `json:"displayName"`
	Title       string   `json:"title,omitempty"`
	Active      bool     `json:"active"`
	Emails      []email  `json:"emails"`
	Roles       []role   `json:"roles"`
	Meta        meta     `json:"meta"`
}

type name struct {
	GivenName  string `json:"givenName"`
	FamilyName string `json:"familyName"`
}

type email struct {
	Value   string `json:"value"`
	Type    string `json:"type"`
	Primary bool   `json:"primary,omitempty"`
}

type role struct {
	Value   string `json:"value"`
	Display string `json:"display"`
}

type meta struct {
	ResourceType string    `json:"resourceType"`
	Created      time.Time `json:"created"`
}

var (
	givenNames  = []string{"Ada", "Alan", "Barbara", "Edsger", "Frances", "Grace", "Hedy", "Ingrid", "Jürgen", "Katherine", "Linus", "Margaret", "Niklaus", "Olga", "Radia", "Sofia"}
	familyNames = []string{"Allen", "Bartik", "Dijkstra", "Goldberg", "Hamilton", "Hopper", "Johnson", "Kowalewska", "Lamarr", "Liskov", "Lovelace", "Müller", "Perlman", "Turing", "Wirth", "Zuse"}
	titles      = []string{"", "", "Engineer", "Designer", "Support Specialist", "Product Manager"}
)

// newApp makes as many users, the same ones for the same seed.
func newApp(users int, seed uint64) (*app, error) {
	a := &app{at: make([]int, 1, users+1)}
	chance := rand.New(rand.NewPCG(seed, 8)) //nolint:gosec // Names, not secrets.
	for i := range users {
		made := newUser(i, seed, chance)
		a.ids = append(a.ids, made.ID)
		encoded, err := json.Marshal(made)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			a.json = make([]byte, 0, users*(len(encoded)+20))
		}
		a.json = append(append(a.json, encoded...), ',')
		a.at = append(a.at, len(a.json))
	}
	return a, nil
}

func newUser(i int, seed uint64, chance *rand.Rand) user {
	given, family := givenNames[chance.IntN(len(givenNames))], familyNames[chance.IntN(len(familyNames))]
	mailbox := strings.ToLower(strings.NewReplacer("ü", "ue").Replace(fmt.Sprintf("%s.%s%d", given, family, i)))
	u := user{
		Schemas:     []string{"urn:ietf:params:scim:schemas:core:2.0:User"},
		ID:          fmt.Sprintf("%08x-7f76-453a-%04x-%012d", chance.Uint32(), seed&0xffff, i),
		ExternalID:  fmt.Sprintf("E%07d", i),
		UserName:    mailbox + "@example.com",
		Name:        name{given, family},
		DisplayName: given + " " + family,
		Title:       titles[chance.IntN(len(titles))],
		Active:      chance.IntN(10) > 0,
		Emails:      []email{{Value: mailbox + "@example.com", Type: "work", Primary: true}},
		Roles:       []role{{"STANDARD", "Standard"}},
		Meta:        meta{"User", time.Date(2024, 1, 1, 0, chance.IntN(700_000), 0, 0, time.UTC)},
	}
	if chance.IntN(20) == 0 {
		u.Emails = append(u.Emails, email{Value: mailbox + "@mail.example.org", Type: "home"})
	}
	if chance.IntN(50) == 0 {
		u.Roles = append(u.Roles, role{"ADMIN", "Admin"})
	}
	return u
}

// group is a Group (RFC 7643 section 4.2). A list has no members.
type group struct {
	Schemas     []string `json:"schemas"`
	ID          string   `json:"id"`
	DisplayName string   `json:"displayName"`
	Members     []member `json:"members,omitempty"`
	Meta        meta     `json:"meta"`
}

type member struct {
	Value string `json:"value"`
	Type  string `json:"type"`
}

// withGroups adds groups to an app, each with so many members.
func (a *app) withGroups(groups, members int, seed uint64) error {
	a.groups, a.groupAt, a.whole = nil, make([]int, 1, groups+1), map[string][]byte{}
	for i := range groups {
		one := group{
			Schemas: []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, ID: fmt.Sprintf("8a5f0b1e-11d4-4a6e-%04x-%012d", seed&0xffff, i),
			DisplayName: fmt.Sprintf("Group %d", i), Meta: meta{"Group", time.Date(2024, 1, 1, 0, i, 0, 0, time.UTC)},
		}
		encoded, err := json.Marshal(one)
		if err != nil {
			return err
		}
		a.groups = append(append(a.groups, encoded...), ',')
		a.groupAt = append(a.groupAt, len(a.groups))
		for j := range min(members, len(a.ids)) {
			one.Members = append(one.Members, member{Value: a.ids[(i*members+j)%len(a.ids)], Type: "User"})
		}
		if a.whole[one.ID], err = json.Marshal(one); err != nil {
			return err
		}
	}
	return nil
}
