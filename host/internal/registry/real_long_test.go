//go:build long

package registry

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/built"
	"github.com/batonhost/baton-host/sandbox/releases"
)

// TestLongInstall_RunsAConnectorOfThisRepository has a connector as its author builds it come
// out of a release and an image as it was.
func TestLongInstall_RunsAConnectorOfThisRepository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	repository := filepath.Join("..", "..", "..")
	require.NoError(t, built.Into(t.Context(), dir, repository, "build", "-buildvcs=false", "-ldflags=-s -w", "./examples/baton-roster"))
	binary, err := os.ReadFile(filepath.Join(dir, connector))
	require.NoError(t, err)
	asset := Host().asset()
	p := newPlace(t)
	published := roster()
	published.Binaries = map[string][]byte{asset: binary}
	require.NoError(t, p.Publish(published))
	registry, image := p.registry(t, true), rosterImage()
	image.Binaries = published.Binaries
	_, err = registry.Push(image)
	require.NoError(t, err)
	for _, source := range []Source{of(), {Image: registry.Host() + "/conductorone/baton-roster:" + version}} {
		installer := newPlace(t).installer
		installer.Releases = p.Base()
		installed, err := installer.Install(t.Context(), source, Host())
		require.NoError(t, err)
		require.Equal(t, digestOfBytes(binary), installed.Binary)
		require.Equal(t, releases.ConductorOne(connector, version).Commit, installed.Commit)
		output, err := exec.CommandContext(t.Context(), installed.Path, "--help").CombinedOutput() //nolint:gosec // It was built above.
		require.NoError(t, err, "%s", output)
		require.Contains(t, string(output), connector)
	}
}
