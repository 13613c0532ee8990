package registry

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// DefaultReleases is where ConductorOne publishes the releases of its connectors. Below it are
// <repository>/<tag>/manifest.json.
const DefaultReleases = "https://dist.conductorone.com/releases/ConductorOne"

// bundleSuffix ends the name of the provenance of an archive.
const bundleSuffix = ".provenance.sigstore.json"

// Installer installs connectors.
type Installer struct {
	// Store is where they go.
	Store *Store
	// Trust is which are believed.
	Trust Trust
	// Releases is the base of the manifests' URLs; empty: DefaultReleases. It needs https,
	// but on this machine.
	Releases string
	// Progress is called while something goes on; nil: no one is.
	Progress Progress

	limits *limits // nil: the usual ones
}

// Resolved is what a version or a tag is at the moment.
type Resolved struct {
	// Version is the tag of the release; "" if an image has none.
	Version string
	// Digest is that of the archive for the platform, or of the image: what Source.Digest
	// and Installed.Digest are.
	Digest string
}

// Installed is a connector in the store, and all that is known of it. It is what the lock file
// keeps.
type Installed struct {
	// Connector is its name, such as "baton-github".
	Connector string
	Platform  Platform
	// Version is the tag of the release that it is.
	Version string
	// Digest is that of the archive, or of the image as its tag or reference has it: for an
	// image of several platforms, that of its index.
	Digest string
	// Image reports whether Digest is an image's.
	Image bool
	// Binary is the SHA-256 of the binary. Each digest is "sha256:" and 64 hexadecimal digits.
	Binary string
	// Signer is the identity of the workflow that signed it, Repository the URL of the source
	// repository and Commit the commit that it was built from. They are empty if it was taken
	// without provenance.
	Signer, Repository, Commit string
	// Path is where the binary is.
	Path string
}

// MovedError says that a version or a tag is not what it was when it was locked.
type MovedError struct {
	// Source names what moved.
	Source Source
	// Locked and Found are the digests.
	Locked, Found string
}

// Error returns the sentence.
func (e *MovedError) Error() string {
	return fmt.Sprintf("%s is not what was locked: its digest was %s and is %s; find out why it was published again, and accept it with --upgrade if it is to be trusted", e.Source, e.Locked, e.Found)
}

// ErrNoProvenance says that something was published without provenance. Trust.Unproven takes
// it nevertheless.
var ErrNoProvenance = errors.New("it has no provenance, so nothing shows who built it from what; take a release that has, or set provenance: none for this plugin")

// found is a source that was looked up, and verified as far as that is possible without the
// archive.
type found struct {
	version string
	digest  string
	proof   proof
	parcels []*parcel
}

// Resolve asks what the source is at the moment, without downloading it. For a release it
// verifies the manifest. An archive is measured and not verified.
func (i Installer) Resolve(ctx context.Context, source Source, platform Platform) (Resolved, error) {
	source.Digest = ""
	j, err := i.begin(ctx, source, platform)
	if err != nil {
		return Resolved{}, err
	}
	defer j.close()
	of, err := j.resolve(ctx)
	if err != nil {
		return Resolved{}, fmt.Errorf("%s: %w", source, err)
	}
	return of, nil
}

// Install fetches the connector for a platform, which need not be this one, verifies it and
// puts its binary into the store. What is in the store already is not fetched again. If it
// fails, nothing of it stays there.
func (i Installer) Install(ctx context.Context, source Source, platform Platform) (Installed, error) {
	j, err := i.begin(ctx, source, platform)
	if err != nil {
		return Installed{}, err
	}
	defer j.close()
	installed, err := j.run(ctx)
	if _, hasMoved := errors.AsType[*MovedError](err); err != nil && !hasMoved {
		err = fmt.Errorf("%s is not installed: %w", source, err)
	}
	return installed, err
}

// job is one installation.
type job struct {
	Installer
	source   Source
	platform Platform
	limits   limits
	web      *web
	open     []*guarded
}

func (i Installer) begin(ctx context.Context, source Source, platform Platform) (*job, error) {
	if err := source.Check(); err != nil {
		return nil, err
	}
	if err := i.Trust.Check(); err != nil {
		return nil, err
	}
	if i.Releases == "" {
		i.Releases = DefaultReleases
	}
	j := &job{Installer: i, source: source, platform: platform, limits: usual}
	if i.limits != nil {
		j.limits = *i.limits
	}
	j.web = &web{j.transport(nil), j.limits}
	return j, ctx.Err()
}

