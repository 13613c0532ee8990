package registry

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

const (
	// provenanceType is the form of the statement on how something was built.
	provenanceType = "https://slsa.dev/provenance/v1"
	// tagRef begins the name of a tag, as certificates have it.
	tagRef = "refs/tags/"
	// gitURI begins the name of a repository, as provenance has it.
	gitURI = "git+"
)

// proof is what a signature proves of what it signs.
type proof struct {
	// signer is the identity of the workflow that signed.
	signer string
	// repository, ref and commit are what it was built from.
	repository, ref, commit string
}

// version returns the tag that was built; "" if it was no tag.
func (p proof) version() string {
	version, isTag := strings.CutPrefix(p.ref, tagRef)
	if !isTag {
		return ""
	}
	return version
}

// verifier verifies signatures by a policy, for one connector. It needs no network.
type verifier struct {
	trust     Trust
	connector string
	sigstore  *verify.Verifier
}

// newVerifier returns a verifier. Where the root names logs of certificates, as the public
// good instance does, a certificate must be in one.
func newVerifier(trust Trust, connector string, material root.TrustedMaterial) (*verifier, error) {
	options := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1)}
	if len(material.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	sigstore, err := verify.NewVerifier(material, options...)
	if err != nil {
		return nil, fmt.Errorf("verify signatures: %w", err)
	}
	return &verifier{trust, connector, sigstore}, nil
}

// identities are the policy as the library takes it: one of them must match.
func (v *verifier) identities() ([]verify.PolicyOption, error) {
	workflow, err := verify.NewSANMatcher("", v.trust.workflow().String())
	if err != nil {
		return nil, err
	}
	issuer, err := verify.NewIssuerMatcher(v.trust.Issuer, "")
	if err != nil {
		return nil, err
	}
	var all []verify.PolicyOption
	for _, repository := range v.trust.repositories(v.connector) {
		identity, err := verify.NewCertificateIdentity(workflow, issuer, certificate.Extensions{SourceRepositoryURI: repository})
		if err != nil {
			return nil, err
		}
		all = append(all, verify.WithCertificateIdentity(identity))
	}
	return all, nil
}

// verify verifies that a bundle signs the artifact, by the policy.
func (v *verifier) verify(signed []byte, artifact verify.ArtifactPolicyOption) (proof, *verify.VerificationResult, error) {
	var of bundle.Bundle
	if err := of.UnmarshalJSON(signed); err != nil {
		return proof{}, nil, fmt.Errorf("its signature cannot be read (a Sigstore bundle is expected): %s", plain(err))
	}
	identities, err := v.identities()
	if err != nil {
		return proof{}, nil, err
	}
	result, err := v.sigstore.Verify(&of, verify.NewPolicy(artifact, identities...))
	if err != nil {
		return proof{}, nil, v.explain(&of, err)
	}
	by := result.Signature.Certificate
	return proof{signer: by.SubjectAlternativeName, repository: by.SourceRepositoryURI, ref: by.SourceRepositoryRef, commit: by.SourceRepositoryDigest}, result, nil
}

// refusals are what the library reports, and what that means.
var refusals = []struct{ reports, means string }{
	{"not enough verified log entries", "its signature is not in the transparency log of the trusted root"},
	{"threshold not met for verified", "when it was signed is not proven by the transparency log"},
	{"integrated time outside certificate validity", "its certificate was not valid when the signature came into the transparency log"},
	{"transparency log signature does not match", "what the transparency log has is another signature"},
	{"transparency log certificate does not match", "what the transparency log has is signed by another certificate"},
	{"failed to verify leaf certificate", "its certificate is not one of the trusted root, or was not valid when it was signed"},
	{"signed certificate timestamp", "its certificate is not in the log of certificates of the trusted root"},
	{"does not match", "the signature is of something else"},
	{"failed to verify log inclusion", "its entry in the transparency log is not genuine"},
	{"failed to verify signature", "the signature is not genuine"},
}

// explain returns why the policy refuses a bundle. The identity, where it is what is wrong, is
// from the certificate, which may be forged: it decides nothing here.
func (v *verifier) explain(of *bundle.Bundle, err error) error {
	if _, isIdentity := errors.AsType[*verify.ErrNoMatchingCertificateIdentity](err); isIdentity {
		return v.explainIdentity(of)
	}
	for _, refusal := range refusals {
		if strings.Contains(err.Error(), refusal.reports) {
			return fmt.Errorf("%s: %s", refusal.means, plain(err))
		}
	}
	return fmt.Errorf("its signature is refused: %s", plain(err))
}

