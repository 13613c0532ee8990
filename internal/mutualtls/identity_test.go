package mutualtls_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/internal/mutualtls"
)

func identity(t *testing.T) *mutualtls.Identity {
	t.Helper()
	made, err := mutualtls.New()
	require.NoError(t, err)
	return made
}

// trusting does what go-plugin's client does with the certificate of the handshake.
func trusting(t *testing.T, host, plugin *mutualtls.Identity) *tls.Config {
	t.Helper()
	settings := host.Host()
	der, err := base64.RawStdEncoding.DecodeString(plugin.Handshake())
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	settings.RootCAs.AddCert(certificate)
	settings.ClientCAs.AddCert(certificate)
	return settings
}

// meet lets two sides shake hands, and returns what each has against the other.
func meet(t *testing.T, server, client *tls.Config) (ofServer, ofClient error) {
	t.Helper()
	one, other := net.Pipe()
	serving, calling := tls.Server(one, server), tls.Client(other, client)
	done := make(chan error, 1)
	go func() {
		err := serving.HandshakeContext(t.Context())
		_ = one.Close()
		done <- err
	}()
	ofClient = calling.HandshakeContext(t.Context())
	if ofClient == nil {
		// With TLS 1.3 the client hears of a refusal only when it reads.
		_, _ = calling.Read(make([]byte, 1))
	}
	_ = other.Close()
	return <-done, ofClient
}

func TestIdentity_TrustsTheOtherSideOnly(t *testing.T) {
	t.Parallel()
	host, plugin, stranger := identity(t), identity(t), identity(t)
	serves, err := plugin.Plugin(host.PEM())
	require.NoError(t, err)

	for name, c := range map[string]struct {
		server, client           *tls.Config
		serverError, clientError string // what they report; "" for nothing
	}{
		"a host and its plugin":                 {serves, trusting(t, host, plugin), "", ""},
		"a plugin that calls its host":          {trusting(t, host, plugin), serves, "", ""},
		"a stranger that calls a plugin":        {serves, trusting(t, stranger, plugin), "unknown authority", ""},
		"a stranger that calls a host":          {trusting(t, host, plugin), trusting(t, stranger, host), "unknown authority", ""},
		"a host that is shown a strange plugin": {serves, trusting(t, host, stranger), "bad certificate", "unknown authority"},
		"a host that knows no plugin yet":       {serves, host.Host(), "bad certificate", "unknown authority"},
		"nobody in particular": {serves, &tls.Config{
			InsecureSkipVerify: true, //nolint:gosec // That is the stranger.
		}, "certificate", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ofServer, ofClient := meet(t, c.server, c.client)
			requireWords(t, ofServer, c.serverError)
			requireWords(t, ofClient, c.clientError)
		})
	}
}

func requireWords(t *testing.T, err error, words string) {
	t.Helper()
	if words == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorContains(t, err, words)
}

func TestIdentity_RefusesAPluginWithoutAHostCertificate(t *testing.T) {
	t.Parallel()
	for _, pem := range []string{"", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		_, err := identity(t).Plugin(pem)
		require.ErrorContains(t, err, mutualtls.CertificateEnv)
	}
}
