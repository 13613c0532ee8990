package releases

import (
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Server serves releases over TLS, as https://dist.conductorone.com/releases does below the
// name of an organization.
type Server struct {
	*httptest.Server
	sigstore *Sigstore

	mu       sync.Mutex
	files    map[string][]byte
	answers  map[string]http.HandlerFunc
	requests map[string]int
}

// Start starts a server without anything in it. It must be closed.
func Start(sigstore *Sigstore) *Server {
	s := &Server{sigstore: sigstore, files: map[string][]byte{}, answers: map[string]http.HandlerFunc{}, requests: map[string]int{}}
	s.Server = httptest.NewTLSServer(s)
	return s
}

// ServeHTTP serves what was published.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests[r.URL.Path]++
	answer, content := s.answers[r.URL.Path], s.files[r.URL.Path]
	s.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case content == nil:
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		if strings.HasSuffix(r.URL.Path, ".json") {
			w.Header().Set("Content-Type", "application/json")
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content)
	}
}

// Base is where the releases are.
func (s *Server) Base() string { return s.URL + "/releases/ConductorOne" }

// Authority returns the certificate that vouches for a server, for SSL_CERT_FILE.
func Authority(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// Put has a file served at a path, such as "/releases/x".
func (s *Server) Put(path string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = content
}

// Get returns a file that is served.
func (s *Server) Get(path string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[path]
}

// Answer has a path answered in another way.
func (s *Server) Answer(path string, by http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = by
}

// Requests returns how often each path was asked for.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.requests)
}

// Release is a release of a connector.
type Release struct {
	// Connector is its name, such as baton-github, and Version the tag.
	Connector, Version string
	// Binaries are the programs by platform, such as "linux-amd64".
	Binaries map[string][]byte
	// Archives are whole archives in their place.
	Archives map[string][]byte
	// Signer signs; the zero Signer: ConductorOne.
	Signer Signer
	// Unproven leaves the provenance out of the release, Unsigned the signature of its
	// manifest too.
	Unproven, Unsigned bool
	// Edit changes the manifest before it is signed.
	Edit func(manifest map[string]any)
}

// dir is where the release is.
func (r Release) dir() string {
	return "/releases/ConductorOne/" + r.Connector + "/" + r.Version + "/"
}

// File returns the path of the archive for a platform.
func (r Release) File(platform string) string { return r.dir() + r.name(platform) }

func (r Release) name(platform string) string {
	kind := ".zip"
	if strings.HasPrefix(platform, "linux-") {
		kind = ".tar.gz"
	}
	return r.Connector + "-" + r.Version + "-" + platform + kind
}

// Manifest returns the path of the manifest.
func (r Release) Manifest() string { return r.dir() + "manifest.json" }

// Bundle returns the path of the bundle of a file.
func Bundle(path string) string { return path + ".provenance.sigstore.json" }

// Publish publishes a release: archives with their provenance, and the signed manifest.
func (s *Server) Publish(r Release) error {
	if r.Signer == (Signer{}) {
		r.Signer = ConductorOne(r.Connector, r.Version)
	}
	archives := maps.Clone(r.Archives)
	if archives == nil {
		archives = map[string][]byte{}
	}
	for platform, binary := range r.Binaries {
		archive, err := Archive(r.Connector, platform, binary)
		if err != nil {
			return err
		}
		archives[platform] = archive
	}
	assets := map[string]any{}
	for platform, archive := range archives {
		asset, err := s.asset(r, platform, archive)
		if err != nil {
			return err
		}
		assets[platform] = asset
	}
	manifest := map[string]any{
		"version": "2", "name": r.Connector, "org": "ConductorOne", "semver": r.Version, "releasedAt": "2026-01-02T03:04:05Z",
		"assets": assets, "images": map[string]any{}, "signatureHref": "", "certificateHref": "",
		"signatureBundleHref": s.URL + r.Manifest() + ".sigstore.json",
	}
	if r.Unsigned {
		manifest["signatureBundleHref"] = ""
	}
	if r.Edit != nil {
		r.Edit(manifest)
	}
	content, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return err
	}
	s.Put(r.Manifest(), content)
	if r.Unsigned {
		return nil
	}
	signature, err := s.sigstore.SignBlob(r.Signer, content)
	s.Put(r.Manifest()+".sigstore.json", signature)
	return err
}

// asset publishes an archive, and returns its entry in the manifest.
func (s *Server) asset(r Release, platform string, archive []byte) (map[string]any, error) {
	path, sum := r.File(platform), fmt.Sprintf("%x", sha256.Sum256(archive))
	s.Put(path, archive)
	asset := map[string]any{
		"filename": r.name(platform), "mediaType": "application/gzip", "sizeBytes": strconv.Itoa(len(archive)), "sha256": sum,
		"href": s.URL + path, "signatureHref": "", "certificateHref": "", "attestations": []any{},
	}
	if r.Unproven || r.Unsigned {
		return asset, nil
	}
	bundle, err := s.sigstore.Provenance(r.Signer, r.name(platform), sum)
	if err != nil {
		return nil, err
	}
	s.Put(Bundle(path), bundle)
	asset["attestations"] = []any{
		map[string]any{"attestationType": "https://in-toto.io/Statement/v1", "predicateType": "https://spdx.dev/Document", "bundleHref": s.URL + path + ".sbom.sigstore.json"},
		map[string]any{"attestationType": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1", "bundleHref": s.URL + Bundle(path)},
	}
	return asset, nil
}

// Download writes an archive and its provenance into a directory, as somebody downloads them,
// and returns the path of the archive.
func (s *Server) Download(dir string, r Release, platform string) (string, error) {
	path := filepath.Join(dir, r.name(platform))
	if err := os.WriteFile(path, s.Get(r.File(platform)), 0o600); err != nil {
		return "", err
	}
	return path, os.WriteFile(Bundle(path), s.Get(Bundle(r.File(platform))), 0o600)
}
