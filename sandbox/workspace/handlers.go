package workspace

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

func (s *Server) getWorkspace(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]string{"id": "main", "name": "Example Workspace"})
}

func (s *Server) listUsers(w http.ResponseWriter, r *http.Request) { page(s, w, r, s.users) }

// user finds the one that a request is about, or answers that there is none.
func (s *Server) user(w http.ResponseWriter, r *http.Request) (int, bool) {
	at := slices.IndexFunc(s.users, func(u User) bool { return u.ID == r.PathValue("id") })
	if at < 0 {
		refuse(w, http.StatusNotFound, "there is no such user")
	}
	return at, at >= 0
}

func (s *Server) getUser(w http.ResponseWriter, r *http.Request) {
	if at, ok := s.user(w, r); ok {
		answer(w, s.users[at])
	}
}

func (s *Server) getDetails(w http.ResponseWriter, r *http.Request) {
	at, ok := s.user(w, r)
	switch {
	case !ok:
	case slices.Contains(s.options.Undetailed, s.users[at].ID):
		refuse(w, http.StatusNotFound, "there are no details of this user")
	default:
		answer(w, map[string]string{"desk": "Desk of " + s.users[at].Name})
	}
}

func (s *Server) lookUp(w http.ResponseWriter, r *http.Request) {
	s.lookups++
	at := slices.IndexFunc(s.users, func(u User) bool { return u.Login == r.PathValue("login") })
	if at < 0 {
		refuse(w, http.StatusNotFound, "there is no user with this login")
		return
	}
	answer(w, s.users[at])
}

func (s *Server) createUser(w http.ResponseWriter, r *http.Request) {
	wanted, ok := read[struct {
		Login, Email, Name, Password string
	}](w, r)
	switch {
	case !ok:
		return
	case wanted.Login == "":
		refuse(w, http.StatusBadRequest, "an account needs a login")
		return
	case slices.ContainsFunc(s.users, func(u User) bool { return u.Login == wanted.Login }):
		refuse(w, http.StatusConflict, "the login is taken")
		return
	}
	s.made++
	made := User{
		ID: fmt.Sprintf("n%03d", s.made), Login: wanted.Login, Email: wanted.Email, Name: wanted.Name,
		Created: epoch.AddDate(2, 0, 0).Format(time.DateOnly),
	}
	s.users = append(s.users, made)
	if wanted.Password != "" {
		s.passwords[made.ID] = wanted.Password
	}
	answer(w, made)
}

