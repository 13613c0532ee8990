package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/hostlog"
)

// installProgress shows on standard error how an installation goes: to a person by one line
// that changes on a terminal, and elsewhere by a line for each step and now and then one for a
// download; in the log where there is one, and by lines of JSON where the command's own lines
// are.
type installProgress struct {
	w    io.Writer
	log  *zap.Logger // nil: the lines are text
	live bool

	last  host.InstallEvent
	shown time.Time
}

func newInstallProgress(ctx context.Context) *installProgress {
	of := personOf(ctx)
	p := &installProgress{w: hostlog.Stderr, log: of.log}
	if !of.silent {
		p.log = ctxzap.Extract(ctx)
	}
	p.live = p.log == nil && onTerminal() && os.Getenv("TERM") != "dumb"
	return p
}

// Installing shows an event. Those of a download come often: they are shown at intervals.
func (p *installProgress) Installing(event host.InstallEvent) {
	isNew := event.Step != p.last.Step || event.Plugin != p.last.Plugin || event.Platform != p.last.Platform
	p.last = event
	if event.Step == "" {
		if p.live {
			_, _ = fmt.Fprint(p.w, "\r\x1b[K")
		}
		return
	}
	interval := plainInterval
	if p.live {
		interval = liveInterval
	}
	if !isNew && time.Since(p.shown) < interval {
		return
	}
	p.shown = time.Now()
	switch {
	case p.log != nil:
		p.log.Info("installing", zap.String("plugin", event.Plugin), zap.String("platform", event.Platform), zap.String("step", event.Step),
			zap.Int64("bytes", event.Done), zap.Int64("of_bytes", event.Total))
	case p.live:
		_, _ = fmt.Fprint(p.w, "\r\x1b[K"+cutToWidth(lineOf(event)))
	default:
		_, _ = fmt.Fprintln(p.w, lineOf(event))
	}
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
