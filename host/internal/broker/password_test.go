package broker_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/crypto"
	"github.com/conductorone/baton-sdk/pkg/crypto/providers/jwk"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/broker"
	"github.com/batonhost/baton-host/host/internal/secret"
)

const word = "pass-c4n4ry-word"

// upload is an upload's client secret, and C1's end of it.
type upload struct {
	secret string
	public *v2.EncryptionConfig
}

func newUpload(t *testing.T) *upload {
	t.Helper()
	public, private, err := (&jwk.JWKEncryptionProvider{}).GenerateKey(t.Context())
	require.NoError(t, err)
	encoded, err := private.MarshalJSON() // Without a key id, as C1's are.
	require.NoError(t, err)
	return &upload{secret: "secret-token:conductorone.com:v1:" + base64.RawURLEncoding.EncodeToString(encoded), public: public}
}

func (u *upload) encrypt(t *testing.T) *v2.EncryptedData {
	t.Helper()
	encrypted, err := (&jwk.JWKEncryptionProvider{}).Encrypt(t.Context(), u.public, v2.PlaintextData_builder{Name: "password", Bytes: []byte(word)}.Build())
	require.NoError(t, err)
	return encrypted
}

// opened is what a connector gets that has been given this key, in the SDK's words.
func opened(t *testing.T, key *jose.JSONWebKey, passwords []*v2.EncryptedData) string {
	t.Helper()
	options := v2.CredentialOptions_builder{EncryptedPassword: v2.CredentialOptions_EncryptedPassword_builder{EncryptedPasswords: passwords}.Build()}.Build()
	local, err := crypto.ConvertCredentialOptions(t.Context(), key, options, nil)
	require.NoError(t, err)
	return local.GetPlaintextPassword().GetPlaintextPassword()
}

// concealer is what a plugin was given to conceal.
type concealer []string

func (c *concealer) Conceal(text string) { *c = append(*c, text) }

func TestPassage_EncryptsForThePluginWhatC1EncryptedForTheUpload(t *testing.T) {
	t.Parallel()
	key, err := broker.NewKey()
	require.NoError(t, err)
	mine, other := newUpload(t), newUpload(t)
	var concealed concealer
	passwords, err := key.For("books", secret.New(mine.secret), &concealed).Reencrypt(t.Context(), []*v2.EncryptedData{other.encrypt(t), mine.encrypt(t)})
	require.NoError(t, err)
	require.Len(t, passwords, 1)
	require.Equal(t, concealer{word}, concealed)

	own := &jose.JSONWebKey{}
	require.NoError(t, own.UnmarshalJSON([]byte(key.Private())))
	require.Equal(t, word, opened(t, own, passwords))
	// And as an unmodified connector is given the key.
	own, err = crypto.ParseClientSecret([]byte("baton-host:passwords:v1:"+base64.RawURLEncoding.EncodeToString([]byte(key.Private()))), true)
	require.NoError(t, err)
	require.Equal(t, word, opened(t, own, passwords))
}

func TestPassage_ExplainsAPasswordThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	key, err := broker.NewKey()
	require.NoError(t, err)
	mine, other := newUpload(t), newUpload(t)
	damaged, unmarked := mine.encrypt(t), mine.encrypt(t)
	damaged.SetEncryptedBytes([]byte("not base64"))
	unmarked.SetKeyIds(nil)
	for name, c := range map[string]struct {
		secret   string
		password *v2.EncryptedData
		want     string
	}{
		"of another upload":      {mine.secret, other.encrypt(t), "it is encrypted for the key " + other.public.GetKeyId() + ", and the secret's is " + mine.public.GetKeyId()},
		"damaged":                {mine.secret, damaged, "it is damaged; have C1 send it again"},
		"for no key":             {mine.secret, unmarked, "C1 does not say for which key"},
		"the secret is none":     {"a:b:v1:nothing", mine.encrypt(t), "the upload's client secret is not one of C1"},
		"there is no secret yet": {"", mine.encrypt(t), "the upload's client secret is not one of C1"},
	} {
		var concealed concealer
		_, err := key.For("books", secret.New(c.secret), &concealed).Reencrypt(t.Context(), []*v2.EncryptedData{c.password})
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, `for upload "books"`, name)
		require.NotContains(t, err.Error(), word, name)
		require.Empty(t, concealed, "the plugin gets nothing: %s", name)
	}
}

func TestKey_IsNotPrinted(t *testing.T) {
	t.Parallel()
	key, err := broker.NewKey()
	require.NoError(t, err)
	var private struct {
		D string `json:"d"`
	}
	require.NoError(t, json.Unmarshal([]byte(key.Private()), &private))
	require.NotEmpty(t, private.D)
	encoded, err := json.Marshal(map[string]any{"key": key})
	require.NoError(t, err)
	passage := key.For("books", secret.New("the-client-secret"), &concealer{})
	for _, text := range []string{
		fmt.Sprint(key), fmt.Sprintf("%+v %#v %s %q", key, key, key, key), fmt.Sprintf("%+v", passage), fmt.Sprintf("%#v", passage), string(encoded),
	} {
		require.NotContains(t, text, private.D)
		require.NotContains(t, text, "the-client-secret")
	}
	another, err := broker.NewKey()
	require.NoError(t, err)
	require.NotEqual(t, key.Private(), another.Private())
}
