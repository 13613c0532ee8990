package hostlog_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/hostlog"
)

// TestCoreNamesWhatToDoAboutALimit: beside the error, in a line and in a logger.
func TestCoreNamesWhatToDoAboutALimit(t *testing.T) {
	t.Parallel()
	opened := &os.PathError{Op: "open", Path: "sync.c1z", Err: syscall.EMFILE}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"H15: a file":                     {opened, "LimitNOFILE="},
		"H15: a pipe":                     {os.NewSyscallError("pipe2", syscall.EMFILE), "ulimit -n"},
		"H15: wrapped":                    {fmt.Errorf("sync of upload %q: %w", "workforce", opened), "--ulimit nofile="},
		"H15: one of several":             {errors.Join(errors.New("no"), opened), "LimitNOFILE="},
		"H15: of a plugin's process":      {status.Error(codes.Unknown, "dial tcp: lookup app.example.com: socket: too many open files"), "LimitNOFILE="},
		"H15: the limit of the machine":   {fmt.Errorf("start: %w", os.NewSyscallError("pipe2", syscall.ENFILE)), "fs.file-max"},
		"H15: another fault has no hint":  {&os.PathError{Op: "open", Path: "sync.c1z", Err: syscall.ENOENT}, ""},
		"H15: a full disk has no hint":    {syscall.ENOSPC, ""},
		"H15: a hint that has been given": {errors.New(errtext.WithLimitHint(opened.Error())), "LimitNOFILE="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.DebugLevel)
			log := zap.New(core, zap.WrapCore(hostlog.Core))
			log.Error("here", zap.Error(c.err))
			log.With(zap.Error(c.err)).Error("there")
			require.Equal(t, 2, logs.Len())
			for _, entry := range logs.All() {
				if c.want == "" {
					require.NotContains(t, entry.ContextMap(), "hint")
					continue
				}
				require.Contains(t, fmt.Sprint(entry.ContextMap()), c.want)
			}
		})
	}
}

func TestCore_LeadsToTheRunbook(t *testing.T) {
	t.Parallel()
	missing := errors.New("${env:NOPE}: the environment variable is not set")
	for name, c := range map[string]struct {
		write func(log *zap.Logger)
		leads bool
	}{
		"a warning":                 {func(log *zap.Logger) { log.Warn("here", zap.Error(missing)) }, true},
		"an error":                  {func(log *zap.Logger) { log.Error("here", zap.String("plugin", "wiki"), zap.Error(missing)) }, true},
		"no alarm":                  {func(log *zap.Logger) { log.Info("here", zap.Error(missing)) }, false},
		"an error in foreign words": {func(log *zap.Logger) { log.Error("here", zap.Error(errors.New("502"))) }, false},
		"a text of a plugin":        {func(log *zap.Logger) { log.Error("here", zap.String("error", missing.Error())) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.DebugLevel)
			c.write(zap.New(core, zap.WrapCore(hostlog.Core)))
			fields := logs.All()[0].ContextMap()
			if c.leads {
				require.Equal(t, errtext.Runbook+"#secrets", fields["runbook"])
			} else {
				require.NotContains(t, fields, "runbook")
			}
		})
	}
}
