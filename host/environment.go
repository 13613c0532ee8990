package host

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/host/internal/files"
)

// proxyVariables are the variables by which a proxy is given to this host and to its plugins.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"}

// largestCertificates is how large a file of certificates is read, in bytes.
const largestCertificates = 16 << 20

// checkEnvironment warns of variables that look wrong, and refuses those that cannot be right:
// what becomes of them later says less. No value of a proxy is repeated, which may have a
// password.
func (h *Host) checkEnvironment(ctx context.Context) error {
	if problem := certificatesProblem(runtime.GOOS, os.Getenv("SSL_CERT_FILE")); problem != "" {
		h.warn(ctx, problem)
	}
	var failed []error
	for _, name := range proxyVariables {
		if value := os.Getenv(name); value != "" && !isProxyURL(value) {
			failed = append(failed, fmt.Errorf("%s is not the URL of a proxy; it must look like http://proxy.example.com:3128", name))
		}
	}
	if value, ok := os.LookupEnv("BATON_C1_API_HOST"); ok && !isHost(value) {
		failed = append(failed, errors.New("BATON_C1_API_HOST must be the name of a host, with a port if it needs one, such as tenant.conductor.one: without https:// and without a path"))
	}
	return errors.Join(append(failed, checkTempDir(os.TempDir()))...)
}

// certificatesProblem is what is wrong with the file of certificates that a variable names;
// empty: nothing. Go reads the variable where the system has no store of its own.
func certificatesProblem(system, path string) string {
	if path == "" || slices.Contains([]string{"darwin", "windows", "ios"}, system) {
		return ""
	}
	content, err := files.ReadRegular(path, largestCertificates)
	switch {
	case err != nil:
		return fmt.Sprintf("SSL_CERT_FILE names %s, which cannot be read, so no certificate in it is trusted: %s; correct the variable, or unset it", path, err)
	case !x509.NewCertPool().AppendCertsFromPEM(content):
		return fmt.Sprintf("SSL_CERT_FILE names %s, which has no certificate in PEM form, so none in it is trusted; correct the variable, or unset it", path)
	}
	return ""
}

// isProxyURL reports whether net/http takes a text for a proxy: a URL, or one without its
// scheme.
func isProxyURL(text string) bool {
	if scheme, _, ok := strings.Cut(text, "://"); ok {
		if !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, strings.ToLower(scheme)) {
			return false
		}
	} else {
		text = "http://" + text
	}
	proxy, err := url.Parse(text)
	return err == nil && proxy.Hostname() != ""
}

// isHost reports whether a text is the name of a host, or that and a port.
func isHost(text string) bool {
	u, err := url.Parse("//" + text)
	return err == nil && text != "" && u.Host == text && u.Hostname() != ""
}

// checkTempDir reports a directory that no temporary file can be made in.
func checkTempDir(dir string) error {
	file, err := os.CreateTemp(dir, "baton-host-check-")
	if err == nil {
		err = errors.Join(file.Close(), os.Remove(file.Name()))
	}
	if err != nil {
		return fmt.Errorf("no temporary file can be made in %s: %w; set TMPDIR to a directory that this user may write to, or make room there", dir, err)
	}
	return nil
}
