//go:build e2e

package main_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"os/exec"
	"testing"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/batonhost/baton-host/host/internal/supervise"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// startTypeScript starts the example and gives it no configuration.
func startTypeScript(t *testing.T) *supervise.Process {
	t.Helper()
	node, err := exec.LookPath("node")
	require.NoError(t, err)
	process, err := supervise.Start(t.Context(), supervise.Spec{
		Instance: "directory", Path: node, Args: []string{typeScriptMain(t)}, StartTimeout: 2 * time.Minute,
	})
	require.NoError(t, err)
	t.Cleanup(func() { process.Stop(t.Context()) })
	return process
}

func configureTypeScript(t *testing.T, d *directory) *supervise.Process {
	t.Helper()
	process := startTypeScript(t)
	diagnostics, err := process.Configure(t.Context(), d.request())
	require.NoError(t, err)
	require.Empty(t, diagnostics)
	return process
}

func (d *directory) request() *pluginv1.ConfigureRequest {
	return &pluginv1.ConfigureRequest{
		Values:  map[string]*pluginv1.Value{"base-url": text(d.url), "page-size": {Kind: &pluginv1.Value_IntValue{IntValue: 10}}},
		Secrets: map[string]*pluginv1.Value{"token": text(d.token)},
	}
}

func text(s string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_StringValue{StringValue: s}}
}

func usersFrom(token string) *connectorv2.ResourcesServiceListResourcesRequest {
	return connectorv2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user", PageToken: token}.Build()
}

func TestTypeScriptPluginServesOnlyOnceItIsConfigured(t *testing.T) {
	t.Parallel()
	d := startDirectory(t, nil)
	process := startTypeScript(t)
	ctx := t.Context()

	manifest, err := process.Describe(ctx)
	require.NoError(t, err)
	require.Equal(t, "baton-directory", manifest.GetName())
	again, err := startTypeScript(t).Describe(ctx)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(manifest, again, protocmp.Transform()), "it describes itself the same each time")

	users := connectorv2.NewResourcesServiceClient(process.Conn())
	_, err = users.ListResources(ctx, usersFrom(""))
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "%v", err)

	diagnostics, err := process.Configure(ctx, &pluginv1.ConfigureRequest{
		Values: map[string]*pluginv1.Value{
			"zzz": text("x"), "base-url": text("nonsense"), "token": text("c4n4ry-in-the-wrong-place"),
			"page-size": {Kind: &pluginv1.Value_BoolValue{BoolValue: true}},
		},
	})
	require.NoError(t, err, "bad configuration is answered, not refused")
	var got []string
	for _, diagnostic := range diagnostics {
		require.Equal(t, pluginv1.Severity_SEVERITY_ERROR, diagnostic.GetSeverity())
		got = append(got, diagnostic.GetField()+": "+diagnostic.GetSummary())
	}
	require.Equal(t, []string{
		"base-url: the value must be a URL",
		"token: the field is secret: its value must travel among the secrets",
		"page-size: the value must be a whole number",
		"zzz: there is no such field",
	}, got)

	diagnostics, err = process.Configure(ctx, d.request())
	require.NoError(t, err)
	require.Empty(t, diagnostics)
	_, err = process.Configure(ctx, d.request())
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "%v", err)
	_, err = users.ListResources(ctx, usersFrom(""))
	require.NoError(t, err)
	_, err = connectorv2.NewAccountManagerServiceClient(process.Conn()).CreateAccount(ctx, &connectorv2.CreateAccountRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err), "%v", err)
}

func TestTypeScriptPluginGoesOnFromAnyPageToken(t *testing.T) {
	t.Parallel()
	d := startDirectory(t, nil)
	one := connectorv2.NewResourcesServiceClient(configureTypeScript(t, d).Conn())
	other := connectorv2.NewResourcesServiceClient(configureTypeScript(t, d).Conn())
	seen := map[string]bool{}
	for token := ""; !seen[token]; {
		seen[token] = true
		page, err := one.ListResources(t.Context(), usersFrom(token))
		require.NoError(t, err)
		again, err := other.ListResources(t.Context(), usersFrom(token))
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(page, again, protocmp.Transform()))
		token = page.GetNextPageToken()
		if token == "" {
			require.Len(t, seen, 6, "57 users in pages of 10")
			return
		}
	}
	t.Fatal("a page token was given out twice")
}

func TestTypeScriptPlugin_EndsACallThatNoCallerWaitsFor(t *testing.T) {
	t.Parallel()
	asked, left := make(chan struct{}), make(chan struct{})
	d := startDirectory(t, func(_ http.ResponseWriter, r *http.Request) bool {
		close(asked)
		<-r.Context().Done()
		close(left)
		return true
	})
	users := connectorv2.NewResourcesServiceClient(configureTypeScript(t, d).Conn())
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	_, err := users.ListResources(ctx, usersFrom(""))
	require.Equal(t, codes.Canceled, status.Code(err))
	select {
	case <-left:
	case <-time.After(time.Minute):
		t.Fatal("it waits on for the app")
	}
}

func TestTypeScriptPluginStopsOnceRunningCallsHaveReturned(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	d := startDirectory(t, func(http.ResponseWriter, *http.Request) bool {
		close(asked)
		<-release
		return false
	})
	process := configureTypeScript(t, d)
	listed := make(chan error, 1)
	go func() {
		_, err := connectorv2.NewResourcesServiceClient(process.Conn()).ListResources(t.Context(), usersFrom(""))
		listed <- err
	}()
	<-asked

	stopped := make(chan error, 1)
	go func() {
		_, err := pluginv1.NewPluginServiceClient(process.Conn()).Stop(t.Context(), &pluginv1.StopRequest{})
		stopped <- err
	}()
	metadata := connectorv2.NewConnectorServiceClient(process.Conn())
	require.Eventually(t, func() bool {
		_, err := metadata.GetMetadata(t.Context(), &connectorv2.ConnectorServiceGetMetadataRequest{})
		return status.Code(err) == codes.Unavailable
	}, time.Minute, time.Millisecond, "further calls are refused")
	require.Empty(t, stopped, "it waits for the call that runs")
	close(release)
	require.NoError(t, <-listed)
	require.NoError(t, <-stopped)

	process.Stop(t.Context())
	select {
	case <-process.Exited():
	case <-time.After(time.Minute):
		t.Fatal("it has stopped and stays")
	}
}

// hostCertificate returns a certificate such as a host gives to its plugins.
func hostCertificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
