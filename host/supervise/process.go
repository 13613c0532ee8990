package supervise

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	pluginrunner "github.com/hashicorp/go-plugin/runner"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/workdir"
	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

const (
	// DefaultStartTimeout is how long a plugin may take from its start to the
	// end of its handshake, and again to describe itself.
	DefaultStartTimeout = 10 * time.Second
	// configureTimeout is how long a plugin may take to configure itself: long
	// enough for a connector that fetches a token first.
	configureTimeout = time.Minute
	// stopTimeout is how long a plugin may take to finish what is running.
	stopTimeout = 5 * time.Second
	// killAfter is how long the process may then take to end by itself.
	// go-plugin's own grace of two seconds fits into it.
	killAfter = 3 * time.Second
	// exitNotice is how long a failed call waits for the news that the process
	// has gone, which explains it.
	exitNotice = time.Second
)

// Spec says what to start.
type Spec struct {
	// Instance is the plugin's name in the configuration, for logs and errors.
	Instance string
	// Path is the binary.
	Path string
	// Args are its arguments; by convention there are none.
	Args []string
	// Env names the variables of the host's environment that the plugin sees
	// beside the allow-list.
	Env []string
	// StartTimeout bounds the start; zero is DefaultStartTimeout.
	StartTimeout time.Duration
}

// Process is one running plugin. Its methods may be called concurrently.
type Process struct {
	spec      Spec
	log       *zap.Logger
	logs      *logWriter
	runner    *runner
	client    *plugin.Client
	goplugin  *goplugin.Client
	socketDir *workdir.Dir
	stopOnce  sync.Once
}

// Start starts a plugin and shakes hands with it. The context bounds the start
// only; the process lives until Stop. Log lines go to the context's logger.
//
// It returns an error that says what the person should look at: a binary that
// is no plugin, one that ended at once (an [*ExitError]), one that did not
// answer in time, one of another protocol version.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	if spec.StartTimeout <= 0 {
		spec.StartTimeout = DefaultStartTimeout
	}
	socketDir, err := newSocketDir()
	if err != nil {
		return nil, err
	}
	log := ctxzap.Extract(ctx).With(zap.String("plugin", spec.Instance))
	logs := newLogWriter(log)
	p := &Process{spec: spec, log: log, logs: logs, runner: newRunner(spec, logs), socketDir: socketDir}
	p.goplugin = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake,
		VersionedPlugins: plugin.HostPlugins(),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (pluginrunner.Runner, error) {
			p.runner.cmd.Env = append(p.runner.cmd.Env, cmd.Env...)
			return p.runner, nil
		},
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: socketDir.Path()},
		SkipHostEnv:      true,
		AutoMTLS:         true,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		StartTimeout:     spec.StartTimeout,
		GRPCDialOptions:  plugin.DialOptions(),
		Logger:           newGoPluginLogger(log),
	})

	if err := p.shakeHands(ctx); err != nil {
		err = p.explainStart(ctx, err)
		p.end()
		return nil, err
	}
	log.Debug("plugin started", zap.String("path", spec.Path), zap.Int("pid", p.PID()))
	return p, nil
}

// shakeHands runs go-plugin's start, which knows no context, under ours.
func (p *Process) shakeHands(ctx context.Context) error {
	type outcome struct {
		protocol goplugin.ClientProtocol
		err      error
	}
	done := make(chan outcome, 1)
	go func() {
		if _, err := p.goplugin.Start(); err != nil {
			done <- outcome{err: err}
			return
		}
		protocol, err := p.goplugin.Client()
		done <- outcome{protocol: protocol, err: err}
	}()

	select {
	case result := <-done:
		if result.err != nil {
			return result.err
		}
		client, err := plugin.Dispense(result.protocol)
		p.client = client
		return err
	case <-ctx.Done():
		_ = p.runner.Kill(ctx)
		<-done
		return ctx.Err()
	}
}

// explainStart turns go-plugin's error into a sentence.
func (p *Process) explainStart(ctx context.Context, err error) error {
	at := fmt.Sprintf("start plugin %q (%s)", p.spec.Instance, p.spec.Path)
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", at, ctx.Err())
	}
	if p.runner.ID() == "" {
		return fmt.Errorf("%s: %w", at, err)
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "timeout while waiting for plugin"):
		return fmt.Errorf("%s: it did not shake hands within %s%s", at, p.spec.StartTimeout, p.lastWords())
	case strings.Contains(text, "incompatible API version"):
		return fmt.Errorf("%s: it speaks another version of the plugin protocol than this host, which speaks %d; use a plugin and a host of matching releases", at, plugin.ProtocolVersion)
	case strings.Contains(text, "exited before we could connect"), strings.Contains(text, "Failed to read any lines"):
		if exit := p.waitExit(exitNotice); exit != nil {
			return fmt.Errorf("%s: it is no baton-host plugin, or it failed before it could serve: %w", at, exit)
		}
	case strings.Contains(text, "Unrecognized remote plugin message"):
		return fmt.Errorf("%s: it is no baton-host plugin: it wrote something else than the plugin handshake to standard output", at)
	}
	return fmt.Errorf("%s: %w%s", at, err, p.lastWords())
}

