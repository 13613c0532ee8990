package main

import (
	"context"
	"fmt"
	"os"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/config"
)

// warnings are for the log; where that is silent, for the person who ran the
// command. Who asks for errors alone gets no warnings.
func warnings(ctx context.Context) config.Option {
	log := ctxzap.Extract(ctx)
	return config.WithWarnings(func(text string) {
		switch {
		case log.Core().Enabled(zap.WarnLevel):
			log.Warn(printable(text))
		case !log.Core().Enabled(zap.ErrorLevel):
			fmt.Fprintf(os.Stderr, "baton-host: warning: %s\n", printable(text))
		}
	})
}
