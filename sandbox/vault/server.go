package vault

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Counts are how often the server did something.
type Counts struct {
	Logins, Reads, TokenRenewals, LeaseRenewals, Revocations int
}

// Server is one server: an http.Handler.
type Server struct {
	// Namespace is the only namespace that there is; set it before the first request.
	Namespace string

	mu      sync.Mutex
	mounts  map[string]string // type by path with a slash at its end: kv1, kv2 or dynamic
	secrets map[string][]version
	dynamic map[string]Token
	logins  map[string]login
	tokens  map[string]Token
	leases  map[string]Token
	denied  map[string]bool
	answer  func(http.ResponseWriter, *http.Request)
	counts  Counts
	made    int
}

type version struct {
	fields             map[string]any
	deletion           time.Time
	deleted, destroyed bool
}

// Token says how a token, or a lease, is given: for how many seconds, 0 without an end, and
// whether it can have more time.
type Token struct {
	TTL       int
	Renewable bool
}

type login struct {
	fields map[string]string
	token  Token
}

// New returns a server without anything in it.
func New() *Server {
	return &Server{
		mounts: map[string]string{}, secrets: map[string][]version{}, dynamic: map[string]Token{},
		logins: map[string]login{}, tokens: map[string]Token{}, leases: map[string]Token{}, denied: map[string]bool{},
	}
}

// Mount makes a KV store of version 1 or 2 at a path, such as "secret/".
func (s *Server) Mount(path string, version int) {
	s.change(func() { s.mounts[path] = fmt.Sprintf("kv%d", version) })
}

// Put writes a secret, by its path without /data/.
func (s *Server) Put(path string, fields map[string]any) {
	s.change(func() { s.secrets[path] = append(s.secrets[path], version{fields: fields}) })
}

// DeleteAt has the newest version of a secret end at a moment; Delete ends it now, and
// Destroy for ever.
func (s *Server) DeleteAt(path string, moment time.Time) {
	s.newest(path, func(v *version) { v.deletion = moment })
}

// Delete deletes the newest version of a secret.
func (s *Server) Delete(path string) {
	s.newest(path, func(v *version) { v.deleted, v.deletion = true, time.Now() })
}

// Destroy destroys the newest version of a secret.
func (s *Server) Destroy(path string) {
	s.newest(path, func(v *version) { v.deleted, v.destroyed = true, true })
}

func (s *Server) newest(path string, do func(*version)) {
	s.change(func() { do(&s.secrets[path][len(s.secrets[path])-1]) })
}

// Dynamic makes a path at which each read makes an account, leased as it says.
func (s *Server) Dynamic(path string, lease Token) {
	s.change(func() {
		mount, _, _ := strings.Cut(path, "/")
		s.mounts[mount+"/"], s.dynamic[path] = "dynamic", lease
	})
}

// Allow has the login of a mount take these fields, and no others, for a token.
func (s *Server) Allow(mount string, fields map[string]string, token Token) {
	s.change(func() { s.logins[mount] = login{fields, token} })
}

// Token returns a new token.
func (s *Server) Token(token Token) (name string) {
	s.change(func() { name = s.issue(token) })
	return name
}

func (s *Server) issue(token Token) string {
	s.made++
	name := fmt.Sprintf("hvs.canary-token-%06d", s.made)
	s.tokens[name] = token
	return name
}

// Revoke ends a token.
func (s *Server) Revoke(token string) { s.change(func() { delete(s.tokens, token) }) }

// RevokeTokens ends all tokens, and RevokeLeases all leases.
func (s *Server) RevokeTokens() { s.change(func() { clear(s.tokens) }) }

// RevokeLeases ends all leases.
func (s *Server) RevokeLeases() { s.change(func() { clear(s.leases) }) }

// Tokens returns the tokens that have not ended, in no order.
func (s *Server) Tokens() (names []string) {
	s.change(func() { names = slices.Collect(maps.Keys(s.tokens)) })
	return names
}

// Deny refuses a path of the API to every token.
func (s *Server) Deny(path string) { s.change(func() { s.denied[path] = true }) }

// Answer has this function answer every request from now on; nil ends that.
func (s *Server) Answer(answer func(http.ResponseWriter, *http.Request)) {
	s.change(func() { s.answer = answer })
}

// Seal has the server answer as a sealed one.
func (s *Server) Seal() {
	s.Answer(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusServiceUnavailable, "Vault is sealed")
	})
}

// Counts returns what was done so far.
func (s *Server) Counts() (counts Counts) {
	s.change(func() { counts = s.counts })
	return counts
}

