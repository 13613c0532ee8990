package main_test

import (
	"encoding/base64"
	"io/fs"
	"os"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/crypto"
	"github.com/conductorone/baton-sdk/pkg/crypto/providers/jwk"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/batonhost/baton-host/sandbox/canary"
)

// encryptedFor returns a password as C1 sends it: encrypted for a client secret.
func encryptedFor(t *testing.T, secret, password string) *v2.EncryptedData {
	t.Helper()
	key, err := crypto.ParseClientSecret([]byte(secret), true)
	require.NoError(t, err)
	public := key.Public()
	encoded, err := public.MarshalJSON()
	require.NoError(t, err)
	config := v2.EncryptionConfig_builder{JwkPublicKeyConfig: v2.EncryptionConfig_JWKPublicKeyConfig_builder{PubKey: encoded}.Build()}.Build()
	encrypted, err := (&jwk.JWKEncryptionProvider{}).Encrypt(t.Context(), config, v2.PlaintextData_builder{Name: "password", Bytes: []byte(password)}.Build())
	require.NoError(t, err)
	return encrypted
}

func chosenPassword(passwords ...*v2.EncryptedData) *v2.CredentialOptions {
	return v2.CredentialOptions_builder{EncryptedPassword: v2.CredentialOptions_EncryptedPassword_builder{EncryptedPasswords: passwords}.Build()}.Build()
}

func passwordTask(typeID string, options *v2.CredentialOptions) *v1.Task {
	task := accountTask(typeID)
	task.GetCreateAccount().SetCredentialOptions(options)
	return task
}

// TestPassword_ReachesThePluginAlone: C1 encrypts a password for the upload,
// whose secret a plugin must not have.
func TestPassword_ReachesThePluginAlone(t *testing.T) {
	t.Parallel()
	l := startLedgers(t, "--log-level", "debug")
	password := "pass-c4n4ry-3f1e7a92-word"
	other := l.client(t, "another").Secret

	made := l.do(t, passwordTask("east.user", chosenPassword(encryptedFor(t, other, "not this one"), encryptedFor(t, l.secret, password))))
	require.True(t, made.Succeeded, "%v", made.Status)
	rotated := l.do(t, v1.Task_builder{RotateCredentials: v1.Task_RotateCredentialsTask_builder{
		ResourceId: resourceOf("west", "user", "u1").GetId(), CredentialOptions: chosenPassword(encryptedFor(t, l.secret, password)),
	}.Build()}.Build())
	require.True(t, rotated.Succeeded, "%v", rotated.Status)
	require.Equal(t, []string{"account new@example.com with " + password}, l.did(t, "east"))
	require.Equal(t, []string{"rotate u1 with " + password}, l.did(t, "west"))

	damaged := encryptedFor(t, l.secret, password)
	damaged.SetEncryptedBytes([]byte(base64.StdEncoding.EncodeToString([]byte("age-encryption.org/v1\nnot at all"))))
	for name, c := range map[string]struct {
		password *v2.EncryptedData
		want     string
	}{
		"for another upload": {encryptedFor(t, other, password), "it is encrypted for the key"},
		"damaged":            {damaged, "it is damaged"},
	} {
		refused := l.do(t, passwordTask("east.user", chosenPassword(c.password)))
		require.False(t, refused.Succeeded, name)
		require.True(t, refused.NonRetryable, name)
		require.Contains(t, refused.Status.GetMessage(), `plugin "east"`, name)
		require.Contains(t, refused.Status.GetMessage(), `the password that C1 sends for upload "books" cannot be decrypted`, name)
		require.Contains(t, refused.Status.GetMessage(), c.want, name)
	}
	// The SDK logs such an error in the plugin, too.
	careless := passwordTask("east.user", chosenPassword(encryptedFor(t, l.secret, password)))
	careless.GetCreateAccount().GetAccountInfo().SetLogin("careless@example.com")
	outcome := l.do(t, careless)
	require.False(t, outcome.Succeeded)
	require.Contains(t, outcome.Status.GetMessage(), "the app does not like it with (secret)")
	shut := l.do(t, passwordTask("shut.user", chosenPassword(encryptedFor(t, l.secret, password))))
	require.Contains(t, shut.Status.GetMessage(), "set `provisioning: true`")
	require.Len(t, l.did(t, "east"), 1)

	written := map[string][]byte{
		"what a careless plugin sends":  []byte(prototext.Format(outcome.Status)),
		"the answer about the account":  []byte(prototext.Format(made.Response)),
		"the answer about the rotation": []byte(prototext.Format(rotated.Response)),
	}
	temporary := os.DirFS(l.host.dir)
	require.NoError(t, fs.WalkDir(temporary, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		written[path], err = fs.ReadFile(temporary, path)
		return err
	}))
	l.host.stop()
	require.Empty(t, l.Violations())
	written["the log"] = []byte(l.host.output.String())
	require.Contains(t, l.host.output.String(), `"level":"debug"`)
	for where, text := range written {
		require.Empty(t, canary.Find(text, password), where)
	}
}
