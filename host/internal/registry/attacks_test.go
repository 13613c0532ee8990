package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/releases"
)

// attack is something that must not be installed.
type attack struct {
	// edit changes the release before it is published, after what is served.
	edit  func(t *testing.T, r *releases.Release)
	after func(t *testing.T, p *place, r releases.Release)
	// limits change those of the installation.
	limits func(*limits)
	says   string
}

// refuses publishes the release as the attack has it.
func (a attack) refuses(t *testing.T) {
	t.Helper()
	p, published := newPlace(t), roster()
	if a.edit != nil {
		a.edit(t, &published)
	}
	require.NoError(t, p.Publish(published))
	if a.after != nil {
		a.after(t, p, published)
	}
	if a.limits != nil {
		changed := usual
		a.limits(&changed)
		p.installer.limits = &changed
	}
	p.refuses(t, of(), a.says)
}

// bySigner is an attack by who signs.
func bySigner(edit func(*releases.Signer)) func(*testing.T, *releases.Release) {
	return func(_ *testing.T, r *releases.Release) {
		r.Signer = releases.ConductorOne(connector, version)
		edit(&r.Signer)
	}
}

// byManifest is an attack by what the manifest, which is signed, says.
func byManifest(edit func(manifest, asset map[string]any)) func(*testing.T, *releases.Release) {
	return func(_ *testing.T, r *releases.Release) {
		r.Edit = func(manifest map[string]any) {
			assets := manifest["assets"].(map[string]any)
			edit(manifest, assets["linux-amd64"].(map[string]any))
		}
	}
}

// byArchive is an attack by what is in the archive, which is signed.
func byArchive(files ...releases.File) func(*testing.T, *releases.Release) {
	return func(t *testing.T, r *releases.Release) {
		t.Helper()
		archive, err := releases.Tar(files...)
		require.NoError(t, err)
		r.Archives, r.Binaries = map[string][]byte{"linux-amd64": archive}, nil
	}
}

// with answers a path of the release in another way.
func with(path func(releases.Release) string, answer func(p *place) http.HandlerFunc) func(*testing.T, *place, releases.Release) {
	return func(_ *testing.T, p *place, r releases.Release) { p.Answer(path(r), answer(p)) }
}

func theArchive(r releases.Release) string    { return r.File("linux-amd64") }
func theManifest(r releases.Release) string   { return r.Manifest() }
func theSignature(r releases.Release) string  { return r.Manifest() + ".sigstore.json" }
func theProvenance(r releases.Release) string { return releases.Bundle(r.File("linux-amd64")) }

// page is a web page in place of what was asked for.
func page(*place) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<html><title>Log in to the proxy</title></html>")
	}
}

// elsewhere redirects to another host, which has the same.
func elsewhere(p *place) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(p.URL, "127.0.0.1", "localhost", 1)+r.URL.Path, http.StatusFound)
	}
}

// begun serves 100 bytes of a file, and then cuts, or waits for the client to go.
func begun(isCut bool) func(p *place) http.HandlerFunc {
	return func(p *place) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			content := p.Get(r.URL.Path)
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, _ = w.Write(content[:100])
			_ = http.NewResponseController(w).Flush()
			if isCut {
				panic(http.ErrAbortHandler)
			}
			<-r.Context().Done()
		}
	}
}