func (v *verifier) explainIdentity(of *bundle.Bundle) error {
	content, err := of.VerificationContent()
	if err != nil || content.Certificate() == nil {
		return errors.New("it is not signed with a certificate")
	}
	by, err := certificate.SummarizeCertificate(content.Certificate())
	switch {
	case err != nil:
		return fmt.Errorf("its certificate cannot be read: %s", plain(err))
	case by.Issuer != v.trust.Issuer:
		return fmt.Errorf("its signer was vouched for by %s, and only %s is trusted; if it is to be trusted, name it under trust", quote(by.Issuer), v.trust.Issuer)
	case !v.trust.workflow().MatchString(by.SubjectAlternativeName):
		return v.trust.refuseSigner(by.SubjectAlternativeName)
	}
	return v.trust.refuseRepository(v.connector, by.SourceRepositoryURI)
}

// plain returns an error of the library on one line.
func plain(err error) string {
	return errtext.Printable(errtext.Shorten(strings.Join(strings.Fields(err.Error()), " "), 400), "")
}

// blob verifies that a bundle signs a document.
func (v *verifier) blob(signed, document []byte) (proof, error) {
	of, result, err := v.verify(signed, verify.WithArtifact(strings.NewReader(string(document))))
	if err != nil {
		return proof{}, err
	}
	if result.Statement != nil {
		return proof{}, errors.New("its bundle is no signature but a statement about it; the release is damaged")
	}
	return of, nil
}

// statement is what provenance says, as far as it is looked at.
type statement struct {
	BuildDefinition struct {
		ResolvedDependencies []struct {
			URI    string            `json:"uri"`
			Digest map[string]string `json:"digest"`
		} `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
}

// provenance verifies that a bundle is the provenance of what has a digest. names are the names
// that the statement has for it.
func (v *verifier) provenance(signed []byte, digest string) (_ proof, names []string, err error) {
	sum, err := hex.DecodeString(strings.TrimPrefix(digest, algorithm))
	if err != nil {
		return proof{}, nil, err
	}
	of, result, err := v.verify(signed, verify.WithArtifactDigest("sha256", sum))
	if err != nil {
		return proof{}, nil, err
	}
	if kind := result.Statement.GetPredicateType(); kind != provenanceType {
		return proof{}, nil, fmt.Errorf("what is signed is no provenance (%s) but %s", provenanceType, quote(kind))
	}
	for _, subject := range result.Statement.GetSubject() {
		if strings.EqualFold(subject.GetDigest()["sha256"], hex.EncodeToString(sum)) {
			names = append(names, subject.GetName())
		}
	}
	content, err := result.Statement.GetPredicate().MarshalJSON()
	if err != nil {
		return proof{}, nil, err
	}
	var says statement
	if err := json.Unmarshal(content, &says); err != nil {
		return proof{}, nil, fmt.Errorf("its provenance cannot be read: %w", err)
	}
	return of, names, of.agrees(says)
}

// agrees reports where the provenance names another source than the certificate: then one of
// them is not what it seems. Other dependencies do not matter.
func (p proof) agrees(says statement) error {
	for _, dependency := range says.BuildDefinition.ResolvedDependencies {
		repository, _, _ := strings.Cut(strings.TrimPrefix(dependency.URI, gitURI), "@")
		if strings.TrimSuffix(repository, ".git") != p.repository {
			continue
		}
		if commit := dependency.Digest["gitCommit"]; commit != p.commit {
			return fmt.Errorf("its provenance has the commit %s, and its certificate %s; the release is damaged", quote(commit), quote(p.commit))
		}
		return nil
	}
	return fmt.Errorf("its provenance does not name its source repository, %s; the release is damaged", p.repository)
}

// isVersion reports whether two names of a version are of one: images have it with and
// without the v.
func isVersion(one, other string) bool {
	return strings.TrimPrefix(one, "v") == strings.TrimPrefix(other, "v")
}

// versionTag matches tags of images that are those of a version, and not "latest".
var versionTag = regexp.MustCompile(`^v?\d+\.\d+\.\d+`)

// isFor reports whether the name of an archive in its provenance is that of a platform.
func isFor(names []string, platform Platform) bool {
	for _, name := range names {
		name = path.Base(name)
		if strings.Contains(name, "-"+platform.asset()+".") || strings.Contains(name, "_"+platform.OS+"_"+platform.Arch+".") {
			return true
		}
	}
	return false
}
