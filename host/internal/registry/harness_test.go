package registry

import (
	"context"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/releases"
)

const (
	connector = "baton-roster"
	version   = "v1.2.3"
)

// linux is a platform whose archive is a .tar.gz.
var linux = Platform{OS: "linux", Arch: "amd64"}

// program is a connector that is small.
var program = []byte("#!/bin/sh\necho roster\n")

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == installerArg {
		os.Exit(beInstaller(os.Args[2:]))
	}
	dir, err := os.MkdirTemp("", "registry-test-")
	if err != nil {
		panic(err)
	}
	// The servers of tests share a certificate. It must be known before the first connection.
	server := httptest.NewTLSServer(nil)
	authority := filepath.Join(dir, "authority.pem")
	err = os.WriteFile(authority, releases.Authority(server), 0o600)
	server.Close()
	for name, value := range map[string]string{"SSL_CERT_FILE": authority, "DOCKER_CONFIG": dir} {
		if err == nil {
			err = os.Setenv(name, value)
		}
	}
	status := 1
	if err == nil {
		status = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// sigstore signs for all tests.
var sigstore = sync.OnceValues(releases.NewSigstore)

// place is where connectors are published, and a store for them.
type place struct {
	*releases.Server
	installer Installer
	store     string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	signs, err := sigstore()
	require.NoError(t, err)
	root, err := signs.TrustedRoot()
	require.NoError(t, err)
	dir := t.TempDir()
	p := &place{Server: releases.Start(signs), store: filepath.Join(dir, "plugins")}
	t.Cleanup(p.Close)
	store, err := OpenStore(p.store)
	require.NoError(t, err)
	trust := DefaultTrust()
	trust.Root = filepath.Join(dir, "trusted_root.json")
	require.NoError(t, os.WriteFile(trust.Root, root, 0o600))
	p.installer = Installer{Store: store, Trust: trust, Releases: p.Base()}
	return p
}

// registry starts a registry of images that everybody may read.
func (p *place) registry(t *testing.T, hasReferrers bool) *releases.Registry {
	t.Helper()
	signs, err := sigstore()
	require.NoError(t, err)
	registry := releases.StartRegistry(signs, hasReferrers)
	registry.Open = true
	t.Cleanup(registry.Close)
	return registry
}

// roster is a release of the connector for Linux.
func roster() releases.Release {
	return releases.Release{Connector: connector, Version: version, Binaries: map[string][]byte{"linux-amd64": program}}
}

// of is what is asked for.
func of() Source { return Source{App: "roster", Version: version} }

// left returns what is in the store, but for the locks.
func (p *place) left(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(p.store, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil
		case err != nil:
			return err
		case path == filepath.Join(p.store, locks):
			return fs.SkipDir
		case path != p.store:
			found = append(found, strings.TrimPrefix(path, p.store+string(filepath.Separator)))
		}
		return nil
	})
	require.NoError(t, err)
	return found
}

// refuses expects that nothing is installed, with these words, and that nothing stays.
func (p *place) refuses(t *testing.T, source Source, says string) {
	t.Helper()
	_, err := p.installer.Install(context.Background(), source, linux)
	require.ErrorContains(t, err, says)
	require.Empty(t, p.left(t))
}
