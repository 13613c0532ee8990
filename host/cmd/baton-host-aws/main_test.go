package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/secret/helper"
	"github.com/batonhost/baton-host/sandbox/aws"
	"github.com/batonhost/baton-host/sandbox/canary"
)

const (
	accessKey    = "AKIDEXAMPLE"
	secretKey    = "c4n4ry-s3cret-key/wJalrXUtnFEMI"
	sessionToken = "c4n4ry-sess10n-token/IQoJb3JpZ2lu"
	canarySecret = "c4n4ry-aws-v4lue/90ab12+3c"
	region       = "eu-central-1"
)

// TestMain gives the tests the credentials that a host would have. Those of a test's own are in
// profiles.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "baton-host-aws-")
	if err != nil {
		os.Exit(1)
	}
	profiles := "[profile wrong-key]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = " + secretKey + "\n" +
		"[profile wrong-secret]\naws_access_key_id = " + accessKey + "\naws_secret_access_key = x\naws_session_token = " + sessionToken + "\n" +
		"[profile expired]\naws_access_key_id = " + accessKey + "\naws_secret_access_key = " + secretKey + "\naws_session_token = old\n" +
		"[profile region]\nregion = eu-west-1\naws_access_key_id = " + accessKey + "\naws_secret_access_key = " + secretKey + "\naws_session_token = " + sessionToken + "\n" +
		"[profile login]\nsso_start_url = https://example.invalid/start\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = r\n" +
		"[profile nothing]\noutput = json\n"
	path := filepath.Join(dir, "config")
	if os.WriteFile(path, []byte(profiles), 0o600) != nil {
		os.Exit(1)
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": sessionToken,
		"AWS_CONFIG_FILE": path, "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "none"), "AWS_EC2_METADATA_DISABLED": "true", "HOME": dir,
	} {
		_ = os.Setenv(name, value)
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
		_ = os.Unsetenv(name)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// serve starts the stand-in with what the tests ask for.
func serve(t *testing.T) (url string, server *aws.Server) {
	t.Helper()
	server = aws.New(aws.Options{Region: region, AccessKeyID: accessKey, SecretAccessKey: secretKey, SessionToken: sessionToken})
	server.PutSecret("prod/app", aws.Secret{Text: canarySecret, Version: "5f1c"})
	server.PutSecret("arn:aws:secretsmanager:eu-central-1:123456789012:secret:app-AbCdEf", aws.Secret{Text: "by-arn", Version: "1"})
	server.PutSecret("json", aws.Secret{Text: `{"token":"` + canarySecret + `","Port":5432,"tls":true,"none":null,"deep":{"a":1},"a b":"blank","text":"\u00fc\n"}`, Version: "2"})
	server.PutSecret("bytes", aws.Secret{Binary: []byte("text"), Version: "3"})
	server.PutSecret("binary", aws.Secret{Binary: []byte("\xff\xfe" + canarySecret), Version: "4"})
	server.PutParameter("/app/token", aws.Secret{Text: canarySecret, Version: "12"})
	server.PutParameter("/app/json", aws.Secret{Text: `{"a":"b"}`, Version: "1"})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	return listener.URL, server
}

// ask runs the program as the host does.
func ask(ctx context.Context, t *testing.T, args ...string) helper.Answer {
	t.Helper()
	var stdout bytes.Buffer
	failed := run(ctx, args, &stdout)
	var answer helper.Answer
	decoder := json.NewDecoder(&stdout)
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&answer))
	require.False(t, decoder.More())
	require.Equal(t, failed, answer.Error != "")
	if failed {
		require.Empty(t, answer.Value)
		for _, hidden := range []string{canarySecret, secretKey, sessionToken} {
			require.Empty(t, canary.Find([]byte(answer.Error), hidden), answer.Error)
		}
	}
	return answer
}

