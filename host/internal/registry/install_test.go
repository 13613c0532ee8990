package registry

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/releases"
)

func TestInstall_HasTheBinaryOfARelease(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	of, published := of(), roster()
	published.Binaries = map[string][]byte{}
	for _, platform := range platforms {
		published.Binaries[strings.Replace(platform, "/", "-", 1)] = []byte(string(program) + "# " + platform + "\n")
	}
	require.NoError(t, p.Publish(published))
	for _, name := range platforms {
		platform, err := ParsePlatform(name)
		require.NoError(t, err)
		installed, err := p.installer.Install(t.Context(), of, platform)
		require.NoError(t, err, name)
		binary := published.Binaries[platform.asset()]
		signer := releases.ConductorOne(connector, version)
		require.Equal(t, Installed{
			Connector: connector, Platform: platform, Version: version,
			Digest: digestOfBytes(p.Get(published.File(platform.asset()))), Binary: digestOfBytes(binary),
			Signer: signer.Workflow, Repository: signer.Repository, Commit: signer.Commit,
			Path: filepath.Join(p.store, "sha256", strings.TrimPrefix(digestOfBytes(binary), "sha256:"), platform.binary(connector)),
		}, installed)
		content, err := os.ReadFile(installed.Path)
		require.NoError(t, err)
		require.Equal(t, string(binary), string(content))
		found, isThere := p.installer.Store.Find(connector, installed.Binary)
		require.True(t, isThere)
		require.Equal(t, installed.Path, found)
	}
	if runtime.GOOS == "windows" {
		return
	}
	path, _ := p.installer.Store.Find(connector, digestOfBytes(published.Binaries["linux-amd64"]))
	output, err := exec.CommandContext(t.Context(), path).Output() //nolint:gosec // What was installed.
	require.NoError(t, err)
	require.Equal(t, "roster\n", string(output))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o555), info.Mode())
}

func TestInstall_FetchesAnArchiveOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	published := roster()
	require.NoError(t, p.Publish(published))
	first, err := p.installer.Install(t.Context(), of(), linux)
	require.NoError(t, err)
	known := of()
	known.Digest, known.Binary = first.Digest, first.Binary
	again, err := p.installer.Install(t.Context(), known, linux)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, 1, p.Requests()[published.File("linux-amd64")])

	// Somebody has damaged it.
	require.NoError(t, os.Chmod(first.Path, 0o700)) //nolint:gosec // It is a program.
	require.NoError(t, os.WriteFile(first.Path, []byte("evil"), 0o600))
	again, err = p.installer.Install(t.Context(), known, linux)
	require.NoError(t, err)
	require.Equal(t, first, again)
	content, err := os.ReadFile(first.Path)
	require.NoError(t, err)
	require.Equal(t, string(program), string(content))
}

