package check_test

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const installed = manifests + "/baton-host-installed"

// builtInstalled builds the kustomization beside a lock file, which the operator writes.
func builtInstalled(t *testing.T, lock string) []runtime.Object {
	t.Helper()
	dir := t.TempDir()
	for _, from := range []string{host, installed} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, path.Base(from)), os.DirFS(from)))
	}
	place := filepath.Join(dir, path.Base(installed))
	require.NoError(t, os.WriteFile(filepath.Join(place, "baton-host.lock"), []byte(lock), 0o600))
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), place)
	require.NoError(t, err)
	text, err := built.AsYaml()
	require.NoError(t, err)
	return decodeAll(t, "the kustomization", text)
}

func TestInstalled_IsInstalledAsItIsLocked(t *testing.T) {
	t.Parallel()
	objects := builtInstalled(t, "version: 2\n")
	pod := the[*appsv1.StatefulSet](t, objects).Spec.Template.Spec
	require.Len(t, pod.InitContainers, 1)
	require.Len(t, pod.Containers, 1)
	init, main := pod.InitContainers[0], pod.Containers[0]
	require.Equal(t, main.Image, init.Image)
	require.Equal(t, []string{"install", "--locked", "--config=" + flag(t, main.Args, "config")}, init.Args)
	require.Equal(t, main.SecurityContext, init.SecurityContext)

	files := the[*corev1.ConfigMap](t, objects)
	require.Len(t, files.Data, 2)
	require.Equal(t, "version: 2\n", files.Data["baton-host.lock"])
	require.Equal(t, files.Name, pod.Volumes[indexOf(t, pod.Volumes, "config")].ConfigMap.Name)
	require.NotEqual(t, files.Name, the[*corev1.ConfigMap](t, builtInstalled(t, "version: 1\n")).Name, "another lock file is a rollout")
	require.Equal(t, map[string]string{"app": "baton-host"}, files.Labels)

	var config struct {
		Store string `json:"plugin-store"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(files.Data["baton-host.yaml"]), &config))
	to, inside := mounted(t, init, config.Store)
	require.Empty(t, inside)
	require.False(t, to.ReadOnly)
	from, _ := mounted(t, main, config.Store)
	require.Equal(t, to.Name, from.Name)
	require.True(t, from.ReadOnly, "the host only starts what is there")
	require.NotNil(t, pod.Volumes[indexOf(t, pod.Volumes, to.Name)].EmptyDir)
}

// TestInstalled_GivesTheInitContainerNoSecret, and places that it can write to.
func TestInstalled_GivesTheInitContainerNoSecret(t *testing.T) {
	t.Parallel()
	pod := the[*appsv1.StatefulSet](t, builtInstalled(t, "version: 2\n")).Spec.Template.Spec
	init := pod.InitContainers[0]
	for _, mount := range init.VolumeMounts {
		volume := pod.Volumes[indexOf(t, pod.Volumes, mount.Name)]
		require.Nil(t, volume.Secret, mount.Name)
	}
	require.Empty(t, init.EnvFrom)
	for _, name := range []string{"HOME", "TMPDIR"} {
		mount, _ := mounted(t, init, variable(t, init, name).Value)
		require.False(t, mount.ReadOnly, name)
	}
}

// TestInstalled_RefersToSecretsThatExist in files as the base mounts them.
func TestInstalled_RefersToSecretsThatExist(t *testing.T) {
	t.Parallel()
	objects := builtInstalled(t, "version: 2\n")
	main := the[*appsv1.StatefulSet](t, objects).Spec.Template.Spec.Containers[0]
	secrets := the[*corev1.Secret](t, objects).StringData
	count := 0
	for part := range strings.SplitSeq(the[*corev1.ConfigMap](t, objects).Data["baton-host.yaml"], "${file:") {
		file, _, isReference := strings.Cut(part, "}")
		if !isReference {
			continue
		}
		mount, key := mounted(t, main, file)
		require.Equal(t, "secrets", mount.Name, file)
		require.Contains(t, secrets, key)
		count++
	}
	require.Equal(t, 3, count)
}

func indexOf(t *testing.T, volumes []corev1.Volume, name string) int {
	t.Helper()
	for i, volume := range volumes {
		if volume.Name == name {
			return i
		}
	}
	require.Fail(t, "there is no volume "+name)
	return -1
}
