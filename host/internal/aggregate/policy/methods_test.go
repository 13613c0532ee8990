package policy

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

func TestChanges_DecidesOnEveryCall(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	protoregistry.GlobalFiles.RangeFilesByPackage("c1.connector.v2", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := "/" + string(service.FullName()) + "/" + string(service.Methods().Get(j).Name())
				found[method] = true
				_, decided := changing[method]
				require.True(t, decided, "%s is not decided on", method)
				require.False(t, Changes(method) && IsRepeatable(method), "%s changes something and is repeated", method)
			}
		}
		return true
	})
	require.NotEmpty(t, found)
	for method := range changing {
		require.True(t, found[method], "this SDK has no %s", method)
	}
	require.True(t, Changes("/c1.connector.v2.GrantManagerService/GrantEverything"), "what is not known may change something")
}
