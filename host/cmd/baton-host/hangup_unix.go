//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"golang.org/x/term"

	"github.com/batonhost/baton-host/host"
)

// reloadOnSignal has the host reload its configuration whenever an operator sends SIGHUP,
// until stop is called. Where it comes from a terminal that has gone away, and the host was
// not started to survive that (nohup), the context that it returns ends instead, as that of
// a one-shot command does.
func reloadOnSignal(ctx context.Context, h *host.Host) (serving context.Context, stop func()) {
	survives, terminal := signal.Ignored(syscall.SIGHUP), term.IsTerminal(int(os.Stdin.Fd()))
	signals := make(chan os.Signal, 1)
	signal.Ignore(syscall.SIGHUP) // It stops the host until here, and must not end it between the two.
	signal.Notify(signals, syscall.SIGHUP)
	serving, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-signals:
			case <-serving.Done():
				return
			}
			if terminal && !survives && !term.IsTerminal(int(os.Stdin.Fd())) {
				cancel()
				return
			}
			log := ctxzap.Extract(ctx)
			log.Info("SIGHUP: reloading the configuration")
			if _, err := h.Reload(serving); err != nil {
				log.Warn("the configuration is not reloaded", zap.Error(err))
			}
		}
	}()
	return serving, func() {
		signal.Stop(signals)
		cancel()
		<-ended
	}
}
