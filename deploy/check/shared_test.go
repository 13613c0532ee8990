package check_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// TestShared_HasReplicasThatShareABucket, which is all that it adds to the host.
func TestShared_HasReplicasThatShareABucket(t *testing.T) {
	t.Parallel()
	path, err := filepath.Abs(manifests + "/baton-host-shared")
	require.NoError(t, err)
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), path)
	require.NoError(t, err)
	text, err := built.AsYaml()
	require.NoError(t, err)
	objects := decodeAll(t, "the kustomization", text)

	base, set := the[*appsv1.StatefulSet](t, load(t, host)), the[*appsv1.StatefulSet](t, objects)
	require.Greater(t, *set.Spec.Replicas, *base.Spec.Replicas)
	main := set.Spec.Template.Spec.Containers[0]
	mount, key := mounted(t, main, variable(t, main, "AWS_SHARED_CREDENTIALS_FILE").Value)
	require.Equal(t, "secrets", mount.Name)
	require.Contains(t, the[*corev1.Secret](t, objects).StringData, key)
	base.Spec.Replicas = set.Spec.Replicas
	added := &base.Spec.Template.Spec.Containers[0]
	added.Env = append(added.Env, variable(t, main, "AWS_SHARED_CREDENTIALS_FILE"))
	require.ElementsMatch(t, added.Env, main.Env)
	added.Env = main.Env
	require.Equal(t, base.Spec, set.Spec)

	var config map[string]any
	with := the[*corev1.ConfigMap](t, objects).Data["baton-host.yaml"]
	require.NoError(t, yaml.Unmarshal([]byte(with), &config))
	require.Equal(t, "s3://baton-state/production?region=eu-central-1", config["state"])
	_, rest, _ := strings.Cut(with, "\n")
	require.Equal(t, the[*corev1.ConfigMap](t, load(t, host)).Data["baton-host.yaml"], rest, "the rest is the base's")
}