// TestInstall_TakesNothingUnknownFromTheStore: another user who can write there decides
// neither what is in an archive nor where a name leads.
func TestInstall_TakesNothingUnknownFromTheStore(t *testing.T) {
	t.Parallel()
	evil := []byte("#!/bin/sh\necho evil\n")
	for name, prepare := range map[string]func(t *testing.T, store, path string){
		"another binary, recorded for the archive": func(t *testing.T, store, path string) {
			t.Helper()
			forged := filepath.Join(store, "sha256", strings.TrimPrefix(digestOfBytes(evil), "sha256:"))
			require.NoError(t, os.MkdirAll(forged, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(forged, filepath.Base(path)), evil, 0o600))
		},
		"a link in the place of the binary": func(t *testing.T, _, path string) {
			t.Helper()
			elsewhere := filepath.Join(t.TempDir(), "elsewhere")
			require.NoError(t, os.WriteFile(elsewhere, program, 0o600))
			require.NoError(t, os.Symlink(elsewhere, path))
		},
		"a directory in the place of the binary": func(t *testing.T, _, path string) {
			t.Helper()
			require.NoError(t, os.MkdirAll(filepath.Join(path, "full"), 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			require.NoError(t, p.Publish(roster()))
			path := p.installer.Store.path(connector, digestOfBytes(program))
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			prepare(t, p.store, path)
			installed, err := p.installer.Install(t.Context(), of(), linux)
			require.NoError(t, err)
			require.Equal(t, digestOfBytes(program), installed.Binary)
			info, err := os.Lstat(installed.Path)
			require.NoError(t, err)
			require.True(t, info.Mode().IsRegular())
			found, isInstalled := p.installer.Store.Find(connector, installed.Binary)
			require.True(t, isInstalled)
			require.Equal(t, installed.Path, found)
		})
	}
}

func TestInstall_ReportsProgress(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	published := roster()
	require.NoError(t, p.Publish(published))
	var steps []Step
	var last Event
	p.installer.Progress = func(event Event) {
		if len(steps) == 0 || steps[len(steps)-1] != event.Step {
			steps = append(steps, event.Step)
		}
		if event.Step == Downloading {
			last = event
		}
	}
	_, err := p.installer.Install(t.Context(), of(), linux)
	require.NoError(t, err)
	require.Equal(t, []Step{Resolving, Downloading, Unpacking}, steps)
	size := int64(len(p.Get(published.File("linux-amd64"))))
	require.Equal(t, Event{Downloading, size, size}, last)
}

func TestInstall_HasTheBinaryOfADownloadedArchive(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	published := roster()
	require.NoError(t, p.Publish(published))
	path, err := p.Download(t.TempDir(), published, "linux-amd64")
	require.NoError(t, err)
	p.Close() // Nothing is asked over the network.
	for _, source := range []Source{{App: "roster", Version: version, Archive: path}, {App: "roster", Archive: path}} {
		installed, err := p.installer.Install(t.Context(), source, linux)
		require.NoError(t, err)
		require.Equal(t, version, installed.Version)
		require.Equal(t, releases.ConductorOne(connector, version).Commit, installed.Commit)
		resolved, err := p.installer.Resolve(t.Context(), source, linux)
		require.NoError(t, err)
		require.Equal(t, Resolved{source.Version, installed.Digest}, resolved)
	}
	_, err = p.installer.Install(t.Context(), Source{App: "roster", Version: "v1.2.4", Archive: path}, linux)
	require.ErrorContains(t, err, `it was built from "refs/tags/v1.2.3" and not from the tag v1.2.4`)
	_, err = p.installer.Install(t.Context(), Source{App: "roster", Archive: path}, Platform{"linux", "arm64"})
	require.ErrorContains(t, err, "it is not the archive for linux/arm64: its provenance calls it \"baton-roster-v1.2.3-linux-amd64.tar.gz\"")
	_, err = p.installer.Install(t.Context(), Source{App: "github", Archive: path}, linux)
	require.ErrorContains(t, err, `it was built from "https://github.com/ConductorOne/baton-roster", and baton-github is built from https://github.com/ConductorOne/baton-github`)
	require.NoError(t, os.Remove(releases.Bundle(path)))
	_, err = p.installer.Install(t.Context(), Source{App: "roster", Archive: path}, linux)
	require.ErrorIs(t, err, ErrNoProvenance)
	require.ErrorContains(t, err, "its provenance is not beside it, as baton-roster-v1.2.3-linux-amd64.tar.gz.provenance.sigstore.json")
}

func TestInstall_TakesNothingWithoutProvenanceUnlessTold(t *testing.T) {
	t.Parallel()
	t.Run("release", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		published := roster()
		published.Unproven = true
		require.NoError(t, p.Publish(published))
		p.refuses(t, of(), "it has no provenance, so nothing shows who built it from what; ")
		published.Unsigned = true
		require.NoError(t, p.Publish(published))
		p.refuses(t, of(), "it has no provenance, so nothing shows who built it from what; ")
		p.installer.Trust = Trust{Unproven: true}
		installed, err := p.installer.Install(t.Context(), of(), linux)
		require.NoError(t, err)
		require.Empty(t, installed.Signer+installed.Repository+installed.Commit)
		require.Equal(t, version, installed.Version)
	})
	t.Run("archive", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		p.installer.Trust = Trust{Unproven: true}
		archive, err := releases.Archive(connector, "linux-amd64", program)
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "old.tar.gz")
		require.NoError(t, os.WriteFile(path, archive, 0o600))
		installed, err := p.installer.Install(t.Context(), Source{App: "roster", Archive: path}, linux)
		require.NoError(t, err)
		require.Empty(t, installed.Signer)
		require.Equal(t, digestOfBytes(archive), installed.Digest)
	})
	t.Run("image", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		registry := p.registry(t, true)
		image := rosterImage()
		image.Unproven = true
		_, err := registry.Push(image)
		require.NoError(t, err)
		source := Source{Image: registry.Host() + "/conductorone/baton-roster:v1.2.3"}
		p.refuses(t, source, "it has no provenance")
		p.installer.Trust = Trust{Unproven: true}
		installed, err := p.installer.Install(t.Context(), source, linux)
		require.NoError(t, err)
		require.Empty(t, installed.Signer)
	})
}

func TestInstall_RefusesWhatHasMovedSinceItWasLocked(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	require.NoError(t, p.Publish(roster()))
	source := of()
	locked, err := p.installer.Resolve(t.Context(), source, linux)
	require.NoError(t, err)
	require.Equal(t, version, locked.Version)
	other := roster()
	other.Binaries["linux-amd64"] = []byte("#!/bin/sh\necho other\n")
	require.NoError(t, p.Publish(other))
	now, err := p.installer.Resolve(t.Context(), source, linux)
	require.NoError(t, err)
	source.Digest = locked.Digest
	p.refuses(t, source, "baton-roster v1.2.3 is not what was locked: its digest was "+locked.Digest+" and is "+now.Digest+"; ")
	_, err = p.installer.Install(t.Context(), source, linux)
	var moved *MovedError
	require.ErrorAs(t, err, &moved)
	require.Equal(t, MovedError{source, locked.Digest, now.Digest}, *moved)

	source.Digest = now.Digest
	installed, err := p.installer.Install(t.Context(), source, linux)
	require.NoError(t, err)
	require.Equal(t, now.Digest, installed.Digest)
}
