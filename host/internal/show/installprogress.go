package show

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// installProgress shows on standard error how an installation goes: to a person by one line
// that changes on a terminal, and elsewhere by a line for each step and now and then one for a
// download; in the log where there is one, and by lines of JSON where the command's own lines
// are.
type installProgress struct {
	line *terminal.LiveLine
	log  *zap.Logger // nil: the lines are text

	last  host.InstallEvent
	shown time.Time
}

// show shows an event. Those of a download come often: they are shown at intervals.
func (p *installProgress) show(event host.InstallEvent) {
	isNew := event.Step != p.last.Step || event.Plugin != p.last.Plugin || event.Platform != p.last.Platform
	p.last = event
	if event.Step == "" {
		p.line.Clear()
		return
	}
	if !isNew && time.Since(p.shown) < p.line.Interval() {
		return
	}
	p.shown = time.Now()
	if p.log == nil {
		p.line.Show(lineOf(event))
		return
	}
	p.log.Info("installing", zap.String("plugin", event.Plugin), zap.String("platform", event.Platform), zap.String("step", event.Step),
		zap.Int64("bytes", event.Done), zap.Int64("of_bytes", event.Total))
}

// lineOf returns an event in words.
func lineOf(event host.InstallEvent) string {
	line := fmt.Sprintf("%s for %s: %s", event.Plugin, event.Platform, event.Step)
	switch {
	case event.Total > 0:
		line += fmt.Sprintf(" %s of %s", inBytes(event.Done), inBytes(event.Total))
	case event.Done > 0:
		line += " " + inBytes(event.Done)
	}
	return line
}

func inBytes(number int64) string { return humanize.IBytes(uint64(max(number, 0))) }
