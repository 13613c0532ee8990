package check_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// TestKustomizations_HaveEveryManifest, as it is.
func TestKustomizations_HaveEveryManifest(t *testing.T) {
	t.Parallel()
	for name, dir := range both {
		path, err := filepath.Abs(dir)
		require.NoError(t, err)
		built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), path)
		require.NoError(t, err, name)
		text, err := built.AsYaml()
		require.NoError(t, err, name)
		require.ElementsMatch(t, load(t, dir), decodeAll(t, name, text), name)
	}
}
