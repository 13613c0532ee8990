package registry

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// tunnel is a proxy that leads everybody to one server.
func tunnel(t *testing.T, to string) *httptest.Server {
	t.Helper()
	var open sync.WaitGroup
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "tunnels only", http.StatusMethodNotAllowed)
			return
		}
		server, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = server.Close()
			return
		}
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		open.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		})
		open.Go(func() {
			_, _ = io.Copy(client, server)
			_ = client.Close()
		})
	}))
	t.Cleanup(func() {
		proxy.Close()
		open.Wait()
	})
	return proxy
}

// TestInstall_GoesThroughAProxy runs in a separate process, as a process looks for its proxy once.
func TestInstall_GoesThroughAProxy(t *testing.T) {
	t.Parallel()
	p, published := newPlace(t), roster()
	const name = "https://example.com" // The certificate has it.
	published.Edit = func(manifest map[string]any) {
		manifest["signatureBundleHref"] = strings.Replace(manifest["signatureBundleHref"].(string), p.URL, name, 1)
		asset := manifest["assets"].(map[string]any)["linux-amd64"].(map[string]any)
		asset["href"] = published.File("linux-amd64") // Without a host: the manifest's.
		for _, one := range asset["attestations"].([]any) {
			statement := one.(map[string]any)
			statement["bundleHref"] = strings.Replace(statement["bundleHref"].(string), p.URL, name, 1)
		}
	}
	require.NoError(t, p.Publish(published))
	proxy := tunnel(t, strings.TrimPrefix(p.URL, "https://"))
	p.installer.Releases = strings.Replace(p.Base(), p.URL, name, 1)
	cmd := p.process(t, of())
	cmd.Env = append(os.Environ(), "HTTPS_PROXY="+proxy.URL)
	_, err := cmd.Output()
	require.NoError(t, err)
	_, isInstalled := p.installer.Store.Find(connector, digestOfBytes(program))
	require.True(t, isInstalled)
}

// TestTrust_ExplainsThatSigstoreIsAway runs in a separate process, whose proxy answers nothing.
func TestTrust_ExplainsThatSigstoreIsAway(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	require.NoError(t, p.Publish(roster()))
	const away = "http://127.0.0.1:1" // Nothing listens there, and no other test will.
	home := t.TempDir()
	p.installer.Trust.Root = ""
	cmd := p.process(t, of())
	cmd.Env = append(os.Environ(), "HTTPS_PROXY="+away, "HOME="+home)
	var reported bytes.Buffer
	cmd.Stderr = &reported
	require.Error(t, cmd.Run())
	require.Contains(t, reported.String(), "the trusted root of Sigstore is neither kept in "+filepath.Join(home, ".sigstore", "root")+" nor can it be fetched: ")
	require.Contains(t, reported.String(), "; let this machine reach https://tuf-repo-cdn.sigstore.dev once, or name a trusted_root.json under trust")
	require.Empty(t, p.left(t))
}
