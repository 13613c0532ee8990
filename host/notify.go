package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/batonhost/baton-host/host/internal/notify"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/service"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// How long the end of a command waits until its events are delivered.
const (
	serveNotifyPatience = 5 * time.Second
	syncNotifyPatience  = 10 * time.Second
)

// notifier returns what reports to the webhook of the configuration, if it has one. What the
// webhook was sent is kept in a directory.
func (h *Host) notifier(ctx context.Context, board *status.Board, dir string, kept Kept) *notify.Notifier {
	return notify.New(ctx, notify.Options{
		Board: board, Config: h.cfg, File: filepath.Join(dir, notify.FileName),
		Review: h.reviewCommand(kept),
	})
}

// syncReports has the webhook know how the syncs of a command end that runs once. It follows
// the plugins meanwhile; a nil one does nothing.
type syncReports struct {
	*expiryWarner

	host     *Host
	board    *status.Board
	notifier *notify.Notifier
}

// syncReports returns nil where the configuration has no webhook.
func (h *Host) syncReports(ctx context.Context, warner *expiryWarner, outputDir string) *syncReports {
	if h.cfg == nil || h.cfg.Notify == nil {
		return nil
	}
	board := h.board()
	return &syncReports{expiryWarner: warner, host: h, board: board, notifier: h.notifier(ctx, board, outputDir, Kept{OutputDir: outputDir})}
}

// PluginChanged takes in a change of a plugin; see fleet.Observer. That it ends with the
// command is no change.
func (r *syncReports) PluginChanged(name, state string, restarts int, manifest *pluginv1.Manifest, err error) {
	if state != "stopped" {
		r.board.PluginChanged(name, state, restarts, manifest, err)
	}
}

// Credentials takes in credentials; see fleet.Observer.
func (r *syncReports) Credentials(plugin, upload string, credentials []secret.Credential) {
	r.expiryWarner.Credentials(plugin, upload, credentials)
	r.board.Credentials(plugin, upload, credentials)
}

// ended takes in the end of the sync of an upload.
func (r *syncReports) ended(upload string, made *syncrun.Result, err error) {
	if r == nil {
		return
	}
	event := status.Event{Upload: upload, Kind: status.TaskDone, Whole: true, Err: err}
	if err == nil {
		event.Kind, event.Result = status.Uploaded, made
	}
	r.board.Report(event)
	r.notifier.Look()
}

// close waits a while until everything is delivered, unless the command was stopped.
func (r *syncReports) close(ctx context.Context) {
	if r == nil {
		return
	}
	patience := syncNotifyPatience
	if ctx.Err() != nil {
		patience = 0
	}
	if err := r.notifier.Close(patience); err != nil {
		r.host.warn(ctx, err.Error()) // A one-shot sync shows no log.
	}
}

// checkWebhook resolves the webhook of the configuration, and sends it a test if it is to.
func (h *Host) checkWebhook(ctx context.Context, options CheckOptions) []Checked {
	if h.cfg == nil || h.cfg.Notify == nil {
		if !options.Notify {
			return nil
		}
		return []Checked{{Kind: CheckedWebhook, Name: "notify", Err: errors.New("--notify sends a test to the webhook, and the configuration has none: add notify with url and secret")}}
	}
	ctx, cancel := context.WithTimeout(ctx, options.Timeout)
	defer cancel()
	hook, err := h.cfg.Webhook(ctx)
	if err != nil {
		return []Checked{{Kind: CheckedWebhook, Name: "notify", Err: fmt.Errorf("the webhook cannot be used: %w", err)}}
	}
	one := Checked{Kind: CheckedWebhook, Name: hook.Host}
	if options.Notify {
		one.Err = notify.SendTest(ctx, h.cfg, notify.Host{ID: service.HostID(), Version: h.options.Version})
	}
	return []Checked{one}
}
