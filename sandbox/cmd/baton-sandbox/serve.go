package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
)

const (
	// drainTime is how long requests may still run after the end was asked for.
	drainTime = 5 * time.Second
	// headerTime bounds how long a client may take to send its header.
	headerTime = 10 * time.Second
)

// serve answers requests until the context ends. It then lets the requests that
// are under way finish, for a while, and drops what is left.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	// Requests carry the logger but outlive the context: they are what is waited
	// for once it has ended.
	base := context.WithoutCancel(ctx)
	log := ctxzap.Extract(ctx)
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTime,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          zap.NewStdLog(log),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}

	log.Info("stopping")
	drain, cancel := context.WithTimeout(base, drainTime)
	defer cancel()
	err := server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("requests still ran and were dropped")
		err = server.Close()
	}
	return err
}
