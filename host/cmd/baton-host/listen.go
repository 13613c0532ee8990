package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/internal/service"
	"github.com/batonhost/baton-host/host/status"
	"github.com/batonhost/baton-host/host/status/history"
	"github.com/batonhost/baton-host/host/status/listen"
	"github.com/batonhost/baton-host/host/status/page"
	"github.com/batonhost/baton-host/plugin"
)

// newBoard is a board for these uploads.
func newBoard(uploads []*config.Upload) *status.Board {
	options := status.Options{Version: version, SDKVersion: plugin.SDKVersion(), HostID: service.HostID()}
	for _, upload := range uploads {
		served := status.Served{Name: upload.Name, MaxStale: upload.MaxStale}
		for _, one := range upload.Plugins {
			served.Plugins = append(served.Plugins, one.Name)
		}
		options.Uploads = append(options.Uploads, served)
	}
	return status.New(options)
}

// recall gives the board the history of the state directory.
func recall(ctx context.Context, board *status.Board, past *history.File) {
	syncs, err := past.Read()
	if err != nil {
		ctxzap.Extract(ctx).Warn("the history of the syncs cannot be read, so the page begins a new one", zap.Error(err))
	}
	board.Recall(syncs)
}

// reporting tells the board what happens, and keeps the history where that belongs
// into it.
func reporting(ctx context.Context, board *status.Board, past *history.File) func(service.Event) {
	return func(event service.Event) {
		board.Report(event)
		ended := event.Kind == service.Uploaded || event.Kind == service.TaskDone && event.Err != nil
		if !event.Whole || !ended {
			return
		}
		if err := past.Write(board.History); err != nil {
			ctxzap.Extract(ctx).Warn("the history of the syncs cannot be kept", zap.String("upload", event.Upload), zap.Error(err))
		}
	}
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
