//go:build long

package plugintest

import "testing"

func TestLongChecks_FailABadHabit(t *testing.T) {
	t.Parallel()
	badHabits(t, asSubprocess)
}
