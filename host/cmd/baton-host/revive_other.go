//go:build !unix

package main

import (
	"context"

	"github.com/batonhost/baton-host/host"
)

// reviveOnSignal does nothing: there is no such signal here; restart the host.
func reviveOnSignal(context.Context, *host.Host) (stop func()) { return func() {} }