// transport returns a transport that lasts as long as the job.
func (j *job) transport(authorities *x509.CertPool) *guarded {
	j.open = append(j.open, newTransport(j.limits, authorities))
	return j.open[len(j.open)-1]
}

// close ends the connections that are kept for further requests.
func (j *job) close() {
	for _, one := range j.open {
		one.inner.CloseIdleConnections()
	}
}

func (j *job) report(step Step) {
	if j.Progress != nil {
		j.Progress(Event{Step: step})
	}
}

// verifier returns what verifies signatures; nil if nothing has to be signed.
func (j *job) verifier(ctx context.Context) (*verifier, error) {
	if j.Trust.Unproven {
		return nil, nil
	}
	material, err := j.Trust.material(ctx)
	if err != nil {
		return nil, err
	}
	return newVerifier(j.Trust, j.source.Connector(), material)
}

// resolve asks what the source is.
func (j *job) resolve(ctx context.Context) (Resolved, error) {
	j.report(Resolving)
	switch {
	case j.source.Archive != "":
		of, err := j.measure(ctx)
		return Resolved{Version: j.source.Version, Digest: of}, err
	case j.source.Image != "":
		at, err := j.openRepository(ctx)
		if err != nil {
			return Resolved{}, err
		}
		_, top, err := at.top(ctx)
		return Resolved{Version: at.version(), Digest: top.Digest.String()}, err
	}
	by, err := j.verifier(ctx)
	if err != nil {
		return Resolved{}, err
	}
	of, err := openRelease(ctx, j.Releases, j.source, j.web, by)
	if err != nil {
		return Resolved{}, err
	}
	archive, _, err := of.archive(j.platform)
	if err != nil {
		return Resolved{}, err
	}
	return Resolved{Version: j.source.Version, Digest: archive.digest}, nil
}

// run installs.
func (j *job) run(ctx context.Context) (Installed, error) {
	j.report(Resolving)
	by, err := j.verifier(ctx)
	if err != nil {
		return Installed{}, err
	}
	work, err := j.Store.work()
	if err != nil {
		return Installed{}, err
	}
	defer func() { _ = work.Remove() }()
	var of found
	switch {
	case j.source.Archive != "":
		of, err = j.fromArchive(ctx, by, work.Path())
	case j.source.Image != "":
		of, err = j.fromImage(ctx, by)
	default:
		of, err = j.fromRelease(ctx, by)
	}
	if err != nil {
		return Installed{}, err
	}
	path, sum, err := j.take(ctx, of.parcels, work.Path())
	if err != nil {
		return Installed{}, err
	}
	return Installed{
		Connector: j.source.Connector(), Platform: j.platform, Version: of.version,
		Digest: of.digest, Image: j.source.Image != "", Binary: sum,
		Signer: of.proof.signer, Repository: of.proof.repository, Commit: of.proof.commit,
		Path: path,
	}, nil
}

// isLocked reports a source that is not what it was.
func (j *job) isLocked(digest string) error {
	if j.source.Digest != "" && j.source.Digest != digest {
		return &MovedError{Source: j.source, Locked: j.source.Digest, Found: digest}
	}
	return nil
}

// fromRelease looks a release up.
func (j *job) fromRelease(ctx context.Context, by *verifier) (found, error) {
	of, err := openRelease(ctx, j.Releases, j.source, j.web, by)
	if err != nil {
		return found{}, err
	}
	archive, asset, err := of.archive(j.platform)
	if err != nil {
		return found{}, err
	}
	if err := j.isLocked(archive.digest); err != nil {
		return found{}, err
	}
	built, err := of.provenance(ctx, asset, archive.digest)
	if err != nil {
		return found{}, fmt.Errorf("the archive %s: %w", shown(archive.address), err)
	}
	return found{j.source.Version, archive.digest, built, []*parcel{archive}}, nil
}

// fromImage looks an image up.
func (j *job) fromImage(ctx context.Context, by *verifier) (found, error) {
	at, err := j.openRepository(ctx)
	if err != nil {
		return found{}, err
	}
	content, top, err := at.top(ctx)
	if err != nil {
		return found{}, err
	}
	digest := top.Digest.String()
	if err := j.isLocked(digest); err != nil {
		return found{}, err
	}
	of, err := at.open(ctx, content, top, j.platform)
	if err != nil {
		return found{}, err
	}
	result := found{at.version(), digest, proof{}, of.layers()}
	if by == nil {
		return result, nil
	}
	if result.proof, err = of.provenance(ctx, by); err != nil {
		return found{}, err
	}
	// A tag such as "latest" is of no version.
	for _, version := range []string{j.source.Version, result.version} {
		if version != "" && !isVersion(result.proof.version(), version) {
			return found{}, &otherVersionError{result.proof.ref, version}
		}
	}
	if built := result.proof.version(); built != "" {
		result.version = built
	}
	return result, nil
}

