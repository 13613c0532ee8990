package host

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

const (
	// remindEvery is how often a credential that expires is warned of in the log.
	remindEvery = 24 * time.Hour
	// remindPause is how long credentials are left alone that do not change.
	remindPause = time.Hour
)

// remind warns of the credentials of a board that expire, until stop is called.
func remind(ctx context.Context, board *status.Board) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var reminding sync.WaitGroup
	reminding.Go(func() {
		r := &reminder{}
		pause := time.NewTicker(remindPause)
		defer pause.Stop()
		for {
			changed := board.CredentialsChanged()
			r.remind(ctxzap.Extract(ctx), board.Snapshot())
			select {
			case <-changed:
			case <-pause.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		reminding.Wait()
	}
}

// reminder remembers which credentials were warned of within a day, and when.
type reminder struct {
	warned map[reminded]time.Time
}

// reminded is a credential; that it has expired is another warning than that it will.
type reminded struct {
	plugin, upload, name string
	expired              bool
}

// remind logs a warning of each credential that expires soon or has expired, unless there
// was one within a day.
func (r *reminder) remind(log *zap.Logger, is status.Snapshot) {
	if r.warned == nil {
		r.warned = map[reminded]time.Time{}
	}
	maps.DeleteFunc(r.warned, func(_ reminded, at time.Time) bool { return is.Now.Sub(at) >= remindEvery })
	each := func(of reminded, credential secret.Credential, owner zap.Field) {
		if !credential.ExpiresSoon(is.Now) {
			return
		}
		of.name, of.expired = credential.Name(), credential.HasExpired(is.Now)
		if _, known := r.warned[of]; known {
			return
		}
		r.warned[of] = is.Now
		log := log.With(owner, zap.String("reference", of.name), zap.Time("expires", credential.Expires.UTC()))
		if of.expired {
			log.Warn("a credential has expired; put a new one in its place now")
			return
		}
		log.Warn("a credential expires soon; put a new one in its place before then", zap.Int("days", int(credential.Expires.Sub(is.Now)/(24*time.Hour))))
	}
	for _, p := range is.Plugins {
		for _, credential := range p.Credentials {
			each(reminded{plugin: p.Name}, credential, zap.String("plugin", p.Name))
		}
	}
	for _, u := range is.Uploads {
		for _, credential := range u.Credentials {
			each(reminded{upload: u.Name}, credential, zap.String("upload", u.Name))
		}
	}
}

// expiryWarner warns who runs a command of credentials that expire, once each.
type expiryWarner struct {
	warn func(text string)

	mu     sync.Mutex
	warned map[string]bool
}

// expiryWarner returns what warns of the credentials of plugins.
func (h *Host) expiryWarner(ctx context.Context) *expiryWarner {
	return &expiryWarner{warn: func(text string) { h.warn(ctx, text) }, warned: map[string]bool{}}
}

// Sandboxed does nothing; see fleet.Observer.
func (*expiryWarner) Sandboxed(string, sandbox.State) {}

// PluginChanged does nothing; see fleet.Observer.
func (*expiryWarner) PluginChanged(string, string, int, *pluginv1.Manifest, error) {}

// Credentials warns of credentials; see fleet.Observer.
func (w *expiryWarner) Credentials(plugin, upload string, credentials []secret.Credential) {
	owner := fmt.Sprintf("plugin %q", plugin)
	if upload != "" {
		owner = fmt.Sprintf("upload %q", upload)
	}
	now := time.Now()
	for _, credential := range credentials {
		text := credential.Warning(owner, now)
		w.mu.Lock()
		known := w.warned[text]
		w.warned[text] = true
		w.mu.Unlock()
		if text != "" && !known {
			w.warn(text)
		}
	}
}