func TestAWS_ReturnsSecretsWithTheirVersions(t *testing.T) {
	t.Parallel()
	url, _ := serve(t)
	for name, want := range map[string]helper.Answer{
		"secretsmanager prod/app": {Value: canarySecret, Version: "5f1c"},
		"secretsmanager arn:aws:secretsmanager:eu-central-1:123456789012:secret:app-AbCdEf": {Value: "by-arn", Version: "1"},
		"secretsmanager json#token": {Value: canarySecret, Version: "2"},
		"secretsmanager json#Port":  {Value: "5432", Version: "2"},
		"secretsmanager json#tls":   {Value: "true", Version: "2"},
		"secretsmanager json#a b":   {Value: "blank", Version: "2"},
		"secretsmanager json#text":  {Value: "ü\n", Version: "2"},
		"secretsmanager bytes":      {Value: "text", Version: "3"},
		"ssm /app/token":            {Value: canarySecret, Version: "12"},
		"ssm /app/json#a":           {Value: "b", Version: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service, name, _ := strings.Cut(name, " ")
			require.Equal(t, want, ask(t.Context(), t, service, "--region="+region, "--endpoint="+url, "--", name))
		})
	}
}

func TestAWS_ExplainsWhatIsRefused(t *testing.T) {
	t.Parallel()
	url, _ := serve(t)
	const closed = "http://127.0.0.1:1" // Nothing listens there, and no other test will.
	at := "AWS (" + url + ") "
	for name, c := range map[string]struct {
		args   []string
		want   string
		isAway bool
	}{
		"no such secret":    {[]string{"secretsmanager", "other"}, at + "has no secret of this name in this account and region; correct the name, or the store's region and profile (ResourceNotFoundException)", false},
		"no such parameter": {[]string{"ssm", "prod/app"}, at + "has no secret of this name in this account and region; correct the name, or the store's region and profile (ParameterNotFound)", false},
		"no such field":     {[]string{"secretsmanager", "json#other"}, "the secret has no field of the name behind the #", false},
		"null":              {[]string{"secretsmanager", "json#none"}, "the field of the secret is no text, number or boolean", false},
		"an object":         {[]string{"secretsmanager", "json#deep"}, "the field of the secret is no text, number or boolean", false},
		"no fields":         {[]string{"secretsmanager", "prod/app#token"}, "the secret is no JSON object, so it has no fields; leave the # and what follows it out", false},
		"binary":            {[]string{"secretsmanager", "binary"}, "the secret is binary and no text", false},
		"wrong key":         {[]string{"--profile=wrong-key", "ssm", "/app/token"}, at + "does not accept the host's credentials; correct the access key and its secret, and look at the clock of this machine (UnrecognizedClientException)", false},
		"wrong secret":      {[]string{"--profile=wrong-secret", "ssm", "/app/token"}, at + "does not accept the host's credentials; correct the access key and its secret, and look at the clock of this machine (InvalidSignatureException)", false},
		"expired":           {[]string{"--profile=expired", "ssm", "/app/token"}, at + "says that the host's credentials have expired; renew them (aws sso login), or give the host a role that renews itself (ExpiredTokenException)", true},
		"another region":    {[]string{"--region=us-east-1", "ssm", "/app/token"}, at + "does not accept the host's credentials; correct the access key and its secret, and look at the clock of this machine (InvalidSignatureException)", false},
		"no such profile":   {[]string{"--profile=none", "ssm", "/app/token"}, `there is no profile "none" in the AWS configuration files of the host's user; AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name others`, false},
		"no login":          {[]string{"--profile=login", "ssm", "/app/token"}, "the login to AWS has expired; renew it (aws sso login) as the host's user", true},
		"another service":   {[]string{"s3", "x"}, "there is no such service: baton-host and baton-host-aws are of different releases; install both from one", false},
		"closed":            {[]string{"--endpoint=" + closed, "ssm", "/app/token"}, "AWS (" + closed + ") cannot be reached: dial tcp " + strings.TrimPrefix(closed, "http://") + ": connect: connection refused", true},
		"no arguments":      {[]string{"ssm"}, "this program is a part of baton-host, which runs it for stores of the types aws-sm and aws-ssm", false},
		"unknown flag":      {[]string{"--x", "ssm", "y"}, "this program is a part of baton-host, which runs it for stores of the types aws-sm and aws-ssm", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := ask(t.Context(), t, append([]string{"--region=" + region, "--endpoint=" + url}, c.args...)...)
			require.Equal(t, helper.Answer{Error: c.want, Away: c.isAway}, answer)
		})
	}
}

