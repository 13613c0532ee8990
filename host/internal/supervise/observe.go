package supervise

import (
	"context"
	"os"

	"github.com/batonhost/baton-host/host/internal/files"
)

// Line is a line that a plugin wrote, as it may be shown.
type Line struct {
	// Text is the line without the values of secrets.
	Text string
	// Output says that it went to standard output.
	Output bool
	// Secret says that the value of a secret was in it, however written.
	Secret bool
}

// tell tells the observer a line, whatever level it has. The caller holds the lock.
func (w *logWriter) tell(raw string, cut, output bool) {
	if w.observe == nil {
		return
	}
	text := w.secrets.Blank(raw)
	if cut {
		text = w.secrets.BlankBeginning(raw)
	}
	w.observe(Line{Text: printable(text), Output: output, Secret: w.secrets.Finds(raw)})
}

// MakeScratch makes a scratch directory for processes that Start starts; a Plugin
// has its own. Whoever makes it removes it.
func MakeScratch() (*files.Dir, error) { return files.Make(os.TempDir(), scratchPrefix) }

// Kill ends the process at once, with all its group. Stop is called nevertheless.
func (p *Process) Kill() { _ = p.runner.Kill(context.Background()) }
