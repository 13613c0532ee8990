package scim

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	elimity "github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
)

const (
	usersEndpoint  = "/Users"
	groupsEndpoint = "/Groups"
)

// Server is a SCIM service. It serves what the library serves, /Users, /Groups,
// /Schemas, /ResourceTypes and /ServiceProviderConfig, for reading; whatever
// would change a user is answered with 501. All of its methods may be called at
// the same time.
//
// It logs each request to the logger that it finds in the request's context.
type Server struct {
	basePath string
	latency  time.Duration
	// secrets are the hashes of what headers must be. The values are not kept.
	secrets  map[string][sha256.Size]byte
	rotation rotation
	people   *directory[Account]
	groups   *directory[Group]
	requests requestLog
	provider *elimity.ServerArgs
}

// New makes a service and its people. It fails, with a sentence that names the
// option, on options that cannot be served.
func New(opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	people, err := People(opts.App, opts.Seed, opts.Accounts)
	if err != nil {
		return nil, err
	}
	s := &Server{
		basePath: opts.BasePath,
		latency:  opts.Latency,
		secrets:  map[string][sha256.Size]byte{"Authorization": sha256.Sum256([]byte(opts.authorization()))},
		people:   newDirectory("an account", people),
		groups:   newDirectory("a group", MakeGroups(opts.App, opts.Seed, people, opts.Groups)),
	}
	for name, value := range opts.RequireHeaders {
		s.secrets[http.CanonicalHeaderKey(name)] = sha256.Sum256([]byte(value))
	}
	s.provider = provider(opts.PageCap, users{people: s.people, ignoreSort: opts.IgnoreSort})
	if opts.Groups > 0 {
		s.provider.ResourceTypes = append(s.provider.ResourceTypes, elimity.ResourceType{
			ID:          optional.NewString("Group"),
			Name:        "Group",
			Description: optional.NewString("A group of people and groups"),
			Endpoint:    groupsEndpoint,
			Schema:      schema.CoreGroupSchema(),
			Handler:     groups{groups: s.groups, omitListed: opts.OmitListedMembers, omitTypes: opts.OmitMemberTypes, ignoreSort: opts.IgnoreSort},
		})
	}
	return s, nil
}

// provider describes the service to the library.
func provider(pageCap int, handler users) *elimity.ServerArgs {
	return &elimity.ServerArgs{
		ServiceProviderConfig: &elimity.ServiceProviderConfig{
			MaxResults: pageCap,
			AuthenticationSchemes: []elimity.AuthenticationScheme{{
				Type:        elimity.AuthenticationTypeOauthBearerToken,
				Name:        "OAuth Bearer Token",
				Description: "The bearer token that the service was started with.",
				SpecURI:     optional.NewString("https://www.rfc-editor.org/rfc/rfc6750"),
				Primary:     true,
			}},
		},
		ResourceTypes: []elimity.ResourceType{{
			ID:               optional.NewString("User"),
			Name:             "User",
			Description:      optional.NewString("A person's account"),
			Endpoint:         usersEndpoint,
			Schema:           schema.CoreUserSchema(),
			SchemaExtensions: []elimity.SchemaExtension{{Schema: schema.ExtensionEnterpriseUser()}},
			Handler:          handler,
		}},
	}
}

// BasePath is where the service is found on its host, without a slash at the
// end.
func (s *Server) BasePath() string {
	return s.basePath
}

// Accounts are the accounts that there are now, in the order in which they are
// listed: those that the service was seeded with and what [Server.Add],
// [Server.Update] and [Server.Remove] made of them.
func (s *Server) Accounts() []Account {
	return s.people.all()
}

// Add puts an account at the end of the listing. It fails if the id is empty or
// taken.
func (s *Server) Add(account Account) error {
	return s.people.add(account)
}

// Update replaces the account with the same id, in its place. It fails if there
// is none.
func (s *Server) Update(account Account) error {
	return s.people.update(account)
}

