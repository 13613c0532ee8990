package pluginlog

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestWriter_CutsAFloodToSoManyLines writes all of it at one instant, and again a while
// later.
func TestWriter_CutsAFloodToSoManyLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const lines = 20000
		core, logs := observer.New(zap.InfoLevel)
		w := New(zap.New(core), nil)
		for _, allowed := range []int{linesAtOnce, 3 * linesPerSecond} {
			for i := range lines {
				_, err := fmt.Fprintf(w.Stderr, "{\"level\":\"info\",\"msg\":\"flood %d\"}\n", i)
				require.NoError(t, err)
			}
			time.Sleep(3 * time.Second)
			require.Equal(t, allowed, logs.FilterMessageSnippet("flood ").Len())
			notices := logs.FilterMessageSnippet("lines of the plugin's log were dropped").All()
			require.Len(t, notices, 1)
			require.Equal(t, zap.WarnLevel, notices[0].Level)
			require.Equal(t, int64(lines-allowed), notices[0].ContextMap()["lines"])
			logs.TakeAll()
		}
	})
}
