package releases

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
	"go.uber.org/zap"
)

// The user that may read what is in a registry.
const (
	User     = "reader"
	Password = "read-only"
)

// Registry is a registry of images, over TLS and behind a login.
type Registry struct {
	*httptest.Server
	// Open lets everybody read; set it before the first request. Tokens has everybody fetch a
	// token before, as large registries do.
	Open, Tokens bool

	sigstore *Sigstore
	handler  http.Handler

	mu      sync.Mutex
	answers map[string]http.HandlerFunc
}

// StartRegistry starts a registry without anything in it. It must be closed. Without
// referrers, it has no API for what is attached to images, as many have none.
func StartRegistry(sigstore *Sigstore, hasReferrers bool) *Registry {
	r := &Registry{
		sigstore: sigstore, answers: map[string]http.HandlerFunc{},
		handler: registry.New(registry.WithReferrersSupport(hasReferrers), registry.Logger(zap.NewStdLog(zap.NewNop()))),
	}
	r.Server = httptest.NewTLSServer(r)
	return r
}

// ServeHTTP serves those who have logged in.
func (r *Registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if r.Tokens && !r.hasToken(w, request) {
		return
	}
	user, password, _ := request.BasicAuth()
	if !r.Open && (user != User || password != Password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="sandbox"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.mu.Lock()
	answer := r.answers[request.URL.Path]
	r.mu.Unlock()
	if answer != nil {
		answer(w, request)
		return
	}
	r.handler.ServeHTTP(w, request)
}

// token is one that everybody gets.
const token = "of-the-sandbox"

// hasToken answers a request that has no token, or is for one.
func (r *Registry) hasToken(w http.ResponseWriter, request *http.Request) bool {
	if request.URL.Path == "/token" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"token":"`+token+`"}`)
		return false
	}
	if request.Header.Get("Authorization") == "Bearer "+token {
		return true
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="`+r.URL+`/token",service="sandbox"`)
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

// Answer has a path answered in another way.
func (r *Registry) Answer(path string, by http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[path] = by
}

// Handler is the registry without the login.
func (r *Registry) Handler() http.Handler { return r.handler }

// Host is the registry's name in references.
func (r *Registry) Host() string { return strings.TrimPrefix(r.URL, "https://") }

// DockerConfig writes the config.json of Docker with the login into a directory, for
// DOCKER_CONFIG.
func (r *Registry) DockerConfig(dir string) error {
	content, err := json.Marshal(object{"auths": object{r.Host(): object{"auth": base64.StdEncoding.EncodeToString([]byte(User + ":" + Password))}}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), content, 0o600)
}

// Image is an image of a connector.
type Image struct {
	// Repository is where it is, such as conductorone/baton-github, and Tag its tag.
	Repository, Tag string
	// Binaries are the programs by platform, such as "linux-amd64". Layers, in their place,
	// are whole layers (compressed tar archives), the lowest first.
	Binaries map[string][]byte
	Layers   map[string][][]byte
	// Entrypoint is what it starts; empty: the connector.
	Entrypoint string
	// Single pushes the image of the only platform without an index.
	Single bool
	// Signer signs; the zero Signer: ConductorOne, for the tag. Unproven attaches nothing.
	Signer   Signer
	Unproven bool
}

func (i Image) connector() string { return i.Repository[strings.LastIndex(i.Repository, "/")+1:] }

// start is what the image starts.
func (i Image) start() string { return or(i.Entrypoint, "/"+i.connector()) }

// Push pushes an image and attaches its provenance. It returns its digest.
func (r *Registry) Push(image Image) (digest string, err error) {
	if image.Signer == (Signer{}) {
		image.Signer = ConductorOne(image.connector(), image.Tag)
	}
	layers := maps.Clone(image.Layers)
	if layers == nil {
		layers = map[string][][]byte{}
	}
	base, err := Tar(File{Name: "etc/passwd", Content: []byte("nonroot:x:65532:65532::/home:/sbin/nologin\n"), Mode: 0o644}, File{Name: "lib", Type: '2', Link: "usr/lib"})
	if err != nil {
		return "", err
	}
	for platform, binary := range image.Binaries {
		top, err := Tar(File{Name: strings.TrimPrefix(image.start(), "/"), Content: binary})
		if err != nil {
			return "", err
		}
		layers[platform] = [][]byte{base, top}
	}
	var manifests []object
	for _, platform := range slices.Sorted(maps.Keys(layers)) {
		one, err := r.pushPlatform(image, platform, layers[platform])
		if err != nil {
			return "", err
		}
		manifests = append(manifests, one)
	}
	if image.Single {
		digest = manifests[0]["digest"].(string) //nolint:errcheck,forcetypeassert // It was made above.
		content, err := r.read("/v2/" + image.Repository + "/manifests/" + digest)
		if err == nil {
			_, err = r.putManifest(image.Repository, image.Tag, ociManifest, content)
		}
		if err != nil {
			return "", err
		}
	} else {
		index, err := json.Marshal(object{"schemaVersion": 2, "mediaType": ociIndex, "manifests": manifests})
		if err != nil {
			return "", err
		}
		if digest, err = r.putManifest(image.Repository, image.Tag, ociIndex, index); err != nil {
			return "", err
		}
	}
	if image.Unproven {
		return digest, nil
	}
	return digest, r.Attach(image, digest)
}

