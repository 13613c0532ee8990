package check_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
)

// both are the directories of manifests, by name.
var both = map[string]string{"alone": alone, "host": host}

// workload is what the tests of every set look at.
type workload struct {
	objects  []runtime.Object
	selector *metav1.LabelSelector
	template corev1.PodTemplateSpec
	claims   []corev1.PersistentVolumeClaim
}

func (w workload) container(t *testing.T) corev1.Container {
	t.Helper()
	require.Len(t, w.template.Spec.Containers, 1)
	return w.template.Spec.Containers[0]
}

func loadWorkload(t *testing.T, dir string) workload {
	t.Helper()
	w := workload{objects: load(t, dir)}
	for _, object := range w.objects {
		switch typed := object.(type) {
		case *appsv1.Deployment:
			w.selector, w.template = typed.Spec.Selector, typed.Spec.Template
		case *appsv1.StatefulSet:
			w.selector, w.template, w.claims = typed.Spec.Selector, typed.Spec.Template, typed.Spec.VolumeClaimTemplates
		}
	}
	require.NotNil(t, w.selector)
	return w
}

func TestManifests_HaveValidNamesAndLabels(t *testing.T) {
	t.Parallel()
	for name, dir := range both {
		w := loadWorkload(t, dir)
		sets := []map[string]string{w.template.Labels}
		seen := map[string]bool{}
		for _, object := range w.objects {
			about, err := meta.Accessor(object)
			require.NoError(t, err)
			require.Empty(t, validation.IsDNS1123Label(about.GetName()), name)
			require.Empty(t, about.GetNamespace(), "%s: the namespace is for the operator to choose", name)
			key := object.GetObjectKind().GroupVersionKind().String() + " " + about.GetName()
			require.False(t, seen[key], "%s is there twice", key)
			seen[key] = true
			sets = append(sets, about.GetLabels())
			if dir == host { // The guide's Secret has no labels.
				require.Equal(t, w.selector.MatchLabels, about.GetLabels(), "%s: what belongs together is found together", key)
			}
		}
		for _, set := range sets {
			for key, value := range set {
				require.Empty(t, validation.IsQualifiedName(key), name)
				require.Empty(t, validation.IsValidLabelValue(value), name)
			}
		}
	}
}

func TestSelectors_FindThePods(t *testing.T) {
	t.Parallel()
	for name, dir := range both {
		w := loadWorkload(t, dir)
		selectors := []*metav1.LabelSelector{w.selector}
		for _, spread := range w.template.Spec.TopologySpreadConstraints {
			selectors = append(selectors, spread.LabelSelector)
		}
		for _, selector := range selectors {
			matcher, err := metav1.LabelSelectorAsSelector(selector)
			require.NoError(t, err)
			require.False(t, matcher.Empty(), name)
			require.True(t, matcher.Matches(labels.Set(w.template.Labels)), name)
		}
	}
}

func TestVolumes_MatchTheirMounts(t *testing.T) {
	t.Parallel()
	for name, dir := range both {
		w := loadWorkload(t, dir)
		var volumes, mounts []string
		for _, volume := range w.template.Spec.Volumes {
			volumes = append(volumes, volume.Name)
		}
		for _, claim := range w.claims {
			volumes = append(volumes, claim.Name)
		}
		for _, mount := range w.container(t).VolumeMounts {
			mounts = append(mounts, mount.Name)
		}
		require.ElementsMatch(t, volumes, mounts, name)
	}
}

// keys are the keys of the Secrets and ConfigMaps, by name.
func keys(objects []runtime.Object) (secrets, configMaps map[string][]string) {
	secrets, configMaps = map[string][]string{}, map[string][]string{}
	for _, object := range objects {
		switch typed := object.(type) {
		case *corev1.Secret:
			secrets[typed.Name] = slices.Sorted(maps.Keys(typed.StringData))
		case *corev1.ConfigMap:
			configMaps[typed.Name] = slices.Sorted(maps.Keys(typed.Data))
		}
	}
	return secrets, configMaps
}

func TestPods_ReferToWhatExists(t *testing.T) {
	t.Parallel()
	for name, dir := range both {
		w := loadWorkload(t, dir)
		secrets, configMaps := keys(w.objects)
		used := map[string]bool{}
		for _, volume := range w.template.Spec.Volumes {
			if volume.Secret != nil {
				require.Contains(t, secrets, volume.Secret.SecretName, name)
				used[volume.Secret.SecretName] = true
			}
			if volume.ConfigMap != nil {
				require.Contains(t, configMaps, volume.ConfigMap.Name, name)
				used[volume.ConfigMap.Name] = true
			}
		}
		for _, source := range w.container(t).EnvFrom {
			require.NotNil(t, source.SecretRef, name)
			require.Contains(t, secrets, source.SecretRef.Name, name)
			used[source.SecretRef.Name] = true
			for _, key := range secrets[source.SecretRef.Name] {
				require.Empty(t, validation.IsEnvVarName(key), name)
			}
		}
		for secret, its := range secrets {
			require.True(t, used[secret], "%s: nothing uses secret %s", name, secret)
			for _, key := range its {
				require.Empty(t, validation.IsConfigMapKey(key), name)
			}
		}
		for configMap := range configMaps {
			require.True(t, used[configMap], "%s: nothing uses configuration %s", name, configMap)
		}
	}
}

func TestSecrets_HoldPlaceholdersOnly(t *testing.T) {
	t.Parallel()
	for name, dir := range both {
		secret := the[*corev1.Secret](t, load(t, dir))
		require.Empty(t, secret.Data, name)
		for key, value := range secret.StringData {
			require.Regexp(t, `^<.+>$`, value, "%s: %s", name, key)
		}
	}
}

func TestPods_RunAsPlainUsersWithoutRights(t *testing.T) {
	t.Parallel()
	for name, dir := range both {
		w := loadWorkload(t, dir)
		pod, container := w.template.Spec, w.container(t)
		require.Equal(t, new(false), pod.AutomountServiceAccountToken, name)
		require.Equal(t, new(false), pod.EnableServiceLinks, name)
		require.Equal(t, new(true), pod.SecurityContext.RunAsNonRoot, name)
		require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type, name)
		require.Equal(t, new(false), container.SecurityContext.AllowPrivilegeEscalation, name)
		require.Equal(t, []corev1.Capability{"ALL"}, container.SecurityContext.Capabilities.Drop, name)
		require.Empty(t, container.SecurityContext.Capabilities.Add, name)
		require.False(t, container.Resources.Requests.Cpu().IsZero(), name)
		require.False(t, container.Resources.Requests.Memory().IsZero(), name)
		require.False(t, container.Resources.Limits.Memory().IsZero(), name)
		require.True(t, container.Resources.Limits.Cpu().IsZero(), "%s: a limit would slow a sync down on an idle node", name)
	}
}
