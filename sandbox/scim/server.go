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

const usersEndpoint = "/Users"

// Server is a SCIM service. It serves what the library serves, /Users,
// /Schemas, /ResourceTypes and /ServiceProviderConfig, for reading; whatever
// would change a user is answered with 501. All of its methods may be called at
// the same time.
//
// It logs each request to the logger that it finds in the request's context.
type Server struct {
	basePath string
	latency  time.Duration
	// token is the hash of the bearer token. The token itself is not kept.
	token     [sha256.Size]byte
	directory *directory
	requests  requestLog
	provider  *elimity.ServerArgs
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
	directory := newDirectory(people)
	return &Server{
		basePath:  opts.BasePath,
		latency:   opts.Latency,
		token:     sha256.Sum256([]byte(opts.Token)),
		directory: directory,
		provider:  provider(opts.PageCap, users{directory}),
	}, nil
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
	return s.directory.all()
}

// Add puts an account at the end of the listing. It fails if the id is empty or
// taken.
func (s *Server) Add(account Account) error {
	return s.directory.add(account)
}

// Update replaces the account with the same id, in its place. It fails if there
// is none.
func (s *Server) Update(account Account) error {
	return s.directory.update(account)
}

// Remove takes an account away, so that those behind it move up by one place.
// It fails if there is none with this id.
func (s *Server) Remove(id string) error {
	return s.directory.remove(id)
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
	if r.Method == http.MethodGet && endpoint == usersEndpoint {
		if err := wait(r.Context(), s.latency); err != nil {
			writeError(w, http.StatusServiceUnavailable, "The request was given up before it was answered.")
			return
		}
	}
	// Resources tell their absolute location, and only the request knows the
	// host that clients reach the service by.
	library, err := elimity.NewServer(s.provider, elimity.WithBaseURL(s.baseURL(r)))
	if err != nil {
		writeError(w, http.StatusInternalServerError, fmt.Sprintf("The SCIM library refuses its configuration: %v", err))
		return
	}
	library.ServeHTTP(w, at(r, endpoint))
}

// authorized compares hashes, so that the time it takes tells nothing about the
// token, its length included.
func (s *Server) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sent := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sent[:], s.token[:]) == 1 && strings.EqualFold(scheme, "Bearer")
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

// writeError answers as RFC 7644 section 3.12 says.
func writeError(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	// If this fails the client is gone; the log has the status.
	_ = json.NewEncoder(w).Encode(scimerrors.ScimError{Status: status, Detail: detail})
}
