package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/control"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/support"
)

// The requests of the control socket.
const (
	reviewRequest  = "review"
	approveRequest = "approve"
	reloadRequest  = "reload"
	statusRequest  = "status"
	restartRequest = "restart"
	supportRequest = "support"
)

// reloadTimeout is how long a reload may take that a command asks for: each new plugin is
// started, for as long as its start-timeout allows.
const reloadTimeout = 11 * time.Minute

// askedReview asks for what was refused of an upload.
type askedReview struct {
	Upload string `json:"upload"`
}

// askedApproval asks for an approval.
type askedApproval struct {
	Upload string `json:"upload"`
	ID     string `json:"id"`
	// For is how long it is valid, in nanoseconds.
	For time.Duration `json:"for"`
}

// askedStatus asks how the host is.
type askedStatus struct {
	Upload  string `json:"upload"` // empty: all
	History bool   `json:"history"`
}

// askedRestart asks for another process of a plugin.
type askedRestart struct {
	Plugin string `json:"plugin"`
}

// serveControl serves the control socket of a state directory that this host has locked.
// The host goes on without one.
func (h *Host) serveControl(ctx context.Context, dir string) (stop func()) {
	server, err := control.Listen(ctx, control.Options{Dir: dir, Version: h.options.Version, Endpoints: map[string]control.Endpoint{
		reviewRequest: control.For(func(ctx context.Context, _ control.Peer, asked askedReview) (*Review, error) {
			return h.Review(ctx, asked.Upload, Kept{})
		}),
		approveRequest: control.For(func(ctx context.Context, peer control.Peer, asked askedApproval) (*Approval, error) {
			return h.approve(ctx, asked.Upload, asked.ID, ApproveOptions{For: asked.For, By: peer.String()})
		}),
		reloadRequest: control.For(func(ctx context.Context, peer control.Peer, _ struct{}) (*Reloaded, error) {
			ctxzap.Extract(ctx).Info("asked to reload the configuration", zap.String("by", peer.String()))
			return h.Reload(ctx)
		}),
		statusRequest: control.For(func(_ context.Context, _ control.Peer, asked askedStatus) (*Status, error) {
			return h.status(asked)
		}),
		supportRequest: control.For(func(context.Context, control.Peer, struct{}) (*support.Running, error) {
			return h.support()
		}),
		restartRequest: control.For(func(ctx context.Context, peer control.Peer, asked askedRestart) (*Restarted, error) {
			return h.restart(ctx, asked.Plugin, peer.String())
		}),
	}})
	if err != nil {
		ctxzap.Extract(ctx).Warn("there is no control socket, so baton-host status, restart and approve cannot reach this host", zap.Error(err))
		return func() {}
	}
	return server.Close
}

// RequestReload asks the host that runs on the state directory to reload its configuration;
// see [Host.Reload].
func (h *Host) RequestReload(ctx context.Context) (*Reloaded, error) {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	result := &Reloaded{}
	if err := h.ask(ctx, reloadRequest, struct{}{}, result); err != nil {
		return nil, err
	}
	return result, nil
}

// approveInService approves something in the state directory: by the host that runs on it,
// else by itself.
func (h *Host) approveInService(ctx context.Context, upload, id string, options ApproveOptions) (*Approval, error) {
	dir, err := h.stateDir()
	if err != nil {
		return nil, err
	}
	of, err := h.uploadOf(upload)
	if err != nil {
		return nil, err
	}
	approval := &Approval{}
	err = control.Call(ctx, dir, approveRequest, askedApproval{of.Name, id, options.For}, approval)
	if err == nil {
		return approval, nil
	}
	if !errors.Is(err, control.ErrNoHost) && !errors.Is(err, control.ErrPathTooLong) {
		return nil, err
	}
	if h.isShared() {
		return h.approveHere(ctx, upload, id, options)
	}
	release, locked := files.Lock(dir)
	switch {
	case errors.Is(locked, os.ErrNotExist): // Nothing was refused there either.
	case errors.Is(locked, files.ErrHeld):
		return nil, fmt.Errorf("a baton-host runs on %s that cannot be asked to approve something (%w); stop it, approve, and start it again", dir, err)
	case locked != nil:
		return nil, fmt.Errorf("the state directory %s cannot be written to: %w; run this command as the user of the host", dir, locked)
	default:
		defer release()
	}
	return h.approveHere(ctx, upload, id, options)
}

// approveHere approves something by itself. What it writes must be readable for who syncs.
func (h *Host) approveHere(ctx context.Context, upload, id string, options ApproveOptions) (*Approval, error) {
	of, err := h.uploadOf(upload)
	if err != nil {
		return nil, err
	}
	if options.Kept == (Kept{}) && h.isShared() {
		options.By = cmp.Or(options.By, control.Self().String())
		return h.approve(ctx, upload, id, options)
	}
	path, err := h.keptAt(of, options.Kept)
	if err != nil {
		return nil, err
	}
	if owner, mine := files.Owner(path); !mine {
		return nil, fmt.Errorf("%s belongs to user %s, who could not read an approval of another user; run this command as that user", path, owner)
	}
	options.By = cmp.Or(options.By, control.Self().String())
	return h.approve(ctx, upload, id, options)
}
