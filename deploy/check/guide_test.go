package check_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// guide has the manifests of the user guide of Fullstory's connector, word for word.
const guide = "testdata/guide"

// label is the line of the guide that Kubernetes refuses, and ours for it.
const label, quoted = "        baton: true", `        baton: "true" `

func TestGuide_SecretIsOurs(t *testing.T) {
	t.Parallel()
	const name = "baton-fullstory-secrets.yaml"
	require.Equal(t, string(read(t, filepath.Join(guide, name))), string(read(t, filepath.Join(alone, name))))
}

// TestGuide_LabelIsRefused is why ours has it in quotes.
func TestGuide_LabelIsRefused(t *testing.T) {
	t.Parallel()
	text := string(read(t, filepath.Join(guide, "baton-fullstory.yaml")))
	require.Contains(t, text, label+"\n")
	_, err := decode([]byte(text))
	require.ErrorContains(t, err, "cannot unmarshal bool into Go struct field ObjectMeta")
	_, err = decode([]byte(strings.Replace(text, label, quoted, 1)))
	require.NoError(t, err)
}

// TestDeployment_HasEveryLineOfTheGuide in the same order, so that a person who
// has both before them finds one in the other.
func TestDeployment_HasEveryLineOfTheGuide(t *testing.T) {
	t.Parallel()
	ours := strings.Split(string(read(t, filepath.Join(alone, "baton-fullstory.yaml"))), "\n")
	for line := range strings.Lines(string(read(t, filepath.Join(guide, "baton-fullstory.yaml")))) {
		line = strings.TrimRight(line, "\n")
		matches := func(our string) bool { return our == line }
		if line == label {
			matches = func(our string) bool { return strings.HasPrefix(our, quoted) }
		}
		for len(ours) > 0 && !matches(ours[0]) {
			ours = ours[1:]
		}
		require.NotEmpty(t, ours, "the guide's line %q is not there, or not in its place", line)
		ours = ours[1:]
	}
}

// TestDeployment_AddsOnlyProtection: without what is listed here it is the
// guide's, in names, labels, variables and everything else.
func TestDeployment_AddsOnlyProtection(t *testing.T) {
	t.Parallel()
	text := string(read(t, filepath.Join(guide, "baton-fullstory.yaml")))
	want, err := decode([]byte(strings.Replace(text, label, quoted, 1)))
	require.NoError(t, err)

	ours := the[*appsv1.Deployment](t, load(t, alone))
	pod := &ours.Spec.Template.Spec
	pod.AutomountServiceAccountToken, pod.EnableServiceLinks, pod.SecurityContext = nil, nil, nil
	require.Len(t, pod.Containers, 1)
	pod.Containers[0].Resources, pod.Containers[0].SecurityContext = corev1.ResourceRequirements{}, nil
	require.Equal(t, want, ours)
}
