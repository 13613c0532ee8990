package control

import (
	"testing"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestUnproven_DoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	core, logged := observer.New(zap.InfoLevel)
	ctx := ctxzap.ToContext(t.Context(), zap.New(core))
	var clients unproven
	for range 1000 {
		clients.warn(ctx, Peer{PID: 7})
	}
	require.Equal(t, 1, logged.Len())
	require.NotContains(t, logged.All()[0].ContextMap(), "more_since_the_last_warning")

	clients.last = clients.last.Add(-warnEvery)
	clients.warn(ctx, Peer{PID: 7})
	require.Equal(t, 2, logged.Len())
	require.EqualValues(t, 999, logged.All()[1].ContextMap()["more_since_the_last_warning"])
}
