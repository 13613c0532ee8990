//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"

	"github.com/batonhost/baton-host/host"
)

// reviveOnSignal starts plugins that are not running whenever an operator sends SIGUSR1,
// until stop is called.
func reviveOnSignal(ctx context.Context, h *host.Host) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
				ctxzap.Extract(ctx).Info("SIGUSR1: starting plugins that are not running")
				h.Revive()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}
