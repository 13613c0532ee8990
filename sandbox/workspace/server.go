package workspace

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Options describe what kind of workspace is started.
type Options struct {
	// Token opens it, as a bearer token.
	Token string
	// People is how many accounts there are; 0 stands for 60.
	People int
	// Undetailed are ids of users whose details are not found.
	Undetailed []string
	// Kinds is how many kinds of things there are, and Things how many of each.
	Kinds, Things int
	// Cursors binds the pages of a listing to a cursor on a connection that all callers share,
	// as a directory does: a listing that begins closes the cursor of any other, and that
	// one cannot go on.
	Cursors bool
}

// Server is one workspace: an http.Handler.
type Server struct {
	mux     *http.ServeMux
	options Options

	mu            sync.Mutex
	users         []User
	groups        []Group
	roles         []Role
	members       map[string][]Member
	assignees     map[string][]Member
	passwords     map[string]string
	events        []Event
	announcements []string
	tickets       []Ticket
	lookups       int
	made          int // accounts, for their ids
	cursors       int // opened so far; only the last one is open
}

// New makes a workspace with people, groups and roles in it.
func New(options Options) *Server {
	s := &Server{
		mux: http.NewServeMux(), options: options,
		members: map[string][]Member{}, assignees: map[string][]Member{}, passwords: map[string]string{},
	}
	if options.People == 0 {
		options.People = 60
	}
	s.seed(options.People)
	authorized := []byte("Bearer " + options.Token)
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request){
		"GET /v1/workspace":                           s.getWorkspace,
		"GET /v1/users":                               s.listUsers,
		"POST /v1/users":                              s.createUser,
		"GET /v1/users/{id}":                          s.getUser,
		"DELETE /v1/users/{id}":                       s.deleteUser,
		"GET /v1/users/{id}/details":                  s.getDetails,
		"PUT /v1/users/{id}/password":                 s.setPassword,
		"PUT /v1/users/{id}/suspended":                s.suspend,
		"GET /v1/logins/{login}":                      s.lookUp,
		"GET /v1/groups":                              s.listGroups,
		"GET /v1/groups/{id}":                         s.getGroup,
		"GET /v1/groups/{id}/members":                 s.listMembers(func() map[string][]Member { return s.members }),
		"PUT /v1/groups/{id}/members/{kind}/{key}":    s.addMember(func() map[string][]Member { return s.members }),
		"DELETE /v1/groups/{id}/members/{kind}/{key}": s.removeMember(func() map[string][]Member { return s.members }),
		"GET /v1/roles":                               s.listRoles,
		"GET /v1/roles/{id}":                          s.getRole,
		"GET /v1/assignments":                         s.listAssignments,
		"GET /v1/kinds/{kind}/things":                 s.listThings,
		"GET /v1/kinds/{kind}/things/{id}":            s.getThing,
		"GET /v1/roles/{id}/members":                  s.listMembers(func() map[string][]Member { return s.assignees }),
		"PUT /v1/roles/{id}/members/{kind}/{key}":     s.addMember(func() map[string][]Member { return s.assignees }),
		"DELETE /v1/roles/{id}/members/{kind}/{key}":  s.removeMember(func() map[string][]Member { return s.assignees }),
		"GET /v1/events":                              s.listEvents,
		"POST /v1/announcements":                      s.announce,
		"POST /v1/tickets":                            s.createTicket,
		"GET /v1/tickets/{id}":                        s.getTicket,
	} {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), authorized) != 1 {
				refuse(w, http.StatusUnauthorized, "the token is not one of this workspace")
				return
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			handle(w, r)
		})
	}
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Remove deletes a group or a role. Groups and roles that it is in keep its id among their
// members.
func (s *Server) Remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups = slices.DeleteFunc(s.groups, func(one Group) bool { return one.ID == id })
	s.roles = slices.DeleteFunc(s.roles, func(one Role) bool { return one.ID == id })
	delete(s.members, id)
	delete(s.assignees, id)
}

// Lookups is how often a user was looked up by login, or a role by id. A caller that
// remembers what it has been shown does that once for each at most.
func (s *Server) Lookups() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lookups
}

// answer writes a result as JSON.
func answer(w http.ResponseWriter, result any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(result)
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message})
}

// read takes a request's body, or answers that it cannot.
func read[T any](w http.ResponseWriter, r *http.Request) (T, bool) {
	var body T
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, "the body is not the JSON that is wanted here")
		return body, false
	}
	return body, true
}

// page answers with the part of a list that is asked for.
func page[T any](s *Server, w http.ResponseWriter, r *http.Request, all []T) {
	offset, open := s.position(r.URL.Query().Get("page"))
	if !open {
		refuse(w, http.StatusBadRequest, "the cursor of this listing is closed, because another listing has begun")
		return
	}
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 1 || limit > 100 {
		limit = 100
	}
	rest := all[min(offset, len(all)):]
	items := rest[:min(limit, len(rest))]
	next := ""
	if len(items) < len(rest) {
		next = strconv.Itoa(offset + len(items))
		if s.options.Cursors {
			next = strconv.Itoa(s.cursors) + "." + next
		}
	}
	answer(w, struct {
		Items []T    `json:"items"`
		Next  string `json:"next,omitempty"`
	}{slices.Clone(items), next})
}

// position returns where a page begins. open is false if its cursor was closed.
func (s *Server) position(token string) (offset int, open bool) {
	if s.options.Cursors {
		if token == "" {
			s.cursors++
			return 0, true
		}
		cursor, rest, _ := strings.Cut(token, ".")
		if cursor != strconv.Itoa(s.cursors) {
			return 0, false
		}
		token = rest
	}
	offset, err := strconv.Atoi(token)
	if err != nil || offset < 0 {
		return 0, true
	}
	return offset, true
}
