package sdkfast

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
)

// TestTheDefaultStoreIsSpared: were it not, nothing would show it but the time that a
// sync takes. What is written is compared in host/internal/aggregate.
func TestTheDefaultStoreIsSpared(t *testing.T) {
	t.Parallel()
	store, sparing, err := OpenStore(t.Context(), filepath.Join(t.TempDir(), "new.c1z"), t.TempDir(), "")
	require.NoError(t, err)
	require.NotNil(t, sparing)
	require.Same(t, store, sparing)
	require.NoError(t, store.Close(t.Context()))
}

// TestTheSyncerAsksItsStoreForNothingElse reads the SDK's source: what its syncer asks
// a store whether it is, beyond what every store is, has to be part of syncerStore, or
// the syncer does without. A new version of the SDK may ask for more.
func TestTheSyncerAsksItsStoreForNothingElse(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/conductorone/baton-sdk/pkg/sync").Output()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "*.go"))
	require.NoError(t, err)
	asked := map[string]bool{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if assertion, ok := n.(*ast.TypeAssertExpr); ok && isStore(assertion.X) {
				asked[nameOf(assertion.Type)] = true
			}
			return true
		})
	}
	var names []string
	for name := range asked {
		names = append(names, name)
	}
	slices.Sort(names)
	require.Equal(t, []string{
		"DBSizeProvider", "EntitlementGraphStore", "GrantGenerationDigestReader",
		"GrantsForEntitlementPrincipalSorted", "IngestInvariantStore", "ListGrantPrincipalKeysForEntitlement",
		"entitlementRecordDeleter", "grantByRefsDeleter", "grantsByRefsBatchDeleter", "resourceRecordDeleter",
	}, names, "add what is new to syncerStore")
}

func isStore(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "store"
	case *ast.SelectorExpr:
		return x.Sel.Name == "store"
	}
	return false
}

// nameOf is the name of an interface, or of the methods of one without a name.
func nameOf(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	case *ast.InterfaceType:
		var methods []string
		for _, method := range x.Methods.List {
			for _, name := range method.Names {
				methods = append(methods, name.Name)
			}
		}
		return strings.Join(methods, "+")
	}
	return fmt.Sprintf("%T", x)
}

// TestTheFilterDeniesNothingThatWasAdded: that would make the syncer take a resource
// that is there for one that is not.
func TestTheFilterDeniesNothingThatWasAdded(t *testing.T) {
	t.Parallel()
	id := func(n int) *connectorv2.ResourceId {
		return connectorv2.ResourceId_builder{ResourceType: "user", Resource: fmt.Sprint("u", n)}.Build()
	}
	const many = 100_000
	filter := newIDFilter()
	require.False(t, filter.mayHave(id(1)))
	for n := range many {
		filter.add(id(n))
	}
	wrong := 0
	for n := range many {
		require.True(t, filter.mayHave(id(n)))
		if filter.mayHave(id(many + n)) {
			wrong++
		}
	}
	require.Less(t, wrong, many/100, "it would spare nothing")
}
