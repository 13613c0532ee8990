package c1_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/sandbox/c1"
)

// patience bounds what a test waits for that must happen.
const patience = time.Minute

func start(t *testing.T, opts c1.Options) *c1.Server {
	t.Helper()
	server, err := c1.Start(opts)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server
}

// remote is a client written by hand, with nothing of the SDK but its messages.
type remote struct {
	t      *testing.T
	ctx    context.Context
	server *c1.Server
	id     string
	key    ed25519.PrivateKey
	host   string
	tls    *tls.Config
	rpc    v1.BatonServiceClient
}

// newRemote adds a client to the server.
func newRemote(t *testing.T, server *c1.Server, name string) *remote {
	t.Helper()
	given, err := server.AddClient(name)
	require.NoError(t, err)
	fields := strings.Split(given.Secret, ":")
	require.Len(t, fields, 4)
	require.Equal(t, "v1", fields[2])
	raw, err := base64.RawURLEncoding.DecodeString(fields[3])
	require.NoError(t, err)
	var key struct{ Kty, Crv, D, X string }
	require.NoError(t, json.Unmarshal(raw, &key))
	require.Equal(t, "OKP", key.Kty)
	require.Equal(t, "Ed25519", key.Crv)
	seed, err := base64.RawURLEncoding.DecodeString(key.D)
	require.NoError(t, err)

	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(server.CAPEM()))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r := &remote{
		t: t, ctx: ctx, server: server, id: given.ID, key: ed25519.NewKeyFromSeed(seed), host: "host-a",
		tls: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}
	r.connect()
	return r
}

func (r *remote) connect() {
	conn, err := grpc.NewClient(r.server.Addr(), grpc.WithTransportCredentials(credentials.NewTLS(r.tls)), grpc.WithDisableRetry())
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = conn.Close() })
	r.rpc = v1.NewBatonServiceClient(conn)
}

// on is the same client on another host.
func (r *remote) on(host string) *remote {
	other := *r
	other.host = host
	return &other
}

// assertion is what a request for a token claims.
type assertion struct {
	header, claims map[string]any
	key            ed25519.PrivateKey
}

func (r *remote) assertion() assertion {
	now := time.Now()
	return assertion{
		header: map[string]any{"alg": "EdDSA", "nonce": rand.Text()},
		claims: map[string]any{
			"iss": r.id, "sub": r.id, "aud": []string{"127.0.0.1"}, "iat": now.Unix(),
			"exp": now.Add(2 * time.Minute).Unix(), "nbf": now.Add(-2 * time.Minute).Unix(),
		},
		key: r.key,
	}
}

func (a assertion) sign(t *testing.T) string {
	t.Helper()
	header, err := json.Marshal(a.header)
	require.NoError(t, err)
	claims, err := json.Marshal(a.claims)
	require.NoError(t, err)
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(a.key, []byte(text)))
}

func (r *remote) form(signed string) url.Values {
	return url.Values{
		"client_id":             {r.id},
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {signed},
	}
}

// post sends a request for a token.
func (r *remote) post(form url.Values) (statusCode int, answer map[string]any, err error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: r.tls.Clone(), ForceAttemptHTTP2: true, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(r.ctx, http.MethodPost, "https://"+r.server.Addr()+"/auth/v1/token", strings.NewReader(form.Encode()))
	require.NoError(r.t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	require.NoError(r.t, err)
	_ = json.Unmarshal(raw, &answer) // An injected answer is none.
	return response.StatusCode, answer, nil
}

// authorized returns a context that carries a new token.
func (r *remote) authorized() context.Context {
	r.t.Helper()
	code, answer, err := r.post(r.form(r.assertion().sign(r.t)))
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, code)
	require.Equal(r.t, "Bearer", answer["token_type"])
	access, _ := answer["access_token"].(string)
	require.NotEmpty(r.t, access)
	return carrying(r.ctx, "Bearer "+access)
}

func carrying(ctx context.Context, authorization ...string) context.Context {
	md := metadata.MD{}
	md.Append("authorization", authorization...)
	return metadata.NewOutgoingContext(ctx, md)
}

