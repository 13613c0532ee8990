package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// bundleType begins the types of Sigstore bundles.
	bundleType = "application/vnd.dev.sigstore.bundle"
	// predicateAnnotation is what the statement in a bundle is about. It may be missing.
	predicateAnnotation = "dev.sigstore.bundle.predicateType"
	// maxReferrers is how many bundles of an image are tried. Whoever may push can add more.
	maxReferrers = 32
)

// manifestTypes are those of images and of their indexes.
var manifestTypes = strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1), string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ",")

// repository is a repository of a registry, with what it takes to read there.
type repository struct {
	web       *web
	at        name.Repository
	image     image
	connector string
}

// openRepository logs in as Docker does: with its credentials and its helpers.
func (j *job) openRepository(ctx context.Context) (*repository, error) {
	of, err := parseImage(j.source.Image)
	if err != nil {
		return nil, err
	}
	at, err := name.NewRepository(of.repository, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("%q is not a repository of images: %s", of.repository, plain(err))
	}
	auth, err := authn.Resolve(ctx, authn.DefaultKeychain, at)
	if err != nil {
		return nil, fmt.Errorf("the credentials for %s cannot be read: %s; look at Docker's config.json and the helpers that it names", at.RegistryStr(), plain(err))
	}
	authorities, err := authorities(at.RegistryStr())
	if err != nil {
		return nil, err
	}
	authenticated, err := transport.NewWithContext(ctx, at.Registry, auth, j.transport(authorities), []string{at.Scope(transport.PullScope)})
	if err != nil {
		return nil, explainRegistry(at, err)
	}
	return &repository{&web{authenticated, j.limits}, at, of, j.source.Connector()}, nil
}

