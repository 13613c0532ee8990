package check_test

import (
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// afterGrace is how long a host may take beyond --grace to stop (docs/operations.md).
const afterGrace = 20 * time.Second

// flag is the value of a flag among the arguments of the host.
func flag(t *testing.T, arguments []string, name string) string {
	t.Helper()
	for _, argument := range arguments {
		if value, ok := strings.CutPrefix(argument, "--"+name+"="); ok {
			return value
		}
	}
	require.Fail(t, "there is no --"+name)
	return ""
}

// mounted is what is mounted where a path is, and the path from there.
func mounted(t *testing.T, container corev1.Container, file string) (mount corev1.VolumeMount, inside string) {
	t.Helper()
	for _, one := range container.VolumeMounts {
		if rest, ok := strings.CutPrefix(file+"/", one.MountPath+"/"); ok {
			mount, inside = one, strings.TrimSuffix(rest, "/")
		}
	}
	require.NotEmpty(t, mount.Name, "nothing is mounted at %s", file)
	return mount, inside
}

func volume(t *testing.T, pod corev1.PodSpec, name string) corev1.Volume {
	t.Helper()
	for _, one := range pod.Volumes {
		if one.Name == name {
			return one
		}
	}
	require.Fail(t, "there is no volume "+name)
	return corev1.Volume{}
}

func TestHost_FindsItsConfigurationAndSecrets(t *testing.T) {
	t.Parallel()
	w := loadWorkload(t, host)
	pod, container := w.template.Spec, w.container(t)
	secret, configMap := the[*corev1.Secret](t, w.objects), the[*corev1.ConfigMap](t, w.objects)

	mount, file := mounted(t, container, flag(t, container.Args, "config"))
	require.True(t, mount.ReadOnly)
	require.Equal(t, configMap.Name, volume(t, pod, mount.Name).ConfigMap.Name)
	require.Contains(t, configMap.Data, file)

	unused := map[string]string{}
	for key := range secret.StringData {
		unused[key] = ""
	}
	references := regexp.MustCompile(`\$\{(\w+):([^}]*)\}`).FindAllStringSubmatch(configMap.Data[file], -1)
	require.NotEmpty(t, references)
	for _, reference := range references {
		require.Equal(t, "file", reference[1], "%s: a secret in the environment goes further than one in a file", reference[0])
		mount, key := mounted(t, container, reference[2])
		require.True(t, mount.ReadOnly)
		require.Equal(t, secret.Name, volume(t, pod, mount.Name).Secret.SecretName)
		require.Contains(t, secret.StringData, key)
		delete(unused, key)
	}
	require.Empty(t, unused, "keys that the configuration does not name")
}

func TestHost_WritesToVolumesOnly(t *testing.T) {
	t.Parallel()
	w := loadWorkload(t, host)
	pod, container := w.template.Spec, w.container(t)
	require.Equal(t, new(true), container.SecurityContext.ReadOnlyRootFilesystem)

	// Each replica has a separate volume that outlives its pod. The directory in it
	// is made by the host, for itself alone.
	state, inside := mounted(t, container, flag(t, container.Args, "state-dir"))
	require.NotEmpty(t, inside)
	require.Len(t, w.claims, 1)
	require.Equal(t, w.claims[0].Name, state.Name)
	require.Equal(t, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, w.claims[0].Spec.AccessModes)
	retention := the[*appsv1.StatefulSet](t, w.objects).Spec.PersistentVolumeClaimRetentionPolicy
	require.Equal(t, appsv1.RetainPersistentVolumeClaimRetentionPolicyType, retention.WhenScaled)

	temp, _ := mounted(t, container, variable(t, container, "TMPDIR").Value)
	scratch := volume(t, pod, temp.Name).EmptyDir
	require.Equal(t, corev1.StorageMediumMemory, scratch.Medium)
	require.Negative(t, scratch.SizeLimit.Cmp(*container.Resources.Limits.Memory()), "what is in memory counts as the container's")

	for _, mount := range container.VolumeMounts {
		require.Equal(t, mount.Name != state.Name && mount.Name != temp.Name, mount.ReadOnly, mount.Name)
	}
	require.NotNil(t, pod.SecurityContext.FSGroup, "or it may not write to its volume")
	require.Equal(t, *pod.SecurityContext.RunAsGroup, *pod.SecurityContext.FSGroup, "or it may not read its secrets")
	require.Equal(t, corev1.FSGroupChangeOnRootMismatch, *pod.SecurityContext.FSGroupChangePolicy)
}

func variable(t *testing.T, container corev1.Container, name string) corev1.EnvVar {
	t.Helper()
	for _, one := range container.Env {
		if one.Name == name {
			return one
		}
	}
	require.Fail(t, "there is no variable "+name)
	return corev1.EnvVar{}
}

func TestReplicas_AreSeparateHosts(t *testing.T) {
	t.Parallel()
	w := loadWorkload(t, host)
	set := the[*appsv1.StatefulSet](t, w.objects)
	require.Equal(t, new(int32(2)), set.Spec.Replicas)
	require.Equal(t, "metadata.name", variable(t, w.container(t), "BATON_HOST_ID").ValueFrom.FieldRef.FieldPath)

	service := the[*corev1.Service](t, w.objects)
	require.Equal(t, service.Name, set.Spec.ServiceName)
	require.Equal(t, corev1.ClusterIPNone, service.Spec.ClusterIP, "the service of a StatefulSet has no cluster address")
	require.True(t, labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(w.template.Labels)))
}

func TestProbes_MatchTheListenAddress(t *testing.T) {
	t.Parallel()
	w := loadWorkload(t, host)
	container := w.container(t)
	require.Len(t, container.Ports, 1)
	port := container.Ports[0]
	require.Equal(t, "0.0.0.0:9400", flag(t, container.Args, "listen"))
	require.Equal(t, int32(9400), port.ContainerPort)
	require.Contains(t, container.Args, "--watch", "a change of the ConfigMap needs no rollout")
	require.Contains(t, container.Args, "--listen-any", "the host serves other machines only with this flag")
	require.Equal(t, intstr.FromString(port.Name), container.LivenessProbe.HTTPGet.Port)
	require.Equal(t, "/healthz", container.LivenessProbe.HTTPGet.Path)
	require.Equal(t, intstr.FromString(port.Name), container.ReadinessProbe.HTTPGet.Port)
	require.Equal(t, "/readyz", container.ReadinessProbe.HTTPGet.Path)
	service := the[*corev1.Service](t, w.objects)
	require.Len(t, service.Spec.Ports, 1)
	require.Equal(t, intstr.FromString(port.Name), service.Spec.Ports[0].TargetPort)
}

func TestHost_HasTimeToStop(t *testing.T) {
	t.Parallel()
	w := loadWorkload(t, host)
	grace, err := time.ParseDuration(flag(t, w.container(t).Args, "grace"))
	require.NoError(t, err)
	allowed := time.Duration(*w.template.Spec.TerminationGracePeriodSeconds) * time.Second
	require.GreaterOrEqual(t, allowed, grace+afterGrace)
}

func TestReplicas_StopOneAtATime(t *testing.T) {
	t.Parallel()
	w := loadWorkload(t, host)
	budget := the[*policyv1.PodDisruptionBudget](t, w.objects)
	require.Equal(t, 1, budget.Spec.MaxUnavailable.IntValue())
	require.Equal(t, policyv1.AlwaysAllow, *budget.Spec.UnhealthyPodEvictionPolicy)
	matcher, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	require.NoError(t, err)
	require.True(t, matcher.Matches(labels.Set(w.template.Labels)))
	require.Equal(t, path.Base(host), budget.Name)
}