func TestInstall_RefusesSignaturesThatProveNothing(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]attack{
		"of another connector of the organization": {
			edit: bySigner(func(s *releases.Signer) { s.Repository = releases.Owner + "baton-github" }),
			says: `it was built from "https://github.com/ConductorOne/baton-github", and baton-roster is built from https://github.com/ConductorOne/baton-roster; it is another connector`,
		},
		"of a copy of the repository": {
			edit: bySigner(func(s *releases.Signer) { s.Repository = "https://github.com/evil/baton-roster" }),
			says: `it was built from "https://github.com/evil/baton-roster", and baton-roster is built from`,
		},
		"of no repository": {
			edit: bySigner(func(s *releases.Signer) { s.Repository = "" }),
			says: `it was built from "", and baton-roster is built from`,
		},
		"of another workflow": {
			edit: bySigner(func(s *releases.Signer) {
				s.Workflow = releases.Owner + "baton-roster/.github/workflows/release.yaml@refs/heads/main"
			}),
			says: `it was signed by "https://github.com/ConductorOne/baton-roster/.github/workflows/release.yaml@refs/heads/main", and only https://github.com/ConductorOne/github-workflows/.github/workflows/release.yaml@* is trusted`,
		},
		"of another issuer": {
			edit: bySigner(func(s *releases.Signer) { s.Issuer = "https://accounts.example" }),
			says: `its signer was vouched for by "https://accounts.example", and only https://token.actions.githubusercontent.com is trusted`,
		},
		"of another version": {
			edit: bySigner(func(s *releases.Signer) { s.Ref = "refs/tags/v1.2.2" }),
			says: `it was built from "refs/tags/v1.2.2" and not from the tag v1.2.3; it was exchanged`,
		},
		"of a branch of that name": {
			edit: bySigner(func(s *releases.Signer) { s.Ref = "refs/heads/v1.2.3" }),
			says: `it was built from "refs/heads/v1.2.3" and not from the tag v1.2.3`,
		},
		"with a certificate that had ended": {
			edit: bySigner(func(s *releases.Signer) { s.LoggedAfter = 11 * time.Minute }),
			says: "its certificate was not valid when the signature came into the transparency log",
		},
		"without an entry in the log": {
			edit: bySigner(func(s *releases.Signer) { s.Unlogged = true }),
			says: "its signature is not in the transparency log of the trusted root",
		},
		"with an entry that the log did not sign": {
			edit: bySigner(func(s *releases.Signer) { s.ForgedLog = true }),
			says: "its signature is not in the transparency log of the trusted root",
		},
		"with a certificate that is in no log": {
			edit: bySigner(func(s *releases.Signer) { s.Uncertified = true }),
			says: "its certificate is not in the log of certificates of the trusted root",
		},
		"of another digest": {
			edit: bySigner(func(s *releases.Signer) { s.Subject = strings.Repeat("0", 64) }),
			says: "/baton-roster-v1.2.3-linux-amd64.tar.gz: the signature is of something else",
		},
		"with provenance of another repository": {
			edit: bySigner(func(s *releases.Signer) { s.BuiltFrom = releases.Owner + "baton-github" }),
			says: "its provenance does not name its source repository, https://github.com/ConductorOne/baton-roster; the release is damaged",
		},
		"with provenance of another commit": {
			edit: bySigner(func(s *releases.Signer) { s.BuiltCommit = strings.Repeat("0", 40) }),
			says: `its provenance has the commit "0000000000000000000000000000000000000000", and its certificate "`,
		},
		"of another Sigstore": {
			after: func(t *testing.T, p *place, r releases.Release) {
				t.Helper()
				other, err := releases.NewSigstore()
				require.NoError(t, err)
				bundle, err := other.SignBlob(releases.ConductorOne(connector, version), p.Get(r.Manifest()))
				require.NoError(t, err)
				p.Put(theSignature(r), bundle)
			},
			says: "its signature is not in the transparency log of the trusted root",
		},
		"of another manifest": {
			after: func(t *testing.T, p *place, r releases.Release) {
				t.Helper()
				p.Put(r.Manifest(), append(p.Get(r.Manifest()), '\n'))
			},
			says: "the signature is ",
		},
		"of something else in place of the manifest's": {
			after: func(_ *testing.T, p *place, r releases.Release) { p.Put(theSignature(r), p.Get(theProvenance(r))) },
			says:  "the manifest ",
		},
		"of the manifest in place of the archive's": {
			after: func(_ *testing.T, p *place, r releases.Release) { p.Put(theProvenance(r), p.Get(theSignature(r))) },
			says:  "/baton-roster-v1.2.3-linux-amd64.tar.gz: ",
		},
		"of another statement about the archive": {
			after: func(t *testing.T, p *place, r releases.Release) {
				t.Helper()
				signs, err := sigstore()
				require.NoError(t, err)
				bundle, err := signs.SignStatement(releases.ConductorOne(connector, version), map[string]any{
					"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://spdx.dev/Document", "predicate": map[string]any{},
					"subject": []any{map[string]any{"name": "x", "digest": map[string]any{"sha256": strings.TrimPrefix(digestOfBytes(p.Get(theArchive(r))), "sha256:")}}},
				})
				require.NoError(t, err)
				p.Put(theProvenance(r), bundle)
			},
			says: `what is signed is no provenance (https://slsa.dev/provenance/v1) but "https://spdx.dev/Document"`,
		},
		"that cannot be read": {
			after: func(_ *testing.T, p *place, r releases.Release) { p.Put(theProvenance(r), []byte(`{"mediaType":`)) },
			says:  "its signature cannot be read (a Sigstore bundle is expected): ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attack.refuses(t)
		})
	}
}

