package releases

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// What ConductorOne's releases are signed by.
const (
	Issuer   = "https://token.actions.githubusercontent.com"
	Workflow = "https://github.com/ConductorOne/github-workflows/.github/workflows/release.yaml@refs/heads/main"
	Owner    = "https://github.com/ConductorOne/"
)

// Signer is who signs: what the certificate has.
type Signer struct {
	// Issuer vouched for Workflow, which built Commit of Ref of Repository.
	Issuer, Workflow, Repository, Ref, Commit string

	// What follows is for signatures that must be refused.

	// Unlogged leaves the entry of the transparency log out; ForgedLog has one that the log
	// did not sign.
	Unlogged, ForgedLog bool
	// LoggedAfter is how long after the certificate's beginning the log has it. A certificate
	// is good for ten minutes.
	LoggedAfter time.Duration
	// Uncertified leaves the log of certificates out.
	Uncertified bool
	// Subject, if it is set, is the SHA-256 that the provenance is of, in hexadecimal, in place
	// of the one of what is published; BuiltFrom is the repository that it names, BuiltCommit
	// the commit.
	Subject, BuiltFrom, BuiltCommit string
}

// ConductorOne returns the signer of the release of a connector, such as baton-github.
func ConductorOne(connector, version string) Signer {
	commit := sha256.Sum256([]byte(connector + version))
	return Signer{
		Issuer: Issuer, Workflow: Workflow, Repository: Owner + connector,
		Ref: "refs/tags/" + version, Commit: fmt.Sprintf("%x", commit[:20]),
	}
}

// lifetime is how long a certificate is good.
const lifetime = 10 * time.Minute

// Sigstore is an instance of Sigstore: a certificate authority and two logs.
type Sigstore struct {
	root, intermediate *x509.Certificate
	intermediateKey    *ecdsa.PrivateKey
	rekor, ctlog       *ecdsa.PrivateKey
	since              time.Time
}

// NewSigstore makes an instance, with new keys.
func NewSigstore() (*Sigstore, error) {
	s := &Sigstore{since: time.Now().Add(-24 * time.Hour).Truncate(time.Second)}
	var keys [4]*ecdsa.PrivateKey
	for i := range keys {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		keys[i] = key
	}
	var err error
	if s.root, err = s.authority("root", nil, keys[0], keys[0]); err != nil {
		return nil, err
	}
	if s.intermediate, err = s.authority("intermediate", s.root, keys[1], keys[0]); err != nil {
		return nil, err
	}
	s.intermediateKey, s.rekor, s.ctlog = keys[1], keys[2], keys[3]
	return s, nil
}

// authority makes the certificate of an authority; a nil parent: its own.
func (s *Sigstore) authority(name string, parent *x509.Certificate, key, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sandbox " + name, Organization: []string{"sandbox"}},
		NotBefore: s.since, NotAfter: s.since.Add(20 * 365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true,
	}
	if parent == nil {
		parent = template
	} else {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(raw)
}

// object is one of JSON.
type object map[string]any

func encoded(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

// spki returns a public key as X.509 has it.
func spki(key *ecdsa.PrivateKey) ([]byte, error) { return x509.MarshalPKIXPublicKey(&key.PublicKey) }

// TrustedRoot returns the trusted_root.json of the instance.
func (s *Sigstore) TrustedRoot() ([]byte, error) {
	valid := object{"start": s.since.UTC().Format(time.RFC3339)}
	logs := map[string]object{}
	for url, key := range map[string]*ecdsa.PrivateKey{"https://rekor.sandbox": s.rekor, "https://ctlog.sandbox": s.ctlog} {
		raw, err := spki(key)
		if err != nil {
			return nil, err
		}
		id := sha256.Sum256(raw)
		logs[url] = object{
			"baseUrl": url, "hashAlgorithm": "SHA2_256", "logId": object{"keyId": encoded(id[:])},
			"publicKey": object{"rawBytes": encoded(raw), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid},
		}
	}
	return json.MarshalIndent(object{
		"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"tlogs":     []object{logs["https://rekor.sandbox"]},
		"ctlogs":    []object{logs["https://ctlog.sandbox"]},
		"certificateAuthorities": []object{{
			"subject": object{"organization": "sandbox", "commonName": "sandbox root"}, "uri": "https://fulcio.sandbox", "validFor": valid,
			"certChain": object{"certificates": []object{{"rawBytes": encoded(s.intermediate.Raw)}, {"rawBytes": encoded(s.root.Raw)}}},
		}},
	}, "", "  ")
}

// fulcio is the number under which Sigstore's extensions of certificates are.
var fulcio = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1}

// extension returns one of Sigstore's, with a text.
func extension(number int, text string) (pkix.Extension, error) {
	value, err := asn1.MarshalWithParams(text, "utf8")
	return pkix.Extension{Id: append(append(asn1.ObjectIdentifier{}, fulcio...), number), Value: value}, err
}

// certify makes the certificate of a key, good from a moment.
func (s *Sigstore) certify(by Signer, key *ecdsa.PrivateKey, from time.Time) (*x509.Certificate, error) {
	identity, err := url.Parse(by.Workflow)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: from, NotAfter: from.Add(lifetime), URIs: []*url.URL{identity},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	for number, text := range map[int]string{8: by.Issuer, 9: by.Workflow, 12: by.Repository, 13: by.Commit, 14: by.Ref} {
		if text == "" {
			continue
		}
		one, err := extension(number, text)
		if err != nil {
			return nil, err
		}
		template.ExtraExtensions = append(template.ExtraExtensions, one)
	}
	sign := func() (*x509.Certificate, error) {
		raw, err := x509.CreateCertificate(rand.Reader, template, s.intermediate, &key.PublicKey, s.intermediateKey)
		if err != nil {
			return nil, err
		}
		return x509.ParseCertificate(raw)
	}
	bare, err := sign()
	if err != nil || by.Uncertified {
		return bare, err
	}
	timestamp, err := s.certificateTimestamp(bare, from)
	if err != nil {
		return nil, err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, timestamp)
	return sign()
}

// u16 is a text behind its length, as TLS writes it.
func u16(content []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(content))), content...) //nolint:gosec // It is short.
}

