//go:build long

package plugintest

import "testing"

func TestLongABadHabitFailsItsCheck(t *testing.T) {
	t.Parallel()
	badHabits(t, asSubprocess)
}