// explainRegistry explains an error of a registry.
func explainRegistry(at name.Repository, err error) error {
	status := 0
	if answered, ok := errors.AsType[*transport.Error](err); ok {
		status = answered.StatusCode
	}
	if answered, ok := errors.AsType[*statusError](err); ok {
		status = answered.status
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("the registry %s does not let this user read %s (%d %s); log in with docker login %s", at.RegistryStr(), at.RepositoryStr(), status, http.StatusText(status), at.RegistryStr())
	case http.StatusTooManyRequests:
		return fmt.Errorf("the registry %s has had too many requests from here (%d %s); wait, or log in with docker login %s", at.RegistryStr(), status, http.StatusText(status), at.RegistryStr())
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	return fmt.Errorf("the registry %s cannot be used: %w", at.RegistryStr(), err)
}

func (r *repository) url(kind, reference string) *url.URL {
	// The transport puts http in its place where the registry is one of this machine.
	return &url.URL{Scheme: "https", Host: r.at.RegistryStr(), Path: "/v2/" + r.at.RepositoryStr() + "/" + kind + "/" + reference}
}

// manifest returns a manifest by tag or by digest, with its digest and its type.
func (r *repository) manifest(ctx context.Context, reference string) ([]byte, v1.Descriptor, error) {
	from := sameHost
	if digestForm.MatchString(reference) {
		from = anyHost
	}
	content, kind, err := r.web.document(ctx, r.url("manifests", reference), manifestTypes, from)
	switch {
	case isMissing(err):
		return nil, v1.Descriptor{}, fmt.Errorf("the registry %s has no %s with %s; correct the image", r.at.RegistryStr(), r.at.RepositoryStr(), reference)
	case err != nil:
		return nil, v1.Descriptor{}, explainRegistry(r.at, err)
	}
	if from == anyHost {
		if err := r.isDigestOf(content, reference); err != nil {
			return nil, v1.Descriptor{}, err
		}
	}
	hash, err := v1.NewHash(digestOfBytes(content))
	return content, v1.Descriptor{Digest: hash, MediaType: types.MediaType(kind), Size: int64(len(content))}, err
}

// blob returns a small part of an image.
func (r *repository) blob(ctx context.Context, digest string) ([]byte, error) {
	content, _, err := r.web.document(ctx, r.url("blobs", digest), "", anyHost)
	if err != nil {
		return nil, explainRegistry(r.at, err)
	}
	return content, r.isDigestOf(content, digest)
}

// isDigestOf reports an answer that is not what was asked for.
func (r *repository) isDigestOf(content []byte, digest string) error {
	if found := digestOfBytes(content); found != digest {
		return fmt.Errorf("the registry %s answers with %s in place of %s; it is out of order, or a person exchanged the image", r.at.RegistryStr(), found, digest)
	}
	return nil
}

// published is an image as it was published.
type published struct {
	*repository
	// top is what the reference is: the image, or the index of the images of all platforms.
	// of is the image of the platform.
	top, of  v1.Descriptor
	manifest *v1.Manifest
}

// top returns what the image's reference is now.
func (r *repository) top(ctx context.Context) ([]byte, v1.Descriptor, error) {
	reference := r.image.tag
	if r.image.digest != "" {
		reference = r.image.digest
	}
	return r.manifest(ctx, reference)
}

// open finds the image of a platform.
func (r *repository) open(ctx context.Context, content []byte, top v1.Descriptor, platform Platform) (*published, error) {
	of := top
	if top.MediaType.IsIndex() {
		index, err := v1.ParseIndexManifest(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("the index of %s cannot be read: %s", r.at, plain(err))
		}
		var found bool
		if of, found = forPlatform(index.Manifests, platform); !found {
			return nil, fmt.Errorf("the image %s has nothing for %s; it has %s", r.at, platform, strings.Join(platformsOf(index.Manifests), ", "))
		}
		if content, _, err = r.manifest(ctx, of.Digest.String()); err != nil {
			return nil, err
		}
	}
	parsed, err := v1.ParseManifest(bytes.NewReader(content))
	if err != nil || len(parsed.Layers) == 0 {
		return nil, fmt.Errorf("%s is not an image of a connector: its manifest cannot be read, or has no layers", r.at)
	}
	return &published{r, top, of, parsed}, r.checkConfig(ctx, parsed, platform)
}

// forPlatform returns the image of a platform.
func forPlatform(all []v1.Descriptor, platform Platform) (v1.Descriptor, bool) {
	for _, one := range all {
		if one.Platform != nil && one.Platform.OS == platform.OS && one.Platform.Architecture == platform.Arch {
			return one, true
		}
	}
	return v1.Descriptor{}, false
}

// platformsOf returns the platforms of an index. Some have entries that are no images.
func platformsOf(all []v1.Descriptor) []string {
	var found []string
	for _, one := range all {
		if one.Platform != nil && one.Platform.OS != "unknown" {
			found = append(found, quote(one.Platform.OS+"/"+one.Platform.Architecture))
		}
	}
	return found
}

// checkConfig reports an image that is of another platform, or starts something else than the
// connector.
func (r *repository) checkConfig(ctx context.Context, manifest *v1.Manifest, platform Platform) error {
	content, err := r.blob(ctx, manifest.Config.Digest.String())
	if err != nil {
		return err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("the configuration of the image %s cannot be read: %s", r.at, plain(err))
	}
	if config.OS != platform.OS || config.Architecture != platform.Arch {
		return fmt.Errorf("the image %s is for %s and not for %s", r.at, quote(config.OS+"/"+config.Architecture), platform)
	}
	if start := config.Config.Entrypoint; len(start) == 0 || start[0] != "/"+r.connector {
		return fmt.Errorf("the image %s does not start /%s but %s, so it is no image of that connector", r.at, r.connector, quote(strings.Join(start, " ")))
	}
	return nil
}

// layers returns what may hold the binary, the layer that is on top first.
func (p *published) layers() []*parcel {
	var all []*parcel
	for _, layer := range slices.Backward(p.manifest.Layers) {
		digest := layer.Digest.String()
		all = append(all, &parcel{digest: digest, size: layer.Size, web: p.web, address: p.url("blobs", digest), from: anyHost, isLayer: true})
	}
	return all
}

// provenance verifies who built the image from what. It is attached to the index, or to the
// image of the platform.
func (p *published) provenance(ctx context.Context, by *verifier) (proof, error) {
	refused := ErrNoProvenance
	tried := map[string]bool{}
	for _, subject := range []v1.Descriptor{p.top, p.of} {
		digest := subject.Digest.String()
		if tried[digest] {
			continue
		}
		tried[digest] = true
		bundles, err := p.referrers(ctx, digest)
		if err != nil {
			return proof{}, err
		}
		for _, one := range bundles {
			built, err := p.verifyReferrer(ctx, one, digest, by)
			switch {
			case err == nil:
				return built, nil
			case ctx.Err() != nil:
				return proof{}, ctx.Err()
			case !errors.Is(err, ErrNoProvenance):
				refused = err
			}
		}
	}
	return proof{}, refused
}

// referrers returns the manifests of the bundles of an image: by the API for that, or, in
// registries without it, by the tag that replaces it.
func (p *published) referrers(ctx context.Context, digest string) ([]string, error) {
	content, kind, err := p.web.document(ctx, p.url("referrers", digest), string(types.OCIImageIndex), sameHost)
	if hasNoReferrers(kind, err) {
		content, _, err = p.web.document(ctx, p.url("manifests", strings.Replace(digest, ":", "-", 1)), string(types.OCIImageIndex), sameHost)
		if isMissing(err) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, explainRegistry(p.at, err)
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("what is attached to the image %s cannot be read: %s", p.at, plain(err))
	}
	var found []string
	for _, one := range index.Manifests {
		if isProvenance(one.ArtifactType, one.Annotations) && len(found) < maxReferrers {
			found = append(found, one.Digest.String())
		}
	}
	return found, nil
}

// hasNoReferrers reports an answer of a registry that does not know the API: it has no such
// path, or something else there.
func hasNoReferrers(kind string, err error) bool {
	answered, hasAnswered := errors.AsType[*statusError](err)
	if !hasAnswered {
		return err == nil && kind != string(types.OCIImageIndex)
	}
	return slices.Contains([]int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented}, answered.status)
}

// emptyType is the type of what has no configuration. Some registries give it in place of the
// type of what is attached.
const emptyType = "application/vnd.oci.empty.v1+json"

// isProvenance reports whether what is attached may be a bundle with provenance, and not one of
// another statement or something else.
func isProvenance(kind string, annotations map[string]string) bool {
	predicate, isNamed := annotations[predicateAnnotation]
	return (strings.HasPrefix(kind, bundleType) || kind == emptyType || kind == "") && (!isNamed || predicate == provenanceType)
}

// verifyReferrer verifies a bundle that is attached to an image.
func (p *published) verifyReferrer(ctx context.Context, reference, digest string, by *verifier) (proof, error) {
	content, _, err := p.repository.manifest(ctx, reference)
	if err != nil {
		return proof{}, err
	}
	attached, err := v1.ParseManifest(bytes.NewReader(content))
	if err != nil || len(attached.Layers) != 1 || !isProvenance(string(attached.Layers[0].MediaType), attached.Annotations) {
		return proof{}, ErrNoProvenance // It is something else.
	}
	signed, err := p.blob(ctx, attached.Layers[0].Digest.String())
	if err != nil {
		return proof{}, err
	}
	built, _, err := by.provenance(signed, digest)
	return built, err
}

// version returns the version that the image's tag is of; "" if it is of none.
func (r *repository) version() string {
	if !versionTag.MatchString(r.image.tag) {
		return ""
	}
	return r.image.tag
}