// Types of manifests.
const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	bundleMedia = "application/vnd.dev.sigstore.bundle.v0.3+json"
)

func (r *Registry) pushPlatform(image Image, platform string, layers [][]byte) (object, error) {
	system, architecture, _ := strings.Cut(platform, "-")
	config, err := json.Marshal(object{
		"os": system, "architecture": architecture, "config": object{"Entrypoint": []string{image.start()}}, "rootfs": object{"type": "layers", "diff_ids": []string{}},
	})
	if err != nil {
		return nil, err
	}
	described, err := r.putBlob(image.Repository, "application/vnd.oci.image.config.v1+json", config)
	if err != nil {
		return nil, err
	}
	var all []object
	for _, layer := range layers {
		one, err := r.putBlob(image.Repository, "application/vnd.oci.image.layer.v1.tar+gzip", layer)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	manifest, err := json.Marshal(object{"schemaVersion": 2, "mediaType": ociManifest, "config": described, "layers": all})
	if err != nil {
		return nil, err
	}
	digest := digestOf(manifest)
	if _, err := r.putManifest(image.Repository, digest, ociManifest, manifest); err != nil {
		return nil, err
	}
	return object{"mediaType": ociManifest, "digest": digest, "size": len(manifest), "platform": object{"os": system, "architecture": architecture}}, nil
}

// Attach attaches the provenance of an image to what has the digest, as an OCI referrer. In a
// registry without the API for those, the tag that stands in for it has it.
func (r *Registry) Attach(image Image, digest string) error {
	bundle, err := r.sigstore.Provenance(image.Signer, r.Host()+"/"+image.Repository, strings.TrimPrefix(digest, "sha256:"))
	if err != nil {
		return err
	}
	layer, err := r.putBlob(image.Repository, bundleMedia, bundle)
	if err != nil {
		return err
	}
	empty, err := r.putBlob(image.Repository, "application/vnd.oci.empty.v1+json", []byte("{}"))
	if err != nil {
		return err
	}
	annotations := object{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1"}
	subject, err := r.read("/v2/" + image.Repository + "/manifests/" + digest)
	if err != nil {
		return err
	}
	kind := ociIndex
	if !bytes.Contains(subject, []byte(`"manifests"`)) {
		kind = ociManifest
	}
	manifest, err := json.Marshal(object{
		"schemaVersion": 2, "mediaType": ociManifest, "artifactType": bundleMedia, "config": empty, "layers": []object{layer},
		"subject": object{"mediaType": kind, "digest": digest, "size": len(subject)}, "annotations": annotations,
	})
	if err != nil {
		return err
	}
	if _, err := r.putManifest(image.Repository, digestOf(manifest), ociManifest, manifest); err != nil {
		return err
	}
	// What a client does where there is no API.
	index, err := json.Marshal(object{"schemaVersion": 2, "mediaType": ociIndex, "manifests": []object{{
		"mediaType": ociManifest, "digest": digestOf(manifest), "size": len(manifest), "artifactType": bundleMedia, "annotations": annotations,
	}}})
	if err != nil {
		return err
	}
	_, err = r.putManifest(image.Repository, strings.Replace(digest, ":", "-", 1), ociIndex, index)
	return err
}

func digestOf(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

func (r *Registry) putBlob(repository, kind string, content []byte) (object, error) {
	digest := digestOf(content)
	_, err := r.send(http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest="+digest, "application/octet-stream", content)
	return object{"mediaType": kind, "digest": digest, "size": len(content)}, err
}

func (r *Registry) putManifest(repository, reference, kind string, content []byte) (digest string, err error) {
	_, err = r.send(http.MethodPut, "/v2/"+repository+"/manifests/"+reference, kind, content)
	return digestOf(content), err
}

func (r *Registry) read(path string) ([]byte, error) { return r.send(http.MethodGet, path, "", nil) }

// send asks the registry without the network and the login.
func (r *Registry) send(method, path, kind string, content []byte) ([]byte, error) {
	request := httptest.NewRequestWithContext(context.Background(), method, path, bytes.NewReader(content))
	request.Header.Set("Content-Type", kind)
	answer := httptest.NewRecorder()
	r.handler.ServeHTTP(answer, request)
	if answer.Code >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s: %d %s", method, path, answer.Code, answer.Body)
	}
	return answer.Body.Bytes(), nil
}
