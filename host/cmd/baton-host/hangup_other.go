//go:build !unix

package main

import (
	"context"

	"github.com/batonhost/baton-host/host"
)

// reloadOnSignal does nothing: there is no such signal here; use baton-host reload.
func reloadOnSignal(ctx context.Context, _ *host.Host) (serving context.Context, stop func()) {
	return ctx, func() {}
}
