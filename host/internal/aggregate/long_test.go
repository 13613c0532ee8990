//go:build long

package aggregate_test

import (
	"testing"

	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"google.golang.org/grpc/codes"
)

func TestLongFallback_WhereverAPluginFails(t *testing.T) {
	t.Parallel()
	failsAnywhere(t, map[int]choice{1: every, 4: every})
}

func TestLongFallback_SecondUploadHasTheSameRows(t *testing.T) {
	t.Parallel()
	theSecondUpload(t, map[c1zstore.Engine]map[codes.Code]choice{
		c1zstore.EnginePebble: {codes.Unavailable: every, codes.FailedPrecondition: every},
		c1zstore.EngineSQLite: {codes.Unavailable: every, codes.FailedPrecondition: every},
	})
}

func TestLongFallback_RecordThatDoesNotKnowWhereRowsWereFound(t *testing.T) {
	t.Parallel()
	aRecordThatDoesNotKnow(t, map[int]choice{1: every, 4: every})
}

func TestLongSyncFile_HasWhatTheSDKsOwnSyncWould(t *testing.T) {
	t.Parallel()
	holdsWhatTheSDKWould(t, func(string, string, c1zstore.Engine, int) bool { return true })
}

func TestLongRows_ThatCannotBeSyncedFailTheirOwnPlugin(t *testing.T) {
	t.Parallel()
	aRowFailsItsOwnPlugin(t, func(refusal) bool { return true })
}
