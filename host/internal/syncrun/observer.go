package syncrun

import (
	"context"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/aggregate"
)

// logged tells the log what an operator has to know of a sync, and passes it on.
type logged struct {
	aggregate.Observer
	log *zap.Logger
}

func observed(ctx context.Context, observer aggregate.Observer, figures *Figures) aggregate.Observer {
	if observer == nil {
		observer = silent{}
	}
	return logged{Observer: counting{Observer: observer, figures: figures}, log: ctxzap.Extract(ctx)}
}

// FellBack is logged as a warning.
func (l logged) FellBack(fallback aggregate.Fallback) {
	what := "the plugin failed; the rest of this sync has what it listed in the last good one"
	if fallback.Contradicted {
		what = "a listing of the plugin was rejected; this sync has what it listed in the last good one, and nothing else of it"
	}
	l.log.Warn(what,
		zap.String("plugin", fallback.Instance), zap.Time("as_of", fallback.AsOf),
		zap.Duration("age", time.Since(fallback.AsOf).Round(time.Second)), zap.Error(fallback.Err))
	l.Observer.FellBack(fallback)
}

type silent struct{}

func (silent) Listed(aggregate.Page)       {}
func (silent) Retrying(aggregate.Retry)    {}
func (silent) FellBack(aggregate.Fallback) {}
