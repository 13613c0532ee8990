package supervise

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/supervise/unmodified"
	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/plugin/redact"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

const (
	// DefaultStartTimeout is how long a plugin may take from its start to the
	// end of its handshake, and again to describe itself.
	DefaultStartTimeout = 10 * time.Second
	// DefaultCallTimeout is how long a call may take where a Spec does not say:
	// beyond any page of an app that answers at all.
	DefaultCallTimeout = 10 * time.Minute
	// DefaultConfigureTimeout is how long a plugin may at least take to configure
	// itself: long enough for a connector that fetches a token first.
	DefaultConfigureTimeout = time.Minute
	// stopTimeout is how long a plugin may take to finish what is running.
	stopTimeout = 5 * time.Second
	// killAfter is how long the process may then take to end by itself.
	// go-plugin's own grace of two seconds fits into it.
	killAfter = 3 * time.Second
	// exitNotice is how long a failed call waits for the news that the process
	// has gone, which explains it.
	exitNotice = time.Second
	// brokenNotice is how much longer it waits where the connection is broken: on a
	// busy machine a process that crashes takes seconds to say why.
	brokenNotice = 10 * time.Second
)

// Process is one running plugin. Its methods may be called concurrently.
type Process struct {
	spec      Spec
	log       *zap.Logger
	logs      *pluginlog.Writer
	runner    *proc.Process
	client    *plugin.Client
	connector *unmodified.Connector    // of an unmodified connector; nil for a plugin
	conn      grpc.ClientConnInterface // carries the connector's services
	hangUp    func()                   // asks the process to end, and returns when it has
	socketDir *files.Dir
	stopOnce  sync.Once
	attached  bool           // another program started it
	denied    *deniedTexts   // nil: it is in no sandbox
	opened    sandbox.Opened // of its sandbox
	outdated  chan struct{}  // closed once one of opened was replaced

	calls      sync.WaitGroup // of a [Plugin], in flight
	superseded chan struct{}  // closed once another process of the plugin, which is next, has replaced it
	next       *Process
	rested     chan struct{} // closed once it is to end, as the plugin has nothing to do

	mu     sync.Mutex
	reason string // why the host ended it
}

// Instance is the plugin's name in the configuration.
func (p *Process) Instance() string { return p.spec.Instance }

// PID is the process id.
func (p *Process) PID() int { return p.runner.PID() }

// Exited is closed when the process is gone.
func (p *Process) Exited() <-chan struct{} { return p.runner.Exited() }

// Describe asks the plugin what it is.
func (p *Process) Describe(ctx context.Context) (*pluginv1.Manifest, error) {
	limited, cancel := context.WithTimeout(ctx, p.spec.StartTimeout)
	defer cancel()
	response, err := p.client.Describe(limited, &pluginv1.DescribeRequest{})
	if late(err, ctx, limited) {
		return nil, fmt.Errorf("plugin %q does not describe itself within its start-timeout of %s", p.spec.Instance, p.spec.StartTimeout)
	}
	if err != nil {
		return nil, fmt.Errorf("plugin %q does not describe itself: %w", p.spec.Instance, p.explainCall(ctx, err))
	}
	manifest := response.GetManifest()
	if manifest.GetName() == "" || manifest.GetVersion() == "" {
		return nil, fmt.Errorf("plugin %q describes itself without a name or a version", p.spec.Instance)
	}
	return manifest, nil
}

// FieldsFromHelp reports whether the fields of the configuration are a guess, from what
// the --help of an unmodified connector shows.
func (p *Process) FieldsFromHelp() bool { return p.connector != nil && p.connector.FieldsFromHelp() }