func (r *remote) hello(ctx context.Context, task string) error {
	_, err := r.rpc.Hello(ctx, v1.BatonServiceHelloRequest_builder{
		HostId: r.host, TaskId: task,
		ConnectorMetadata: v2.ConnectorMetadata_builder{DisplayName: "Hand-made"}.Build(),
	}.Build())
	return err
}

func (r *remote) getTask(ctx context.Context) (*v1.Task, error) {
	answer, err := r.rpc.GetTask(ctx, v1.BatonServiceGetTaskRequest_builder{HostId: r.host}.Build())
	return answer.GetTask(), err
}

func (r *remote) heartbeat(ctx context.Context, task string) (*v1.BatonServiceHeartbeatResponse, error) {
	return r.rpc.Heartbeat(ctx, v1.BatonServiceHeartbeatRequest_builder{HostId: r.host, TaskId: task}.Build())
}

func (r *remote) finish(ctx context.Context, task string) error {
	_, err := r.rpc.FinishTask(ctx, v1.BatonServiceFinishTaskRequest_builder{
		HostId: r.host, TaskId: task, Success: &v1.BatonServiceFinishTaskRequest_Success{},
	}.Build())
	return err
}

func (r *remote) fail(ctx context.Context, task string, nonRetryable bool) error {
	_, err := r.rpc.FinishTask(ctx, v1.BatonServiceFinishTaskRequest_builder{
		HostId: r.host, TaskId: task, Status: status.New(codes.Internal, "it broke").Proto(),
		Error: v1.BatonServiceFinishTaskRequest_Error_builder{NonRetryable: nonRetryable}.Build(),
	}.Build())
	return err
}

type message = v1.BatonServiceUploadAssetRequest

func (r *remote) metadata(task string) *message {
	return v1.BatonServiceUploadAssetRequest_builder{
		Metadata: v1.BatonServiceUploadAssetRequest_UploadMetadata_builder{HostId: r.host, TaskId: task}.Build(),
	}.Build()
}

func data(b []byte) *message {
	return v1.BatonServiceUploadAssetRequest_builder{
		Data: v1.BatonServiceUploadAssetRequest_UploadData_builder{Data: b}.Build(),
	}.Build()
}

func eof(hash []byte) *message {
	return v1.BatonServiceUploadAssetRequest_builder{
		Eof: v1.BatonServiceUploadAssetRequest_UploadEOF_builder{Sha256Checksum: hash}.Build(),
	}.Build()
}

func sum(b []byte) []byte {
	hash := sha256.Sum256(b)
	return hash[:]
}

// send streams the messages and returns the server's answer. A message that
// cannot be sent leaves the reason to the answer.
func (r *remote) send(ctx context.Context, messages ...*message) error {
	stream, err := r.rpc.UploadAsset(ctx)
	require.NoError(r.t, err)
	for _, m := range messages {
		if stream.Send(m) != nil {
			break
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

func (r *remote) upload(ctx context.Context, task string, content []byte) error {
	messages := []*message{r.metadata(task)}
	for rest := content; len(rest) > 0; {
		n := min(len(rest), 512<<10)
		messages, rest = append(messages, data(rest[:n])), rest[n:]
	}
	return r.send(ctx, append(messages, eof(sum(content)))...)
}

// lease queues a full sync and takes it.
func (r *remote) lease(ctx context.Context) string {
	r.t.Helper()
	name, _, _ := strings.Cut(r.id, "@")
	task, err := r.server.AddFullSync(name, nil)
	require.NoError(r.t, err)
	require.NoError(r.t, r.hello(ctx, ""))
	given, err := r.getTask(ctx)
	require.NoError(r.t, err)
	require.Equal(r.t, task, given.GetId())
	return task
}

// with returns a copy of the map in which a key has another value; nil removes it.
func with(m map[string]any, key string, value any) map[string]any {
	m = maps.Clone(m)
	m[key] = value
	if value == nil {
		delete(m, key)
	}
	return m
}

func requireCode(t *testing.T, code codes.Code, err error) {
	t.Helper()
	require.Equal(t, code.String(), status.Code(err).String(), "%v", err)
}
