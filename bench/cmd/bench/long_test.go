//go:build linux && long

package main

import (
	"regexp"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var buildProduct = sync.OnceFunc(func() {
	build(map[string]string{
		"baton-host": "../../../host/cmd/baton-host", "baton-fullstory": "../../../fullstory/cmd/baton-fullstory",
		"baton-scim": "../../../scim/cmd/baton-scim", "baton-directory": "../../directory",
	})
})

// withProduct is where the product is, which is built once.
func withProduct(t *testing.T) string {
	t.Helper()
	buildProduct()
	return built
}

func TestLongBench_WritesATableIfSidesAgree(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := measured(t, append(programs(withProduct(t)), "-rows", "2x200,1x150-1ms,1x0", "-n", "2", "-v")...)
	require.NoError(t, err, stderr)
	figures := regexp.MustCompile(`(?m)^\| [^|]* \| (wall|CPU|memory|memory, own|memory, RSS) \| (0\.\d*[1-9]\d*|[1-9][\d.]*) (s|MiB) \| (0\.\d*[1-9]\d*|[1-9][\d.]*) (s|MiB) \| \*\*\d+\.\d\d\*\* \(\d+\.\d\d–\d+\.\d\d\) \| 2 \| – \| – \|$`)
	require.Len(t, figures.FindAllString(stdout, -1), 4*5, stdout)
	for _, message := range []string{
		"| 2 apps × 200, no latency, 2 baselines at once | wall |",
		"| 2 apps × 200, no latency, 2 baselines one after another | wall |",
		"| 1 app × 150, 1ms a page | wall |",
		"| 1 app × 0 (start-up) | wall |",
		"baton-sdk v0.25.0",
	} {
		require.Contains(t, stdout, message)
	}
	require.Contains(t, stderr, "baton-fullstory")
	require.NotContains(t, stdout+stderr, "bench-token")
}

func TestLongBench_WritesNoTableIfSidesDiffer(t *testing.T) {
	t.Parallel()
	for side, message := range map[string]string{
		"product":  "baton-host wrote 99 accounts, and the services have 100",
		"baseline": "the sync files are not the same: app 2: the product has 50 accounts, the baseline 49",
	} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, err := measured(t, append(programs(withProduct(t)), "-rows", "2x50", "-n", "1", "-drop", side)...)
			require.Error(t, err)
			require.Equal(t, "exit status 1", err.Error())
			require.Contains(t, stderr, message)
			require.Empty(t, stdout)
		})
	}
}

// TestLongBench_ComparesAllRowsOfGrants: of one app, of nested groups, of several apps and of
// one over SCIM; it fails if any row differs, or there are others than the app has.
func TestLongBench_ComparesAllRowsOfGrants(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := measured(t, append(programs(withProduct(t)), "-quick", "-only", "groups-300x25,nested-19000,4xgroups-75x25,scim-groups-300x25", "-n", "1")...)
	require.NoError(t, err, stderr)
	for _, message := range []string{
		"| 300 groups × 25 members | wall |", "| nested groups, 19,250 expanded rows | wall |",
		"| 4 apps × 75 groups × 25 members, 4 alone at once | wall |", "| SCIM: 300 groups × 25 members | wall |",
	} {
		require.Contains(t, stdout, message)
	}
}