func (s *Server) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	var body map[string]any
	if r.Body != nil {
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&body); err != nil && err != io.EOF {
			refuse(w, http.StatusBadRequest, "failed to parse JSON input")
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	if strings.Trim(r.Header.Get("X-Vault-Namespace"), "/") != s.Namespace {
		refuse(w, http.StatusNotFound, "no handler for route "+path)
		return
	}
	if mount, ok := strings.CutPrefix(path, "auth/"); ok && strings.HasSuffix(mount, "/login") {
		s.logIn(w, strings.TrimSuffix(mount, "/login"), body)
		return
	}
	name := r.Header.Get("X-Vault-Token")
	token, ok := s.tokens[name]
	if !ok {
		refuse(w, http.StatusForbidden, "permission denied", "invalid token")
		return
	}
	if s.denied[path] || s.denied["sys/internal/ui/mounts"] && strings.HasPrefix(path, "sys/internal/ui/mounts/") {
		refuse(w, http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
		return
	}
	switch {
	case path == "auth/token/lookup-self":
		send(w, map[string]any{"data": map[string]any{"ttl": token.TTL, "renewable": token.Renewable, "id": name}})
	case path == "auth/token/renew-self":
		if !token.Renewable {
			refuse(w, http.StatusBadRequest, "lease is not renewable")
			return
		}
		s.counts.TokenRenewals++
		send(w, auth(name, token))
	case path == "auth/token/revoke-self":
		s.counts.Revocations++
		delete(s.tokens, name)
		w.WriteHeader(http.StatusNoContent)
	case path == "sys/leases/renew", path == "sys/leases/lookup":
		s.lease(w, path, body)
	case strings.HasPrefix(path, "sys/internal/ui/mounts/"):
		s.mount(w, strings.TrimPrefix(path, "sys/internal/ui/mounts/"))
	case r.Method == http.MethodGet:
		s.counts.Reads++
		s.read(w, path)
	default:
		refuse(w, http.StatusMethodNotAllowed)
	}
}

func (s *Server) logIn(w http.ResponseWriter, mount string, body map[string]any) {
	login, ok := s.logins[mount]
	if !ok {
		refuse(w, http.StatusForbidden, "permission denied")
		return
	}
	for name, want := range login.fields {
		if body[name] != want {
			// As a careless server would.
			refuse(w, http.StatusBadRequest, fmt.Sprintf("invalid %s %q", name, body[name]))
			return
		}
	}
	s.counts.Logins++
	send(w, auth(s.issue(login.token), login.token))
}

func auth(name string, token Token) map[string]any {
	return map[string]any{"auth": map[string]any{"client_token": name, "lease_duration": token.TTL, "renewable": token.Renewable}}
}

func (s *Server) lease(w http.ResponseWriter, path string, body map[string]any) {
	id, _ := body["lease_id"].(string)
	lease, ok := s.leases[id]
	switch {
	case !ok:
		refuse(w, http.StatusBadRequest, "invalid lease")
	case path == "sys/leases/lookup":
		send(w, map[string]any{"data": map[string]any{"id": id, "ttl": lease.TTL, "renewable": lease.Renewable}})
	case !lease.Renewable:
		refuse(w, http.StatusBadRequest, "lease is not renewable")
	default:
		s.counts.LeaseRenewals++
		send(w, map[string]any{"lease_id": id, "lease_duration": lease.TTL, "renewable": true})
	}
}

// mountOf returns the mount of a path.
func (s *Server) mountOf(path string) (mount, kind string) {
	for one, kind := range s.mounts {
		if strings.HasPrefix(path, one) {
			return one, kind
		}
	}
	return "", ""
}

func (s *Server) mount(w http.ResponseWriter, path string) {
	mount, kind := s.mountOf(path)
	data := map[string]any{"path": mount, "type": "kv"}
	switch kind {
	case "":
		refuse(w, http.StatusForbidden, "preflight capability check returned 403, please ensure client's policies grant access to path \""+path+"/\"")
		return
	case "kv1":
		data["options"] = map[string]any{"version": "1"}
	case "kv2":
		data["options"] = map[string]any{"version": "2"}
	default:
		data["type"], data["options"] = "database", nil
	}
	send(w, map[string]any{"data": data})
}

func (s *Server) read(w http.ResponseWriter, path string) {
	mount, kind := s.mountOf(path)
	if lease, ok := s.dynamic[path]; ok {
		s.made++
		id := fmt.Sprintf("%s/lease-%d", path, s.made)
		s.leases[id] = lease
		send(w, map[string]any{
			"lease_id": id, "lease_duration": lease.TTL, "renewable": lease.Renewable,
			"data": map[string]any{"username": fmt.Sprintf("user-%d", s.made), "password": fmt.Sprintf("canary-password-%d", s.made)},
		})
		return
	}
	key := path
	if kind == "kv2" {
		rest, ok := strings.CutPrefix(path, mount+"data/")
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			send(w, map[string]any{"data": nil, "warnings": []string{"Invalid path for a versioned K/V secrets engine."}})
			return
		}
		key = mount + rest
	}
	versions := s.secrets[key]
	if len(versions) == 0 {
		refuse(w, http.StatusNotFound)
		return
	}
	newest := versions[len(versions)-1]
	if kind != "kv2" {
		send(w, map[string]any{"lease_duration": 2764800, "data": newest.fields})
		return
	}
	deletion := ""
	if !newest.deletion.IsZero() {
		deletion = newest.deletion.UTC().Format(time.RFC3339Nano)
	}
	data := map[string]any{
		"data":     newest.fields,
		"metadata": map[string]any{"version": len(versions), "deletion_time": deletion, "destroyed": newest.destroyed, "created_time": "2026-01-02T03:04:05Z"},
	}
	if newest.deleted {
		data["data"] = nil
		w.WriteHeader(http.StatusNotFound)
	}
	send(w, map[string]any{"data": data})
}

func refuse(w http.ResponseWriter, status int, errors ...string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if errors == nil {
		errors = []string{}
	}
	send(w, map[string]any{"errors": errors})
}

func send(w http.ResponseWriter, value any) { _ = json.NewEncoder(w).Encode(value) }
