package broker

import (
	"context"
	"fmt"
	"io"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/crypto/providers/jwk"

	"github.com/batonhost/baton-host/plugin/redact"
)

// Key is a plugin's key pair. It is one for all processes of the plugin: a password
// may be on its way while a process is replaced. It prints as "(secret)".
type Key struct {
	// A function, because packages that print by reflection go through unexported
	// fields and around the methods below.
	reveal func() string

	public *v2.EncryptionConfig
}

// NewKey makes a key pair.
func NewKey() (*Key, error) {
	public, private, err := (&jwk.JWKEncryptionProvider{}).GenerateKey(context.Background())
	if err != nil {
		return nil, fmt.Errorf("make a key for a plugin's passwords: %w", err)
	}
	private.KeyID = public.GetKeyId()
	encoded, err := private.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("make a key for a plugin's passwords: %w", err)
	}
	return &Key{reveal: func() string { return string(encoded) }, public: public}, nil
}

// Private is the private key as Host.password_key has it, a JSON Web Key.
func (k *Key) Private() string { return k.reveal() }

// Format writes "(secret)", whatever the verb.
func (*Key) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redact.Hidden) }

// MarshalJSON returns "(secret)" as a JSON string.
func (*Key) MarshalJSON() ([]byte, error) { return []byte(`"` + redact.Hidden + `"`), nil }