// fromArchive looks at an archive that a person has downloaded. What is verified is a copy, as
// the file itself may change.
func (j *job) fromArchive(ctx context.Context, by *verifier, dir string) (found, error) {
	file, digest, err := (&parcel{path: j.source.Archive}).copyTo(ctx, dir, j.limits, nil)
	if err != nil {
		return found{}, j.Store.explain(err)
	}
	kept := filepath.Join(dir, "downloaded")
	if err := errors.Join(file.Close(), os.Rename(file.Name(), kept)); err != nil {
		return found{}, err
	}
	if err := j.isLocked(digest); err != nil {
		return found{}, err
	}
	result := found{j.source.Version, digest, proof{}, []*parcel{{digest: digest, path: kept}}}
	if by == nil {
		return result, nil
	}
	j.report(Verifying)
	beside, _, err := openArchive(j.source.Archive + bundleSuffix)
	if err != nil {
		return found{}, fmt.Errorf("its provenance is not beside it, as %s: %w: %w", filepath.Base(j.source.Archive+bundleSuffix), err, ErrNoProvenance)
	}
	defer func() { _ = beside.Close() }()
	signed, err := readAll(beside, j.limits.document)
	if err != nil {
		return found{}, fmt.Errorf("its provenance cannot be read: %w", err)
	}
	var names []string
	if result.proof, names, err = by.provenance(signed, digest); err != nil {
		return found{}, err
	}
	built := result.proof.version()
	switch {
	case result.version != "":
		if err := isBuiltFrom(result.proof, result.version); err != nil {
			return found{}, err
		}
	case built == "":
		return found{}, fmt.Errorf("it was built from %s, which is no tag of a release; take the archive of a release", quote(result.proof.ref))
	}
	if !isFor(names, j.platform) {
		return found{}, fmt.Errorf("it is not the archive for %s: its provenance calls it %s", j.platform, quote(names[0]))
	}
	result.version = built
	return result, nil
}

// measure returns the digest of a downloaded archive.
func (j *job) measure(ctx context.Context) (string, error) {
	work, err := j.Store.work()
	if err != nil {
		return "", err
	}
	defer func() { _ = work.Remove() }()
	file, digest, err := (&parcel{path: j.source.Archive}).copyTo(ctx, work.Path(), j.limits, nil)
	if err != nil {
		return "", j.Store.explain(err)
	}
	return digest, file.Close()
}

// take has the binary out of the first parcel that has it, in the store.
func (j *job) take(ctx context.Context, parcels []*parcel, dir string) (path, sum string, err error) {
	name := j.platform.binary(j.source.Connector())
	for _, one := range parcels {
		path, sum, err = j.takeFrom(ctx, one, name, dir)
		if !errors.Is(err, errNoBinary) || !one.isLayer {
			break
		}
	}
	if errors.Is(err, errNoBinary) {
		err = fmt.Errorf("there is no file %s in it, so it is no release of that connector", name)
	}
	return path, sum, err
}

// takeFrom is take for one parcel.
func (j *job) takeFrom(ctx context.Context, from *parcel, name, dir string) (path, sum string, err error) {
	release, err := j.Store.lock(ctx, from.digest, func() { j.report(Waiting) })
	if err != nil {
		return "", "", err
	}
	defer release()
	if known := j.source; known.Digest != "" && known.Binary != "" { // What was found has that digest.
		if path := j.Store.path(name, known.Binary); isWhole(path, known.Binary) {
			return path, known.Binary, nil
		}
	}
	archive, _, err := from.copyTo(ctx, dir, j.limits, j.Progress)
	if err != nil {
		return "", "", j.Store.explain(err)
	}
	defer func() { _ = archive.Close() }()
	j.report(Unpacking)
	binary, err := os.OpenFile(filepath.Join(dir, "binary"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", "", j.Store.explain(err)
	}
	defer func() { _ = binary.Close() }()
	unpacking := &unpacker{name: name, isLayer: from.isLayer, limits: j.limits, to: binary, report: j.Progress}
	if sum, err = unpacking.unpack(archive); err != nil {
		return "", "", j.Store.explain(err)
	}
	if path, err = j.Store.put(binary, name, sum); err != nil {
		return "", "", err
	}
	return path, sum, nil
}
