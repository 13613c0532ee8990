// Package vault resolves references by a server of HashiCorp Vault or OpenBao:
// ${vault:PATH#FIELD}.
//
// The configuration calls it with the servers that an operator has named. It must never read
// the environment variables of the vault command, nor put a value, a token or an answer of
// the server into an error, but for the answer's list of errors.
package vault

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"weak"

	"golang.org/x/sync/semaphore"

	"github.com/batonhost/baton-host/host/internal/secret"
)

// Settings say where a server is and how the host logs in.
type Settings struct {
	// Address is the server's URL, and Namespace one of its namespaces or empty.
	Address   string
	Namespace string
	// CAFile has the certificates, in PEM, that the server's may be signed by; empty: those
	// of the system.
	CAFile string
	Login  Login
}

// keepTimeout is how long a renewal may take for which no caller waits.
const keepTimeout = 20 * time.Second

// Store is one server. Between its calls it renews its token and the leases of what it has
// read, for as long as the store is in use.
type Store struct {
	settings   Settings
	references *secret.Resolver

	login   *semaphore.Weighted // held where the session is read or replaced
	session *session

	mu    sync.Mutex
	paths map[string]*holding
}

// holding is what was last read from a path. All fields come from one answer: two fields of
// a dynamic secret belong together.
type holding struct {
	held  *semaphore.Weighted // held where the rest is read or replaced
	found *found
	round weak.Pointer[secret.Round]
}

// New returns the store of a server. What the settings refer to is resolved by references
// at each login.
func New(settings Settings, references *secret.Resolver) *Store {
	return &Store{settings: settings, references: references, login: semaphore.NewWeighted(1), paths: map[string]*holding{}}
}

// Has reports whether these are the settings of the store, as they are written.
func (s *Store) Has(settings Settings) bool {
	one, other := s.settings, settings
	for _, texts := range [][2]*secret.Template{
		{&one.Login.Token, &other.Login.Token},
		{&one.Login.RoleID, &other.Login.RoleID},
		{&one.Login.SecretID, &other.Login.SecretID},
		{&one.Login.JWT, &other.Login.JWT},
	} {
		if !texts[0].Equal(*texts[1]) {
			return false
		}
		*texts[0], *texts[1] = secret.Template{}, secret.Template{}
	}
	return reflect.DeepEqual(one, other)
}

// Check reports what is wrong with the form of a name.
func (*Store) Check(name string) error {
	_, _, err := split(name)
	return err
}

// split returns the path and the field of PATH#FIELD.
func split(name string) (path, field string, err error) {
	path, field = name, ""
	at := strings.LastIndex(name, "#")
	if at >= 0 {
		path, field = name[:at], name[at+1:]
	}
	switch {
	case at >= 0 && field == "":
		return "", "", errors.New("a reference to Vault has no field behind #: write PATH#FIELD")
	case path == "" || slices.ContainsFunc(strings.Split(path, "/"), func(one string) bool { return one == "" || one == "." || one == ".." }):
		return "", "", errors.New("a reference to Vault takes a path without empty parts, such as secret/app#password")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '?' }):
		return "", "", errors.New("a reference to Vault takes a path without ? and control characters")
	}
	return path, field, nil
}

// Resolve returns the field of the secret.
func (s *Store) Resolve(ctx context.Context, name string) (secret.Value, error) {
	path, field, err := split(name)
	if err != nil {
		return secret.Value{}, err
	}
	h := s.holding(path)
	if err := h.held.Acquire(ctx, 1); err != nil {
		return secret.Value{}, s.tooSlow()
	}
	defer h.held.Release(1)
	if err := s.bring(ctx, path, h); err != nil {
		return secret.Value{}, err
	}
	return h.found.value(field)
}

func (s *Store) holding(path string) *holding {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.paths[path]
	if h == nil {
		h = &holding{held: semaphore.NewWeighted(1)}
		s.paths[path] = h
	}
	return h
}

// bring reads the path, unless that was done in this round or what was read is still leased.
func (s *Store) bring(ctx context.Context, path string, h *holding) error {
	round := secret.RoundOf(ctx)
	if h.found != nil && (round != nil && h.round == weak.Make(round) || s.keep(ctx, h.found)) {
		h.round = weak.Make(round)
		return nil
	}
	var read *found
	session, err := s.call(ctx, func(c client) (err error) {
		read, err = c.read(ctx, path)
		return err
	})
	if err != nil {
		return err
	}
	h.found, h.round = read, weak.Make(round)
	if read.lease != nil {
		read.lease.session = session
		s.keepLater(h, read)
	}
	return nil
}

// keep reports whether what was read is leased, and will be for a while: it asks the server
// for more time, or, where there is none to be had, whether the lease still exists.
func (s *Store) keep(ctx context.Context, f *found) bool {
	lease := f.lease
	if lease == nil || !time.Now().Before(lease.end()) {
		return false
	}
	_, err := s.call(ctx, func(c client) error { return c.keep(ctx, lease) })
	switch {
	case secret.IsAway(err):
		return time.Now().Before(lease.end()) // Nothing else is known.
	case err != nil:
		return false
	}
	return time.Until(lease.end()) >= lease.whole/3
}

// keepLater keeps the lease of what a path holds, once a part of its time is over, and again
// for as long as the server allows it and the store is in use.
func (s *Store) keepLater(h *holding, f *found) {
	if !f.lease.renewable {
		return
	}
	store := weak.Make(s)
	time.AfterFunc(max(time.Until(f.lease.end())/2, time.Second), func() {
		s := store.Value()
		if s == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), keepTimeout)
		defer cancel()
		if h.held.Acquire(ctx, 1) != nil {
			return
		}
		defer h.held.Release(1)
		if h.found == f && s.keep(ctx, f) {
			s.keepLater(h, f)
		}
	})
}

func (s *Store) tooSlow() error {
	return &secret.AwayError{Err: fmt.Errorf("%s did not answer in time", s.settings.server())}
}

// server names the server in a sentence.
func (s Settings) server() string {
	if s.Namespace != "" {
		return fmt.Sprintf("Vault at %s (namespace %q)", s.Address, s.Namespace)
	}
	return "Vault at " + s.Address
}