// certificateTimestamp is the extension by which the log of certificates says that it has one
// (RFC 6962, 3.3).
func (s *Sigstore) certificateTimestamp(bare *x509.Certificate, at time.Time) (pkix.Extension, error) {
	raw, err := spki(s.ctlog)
	if err != nil {
		return pkix.Extension{}, err
	}
	id, issuer := sha256.Sum256(raw), sha256.Sum256(s.intermediate.RawSubjectPublicKeyInfo)
	when := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli()))
	var signed bytes.Buffer
	signed.Write([]byte{0, 0}) // Version 1, a timestamp of a certificate.
	signed.Write(when)
	signed.Write([]byte{0, 1}) // Of what is to be a certificate.
	signed.Write(issuer[:])
	signed.Write(binary.BigEndian.AppendUint32(nil, uint32(len(bare.RawTBSCertificate)))[1:]) //nolint:gosec // It is short.
	signed.Write(bare.RawTBSCertificate)
	signed.Write([]byte{0, 0}) // No extensions.
	signature, err := sign(s.ctlog, signed.Bytes())
	if err != nil {
		return pkix.Extension{}, err
	}
	var timestamp bytes.Buffer
	timestamp.WriteByte(0)
	timestamp.Write(id[:])
	timestamp.Write(when)
	timestamp.Write([]byte{0, 0, 4, 3}) // No extensions; SHA-256 and ECDSA.
	timestamp.Write(u16(signature))
	value, err := asn1.Marshal(u16(u16(timestamp.Bytes())))
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: value}, err
}

// sign signs the SHA-256 of a content.
func sign(key *ecdsa.PrivateKey, content []byte) ([]byte, error) {
	sum := sha256.Sum256(content)
	return ecdsa.SignASN1(rand.Reader, key, sum[:])
}

// SignBlob returns the bundle of a signature of a content.
func (s *Sigstore) SignBlob(by Signer, content []byte) ([]byte, error) {
	sum := sha256.Sum256(content)
	return s.bundle(by, content, func(signature []byte, certificate string) (object, object) {
		signed := object{"messageSignature": object{"messageDigest": object{"algorithm": "SHA2_256", "digest": encoded(sum[:])}, "signature": encoded(signature)}}
		return signed, object{
			"apiVersion": "0.0.1", "kind": "hashedrekord",
			"spec": object{
				"data":      object{"hash": object{"algorithm": "sha256", "value": fmt.Sprintf("%x", sum)}},
				"signature": object{"content": encoded(signature), "publicKey": object{"content": certificate}},
			},
		}
	})
}

// SignStatement returns the bundle of a signed statement (in-toto, DSSE).
func (s *Sigstore) SignStatement(by Signer, statement any) ([]byte, error) {
	payload, err := json.Marshal(statement)
	if err != nil {
		return nil, err
	}
	const kind = "application/vnd.in-toto+json"
	content := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload)
	sum := sha256.Sum256(payload)
	return s.bundle(by, content, func(signature []byte, certificate string) (object, object) {
		envelope := object{"payload": encoded(payload), "payloadType": kind, "signatures": []object{{"sig": encoded(signature)}}}
		whole, _ := json.Marshal(envelope) // It has texts only.
		envelopeSum := sha256.Sum256(whole)
		return object{"dsseEnvelope": envelope}, object{
			"apiVersion": "0.0.1", "kind": "dsse",
			"spec": object{
				"envelopeHash": object{"algorithm": "sha256", "value": fmt.Sprintf("%x", envelopeSum)},
				"payloadHash":  object{"algorithm": "sha256", "value": fmt.Sprintf("%x", sum)},
				"signatures":   []object{{"signature": encoded(signature), "verifier": certificate}},
			},
		}
	})
}

