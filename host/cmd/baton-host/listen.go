package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/c1"
	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/status"
	"github.com/batonhost/baton-host/host/status/listen"
	"github.com/batonhost/baton-host/host/status/page"
	"github.com/batonhost/baton-host/plugin"
)

// newBoard is a board for these uploads.
func newBoard(uploads []*config.Upload) *status.Board {
	options := status.Options{Version: version, SDKVersion: plugin.SDKVersion(), HostID: c1.HostID()}
	for _, upload := range uploads {
		served := status.Served{Name: upload.Name, MaxStale: upload.MaxStale}
		for _, one := range upload.Plugins {
			served.Plugins = append(served.Plugins, one.Name)
		}
		options.Uploads = append(options.Uploads, served)
	}
	return status.New(options)
}

// serveStatus serves what the board says, if it is to.
func (o *runOptions) serveStatus(ctx context.Context, board *status.Board) (stop func(), err error) {
	if o.listen == "" {
		if o.listenAny {
			return nil, errors.New("--listen-any is about the address of --listen; name that too")
		}
		return func() {}, nil
	}
	listener, err := listen.Open(ctx, o.listen, o.listenAny)
	if err != nil {
		return nil, err
	}
	ctxzap.Extract(ctx).Info("listening", zap.String("address", listener.Addr().String()))
	mux := http.NewServeMux()
	mux.Handle("/", page.Handler(board))
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		mux.Handle(path, board.Handler())
	}
	return listen.Serve(listener, mux), nil
}
