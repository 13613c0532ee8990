package password

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/crypto"
	"github.com/conductorone/baton-sdk/pkg/crypto/providers/jwk"
	"github.com/go-jose/go-jose/v4"
)

// Passage encrypts passwords of one upload for one plugin.
type Passage struct {
	upload  string
	secret  func() string
	conceal func(password string)
	key     *Key
}

// For is the way to the plugin for passwords that are encrypted for an upload. The
// client secret is asked for when it is needed. conceal is called with each password
// before the plugin gets it: to blank it in what a careless plugin says.
func (k *Key) For(upload string, clientSecret func() string, conceal func(password string)) *Passage {
	return &Passage{upload: upload, secret: clientSecret, conceal: conceal, key: k}
}

// Reencrypt opens the first of the passwords that is encrypted for the upload, as
// the SDK does, and encrypts it for the plugin.
func (p *Passage) Reencrypt(ctx context.Context, passwords []*v2.EncryptedData) ([]*v2.EncryptedData, error) {
	secret, err := crypto.ParseClientSecret([]byte(p.secret()), true)
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
	p.conceal(string(plain.GetBytes()))
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
