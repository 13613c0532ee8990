package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEnvironment_RefusesWhatIsNoProxy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"http://proxy.example.com:3128": true, "https://u:p@proxy": true, "proxy.example.com:3128": true, "socks5://127.0.0.1:1080": true, "HTTP://[::1]:3128": true,
		"http://[::bad:hunter2": false, "ftp://proxy": false, "http://": false, ":3128": false, "http:// proxy": false, "http://u:hunter2@[": false,
	} {
		require.Equal(t, want, isProxyURL(text), text)
	}
}

func TestEnvironment_RefusesAHostWithMoreThanAHost(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"tenant.conductor.one": true, "127.0.0.1:443": true, "[::1]:443": true,
		"https://tenant.conductor.one": false, "tenant.conductor.one/": false, "": false, "tenant conductor": false, "a@b": false, ":443": false,
	} {
		require.Equal(t, want, isHost(text), text)
	}
}

func TestEnvironment_WarnsOfCertificatesThatAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(text, []byte("hello\n"), 0o600))
	require.Empty(t, certificatesProblem("linux", ""))
	require.Empty(t, certificatesProblem("darwin", "/no/such"), "there Go does not read it")
	require.Equal(t, "SSL_CERT_FILE names /no/such, which cannot be read, so no certificate in it is trusted: the file does not exist; correct the variable, or unset it", certificatesProblem("linux", "/no/such"))
	require.Equal(t, "SSL_CERT_FILE names "+text+", which has no certificate in PEM form, so none in it is trusted; correct the variable, or unset it", certificatesProblem("linux", text))
}

func TestEnvironment_RefusesADirectoryThatIsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, checkTempDir(dir))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	gone := filepath.Join(dir, "gone")
	require.ErrorContains(t, checkTempDir(gone), "no temporary file can be made in "+gone+": open ")
}

// A value that may have a password is not repeated, and all is reported at once.
func TestEnvironment_ReportsEverythingTogether(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://u:hunter2@[")
	t.Setenv("BATON_C1_API_HOST", "https://tenant.conductor.one")
	t.Setenv("SSL_CERT_FILE", "")
	err := (&Host{}).checkEnvironment(t.Context())
	require.EqualError(t, err, "HTTPS_PROXY is not the URL of a proxy; it must look like http://proxy.example.com:3128\n"+
		"BATON_C1_API_HOST must be the name of a host, with a port if it needs one, such as tenant.conductor.one: without https:// and without a path")
}
