package plugin

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"strings"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/batonhost/baton-host/internal/mutualtls"
)

// certificateAt is where the line of the handshake has the plugin's certificate, among
// the parts between bars.
const certificateAt = 5

// recognize has go-plugin serve only the host that started this process, and the host
// know it. It does what go-plugin itself would, for less: see mutualtls.
func recognize(config *goplugin.ServeConfig) error {
	host := os.Getenv(mutualtls.CertificateEnv)
	if host == "" {
		return nil // A host that asks for no TLS.
	}
	identity, err := mutualtls.New()
	if err != nil {
		return err
	}
	settings, err := identity.Plugin(host)
	if err != nil {
		return err
	}
	if err := announce(identity.Handshake()); err != nil {
		return err
	}
	config.TLSProvider = func() (*tls.Config, error) { return settings, nil }
	return nil
}

// announce puts the certificate into the line that go-plugin writes to standard output,
// the handshake: it does so by itself only for a key that it has made.
func announce(certificate string) error {
	host := os.Stdout
	line, written, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe for the handshake: %w", err)
	}
	os.Stdout = written // go-plugin replaces it again, once it has written the line.
	go func() {
		defer func() { _ = line.Close() }()
		from := bufio.NewReader(line)
		handshake, err := from.ReadString('\n')
		if err != nil {
			return // go-plugin has written why to standard error.
		}
		_, _ = io.WriteString(host, withCertificate(handshake, certificate))
		_, _ = io.Copy(host, from)
	}()
	return nil
}

// withCertificate is the handshake with the certificate in its place.
func withCertificate(handshake, certificate string) string {
	parts := strings.Split(strings.TrimSuffix(handshake, "\n"), "|")
	if len(parts) > certificateAt {
		parts[certificateAt] = certificate
	}
	return strings.Join(parts, "|") + "\n"
}
