// Package show puts what package host does and returns into the words of a person and the
// records of a program: results as tables, JSON and CSV, and on standard error how it goes.
//
// The command line calls it with what it has from package host, or with a file that it has
// opened. It must never start, fetch or change anything, print a value of a secret, or write
// what is no result to the writer of a result.
package show

import (
	"context"
	"fmt"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/hostlog"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// Person shows on standard error what the log does not: the commands that a person runs
// log nothing unless they are asked to. It is a [host.Observer].
type Person struct {
	isSilent bool        // nothing is logged, not even errors
	log      *zap.Logger // the host's
	own      *zap.Logger // of the command's own lines where these are JSON; else nil
}

// NewPerson returns the person who runs a command, whose context has the host's logger. own is
// the logger of the command's own lines where these are JSON, and nil where they are text.
func NewPerson(ctx context.Context, own *zap.Logger) Person {
	log := ctxzap.Extract(ctx)
	return Person{isSilent: !log.Core().Enabled(zap.ErrorLevel), log: log, own: own}
}

// Warning writes a warning where the log is silent. Who asks for errors alone gets none.
func (p Person) Warning(text string) {
	switch {
	case !p.isSilent:
	case p.own != nil:
		p.own.Warn(text)
	default:
		_, _ = fmt.Fprintf(hostlog.Stderr, "baton-host: warning: %s\n", text)
	}
}

// Syncing shows how a sync goes.
func (p Person) Syncing(upload string, plugins []string) host.Progress {
	return startProgress(upload, plugins, p)
}

// Installing returns what shows how an installation goes.
func (p Person) Installing() func(host.InstallEvent) {
	progress := &installProgress{log: p.own}
	if !p.isSilent {
		progress.log = p.log
	}
	progress.line = terminal.NewLiveLine(hostlog.Stderr, progress.log == nil && terminal.HasLiveLines())
	return progress.show
}
