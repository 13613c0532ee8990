package supervise

import (
	"sync"

	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
)

// mostDenied is how long a path in a report may be, in bytes.
const mostDenied = 512

// accessLog logs what a plugin does that a sandbox would deny, each thing once, however many
// processes do it.
type accessLog struct {
	logs *pluginlog.Writer

	mu    sync.Mutex
	seen  map[sandbox.Denial]bool
	blind bool
}

func newAccessLog(logs *pluginlog.Writer) *accessLog {
	return &accessLog{logs: logs, seen: map[sandbox.Denial]bool{}}
}

// Denied logs an access with the key that opens it.
func (l *accessLog) Denied(one sandbox.Denial) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen[one] {
		return
	}
	l.seen[one] = true // A process has a bounded number, and there are a few of a plugin.
	fields := []zap.Field{zap.String("access", one.Access), zap.String("to", l.shown(one.Object))}
	if entry := one.Entry(); entry != "" {
		fields = append(fields, zap.String("opened_by", l.shown(entry)))
	}
	if one.Hint != "" {
		fields = append(fields, zap.String("hint", l.shown(one.Hint)))
	}
	l.logs.Logger().Warn("the sandbox would deny this to the plugin", fields...)
}

// Blind logs why nothing more is reported.
func (l *accessLog) Blind(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.blind {
		l.blind = true
		l.logs.Logger().Info("what the sandbox would deny to the plugin is not reported, or not any more; set sandbox: on, or off", zap.String("reason", reason))
	}
}

// shown is a text of the plugin as it may be seen.
func (l *accessLog) shown(text string) string { return errtext.Shorten(l.logs.Blank(text), mostDenied) }
