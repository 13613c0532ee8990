package broker

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/crypto"
	"github.com/conductorone/baton-sdk/pkg/crypto/providers/jwk"
	"github.com/go-jose/go-jose/v4"

	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/plugin/redact"
)

// Concealer blanks texts in what a plugin says: in its log and in its errors.
type Concealer interface {
	Conceal(text string)
}

// Passage encrypts passwords of one upload for one plugin.
type Passage struct {
	upload string
	secret secret.Text
	plugin Concealer
	key    *Key
}

// For returns the passage to the plugin that has the key, for passwords that are
// encrypted with the client secret of an upload. The plugin conceals each password
// before it gets it: a careless one would repeat it.
func (k *Key) For(upload string, clientSecret secret.Text, plugin Concealer) *Passage {
	return &Passage{upload: upload, secret: clientSecret, plugin: plugin, key: k}
}

// Reencrypt opens the first of the passwords that is encrypted for the upload, as
// the SDK does, and encrypts it for the plugin.
func (p *Passage) Reencrypt(ctx context.Context, passwords []*v2.EncryptedData) ([]*v2.EncryptedData, error) {
	secret, err := crypto.ParseClientSecret([]byte(p.secret.Reveal()), true)
	if err != nil {
		return nil, fmt.Errorf("the password that C1 sends for upload %q cannot be decrypted: the upload's client secret is not one of C1", p.upload)
	}
	chosen, err := p.own(secret, passwords)
	if err != nil {
		return nil, err
	}
	provider := &jwk.JWKEncryptionProvider{}
	plain, err := provider.Decrypt(ctx, chosen, secret)
	if err != nil {
		return nil, fmt.Errorf("the password that C1 sends for upload %q cannot be decrypted with the upload's client secret: it is damaged; have C1 send it again: %w", p.upload, err)
	}
	defer clear(plain.GetBytes())
	sealed, err := provider.Encrypt(ctx, p.key.public, plain)
	if err != nil {
		return nil, fmt.Errorf("the password that C1 sends for upload %q cannot be encrypted for the plugin: %w", p.upload, err)
	}
	p.plugin.Conceal(string(plain.GetBytes()))
	return []*v2.EncryptedData{sealed}, nil
}

// own is the first of the passwords that is encrypted with the upload's secret.
func (p *Passage) own(secret *jose.JSONWebKey, passwords []*v2.EncryptedData) (*v2.EncryptedData, error) {
	var others []string
	for _, one := range passwords {
		if slices.Contains(one.GetKeyIds(), secret.KeyID) {
			return one, nil
		}
		others = append(others, one.GetKeyIds()...)
	}
	if len(others) == 0 {
		return nil, fmt.Errorf("the password that C1 sends for upload %q cannot be decrypted: C1 does not say for which key it is encrypted", p.upload)
	}
	return nil, fmt.Errorf("the password that C1 sends for upload %q cannot be decrypted with the upload's client secret: it is encrypted for the key %s, and the secret's is %s; "+
		"if the upload has got new credentials, put them where its client-id and client-secret lead, and try again", p.upload, strings.Join(others, ", "), secret.KeyID)
}

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
