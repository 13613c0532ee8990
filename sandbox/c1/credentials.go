package c1

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"regexp"

	"github.com/go-jose/go-jose/v4"
)

// Credentials are what ConductorOne shows once when a connector is created: the
// values of BATON_CLIENT_ID and BATON_CLIENT_SECRET.
type Credentials struct {
	ID     string
	Secret string
}

// The name becomes part of a client id and of a path.
var clientName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// AddClient makes a client with a new key. The name must be 1 to 64
// letters, digits, dots, underscores or hyphens, and new.
func (s *Server) AddClient(name string) (Credentials, error) {
	if !clientName.MatchString(name) {
		return Credentials{}, fmt.Errorf("the client's name %q must be 1 to 64 letters, digits, dots, underscores or hyphens, beginning with a letter or digit", name)
	}
	public, secret, err := newKey(name)
	if err != nil {
		return Credentials{}, err
	}
	id := s.clientID(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[id] != nil {
		return Credentials{}, fmt.Errorf("there is a client %q already", name)
	}
	s.clients[id] = &client{name: name, key: public, nonces: map[string]bool{}, greeted: map[string]bool{}}
	return Credentials{ID: id, Secret: secret}, nil
}

// RotateClient gives the client a new key, whose secret is returned, and makes the one before,
// and all tokens, invalid at once.
func (s *Server) RotateClient(name string) (Credentials, error) {
	public, secret, err := newKey(name)
	if err != nil {
		return Credentials{}, err
	}
	id := s.clientID(name)
	s.mu.Lock()
	c := s.clients[id]
	if c != nil {
		c.key = public
	}
	s.mu.Unlock()
	if c == nil {
		return Credentials{}, fmt.Errorf("rotate %q: %w", name, errNoClient)
	}
	s.ExpireTokens(name)
	return Credentials{ID: id, Secret: secret}, nil
}

// newKey makes a client's key, and its secret.
func newKey(name string) (public ed25519.PublicKey, secret string, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", fmt.Errorf("make a key for the client %q: %w", name, err)
	}
	key, err := jose.JSONWebKey{Key: private}.MarshalJSON()
	if err != nil {
		return nil, "", fmt.Errorf("write the key of the client %q: %w", name, err)
	}
	return public, "secret-token:conductorone.com:v1:" + base64.RawURLEncoding.EncodeToString(key), nil
}

// DisableClient makes the client's requests for tokens fail with status 401 and
// its tokens invalid, as if its credential had been revoked.
func (s *Server) DisableClient(name string) error {
	s.mu.Lock()
	c := s.clients[s.clientID(name)]
	if c != nil {
		c.disabled = true
	}
	s.mu.Unlock()
	if c == nil {
		return fmt.Errorf("disable %q: %w", name, errNoClient)
	}
	s.ExpireTokens(name)
	return nil
}

// clientID names the port as well, so that a client finds the server by its id.
func (s *Server) clientID(name string) string { return name + "@" + s.Addr() + "/pcc" }
