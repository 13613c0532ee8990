package scim

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// rotation is which tokens are taken since the first rotation. Only hashes are kept.
type rotation struct {
	mu      sync.Mutex
	rotated bool
	current [sha256.Size]byte
	former  map[[sha256.Size]byte]time.Time // until when they are taken
}

// Rotate has requests carry another bearer token from now on. The one before is taken for
// the overlap; with none, it is refused at once. It fails on a token that cannot be sent.
func (s *Server) Rotate(token string, overlap time.Duration) error {
	if token == "" || !sendable(token) {
		return errors.New("the bearer token must consist of visible ASCII characters, without spaces")
	}
	r := &s.rotation
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.current
	if !r.rotated {
		before = s.secrets["Authorization"]
		r.former = map[[sha256.Size]byte]time.Time{}
	}
	r.rotated, r.current = true, sha256.Sum256([]byte("bearer "+token))
	r.former[before] = time.Now().Add(overlap)
	delete(r.former, r.current)
	return nil
}

// wanted returns the hash that a request with this one must have: its own, if that of an
// earlier token is still taken.
func (r *rotation) wanted(first, sent [sha256.Size]byte) [sha256.Size]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.rotated {
		return first
	}
	if time.Now().Before(r.former[sent]) {
		return sent
	}
	return r.current
}