func TestInstall_RefusesManifestsOfSomethingElse(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]attack{
		"of another version":               {edit: byManifest(func(m, _ map[string]any) { m["semver"] = "v1.2.2" }), says: `/manifest.json is of the release "v1.2.2" and not of v1.2.3; it was exchanged`},
		"of another connector":             {edit: byManifest(func(m, _ map[string]any) { m["name"] = "baton-github" }), says: `/manifest.json is of "baton-github" and not of baton-roster; it was exchanged`},
		"of another form":                  {edit: byManifest(func(m, _ map[string]any) { m["version"] = "3" }), says: `/manifest.json is of version "3", and this baton-host reads version 2; update baton-host`},
		"without the platform":             {edit: byManifest(func(m, _ map[string]any) { m["assets"] = map[string]any{"linux-arm64": map[string]any{}} }), says: "the release v1.2.3 of baton-roster has nothing for linux/amd64; it has linux-arm64"},
		"without a sum":                    {edit: byManifest(func(_, a map[string]any) { a["sha256"] = "" }), says: "has no SHA-256 of the archive for linux/amd64; the release is damaged"},
		"with a file's address":            {edit: byManifest(func(_, a map[string]any) { a["href"] = "file:///etc/passwd" }), says: `has an invalid address, "file:///etc/passwd"`},
		"with an address without TLS":      {edit: byManifest(func(_, a map[string]any) { a["href"] = "http://archives.example/x" }), says: "http://archives.example/x is not fetched without TLS; use https"},
		"with a signature of another host": {edit: byManifest(func(m, _ map[string]any) { m["signatureBundleHref"] = "https://evil.example/x" }), says: `which is not verified, names another host, "evil.example"; it is not asked`},
		"that is not JSON":                 {after: func(_ *testing.T, p *place, r releases.Release) { p.Put(r.Manifest(), []byte("oops")) }, says: "/manifest.json cannot be read: "},
		"that is too large": {
			after: func(_ *testing.T, p *place, r releases.Release) {
				p.Put(r.Manifest(), bytes.Repeat([]byte(" "), 5<<20))
			},
			says: "/manifest.json: it is larger than 4 MiB",
		},
		"that does not exist": {after: with(theManifest, func(*place) http.HandlerFunc { return http.NotFound }), says: "there is no release v1.2.3 of baton-roster (https://"},
		"that is away": {
			after: with(theManifest, func(*place) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
			}),
			says: "/manifest.json answers 503 Service Unavailable; try again later",
		},
		"that is a web page":                       {after: with(theManifest, page), says: "/manifest.json answers with a web page and not with JSON: the address is of something else, or a proxy that wants a login stands before it"},
		"that is on another host":                  {after: with(theManifest, elsewhere), says: "it redirects to another host, localhost:"},
		"with a signature that is a web page":      {after: with(theSignature, page), says: "/manifest.json.sigstore.json answers with a web page and not with JSON"},
		"with a signature that is on another host": {after: with(theSignature, elsewhere), says: "it redirects to another host, localhost:"},
		"with a signature that is not there":       {after: with(theSignature, func(*place) http.HandlerFunc { return http.NotFound }), says: "/manifest.json.sigstore.json answers 404 Not Found"},
		"with provenance that is on another host":  {after: with(theProvenance, elsewhere), says: "it redirects to another host, localhost:"},
		"that redirects for ever": {
			after: with(theManifest, func(*place) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }
			}),
			says: "it redirects more than 5 times",
		},
		"that is elsewhere without TLS": {
			after: with(theManifest, func(*place) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, "http://"+r.Host+r.URL.Path, http.StatusFound)
				}
			}),
			says: "it redirects to http://127.0.0.1:",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attack.refuses(t)
		})
	}
}