// Remove takes an account away, so that those behind it move up by one place.
// It fails if there is none with this id.
func (s *Server) Remove(id string) error {
	return s.people.remove(id)
}

// Groups are the groups that there are now, in the order in which they are listed.
func (s *Server) Groups() []Group {
	return s.groups.all()
}

// AddGroup puts a group at the end of the listing. It fails if the id is empty or
// taken.
func (s *Server) AddGroup(group Group) error {
	return s.groups.add(group)
}

// UpdateGroup replaces the group with the same id. It fails if there is none.
func (s *Server) UpdateGroup(group Group) error {
	return s.groups.update(group)
}

// RemoveGroup takes a group away; groups that it is a member of keep it. It fails
// if there is none with this id.
func (s *Server) RemoveGroup(id string) error {
	return s.groups.remove(id)
}

// Requests are all requests so far, refused ones too, in the order in which
// they arrived.
func (s *Server) Requests() []Request {
	return s.requests.all()
}

// ServeHTTP answers one request and notes it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
	answered := s.requests.arrived(r)
	s.answer(recorder, r)
	answered(recorder.status)
	ctxzap.Extract(r.Context()).Info("request",
		zap.String("method", r.Method),
		zap.String("path", r.URL.Path),
		zap.String("query", r.URL.RawQuery),
		zap.Int("status", recorder.status))
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	endpoint, within := strings.CutPrefix(r.URL.Path, s.basePath)
	if !within || (endpoint != "" && endpoint[0] != '/') {
		http.NotFound(w, r)
		return
	}
	if !s.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="SCIM"`)
		writeError(w, http.StatusUnauthorized, "The bearer token is missing or wrong.")
		return
	}
	if r.Method == http.MethodGet && (endpoint == usersEndpoint || endpoint == groupsEndpoint) {
		if err := wait(r.Context(), s.latency); err != nil {
			writeError(w, http.StatusServiceUnavailable, "The request was given up before it was answered.")
			return
		}
	}
	// Resources have their absolute location, and only the request knows the
	// host that clients reach the service by.
	library, err := elimity.NewServer(s.provider, elimity.WithBaseURL(s.baseURL(r)))
	if err != nil {
		writeError(w, http.StatusInternalServerError, fmt.Sprintf("The SCIM library refuses its configuration: %v", err))
		return
	}
	library.ServeHTTP(w, at(r, endpoint))
}

// authorized compares hashes, so that the time it takes shows nothing about a
// secret, its length included.
func (s *Server) authorized(r *http.Request) bool {
	authorized := 1
	for name, want := range s.secrets {
		value := r.Header.Get(name)
		if name == "Authorization" {
			scheme, rest, _ := strings.Cut(value, " ")
			value = strings.ToLower(scheme) + " " + rest
		}
		sent := sha256.Sum256([]byte(value))
		if name == "Authorization" {
			want = s.rotation.wanted(want, sent)
		}
		authorized &= subtle.ConstantTimeCompare(sent[:], want[:])
	}
	return authorized == 1
}

func (s *Server) baseURL(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + s.basePath
}

// at is the request as the library wants it: below /v2. The library drops that
// part where it finds it, so without it a doubled /v2/v2 would be served.
func at(r *http.Request, endpoint string) *http.Request {
	moved := r.WithContext(r.Context())
	address := *r.URL
	address.Path = "/v2" + endpoint
	moved.URL = &address
	return moved
}

// wait returns an error if the context ends first.
func wait(ctx context.Context, latency time.Duration) error {
	if latency == 0 {
		return nil
	}
	timer := time.NewTimer(latency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeError answers as RFC 7644 section 3.12 requires.
func writeError(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	// If this fails the client is gone; the log has the status.
	_ = json.NewEncoder(w).Encode(scimerrors.ScimError{Status: status, Detail: detail})
}
