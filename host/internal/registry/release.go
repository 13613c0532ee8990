package registry

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// manifestVersion is the form of manifests that is read.
const manifestVersion = "2"

// manifest is the manifest of a release, as far as it is used.
type manifest struct {
	Version             string           `json:"version"`
	Name                string           `json:"name"`
	Semver              string           `json:"semver"`
	Assets              map[string]asset `json:"assets"`
	SignatureBundleHref string           `json:"signatureBundleHref"`
}

// asset is an archive of a release.
type asset struct {
	SizeBytes    bytesNumber   `json:"sizeBytes"`
	SHA256       string        `json:"sha256"`
	Href         string        `json:"href"`
	Attestations []attestation `json:"attestations"`
}

// attestation is a statement about an archive.
type attestation struct {
	PredicateType string `json:"predicateType"`
	BundleHref    string `json:"bundleHref"`
}

// bytesNumber is a number of 64 bits, which protobuf writes as a text.
type bytesNumber int64

// UnmarshalJSON reads both forms.
func (n *bytesNumber) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(bytes.Trim(text, `"`), (*int64)(n))
}

// release is a release of a connector, by its manifest.
type release struct {
	web       *web
	source    Source
	connector string
	address   *url.URL
	manifest  manifest
	verifier  *verifier // nil: nothing is verified
	proof     proof
}

// openRelease fetches the manifest of a release and verifies it.
func openRelease(ctx context.Context, base string, source Source, through *web, by *verifier) (*release, error) {
	r := &release{web: through, source: source, connector: source.Connector(), verifier: by}
	address, err := url.Parse(strings.TrimSuffix(base, "/") + "/" + r.connector + "/" + source.Version + "/manifest.json")
	if err != nil {
		return nil, fmt.Errorf("the address of releases %q is not a URL", base)
	}
	r.address = address
	content, _, err := through.document(ctx, address, "application/json", sameHost)
	if isMissing(err) {
		return nil, fmt.Errorf("there is no release %s of %s (%w); correct the version, or, if it is older than the manifests of releases, download its archive and install that with --from", source.Version, r.connector, err)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(content, &r.manifest); err != nil {
		return nil, fmt.Errorf("the manifest %s cannot be read: %s", shown(address), plain(err))
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, r.verify(ctx, content)
}

// check reports a manifest that is not of the release that was asked for.
func (r *release) check() error {
	m := r.manifest
	switch {
	case m.Version != manifestVersion:
		return fmt.Errorf("the manifest %s is of version %s, and this baton-host reads version %s; update baton-host", shown(r.address), quote(m.Version), manifestVersion)
	case m.Semver != r.source.Version:
		return fmt.Errorf("the manifest %s is of the release %s and not of %s; it was exchanged", shown(r.address), quote(m.Semver), r.source.Version)
	case m.Name != r.connector:
		return fmt.Errorf("the manifest %s is of %s and not of %s; it was exchanged", shown(r.address), quote(m.Name), r.connector)
	}
	return nil
}

// verify verifies the signature of the manifest, and that it was made for this release.
func (r *release) verify(ctx context.Context, content []byte) error {
	if r.verifier == nil {
		return nil
	}
	if r.manifest.SignatureBundleHref == "" {
		return fmt.Errorf("the manifest %s: %w", shown(r.address), ErrNoProvenance)
	}
	// The manifest is not verified yet, so it may name no other host.
	signed, err := r.document(ctx, r.manifest.SignatureBundleHref, sameHost)
	if err != nil {
		return err
	}
	if r.proof, err = r.verifier.blob(signed, content); err == nil {
		err = isBuiltFrom(r.proof, r.source.Version)
	}
	if err != nil {
		return fmt.Errorf("the manifest %s: %w", shown(r.address), err)
	}
	return nil
}

// isBuiltFrom reports a proof that is of another version.
func isBuiltFrom(of proof, version string) error {
	if of.version() != version {
		return &otherVersionError{of.ref, version}
	}
	return nil
}

// otherVersionError says that something was built from another tag, or from a branch.
type otherVersionError struct{ ref, version string }

// Error returns the sentence.
func (e *otherVersionError) Error() string {
	return fmt.Sprintf("it was built from %s and not from the tag %s; it was exchanged", quote(e.ref), e.version)
}

// resolve returns an address of the manifest, which may be relative to it.
func (r *release) resolve(href string, from accept) (*url.URL, error) {
	address, err := r.address.Parse(href)
	if err != nil || address.Scheme != "https" && address.Scheme != "http" {
		return nil, fmt.Errorf("the manifest %s has an invalid address, %s", shown(r.address), quote(href))
	}
	if from == sameHost && address.Host != r.address.Host {
		return nil, fmt.Errorf("the manifest %s, which is not verified, names another host, %s; it is not asked", shown(r.address), quote(address.Host))
	}
	return address, nil
}

func (r *release) document(ctx context.Context, href string, from accept) ([]byte, error) {
	address, err := r.resolve(href, from)
	if err != nil {
		return nil, err
	}
	content, _, err := r.web.document(ctx, address, "", sameHost)
	return content, err
}

// from is whom the manifest may name: anybody once it is verified.
func (r *release) from() accept {
	if r.verifier == nil {
		return sameHost
	}
	return anyHost
}

// archive returns the archive of a platform.
func (r *release) archive(platform Platform) (*parcel, asset, error) {
	of, ok := r.manifest.Assets[platform.asset()]
	if !ok {
		return nil, asset{}, fmt.Errorf("the release %s of %s has nothing for %s; it has %s", r.source.Version, r.connector, platform, strings.Join(slices.Sorted(maps.Keys(r.manifest.Assets)), ", "))
	}
	sum := strings.TrimPrefix(strings.ToLower(of.SHA256), algorithm)
	if decoded, err := hex.DecodeString(sum); err != nil || len(decoded) != 32 || of.SizeBytes < 0 {
		return nil, asset{}, fmt.Errorf("the manifest %s has no SHA-256 of the archive for %s; the release is damaged", shown(r.address), platform)
	}
	address, err := r.resolve(of.Href, r.from())
	if err != nil {
		return nil, asset{}, err
	}
	return &parcel{digest: algorithm + sum, size: int64(of.SizeBytes), web: r.web, address: address, from: r.from()}, of, nil
}

// provenance verifies who built an archive from what.
func (r *release) provenance(ctx context.Context, of asset, digest string) (proof, error) {
	if r.verifier == nil {
		return proof{}, nil
	}
	err := ErrNoProvenance
	for _, statement := range of.Attestations {
		if statement.PredicateType != provenanceType {
			continue
		}
		var signed []byte
		if signed, err = r.document(ctx, statement.BundleHref, r.from()); err != nil {
			return proof{}, err
		}
		var built proof
		if built, _, err = r.verifier.provenance(signed, digest); err == nil {
			err = isBuiltFrom(built, r.source.Version)
		}
		if err == nil && built.commit != r.proof.commit {
			err = errors.New("its archive and its manifest were built from different commits; the release is damaged")
		}
		if err == nil {
			return built, nil
		}
	}
	return proof{}, err
}