func TestInstall_RefusesArchivesOfMoreThanAConnector(t *testing.T) {
	t.Parallel()
	binary := releases.File{Name: connector, Content: program}
	const tenGiB = 10 << 30
	for name, attack := range map[string]attack{
		"a path out":              {edit: byArchive(releases.File{Name: "../" + connector, Content: program}), says: `its entry "../baton-roster" leads out of it, as that of no connector does; it is not installed`},
		"a path out beside it":    {edit: byArchive(binary, releases.File{Name: "a/../../.bashrc", Content: program}), says: `its entry "a/../../.bashrc" leads out of it`},
		"a path from the root":    {edit: byArchive(binary, releases.File{Name: "/etc/cron.d/evil", Content: program}), says: `its entry "/etc/cron.d/evil" leads out of it`},
		"a path out of Windows":   {edit: byArchive(binary, releases.File{Name: `..\evil`, Content: program}), says: `leads out of it`},
		"a link":                  {edit: byArchive(releases.File{Name: connector, Type: tar.TypeSymlink, Link: "/bin/sh"}), says: `its entry "baton-roster" is a link and not a file, as that of no connector is; it is not installed`},
		"a link beside it":        {edit: byArchive(releases.File{Name: "dir", Type: tar.TypeSymlink, Link: "/etc"}, binary), says: `its entry "dir" is a link and not a file`},
		"a hard link":             {edit: byArchive(binary, releases.File{Name: "copy", Type: tar.TypeLink, Link: "/etc/shadow"}), says: `its entry "copy" is a link and not a file`},
		"a device":                {edit: byArchive(binary, releases.File{Name: "null", Type: tar.TypeChar}), says: `its entry "null" is a device and not a file`},
		"a disk":                  {edit: byArchive(releases.File{Name: connector, Type: tar.TypeBlock}), says: `its entry "baton-roster" is a device and not a file`},
		"a pipe":                  {edit: byArchive(releases.File{Name: connector, Type: tar.TypeFifo}), says: `its entry "baton-roster" is a pipe and not a file`},
		"two binaries":            {edit: byArchive(binary, releases.File{Name: "bin/" + connector, Content: []byte("evil")}), says: `it has two files that are called baton-roster, "baton-roster" and "bin/baton-roster", so which of them was meant is not known`},
		"the same binary twice":   {edit: byArchive(binary, binary), says: `it has two files that are called baton-roster`},
		"no binary":               {edit: byArchive(releases.File{Name: "baton-github", Content: program}), says: "there is no file baton-roster in it, so it is no release of that connector"},
		"a directory of its name": {edit: byArchive(releases.File{Name: connector + "/", Type: tar.TypeDir}), says: "there is no file baton-roster in it"},
		"an empty binary":         {edit: byArchive(releases.File{Name: connector, Mode: 0o755}), says: "its file baton-roster is empty"},
		"10 GiB of binary":        {edit: byArchive(releases.File{Name: connector, Content: program, Size: tenGiB}), says: "it unpacks to more than 2048 MiB, and an archive of a connector does not; it is not installed"},
		"10 GiB beside it":        {edit: byArchive(releases.File{Name: "zeros", Content: program, Size: tenGiB}), says: "it unpacks to more than 2048 MiB"},
		"a binary that is large":  {edit: byArchive(releases.File{Name: connector, Content: program, Size: 3 << 29}), says: "its file baton-roster has 1536 MiB, and a connector has at most 1024 MiB"},
		"less than it says":       {edit: byArchive(releases.File{Name: connector, Content: program, Size: 1 << 20}), says: "it is damaged: unexpected EOF"},
		"too many files": {
			edit:   byArchive(binary, binary, binary),
			limits: func(l *limits) { l.entries = 0 },
			says:   "it has more than 0 files, and an archive of a connector has a few",
		},
		"what is no archive": {
			edit: func(_ *testing.T, r *releases.Release) {
				r.Archives, r.Binaries = map[string][]byte{"linux-amd64": program}, nil
			},
			says: "it is neither a .tar.gz nor a .zip; name the archive of the release",
		},
		"a link in a .zip": {
			edit: func(t *testing.T, r *releases.Release) {
				t.Helper()
				archive, err := releases.Zip(releases.File{Name: connector, Link: "/bin/sh"})
				require.NoError(t, err)
				r.Archives, r.Binaries = map[string][]byte{"linux-amd64": archive}, nil
			},
			says: `its entry "baton-roster" is a link and not a file`,
		},
		"a path out of a .zip": {
			edit: func(t *testing.T, r *releases.Release) {
				t.Helper()
				archive, err := releases.Zip(binary, releases.File{Name: "../evil", Content: program})
				require.NoError(t, err)
				r.Archives, r.Binaries = map[string][]byte{"linux-amd64": archive}, nil
			},
			says: `its entry "../evil" leads out of it`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attack.refuses(t)
		})
	}
}

// zeros is a compressed stream of zeros: members that are all the same.
func zeros(t *testing.T, of int64) []byte {
	t.Helper()
	var member bytes.Buffer
	compressed := gzip.NewWriter(&member)
	_, err := compressed.Write(make([]byte, 4<<20))
	require.NoError(t, err)
	require.NoError(t, compressed.Close())
	return bytes.Repeat(member.Bytes(), int(of/(4<<20)))
}

