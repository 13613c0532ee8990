package syncrun

import (
	"context"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/aggregate"
)

// loggingObserver logs what an operator has to know of a sync, and passes it on.
type loggingObserver struct {
	aggregate.Observer
	log     *zap.Logger
	skipped *skippedResources
}

func observed(ctx context.Context, observer aggregate.Observer, figures *Figures, skipped *skippedResources) aggregate.Observer {
	if observer == nil {
		observer = noObserver{}
	}
	return loggingObserver{Observer: countingObserver{Observer: observer, figures: figures}, log: ctxzap.Extract(ctx), skipped: skipped}
}

// FellBack is logged as a warning.
func (l loggingObserver) FellBack(fallback aggregate.Fallback) {
	if fallback.Missing {
		l.log.Warn("the plugin failed and the baseline has nothing of it; this sync goes without it", zap.String("plugin", fallback.Instance), zap.Error(fallback.Err))
		l.Observer.FellBack(fallback)
		return
	}
	what := "the plugin failed; the rest of this sync has what it listed in the baseline"
	if fallback.Contradicted {
		what = "a listing of the plugin was rejected; this sync has what it listed in the baseline, and nothing else of it"
	}
	l.log.Warn(what,
		zap.String("plugin", fallback.Instance), zap.Time("as_of", fallback.AsOf),
		zap.Duration("age", time.Since(fallback.AsOf).Round(time.Second)), zap.Error(fallback.Err))
	l.Observer.FellBack(fallback)
}

// Skipped is logged as a warning, and noted for the change guard.
func (l loggingObserver) Skipped(skipped aggregate.Skipped) {
	l.skipped.add(skipped)
	fields := []zap.Field{
		zap.String("plugin", skipped.Instance), zap.String("resource_type", skipped.ResourceTypeID), zap.String("resource", skipped.ResourceID),
		zap.String("listing", string(skipped.Kind)), zap.Int64("rows_before", skipped.Rows), zap.Bool("gone", skipped.Unknown == nil), zap.Error(skipped.Err),
	}
	if skipped.Unknown != nil {
		fields = append(fields, zap.NamedError("look_up", skipped.Unknown))
	}
	l.log.Warn("the plugin no longer finds a resource that it listed; its entitlements or grants are skipped", fields...)
	l.Observer.Skipped(skipped)
}

type noObserver struct{}

func (noObserver) Listed(aggregate.Page)       {}
func (noObserver) Retrying(aggregate.Retry)    {}
func (noObserver) FellBack(aggregate.Fallback) {}
func (noObserver) Skipped(aggregate.Skipped)   {}
