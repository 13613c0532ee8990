package broker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/crypto"
	"github.com/conductorone/baton-sdk/pkg/crypto/providers/jwk"
	"github.com/go-jose/go-jose/v4"

	"github.com/batonhost/baton-host/host/internal/config"
)

// Concealer blanks texts in what a plugin says: in its log and in its errors.
type Concealer interface {
	Conceal(text string)
}

// Passage encrypts passwords of one upload for one plugin.
type Passage struct {
	upload string
	secret config.Secret
	plugin Concealer
	key    *Key
}

// For returns the passage to the plugin that has the key, for passwords that are
// encrypted with the client secret of an upload. The plugin conceals each password
// before it gets it: a careless one would repeat it.
func (k *Key) For(upload string, clientSecret config.Secret, plugin Concealer) *Passage {
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
		"if the upload has got new credentials, restart the host with them", p.upload, strings.Join(others, ", "), secret.KeyID)
}