// TestInstall_RefusesAStreamOfZeros is about what an archive unpacks to where no header says
// so: behind a header, of which the size is a lie of the format GNU, or without any.
func TestInstall_RefusesAStreamOfZeros(t *testing.T) {
	t.Parallel()
	stream := zeros(t, 10<<30)
	var header bytes.Buffer
	compressed := gzip.NewWriter(&header)
	require.NoError(t, tar.NewWriter(compressed).WriteHeader(&tar.Header{Name: "notes", Mode: 0o644, Size: 1 << 30}))
	require.NoError(t, compressed.Close())
	for name, test := range map[string]struct {
		archive []byte
		says    string
	}{
		"alone":           {stream, "there is no file baton-roster in it"},
		"behind a header": {append(header.Bytes(), stream...), "it unpacks to more than 256 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attack{
				edit: func(_ *testing.T, r *releases.Release) {
					r.Archives, r.Binaries = map[string][]byte{"linux-amd64": test.archive}, nil
				},
				// The header alone is not refused.
				limits: func(l *limits) {
					l.unpacked = 256 << 20
					if name == "alone" {
						l.unpacked = usual.unpacked
					}
				},
				says: test.says,
			}.refuses(t)
		})
	}
}

func TestInstall_RefusesTransfersThatDoNotEndWell(t *testing.T) {
	t.Parallel()
	impatient := func(l *limits) { l.within, l.pace = time.Second, 1 }
	endless := func(*place) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 32<<10))
			}
		}
	}
	for name, attack := range map[string]attack{
		"an archive of another digest": {
			after: func(_ *testing.T, p *place, r releases.Release) {
				archive := bytes.Clone(p.Get(theArchive(r)))
				archive[len(archive)-1] ^= 1
				p.Put(theArchive(r), archive)
			},
			says: "it is not what was published: its digest is sha256:",
		},
		"an archive of another size": {
			after: func(_ *testing.T, p *place, r releases.Release) {
				p.Put(theArchive(r), append(p.Get(theArchive(r)), 0))
			},
			says: " were announced: it was exchanged, or cut by a proxy",
		},
		"an archive that is a web page": {after: with(theArchive, page), says: ".tar.gz answers with a web page and not with a file: "},
		"an archive that is not there":  {after: with(theArchive, func(*place) http.HandlerFunc { return http.NotFound }), says: ".tar.gz answers 404 Not Found"},
		"an archive that is cut":        {after: with(theArchive, begun(true)), says: "the transfer was cut off after 100 of "},
		"an archive that stops":         {after: with(theArchive, begun(false)), limits: impatient, says: "the transfer is too slow: fewer than 1 bytes came in 1s; try again where the network is better"},
		"a manifest that is cut":        {after: with(theManifest, begun(true)), says: "/manifest.json: unexpected EOF"},
		"a manifest that stops":         {after: with(theManifest, begun(false)), limits: impatient, says: "the transfer is too slow"},
		"a manifest that never begins": {
			after: with(theManifest, func(*place) http.HandlerFunc {
				return func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
			}),
			limits: func(l *limits) { l.answer = 500 * time.Millisecond },
			says:   "/manifest.json cannot be fetched: ",
		},
		"an archive without end": {after: with(theArchive, endless), says: "it has more than "},
		"a manifest without end": {after: with(theManifest, endless), says: "/manifest.json: it is larger than 4 MiB"},
		"an archive without end whose size is not known": {
			edit:   byManifest(func(_, a map[string]any) { a["sizeBytes"] = "0" }),
			after:  with(theArchive, endless),
			limits: func(l *limits) { l.archive = 1 << 20 },
			says:   "which is more than an archive of a connector has",
		},
		"an archive that is too large": {
			edit: func(_ *testing.T, r *releases.Release) {
				*r, _ = large()
				byManifest(func(_, a map[string]any) { a["sizeBytes"] = "0" })(nil, r)
			},
			limits: func(l *limits) { l.archive = 1 << 20 },
			says:   "and an archive of a connector has at most 1 MiB",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attack.refuses(t)
		})
	}
}

