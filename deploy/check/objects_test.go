package check_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// The root of the repository and what is deployed from it.
const (
	root      = "../.."
	manifests = root + "/deploy/kubernetes"
	alone     = manifests + "/baton-fullstory"
	host      = manifests + "/baton-host"
)

// decode reads a manifest as the API server does: an unknown field, a field that is
// there twice or a value of another type is an error.
func decode(document []byte) (runtime.Object, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	object, _, err := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer().Decode(document, nil, nil)
	return object, err
}

func decodeAll(t *testing.T, name string, documents []byte) []runtime.Object {
	t.Helper()
	var objects []runtime.Object
	for reader := yaml.NewYAMLReader(newReader(documents)); ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		require.NoError(t, err, name)
		object, err := decode(document)
		require.NoError(t, err, name)
		objects = append(objects, object)
	}
}

// files are the manifests of a directory, but for its kustomization.
func files(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	require.NoError(t, err)
	var found []string
	for _, path := range paths {
		if filepath.Base(path) != "kustomization.yaml" {
			found = append(found, path)
		}
	}
	require.NotEmpty(t, found)
	return found
}

func load(t *testing.T, dir string) []runtime.Object {
	t.Helper()
	var objects []runtime.Object
	for _, path := range files(t, dir) {
		objects = append(objects, decodeAll(t, path, read(t, path))...)
	}
	return objects
}

// the returns the only object of its type.
func the[T runtime.Object](t *testing.T, objects []runtime.Object) T {
	t.Helper()
	var found []T
	for _, object := range objects {
		if typed, ok := object.(T); ok {
			found = append(found, typed)
		}
	}
	require.Len(t, found, 1, "objects of type %T", *new(T))
	return found[0]
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

func newReader(content []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(content)) }