func (s *Server) deleteUser(w http.ResponseWriter, r *http.Request) {
	at, ok := s.user(w, r)
	if !ok {
		return
	}
	gone := Member{UserKind, s.users[at].Login}
	delete(s.passwords, s.users[at].ID)
	s.users = slices.Delete(s.users, at, at+1)
	for _, holders := range []map[string][]Member{s.members, s.assignees} {
		for id, members := range holders {
			holders[id] = slices.DeleteFunc(members, func(m Member) bool { return m == gone })
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) setPassword(w http.ResponseWriter, r *http.Request) {
	wanted, ok := read[struct{ Password string }](w, r)
	if !ok {
		return
	}
	if at, ok := s.user(w, r); ok {
		s.passwords[s.users[at].ID] = wanted.Password
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Server) suspend(w http.ResponseWriter, r *http.Request) {
	wanted, ok := read[struct{ Suspended bool }](w, r)
	if !ok {
		return
	}
	if at, ok := s.user(w, r); ok {
		s.users[at].Suspended = wanted.Suspended
		answer(w, s.users[at])
	}
}

func (s *Server) listGroups(w http.ResponseWriter, r *http.Request) { page(s, w, r, s.groups) }

func (s *Server) getGroup(w http.ResponseWriter, r *http.Request) {
	at := slices.IndexFunc(s.groups, func(group Group) bool { return group.ID == r.PathValue("id") })
	if at < 0 {
		refuse(w, http.StatusNotFound, "there is no such group")
		return
	}
	answer(w, s.groups[at])
}

func (s *Server) listRoles(w http.ResponseWriter, r *http.Request) { page(s, w, r, s.roles) }

func (s *Server) getRole(w http.ResponseWriter, r *http.Request) {
	s.lookups++
	at := slices.IndexFunc(s.roles, func(role Role) bool { return role.ID == r.PathValue("id") })
	if at < 0 {
		refuse(w, http.StatusNotFound, "there is no such role")
		return
	}
	answer(w, s.roles[at])
}

// listAssignments lists who has which role, over all roles.
func (s *Server) listAssignments(w http.ResponseWriter, r *http.Request) {
	type assignment struct {
		Role string `json:"role"`
		Member
	}
	var all []assignment
	for _, role := range s.roles {
		for _, one := range s.assignees[role.ID] {
			all = append(all, assignment{role.ID, one})
		}
	}
	page(s, w, r, all)
}

// things returns those of the kind that a request is about, or answers that there is no
// such kind. Ids are of one kind: another has the same.
func (s *Server) things(w http.ResponseWriter, r *http.Request) ([]Thing, bool) {
	kind, err := strconv.Atoi(r.PathValue("kind"))
	if err != nil || kind < 1 || kind > s.options.Kinds {
		refuse(w, http.StatusNotFound, "there is no such kind")
		return nil, false
	}
	all := make([]Thing, s.options.Things)
	for n := range all {
		all[n] = Thing{ID: fmt.Sprintf("t%d", n+1), Name: fmt.Sprintf("Thing %d of kind %d", n+1, kind), OwnerID: s.users[(kind+n)%len(s.users)].ID}
	}
	return all, true
}

func (s *Server) listThings(w http.ResponseWriter, r *http.Request) {
	if all, ok := s.things(w, r); ok {
		page(s, w, r, all)
	}
}

func (s *Server) getThing(w http.ResponseWriter, r *http.Request) {
	all, ok := s.things(w, r)
	if !ok {
		return
	}
	at := slices.IndexFunc(all, func(one Thing) bool { return one.ID == r.PathValue("id") })
	if at < 0 {
		refuse(w, http.StatusNotFound, "there is no such thing")
		return
	}
	answer(w, all[at])
}

// known reports whether there is such a group or role, or answers that there is none.
func (s *Server) known(w http.ResponseWriter, r *http.Request) bool {
	id := r.PathValue("id")
	if slices.ContainsFunc(s.groups, func(g Group) bool { return g.ID == id }) || slices.ContainsFunc(s.roles, func(r Role) bool { return r.ID == id }) {
		return true
	}
	refuse(w, http.StatusNotFound, "there is nothing of this id")
	return false
}

func (s *Server) listMembers(of func() map[string][]Member) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.known(w, r) {
			page(s, w, r, of()[r.PathValue("id")])
		}
	}
}

func (s *Server) addMember(of func() map[string][]Member) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, who := r.PathValue("id"), Member{r.PathValue("kind"), r.PathValue("key")}
		switch {
		case !s.known(w, r):
		case slices.Contains(of()[id], who):
			refuse(w, http.StatusConflict, "this one is a member already")
		default:
			of()[id] = append(of()[id], who)
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

func (s *Server) removeMember(of func() map[string][]Member) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, who := r.PathValue("id"), Member{r.PathValue("kind"), r.PathValue("key")}
		switch {
		case !s.known(w, r):
		case !slices.Contains(of()[id], who):
			refuse(w, http.StatusNotFound, "this one is no member")
		default:
			of()[id] = slices.DeleteFunc(of()[id], func(m Member) bool { return m == who })
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

func (s *Server) listEvents(w http.ResponseWriter, r *http.Request) { page(s, w, r, s.events) }

func (s *Server) announce(w http.ResponseWriter, r *http.Request) {
	wanted, ok := read[struct{ Text string }](w, r)
	if !ok {
		return
	}
	s.announcements = append(s.announcements, wanted.Text)
	answer(w, map[string]int{"readers": len(s.users)})
}

func (s *Server) createTicket(w http.ResponseWriter, r *http.Request) {
	ticket, ok := read[Ticket](w, r)
	if !ok {
		return
	}
	ticket.ID = "T-" + strconv.Itoa(len(s.tickets)+1)
	s.tickets = append(s.tickets, ticket)
	answer(w, ticket)
}

func (s *Server) getTicket(w http.ResponseWriter, r *http.Request) {
	at := slices.IndexFunc(s.tickets, func(t Ticket) bool { return t.ID == r.PathValue("id") })
	if at < 0 {
		refuse(w, http.StatusNotFound, "there is no such ticket")
		return
	}
	answer(w, s.tickets[at])
}
