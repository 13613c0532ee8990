package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/service"
	"github.com/batonhost/baton-host/host/internal/state"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/status/history"
	"github.com/batonhost/baton-host/host/internal/status/listen"
	"github.com/batonhost/baton-host/host/internal/status/page"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/plugin"
)

// DefaultStallTimeout is how long C1 may take nothing more of a sync file.
const DefaultStallTimeout = service.DefaultStallTimeout

// ServeOptions are how uploads are served.
type ServeOptions struct {
	// Grace is how long work in hand may go on once the context has ended.
	Grace time.Duration
	// StallTimeout is how long C1 may take nothing more of a sync file before it is sent
	// again; 0 is [DefaultStallTimeout].
	StallTimeout time.Duration
	// Listen is the address of the status page, the metrics and the probes; empty: they
	// are not served. ListenAny lets it be one that other machines reach.
	Listen    string
	ListenAny bool
	// Watch reloads the configuration when its files change; see [Host.Reload].
	Watch bool
}

// Serve stays connected to C1 for every upload and does the tasks that it hands out,
// until the context ends; then it returns nil. Each upload begins when its own plugins
// have started. The error is of a configuration that is wrong, or of uploads none of
// which can be served any more.
func (h *Host) Serve(ctx context.Context, options ServeOptions) error {
	needed, dir, err := h.prepareService(ctx)
	if err != nil {
		return err
	}
	release, err := lockStateDir(dir)
	if err != nil {
		return err
	}
	defer release()
	places, err := h.placesIn(dir)
	if err == nil {
		err = places.Check(ctx)
	}
	if err == nil {
		err = h.checkState(ctx, needed, places)
	}
	if err != nil {
		return err
	}
	syncfile.Sweep(dir)
	temp, err := files.Make(os.TempDir(), "baton-host-run-")
	if err != nil {
		return fmt.Errorf("there must be a directory for temporary files: %w; make room there, or set TMPDIR", err)
	}
	defer func() { _ = temp.Remove() }()
	files.Sweep(os.TempDir(), "baton-host-run-")

	log := ctxzap.Extract(ctx)
	board, past := h.board(), history.In(dir)
	syncs, err := past.Read()
	if err != nil {
		log.Warn("the history of the syncs cannot be read, so the page begins a new one", zap.Error(err))
	}
	board.Recall(syncs)
	stopListening, err := serveStatus(ctx, board, options)
	if err != nil {
		return err
	}
	defer stopListening()
	defer context.AfterFunc(ctx, board.Stopping)()

	started := []zap.Field{zap.String("version", h.options.Version), zap.String("host_id", service.HostID()), zap.String("state_dir", dir)}
	if h.isShared() {
		started = append(started, zap.String("state", h.sharedLocation()))
	}
	log.Info("starting", started...)
	running := h.start(ctx, needed, true, board)
	serving := newServing(ctx, h, running, board, past, service.Options{
		Version: h.options.Version, Config: h.cfg, Clients: service.NewClients(), StateDir: dir, State: places, TempDir: temp.Path(), Accept: h.options.AcceptDeletions,
		Retry: policy.RetriesFor(h.options.RetryFor), Grace: options.Grace, StallTimeout: options.StallTimeout,
		ReviewCommand: h.reviewCommand(Kept{}),
	})
	defer serving.end(ctx)
	serving.notifier = h.notifier(ctx, board, dir, Kept{})
	defer func() { _ = serving.notifier.Close(serveNotifyPatience) }() // It logs what it drops.
	defer serving.notifier.Watch(context.WithoutCancel(ctx))()         // Work in hand goes on behind its end.
	defer h.showCredentials(ctx, board)()
	serving.begin(needed)
	h.setServing(serving)
	defer h.setServing(nil)
	defer h.serveControl(ctx, dir)()
	if options.Watch {
		defer serving.watch(ctx)()
	}
	err = serving.wait(ctx)
	if ctx.Err() != nil {
		log.Info("stopped")
		return nil
	}
	return err
}

// prepareService finds what is to be served, and where its state is.
func (h *Host) prepareService(ctx context.Context) (needed []*fleet.Plugin, stateDir string, err error) {
	if len(h.uploads) == 0 {
		return nil, "", h.nothingToSync()
	}
	needed = h.needed(h.uploads)
	if err := h.prepare(ctx, needed); err != nil {
		return nil, "", err
	}
	if stateDir, err = h.stateDir(); err != nil {
		return nil, "", err
	}
	return needed, stateDir, takeCredentials(h.uploads)
}

// checkState refuses baselines that could not be used, and names of plugins whose deletions are
// accepted and that nothing knows.
func (h *Host) checkState(ctx context.Context, needed []*fleet.Plugin, places *state.Places) error {
	var baselines []baselineFile
	for _, upload := range h.uploads {
		baselines = append(baselines, h.baselineOf(places, upload))
	}
	if err := checkForms(ctx, baselines); err != nil {
		return err
	}
	return h.checkAcceptedForService(ctx, needed, baselines)
}

// board returns a board for the host's uploads.
func (h *Host) board() *status.Board {
	options := status.Options{Version: h.options.Version, SDKVersion: plugin.SDKVersion(), HostID: service.HostID()}
	for _, upload := range h.uploads {
		options.Uploads = append(options.Uploads, shownOf(upload))
	}
	return status.New(options)
}

// shownOf returns an upload as a board shows it.
func shownOf(upload *config.Upload) status.Served {
	addresses := map[string]string{}
	for _, entry := range upload.Plugins {
		addresses[entry.Name] = entry.Settings.Address()
	}
	return status.Served{Name: upload.Name, MaxStale: upload.MaxStale, Plugins: namesOf(upload), Addresses: addresses}
}

// serveStatus serves what the board shows, if it is to.
func serveStatus(ctx context.Context, board *status.Board, options ServeOptions) (stop func(), err error) {
	if options.Listen == "" {
		if options.ListenAny {
			return nil, errors.New("--listen-any is about the address of --listen; name that too")
		}
		return func() {}, nil
	}
	listener, err := listen.Open(ctx, options.Listen, options.ListenAny)
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

// The variables of the SDK for a connector's credentials.
const (
	clientIDVariable     = "BATON_CLIENT_ID"
	clientSecretVariable = "BATON_CLIENT_SECRET"
)

// takeCredentials gives a single upload without credentials those of the environment,
// and refuses uploads that have none.
func takeCredentials(uploads []*config.Upload) error {
	if len(uploads) == 1 && !uploads[0].HasCredentials() {
		return uploads[0].TakeCredentials(os.Getenv(clientIDVariable), os.Getenv(clientSecretVariable))
	}
	var without []string
	for _, upload := range uploads {
		if !upload.HasCredentials() {
			without = append(without, fmt.Sprintf("%q", upload.Name))
		}
	}
	if len(without) > 0 {
		return fmt.Errorf("upload %s has no client-id and client-secret; each upload needs its own from C1 (or leave it out of what is run with --upload)", strings.Join(without, ", "))
	}
	return nil
}
