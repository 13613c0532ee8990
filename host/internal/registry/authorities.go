package registry

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	"github.com/batonhost/baton-host/host/internal/files"
)

// maxAuthorities is the greatest size of a file of certificates.
const maxAuthorities = 4 << 20

// authorities returns who vouches for a registry, where Docker or Podman know more than
// the system knows: the files *.crt below certs.d and the registry's name. It returns nil where
// there are none.
func authorities(registry string) (*x509.CertPool, error) {
	var pool *x509.CertPool
	for _, dir := range authorityDirs() {
		found, err := filepath.Glob(filepath.Join(dir, registry, "*.crt"))
		if err != nil {
			continue // The name of the registry has a character of patterns: it has no directory.
		}
		for _, path := range found {
			if pool == nil {
				if pool, err = x509.SystemCertPool(); err != nil {
					pool = x509.NewCertPool()
				}
			}
			content, err := files.ReadRegular(path, maxAuthorities)
			if err != nil {
				return nil, fmt.Errorf("the certificates %s of the registry %s: %w", path, registry, err)
			}
			if !pool.AppendCertsFromPEM(content) {
				return nil, fmt.Errorf("the certificates %s of the registry %s cannot be read: there is none in it in the form PEM; correct the file, or remove it", path, registry)
			}
		}
	}
	return pool, nil
}

// authorityDirs are where Docker and Podman look.
func authorityDirs() []string {
	dirs := []string{"/etc/docker/certs.d", "/etc/containers/certs.d"}
	if config, err := os.UserConfigDir(); err == nil {
		dirs = append(dirs, filepath.Join(config, "containers", "certs.d"))
	}
	return dirs
}