func TestAWS_NeedsARegion(t *testing.T) {
	t.Parallel()
	url, _ := serve(t)
	answer := ask(t.Context(), t, "ssm", "--endpoint="+url, "--", "/app/token")
	require.Equal(t, helper.Answer{Error: `no region of AWS is known; set "region" in the store, or AWS_REGION`}, answer)

	// The region of the profile is signed, which the stand-in has another one than.
	answer = ask(t.Context(), t, "ssm", "--profile=region", "--endpoint="+url, "--", "/app/token")
	require.Contains(t, answer.Error, "InvalidSignatureException")
}

// The library asks three times before it reports such an answer.
func TestAWS_KnowsWhatMayPass(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  aws.Fault
		want   string
		isAway bool
	}{
		"throttled":     {aws.Fault{Status: 400, Code: "ThrottlingException"}, "is asked too often in this account; it is asked again later (ThrottlingException)", true},
		"server":        {aws.Fault{Status: 500, Code: "InternalServiceError"}, "answered with status 500 (InternalServiceError)", true},
		"denied":        {aws.Fault{Status: 400, Code: "AccessDeniedException"}, "refuses access to the secret; allow the host's role or user secretsmanager:GetSecretValue, and kms:Decrypt where the secret has a key of its own (AccessDeniedException)", false},
		"to be deleted": {aws.Fault{Status: 400, Code: "InvalidRequestException"}, "has the secret and does not give it out: it is to be deleted, or has no current version; restore it (InvalidRequestException)", false},
		"key":           {aws.Fault{Status: 400, Code: "DecryptionFailure"}, "cannot decrypt the secret; allow the host's role or user kms:Decrypt with the secret's key (DecryptionFailure)", false},
		"unknown":       {aws.Fault{Status: 418, Code: "TeapotException"}, "answered with status 418 (TeapotException)", false},
		"no code":       {aws.Fault{Status: 400, Code: canarySecret}, "answered with status 400", false},
		"a proxy":       {aws.Fault{Status: 502, Text: "<html>" + canarySecret}, "gave an answer that is none of the service; look at the store's endpoint, and at proxies", true},
		"another page":  {aws.Fault{Status: 200, Text: "<html>" + canarySecret}, "gave an answer that is none of the service; look at the store's endpoint, and at proxies", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, server := serve(t)
			server.Inject(c.fault, c.fault, c.fault)
			answer := ask(t.Context(), t, "secretsmanager", "--region="+region, "--endpoint="+url, "--", "prod/app")
			require.Equal(t, helper.Answer{Error: "AWS (" + url + ") " + c.want, Away: c.isAway}, answer)
		})
	}
}

func TestAWS_AsksAgainWhereOneAnswerFails(t *testing.T) {
	t.Parallel()
	url, server := serve(t)
	server.Inject(aws.Fault{Status: 400, Code: "ThrottlingException"})
	answer := ask(t.Context(), t, "ssm", "--region="+region, "--endpoint="+url, "--", "/app/token")
	require.Equal(t, helper.Answer{Value: canarySecret, Version: "12"}, answer)
	require.Equal(t, 2, server.Requests())
}

func TestAWS_StopsWaiting(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	over := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer silent.Close()
	defer close(over)
	answer := ask(ctx, t, "ssm", "--region="+region, "--endpoint="+silent.URL, "--", "/app/token")
	require.Equal(t, helper.Answer{Error: "AWS (" + silent.URL + ") did not answer within 15s", Away: true}, answer)
}

func TestAWS_ReportsMissingCredentials(t *testing.T) {
	url, _ := serve(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_SESSION_TOKEN", "")
	answer := ask(t.Context(), t, "ssm", "--region="+region, "--endpoint="+url, "--", "/app/token")
	require.Equal(t, helper.Answer{Error: "there are no credentials for AWS: give the host a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", Away: true}, answer)
}

func TestAWS_ShowsItsVersion(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	require.False(t, run(t.Context(), []string{"--version"}, &stdout))
	require.Equal(t, "baton-host-aws dev\n", stdout.String())
}