// bundle signs a content and has the log take it. form returns the signature as the bundle has
// it, and as the log has it.
func (s *Sigstore) bundle(by Signer, content []byte, form func(signature []byte, certificate string) (object, object)) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	// Some time ago: what is verified must not be the time of the verification.
	from := time.Now().Add(-time.Hour).Truncate(time.Second)
	certificate, err := s.certify(by, key, from)
	if err != nil {
		return nil, err
	}
	signature, err := sign(key, content)
	if err != nil {
		return nil, err
	}
	text := encoded(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
	bundle, entry := form(signature, text)
	logged := []object{}
	if !by.Unlogged {
		one, err := s.log(by, entry, from.Add(max(time.Second, by.LoggedAfter)))
		if err != nil {
			return nil, err
		}
		logged = append(logged, one)
	}
	bundle["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.3+json"
	bundle["verificationMaterial"] = object{"certificate": object{"rawBytes": encoded(certificate.Raw)}, "tlogEntries": logged}
	return json.Marshal(bundle)
}

// log returns an entry of the transparency log, with the promise and the proof that it has it:
// the log has nothing else in it.
func (s *Sigstore) log(by Signer, entry object, at time.Time) (object, error) {
	body, err := json.Marshal(entry)
	if err != nil {
		return nil, err
	}
	raw, err := spki(s.rekor)
	if err != nil {
		return nil, err
	}
	key := s.rekor
	if by.ForgedLog {
		key = s.ctlog
	}
	id := sha256.Sum256(raw)
	promised, err := json.Marshal(object{"body": encoded(body), "integratedTime": at.Unix(), "logID": fmt.Sprintf("%x", id), "logIndex": 0})
	if err != nil {
		return nil, err
	}
	promise, err := sign(key, promised)
	if err != nil {
		return nil, err
	}
	leaf := sha256.Sum256(append([]byte{0}, body...))
	checkpoint, err := checkpoint(key, id, leaf)
	if err != nil {
		return nil, err
	}
	kind := entry["kind"]
	return object{
		"logIndex": "0", "logId": object{"keyId": encoded(id[:])}, "kindVersion": object{"kind": kind, "version": "0.0.1"},
		"integratedTime": strconv.FormatInt(at.Unix(), 10), "inclusionPromise": object{"signedEntryTimestamp": encoded(promise)},
		"inclusionProof":    object{"logIndex": "0", "rootHash": encoded(leaf[:]), "treeSize": "1", "hashes": []string{}, "checkpoint": object{"envelope": checkpoint}},
		"canonicalizedBody": encoded(body),
	}, nil
}

// checkpoint is the signed head of a log with one entry.
func checkpoint(key *ecdsa.PrivateKey, id, leaf [sha256.Size]byte) (string, error) {
	const origin = "rekor.sandbox"
	text := strings.Join([]string{origin + " - 1", "1", encoded(leaf[:]), ""}, "\n")
	signature, err := sign(key, []byte(text))
	if err != nil {
		return "", err
	}
	return text + "\n\u2014 " + origin + " " + encoded(append(id[:4:4], signature...)) + "\n", nil
}

// Provenance returns the bundle of the SLSA provenance of something, by its name and its
// SHA-256 in hexadecimal.
func (s *Sigstore) Provenance(by Signer, name, sum string) ([]byte, error) {
	return s.SignStatement(by, object{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []object{{"name": name, "digest": object{"sha256": or(by.Subject, sum)}}},
		"predicateType": "https://slsa.dev/provenance/v1",
		"predicate": object{
			"buildDefinition": object{
				"buildType":            "https://actions.github.io/buildtypes/workflow/v1",
				"externalParameters":   object{"workflow": object{"ref": by.Ref, "repository": by.Repository, "path": ".github/workflows/release.yaml"}},
				"resolvedDependencies": []object{{"uri": "git+" + or(by.BuiltFrom, by.Repository) + "@" + by.Ref, "digest": object{"gitCommit": or(by.BuiltCommit, by.Commit)}}},
			},
			"runDetails": object{"builder": object{"id": by.Workflow}},
		},
	})
}

func or(one, other string) string {
	if one != "" {
		return one
	}
	return other
}
