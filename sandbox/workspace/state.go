package workspace

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// A User is a person's account.
type User struct {
	ID        string `json:"id"`
	Login     string `json:"login"`
	Email     string `json:"email"`
	Name      string `json:"name"`
	Suspended bool   `json:"suspended"`
	// Created is a day, so that two workspaces are alike.
	Created string `json:"created"`
}

// A Group holds people, by login, and groups, by id.
type Group struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// A Role is given to people and to groups.
type Role struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// A Member is who is in a group or has a role: a user by login, a group by id.
type Member struct {
	Kind string `json:"kind"`
	Key  string `json:"key"`
}

// The kinds of members.
const (
	UserKind  = "user"
	GroupKind = "group"
)

// A Thing is one of a kind, and belongs to a user.
type Thing struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	OwnerID string `json:"owner_id"`
}

// An Event is a line of the audit log.
type Event struct {
	Number int       `json:"number"`
	At     time.Time `json:"at"`
	UserID string    `json:"user_id"`
	RoleID string    `json:"role_id"`
}

// A Ticket is what somebody asks for.
type Ticket struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Text   string   `json:"text"`
	Queue  string   `json:"queue"`
	Labels []string `json:"labels"`
}

// State is everything in a workspace.
type State struct {
	Users         []User
	Passwords     map[string]string   // by user id
	Groups        map[string][]Member // by group id
	Roles         map[string][]Member // by role id
	Announcements []string
	Tickets       []Ticket
}

// State returns a copy of all that is in the workspace now.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := State{
		Users:         slices.Clone(s.users),
		Passwords:     maps.Clone(s.passwords),
		Groups:        map[string][]Member{},
		Roles:         map[string][]Member{},
		Announcements: slices.Clone(s.announcements),
		Tickets:       slices.Clone(s.tickets),
	}
	for id, members := range s.members {
		state.Groups[id] = slices.Clone(members)
	}
	for id, assignees := range s.assignees {
		state.Roles[id] = slices.Clone(assignees)
	}
	return state
}

// epoch is when the workspace was founded.
var epoch = time.Date(2024, time.February, 1, 9, 0, 0, 0, time.UTC)

// seed fills the workspace. It is the same every time.
func (s *Server) seed(people int) {
	for n := range people {
		login := fmt.Sprintf("person%03d@example.com", n+1)
		s.users = append(s.users, User{
			ID: fmt.Sprintf("u%03d", n+1), Login: login, Email: login, Name: fmt.Sprintf("Person %d", n+1),
			Suspended: n%10 == 9, Created: epoch.AddDate(0, 0, n).Format(time.DateOnly),
		})
	}
	s.groups = []Group{{"everyone", "Everyone"}, {"engineering", "Engineering"}, {"platform", "Platform"}, {"empty", "Nobody yet"}}
	s.roles = []Role{{"viewer", "Viewer"}, {"editor", "Editor"}, {"owner", "Owner"}}
	for n, user := range s.users {
		who := Member{UserKind, user.Login}
		s.members["everyone"] = append(s.members["everyone"], who)
		if n%3 == 0 {
			s.members["engineering"] = append(s.members["engineering"], who)
		}
		if n%5 == 1 {
			s.members["platform"] = append(s.members["platform"], who)
		}
		if n%20 == 0 {
			s.assignees["owner"] = append(s.assignees["owner"], who)
		}
		s.events = append(s.events, Event{Number: n + 1, At: epoch.AddDate(1, 0, n), UserID: user.ID, RoleID: s.roles[n%len(s.roles)].ID})
	}
	s.members["engineering"] = append(s.members["engineering"], Member{GroupKind, "platform"})
	s.assignees["viewer"] = []Member{{GroupKind, "everyone"}}
	s.assignees["editor"] = []Member{{GroupKind, "engineering"}}
}