// Configure gives the plugin its configuration and returns what it has to say
// about it. The error is about the call, never about the configuration. From
// now on the values of the request's secrets are blanked in the plugin's log.
func (p *Process) Configure(ctx context.Context, request *pluginv1.ConfigureRequest) ([]*pluginv1.Diagnostic, error) {
	p.logs.Redact(redact.Secrets(request))
	within := p.spec.ConfigureTimeout
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	response, err := p.client.Configure(limited, p.offer(limited, request))
	if late(err, ctx, limited) {
		if errtext.LimitHint(err.Error()) != "" {
			return nil, fmt.Errorf("plugin %q has not taken its configuration within %s: %w", p.spec.Instance, within, err)
		}
		return nil, fmt.Errorf("plugin %q has not taken its configuration within %s; if it needs longer, raise its start-timeout%s", p.spec.Instance, within, p.lastWords())
	}
	if errors.Is(err, unmodified.ErrEnded) {
		err = p.exit()
	}
	if err != nil {
		return nil, fmt.Errorf("plugin %q cannot be configured: %w", p.spec.Instance, p.explainCall(ctx, err))
	}
	if p.connector != nil && len(response.GetDiagnostics()) == 0 {
		p.started()
	}
	for _, diagnostic := range response.GetDiagnostics() {
		if hint := p.denied.hint(diagnostic.GetSummary() + "\n" + diagnostic.GetDetail()); hint != "" {
			diagnostic.Summary += "; " + hint
		}
	}
	return response.GetDiagnostics(), nil
}

// late says that a call failed because of the limit that was put on it, and not for
// a reason of its caller's or the plugin's. The plugin's end of the connection keeps
// the limit too, and may be a moment earlier.
func late(err error, caller, limited context.Context) bool { //nolint:revive // It compares two contexts.
	until, _ := limited.Deadline()
	return status.Code(err) == codes.DeadlineExceeded && time.Until(until) < time.Second && caller.Err() == nil
}

// offer serves the session store to the process and returns the request with where
// it is. A plugin that does not speak go-plugin's broker gets none, and refuses its
// configuration if it needs one.
func (p *Process) offer(ctx context.Context, request *pluginv1.ConfigureRequest) *pluginv1.ConfigureRequest {
	if p.connector != nil || p.spec.Sessions == nil {
		return request // An unmodified connector is offered it as the SDK does.
	}
	logged := ctxzap.ToContext(ctx, p.log.Named("sessions"))
	offered, err := p.client.OfferSessions(logged, request, p.spec.Sessions)
	if err != nil {
		p.log.Debug("the plugin is offered no session store", zap.Error(err))
		return request
	}
	return offered
}

// waitExit returns how the process ended, or nil if it still runs after the
// time given, or when the caller's context ends.
func (p *Process) waitExit(ctx context.Context, wait time.Duration) *ExitError {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case <-p.runner.Exited():
	case <-ctx.Done():
		if !p.gone() {
			return nil
		}
	}
	return p.exit()
}

// exit is how the process ended. Call it after it has.
func (p *Process) exit() *ExitError {
	if p.attached {
		return p.detached()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := p.logs.LastLines()
	return &ExitError{
		Instance: p.spec.Instance, Reason: p.reason, LastLines: lines, Denied: p.denied.hint(strings.Join(lines, "\n")),
		State: p.runner.State().String(), ExitCode: p.runner.State().ExitCode(),
	}
}

// condemn ends the process at once, with all its group, for a reason: the rest
// of a sentence that begins with "it". The first reason counts.
func (p *Process) condemn(reason string) {
	p.mu.Lock()
	if p.reason == "" {
		p.reason = reason
	}
	p.mu.Unlock()
	_ = p.runner.Kill()
}

// gone says that the process has ended.
func (p *Process) gone() bool { return p.runner.IsGone() }

// Stop asks the plugin to finish, gives its process a moment to end and then
// ends it with what is left of its process group. It returns within about
// eleven seconds, whatever the plugin does, and earlier if the context ends.
func (p *Process) Stop(ctx context.Context) {
	p.stopOnce.Do(func() {
		stopCtx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		if _, err := p.client.Stop(stopCtx, &pluginv1.StopRequest{}); err != nil {
			p.log.Debug("the plugin did not stop when asked", zap.Error(p.logs.BlankError(err)))
		}
		p.end()
	})
}

// end makes the process go: what asks it to, go-plugin's Kill above all, can wait
// for ever for a process that does not answer.
func (p *Process) end() {
	if p.attached {
		p.detach()
		return
	}
	timer := time.AfterFunc(killAfter, func() { _ = p.runner.Kill() })
	p.hangUp()
	timer.Stop()
	// After a start that failed go-plugin may know of no process, and its Kill does
	// nothing.
	_ = p.runner.Kill()
	_ = p.socketDir.Remove()
}

// Kill ends the process at once, with all its group. Stop is called nevertheless.
func (p *Process) Kill() { _ = p.runner.Kill() }
