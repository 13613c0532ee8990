package main_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/aws"
	"github.com/batonhost/baton-host/sandbox/canary"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// The credentials of the AWS stand-in; they are secrets of the host too.
const (
	awsKeyCanary   = "c4n4ry-aws-k3y/0d7f66e1b2"
	awsTokenCanary = "c4n4ry-aws-t0ken/4410bc93"
)

// TestStores_AreAskedByTheHost resolves references by programs: one of the operator's, and the
// one that comes with the host and asks AWS.
func TestStores_AreAskedByTheHost(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1, Token: tokenCanary})
	account := aws.New(aws.Options{Region: "eu-west-1", AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: awsKeyCanary, SessionToken: awsTokenCanary})
	account.PutSecret("prod/fullstory", aws.Secret{Text: `{"token":"` + tokenCanary + `"}`, Version: "v1"})
	account.PutParameter("/prod/fullstory", aws.Secret{Text: tokenCanary, Version: "3"})
	listener := httptest.NewServer(account)
	t.Cleanup(listener.Close)
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(`{"value": "`+tokenCanary+`", "version": "7"}`), 0o600))
	environment := func(key string) []string {
		return []string{
			"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=" + key, "AWS_SESSION_TOKEN=" + awsTokenCanary,
			"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		}
	}
	for name, c := range map[string]struct {
		reference string
		env       []string
		want      []string // of a failure; empty: the app takes the token
	}{
		"exec":                      {"${exec:fetch '" + file + "'}", nil, nil},
		"exec, refused":             {"${exec:fetch /none}", nil, []string{"${exec:fetch /none}: the program failed with exit status 1: ", "No such file"}},
		"exec, unknown":             {"${exec:fetsh x}", nil, []string{"${exec:…} names a helper that is not under secret-helpers; did you mean "}},
		"Secrets Manager":           {"${aws-sm:prod/fullstory#token}", environment(awsKeyCanary), nil},
		"Parameter Store":           {"${parameters:/prod/fullstory}", environment(awsKeyCanary), nil},
		"Secrets Manager, no field": {"${aws-sm:prod/fullstory#tokn}", environment(awsKeyCanary), []string{"${aws-sm:prod/fullstory#tokn}: the secret has no field of the name behind the #"}},
		"Parameter Store, no name":  {"${parameters:/prod/other}", environment(awsKeyCanary), []string{"${parameters:/prod/other}: AWS (" + listener.URL + ") has no secret of this name in this account and region; "}},
		"AWS, wrong key":            {"${aws-sm:prod/fullstory}", environment(awsKeyCanary + "x"), []string{"${aws-sm:prod/fullstory}: AWS (" + listener.URL + ") does not accept the host's credentials; "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := writeConfig(t, `
plugins:
  fullstory:
    config: { scim-base-url: "`+fullstory.url+`", scim-token: "`+c.reference+`" }
uploads: { workforce: { plugins: [fullstory] } }
secret-helpers: { fetch: { command: [cat], timeout: 20s } }
secret-stores:
  aws-sm: { region: eu-west-1, endpoint: "`+listener.URL+`" }
  parameters: { type: aws-ssm, region: eu-west-1, endpoint: "`+listener.URL+`" }
`)
			cmd := command(t.Context(), t, c.env, "baton-host", "check", "--config", config, "--log-level", "debug")
			result := finish(t, cmd)
			for _, hidden := range []string{tokenCanary, awsKeyCanary, awsTokenCanary} {
				require.Empty(t, canary.Find([]byte(result.stdout+result.stderr), hidden))
			}
			if len(c.want) > 0 {
				requireSentence(t, result, c.want)
				return
			}
			require.Equal(t, 0, result.status, result.stdout+result.stderr)
			require.Contains(t, result.stdout, "ok")
		})
	}
}