func (p *Process) lastWords() string {
	lines := p.logs.lastLines()
	if len(lines) == 0 {
		return ""
	}
	return "; its last words: " + strings.Join(lines, " / ")
}

// waitExit returns how the process ended, or nil if it still runs after the
// time given.
func (p *Process) waitExit(wait time.Duration) *ExitError {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.runner.exited:
		return &ExitError{Instance: p.spec.Instance, State: p.runner.state.String(), LastLines: p.logs.lastLines()}
	case <-timer.C:
		return nil
	}
}

// Instance is the plugin's name in the configuration.
func (p *Process) Instance() string { return p.spec.Instance }

// PID is the process id.
func (p *Process) PID() int { return p.runner.pid }

// Exited is closed when the process is gone.
func (p *Process) Exited() <-chan struct{} { return p.runner.exited }

// Describe asks the plugin what it is.
func (p *Process) Describe(ctx context.Context) (*pluginv1.Manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, p.spec.StartTimeout)
	defer cancel()
	response, err := p.client.Describe(ctx, &pluginv1.DescribeRequest{})
	if err != nil {
		return nil, fmt.Errorf("plugin %q does not describe itself: %w", p.spec.Instance, p.explainCall(err))
	}
	manifest := response.GetManifest()
	if manifest.GetName() == "" || manifest.GetVersion() == "" {
		return nil, fmt.Errorf("plugin %q describes itself without a name or a version", p.spec.Instance)
	}
	return manifest, nil
}

// Configure gives the plugin its configuration and returns what it has to say
// about it. The error is about the call, never about the configuration. From
// now on the values of the request's secrets are blanked in the plugin's log.
func (p *Process) Configure(ctx context.Context, request *pluginv1.ConfigureRequest) ([]*pluginv1.Diagnostic, error) {
	p.logs.redact(plugin.SecretTexts(request.GetSecrets()))
	ctx, cancel := context.WithTimeout(ctx, configureTimeout)
	defer cancel()
	response, err := p.client.Configure(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("plugin %q cannot be configured: %w", p.spec.Instance, p.explainCall(err))
	}
	return response.GetDiagnostics(), nil
}

// Conn is the plugin's connection. A call that fails because the process has
// gone fails with an [*ExitError].
func (p *Process) Conn() grpc.ClientConnInterface { return connection{p} }

type connection struct{ process *Process }

func (c connection) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	return c.process.explainCall(c.process.client.Conn.Invoke(ctx, method, request, reply, options...))
}

func (c connection) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := c.process.client.Conn.NewStream(ctx, desc, method, options...)
	return stream, c.process.explainCall(err)
}

// explainCall replaces the bare end of a connection by the end of the process,
// where that is the reason, and blanks the values of secrets that a careless
// connector repeats in its errors. Code and details stay.
func (p *Process) explainCall(err error) error {
	if err == nil {
		return nil
	}
	if status.Code(err) == codes.Unavailable {
		if exit := p.waitExit(exitNotice); exit != nil {
			return exit
		}
	}
	told := status.Convert(err).Proto()
	blanked := p.logs.blank(told.GetMessage())
	if blanked == told.GetMessage() {
		return err
	}
	told.Message = blanked
	return status.ErrorProto(told)
}

// Stop asks the plugin to finish, gives its process a moment to end and then
// ends it with what is left of its process group. It returns within about
// eleven seconds, whatever the plugin does, and earlier if the context ends.
func (p *Process) Stop(ctx context.Context) {
	p.stopOnce.Do(func() {
		stopCtx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		if _, err := p.client.Stop(stopCtx, &pluginv1.StopRequest{}); err != nil {
			p.log.Debug("the plugin did not stop when asked", zap.Error(err))
		}
		p.end()
	})
}

// end makes the process go: go-plugin's Kill alone can wait for ever for a
// process that does not answer.
func (p *Process) end() {
	timer := time.AfterFunc(killAfter, func() { _ = p.runner.Kill(context.Background()) })
	p.goplugin.Kill()
	timer.Stop()
	// Children that outlived the plugin: while one lives, the kernel does not
	// give the group's number to anybody else.
	_ = p.runner.Kill(context.Background())
	_ = p.socketDir.Remove()
}