// TestInstall_FollowsAReleaseToAnotherHostForArchives: the verified manifest has their digest.
func TestInstall_FollowsAReleaseToAnotherHostForArchives(t *testing.T) {
	t.Parallel()
	p, published := newPlace(t), roster()
	require.NoError(t, p.Publish(published))
	other := newPlace(t)
	other.Put(theArchive(published), p.Get(theArchive(published)))
	p.Answer(theArchive(published), func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
	})
	p.installer.Trust = Trust{Unproven: true}
	p.refuses(t, of(), "it redirects to another host, "+strings.TrimPrefix(other.URL, "https://"))
	p.installer.Trust = other.installer.Trust
	_, err := p.installer.Install(t.Context(), of(), linux)
	require.NoError(t, err)
}

func TestInstall_ExplainsAServerThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.StartTLS()
	defer server.Close()
	p.installer.Releases = strings.Replace(server.URL, "127.0.0.1", "localhost", 1) // Which the certificate does not have.
	_, err := p.installer.Install(t.Context(), of(), linux)
	require.ErrorContains(t, err, "baton-roster v1.2.3 is not installed: https://localhost:")
	require.ErrorContains(t, err, "x509: ")
}

func TestInstall_SendsNothingWithoutTLS(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.installer.Releases = "http://releases.example"
	p.refuses(t, of(), "http://releases.example/baton-roster/v1.2.3/manifest.json is not fetched without TLS; use https")
}

func TestTrust_ExplainsARootThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	require.NoError(t, p.Publish(roster()))
	p.installer.Trust.Root = filepath.Join(t.TempDir(), "none.json")
	p.refuses(t, of(), "the trusted root "+p.installer.Trust.Root+": the file does not exist")
	require.NoError(t, os.WriteFile(p.installer.Trust.Root, []byte("{}"), 0o600))
	p.refuses(t, of(), "the trusted root "+p.installer.Trust.Root+" cannot be used: ")
}

// TestInstall_InstallsOnceWhereManyInstall has two installations of the same at once, of which
// one waits for the other.
func TestInstall_InstallsOnceWhereManyInstall(t *testing.T) {
	t.Parallel()
	p, published := newPlace(t), roster()
	require.NoError(t, p.Publish(published))
	archive := digestOfBytes(p.Get(theArchive(published)))
	waits, firstAsked := make(chan struct{}), make(chan struct{})
	p.Answer(theArchive(published), func(w http.ResponseWriter, r *http.Request) {
		close(firstAsked)
		<-waits
		_, _ = w.Write(p.Get(r.URL.Path))
	})
	results := make(chan Installed, 2)
	install := func(installer Installer) {
		known := of()
		known.Digest, known.Binary = archive, digestOfBytes(program)
		installed, err := installer.Install(t.Context(), known, linux)
		if err != nil {
			t.Error(err)
		}
		results <- installed
	}
	go install(p.installer)
	<-firstAsked
	second := p.installer
	second.Progress = func(event Event) {
		if event.Step == Waiting {
			close(waits)
		}
	}
	go install(second)
	one, other := <-results, <-results
	require.Equal(t, one, other)
	require.Equal(t, digestOfBytes(program), one.Binary)
	require.Equal(t, 1, p.Requests()[theArchive(published)])
}

func TestStore_ExplainsADirectoryThatCannotBeWrittenTo(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	require.NoError(t, p.Publish(roster()))
	require.NoError(t, os.WriteFile(p.store, nil, 0o600))
	_, err := p.installer.Install(t.Context(), of(), linux)
	require.ErrorContains(t, err, "not a directory")
	require.ErrorIs(t, p.installer.Store.explain(fs.ErrPermission), fs.ErrPermission)
	require.ErrorContains(t, p.installer.Store.explain(fs.ErrPermission), "the plugin store "+p.store+" cannot be written to: permission denied; let this user write there, or name another directory with plugin-store")
}

func TestStore_FindsNothingThatIsNotThere(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	sum := digestOfBytes(program)
	require.NoError(t, os.MkdirAll(filepath.Dir(p.installer.Store.path(connector, sum)), 0o700))
	for name, of := range map[string][2]string{
		"no binary":          {connector, sum},
		"no sum":             {connector, "sha256:../../x"},
		"no name":            {"../x", sum},
		"a directory's name": {".", sum},
	} {
		_, isInstalled := p.installer.Store.Find(of[0], of[1])
		require.False(t, isInstalled, name)
	}
	require.NoError(t, os.Symlink("/bin/sh", p.installer.Store.path(connector, sum)))
	_, isInstalled := p.installer.Store.Find(connector, sum)
	require.False(t, isInstalled, "a link")
}
