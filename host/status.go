package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/control"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
)

// Status is how a host that serves is at one moment, as its page shows it. Its JSON is
// described in docs/status.md.
type Status = status.Snapshot

// What a [Status] has in it.
type (
	// UploadStatus is how one upload is.
	UploadStatus = status.Upload
	// PluginStatus is how the process of one plugin is.
	PluginStatus = status.Plugin
	// Credential is how a credential is, without its value.
	Credential = secret.Credential
)

// The outlooks of a status beside the good one: see [Status.Outlook].
const (
	Degraded = status.Degraded
	Bad      = status.Bad
)

// ErrNoHost says that no host runs on the state directory.
var ErrNoHost = control.ErrNoHost

// StatusOptions are what is wanted of a status.
type StatusOptions struct {
	// Upload is the only upload that is meant, with its plugins and their errors; empty:
	// all.
	Upload string
	// History adds the syncs before the last one.
	History bool
}

// Status returns how the host is that serves: this one if it does, else the one that runs
// on the state directory. It is [ErrNoHost] where none does.
func (h *Host) Status(ctx context.Context, options StatusOptions) (*Status, error) {
	asked := askedStatus(options)
	if h.serves() != nil {
		return h.status(asked)
	}
	is := &Status{}
	return is, h.ask(ctx, statusRequest, asked, is)
}

// Restarted is what became of a plugin that was to be restarted.
type Restarted struct {
	Plugin string `json:"plugin"`
	// Replaced says that another process has taken over from the one that ran. Otherwise
	// none ran, and one is being started.
	Replaced bool `json:"replaced"`
}

// Restart has another process of a plugin take over from the one that runs, once it is
// configured and its credentials are valid; a plugin that has failed, or waits for its next
// start, is started at once. It is that of this host if it serves, else of the one that runs
// on the state directory.
func (h *Host) Restart(ctx context.Context, plugin string) (*Restarted, error) {
	if h.serves() != nil {
		return h.restart(ctx, plugin, control.Self().String())
	}
	restarted := &Restarted{}
	return restarted, h.ask(ctx, restartRequest, askedRestart{plugin}, restarted)
}

// ask asks the host that runs on the state directory.
func (h *Host) ask(ctx context.Context, name string, asked, answer any) error {
	dir, err := h.stateDir()
	if err != nil {
		return err
	}
	err = control.Call(ctx, dir, name, asked, answer)
	if errors.Is(err, control.ErrNoHost) {
		return fmt.Errorf("no host runs on the state directory %s (%w); if one runs, name its directory with --state-dir", dir, err)
	}
	return err
}

// showCredentials puts the credentials for C1 on the board, and warns of all that it has
// until stop is called.
func (h *Host) showCredentials(ctx context.Context, board *status.Board) (stop func()) {
	for _, upload := range h.uploads {
		board.Credentials("", upload.Name, upload.Credentials())
	}
	return remind(ctx, board)
}

func (h *Host) status(asked askedStatus) (*Status, error) {
	serving := h.serves()
	if serving == nil {
		return nil, errStopping
	}
	is := serving.board.Snapshot()
	if asked.Upload != "" {
		part, near, ok := is.Of(asked.Upload)
		switch {
		case !ok && near != "":
			return nil, fmt.Errorf("there is no upload %q; did you mean %q?", asked.Upload, near)
		case !ok:
			return nil, fmt.Errorf("there is no upload %q; baton-host status without a name shows all", asked.Upload)
		}
		is = part
	}
	if !asked.History {
		is = is.WithoutHistory()
	}
	return &is, nil
}

// restart restarts a plugin of this host for an operator.
func (h *Host) restart(ctx context.Context, name, by string) (*Restarted, error) {
	serving := h.serves()
	if serving == nil {
		return nil, errStopping
	}
	var names []string
	for _, p := range serving.pluginsNow() {
		if p.Name != name {
			names = append(names, p.Name)
			continue
		}
		log := ctxzap.Extract(ctx).With(zap.String("plugin", name), zap.String("by", by))
		log.Info("the plugin is to be restarted")
		replaced, err := p.Restart(ctx)
		if err != nil {
			log.Error("the plugin was not restarted; its process goes on", zap.Error(err))
			return nil, err
		}
		if replaced {
			log.Info("another process of the plugin has taken over")
		}
		return &Restarted{Plugin: name, Replaced: replaced}, nil
	}
	if near := errtext.Nearest(name, names); near != "" {
		return nil, fmt.Errorf("the host has no plugin %q; did you mean %q?", name, near)
	}
	return nil, fmt.Errorf("the host has no plugin %q; baton-host status shows those that it has", name)
}
