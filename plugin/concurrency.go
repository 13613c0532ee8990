package plugin

import (
	"context"

	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
)

// WithConcurrency is an option of [Run]: under a host up to n listings of the
// connector are read at the same time. Without it, and with n below 2, the host reads
// one listing to its end before it begins another, as the SDK does stand-alone.
//
// Raise it for a connector whose pages stand for themselves: whose page tokens stay
// valid while other listings go on, and whose client serves several requests at a
// time. A listing is all pages of one resource type below one parent, or of the
// entitlements or grants of one resource. The operator can set another number
// (`concurrency` of the plugin's entry). Stand-alone the option changes nothing.
func WithConcurrency(n int) connectorrunner.Option {
	return markedBy[connectorrunner.Option](func(ctx context.Context) {
		if declared, ok := ctx.Value(declaredConcurrency{}).(*int); ok {
			*declared = n
		}
	})
}

// declaredConcurrency is the key of the context value that WithConcurrency sets. An
// option of the SDK sees nothing else of ours: the type that it changes is private.
type declaredConcurrency struct{}

// markedBy returns an option that calls mark and leaves the SDK's own settings, of the
// private type S, as they are.
func markedBy[O ~func(context.Context, S) error, S any](mark func(context.Context)) O {
	return func(ctx context.Context, _ S) error {
		mark(ctx)
		return nil
	}
}

// concurrencyOf returns what WithConcurrency among the options declares; 0 without it.
// The SDK applies all options for each question about one of them.
func concurrencyOf(ctx context.Context, options []connectorrunner.Option) (uint32, error) {
	var declared int
	ctx = context.WithValue(ctx, declaredConcurrency{}, &declared)
	if _, err := connectorrunner.IsSessionStoreEnabled(ctx, options...); err != nil {
		return 0, err
	}
	return uint32(min(max(declared, 0), MaxConcurrency)), nil
}

// MaxConcurrency is the largest number of listings of one plugin that a host reads at
// the same time.
const MaxConcurrency = 64
