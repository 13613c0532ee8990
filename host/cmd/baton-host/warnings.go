package main

import (
	"context"
	"fmt"
	"os"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/config"
)

// warnings passes the configuration's warnings on.
func warnings(ctx context.Context) config.Option {
	return config.WithWarnings(func(text string) { warn(ctx, text) })
}

// warn is for the log; where that is silent, for the person who ran the command. Who
// asks for errors alone gets no warnings.
func warn(ctx context.Context, text string) {
	log := ctxzap.Extract(ctx)
	switch {
	case log.Core().Enabled(zap.WarnLevel):
		log.Warn(printable(text))
	case !log.Core().Enabled(zap.ErrorLevel):
		fmt.Fprintf(os.Stderr, "baton-host: warning: %s\n", printable(text))
	}
}
