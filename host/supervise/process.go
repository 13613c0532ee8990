package supervise

import (
	"context"
	"fmt"
	"os/exec"
	"path"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	pluginrunner "github.com/hashicorp/go-plugin/runner"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/workdir"
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
	// Pin is what it must be made of; nil starts what is there.
	Pin *Pin
	// Env names the variables of the host's environment that the plugin sees
	// beside the allow-list.
	Env []string
	// ScratchDir is a directory of the plugin's own that outlives its processes;
	// empty is none.
	ScratchDir string
	// LogLevel is the least level at which the plugin's lines are logged, whatever
	// the host's own is: debug, info, warn or error. Empty is the host's own.
	LogLevel string
	// StartTimeout bounds the start; zero is DefaultStartTimeout.
	StartTimeout time.Duration
	// CallTimeout is how long a call may take; a plugin that takes longer hangs
	// and is ended. Zero is DefaultCallTimeout. Waits for an app's rate limit are
	// between calls.
	CallTimeout time.Duration
	// HealthTimeout is how long the plugin may leave a health check unanswered;
	// zero is DefaultHealthTimeout.
	HealthTimeout time.Duration
	// MemoryLimit is how much memory, in bytes, the plugin's process group may
	// take; zero is no limit. Beside Linux it is a request to the plugin only.
	MemoryLimit uint64
	// MaxAnswer is the size, in bytes, of the greatest message that is taken from
	// the plugin, a page of a listing above all; zero is plugin.MaxMessageBytes,
	// which is also the most.
	MaxAnswer int
}

func (s Spec) withDefaults() Spec {
	s.StartTimeout = orDefault(s.StartTimeout, DefaultStartTimeout)
	s.CallTimeout = orDefault(s.CallTimeout, DefaultCallTimeout)
	s.HealthTimeout = orDefault(s.HealthTimeout, DefaultHealthTimeout)
	if s.MaxAnswer <= 0 || s.MaxAnswer > plugin.MaxMessageBytes {
		s.MaxAnswer = plugin.MaxMessageBytes
	}
	return s
}

func orDefault(d, usual time.Duration) time.Duration {
	if d <= 0 {
		return usual
	}
	return d
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

	mu     sync.Mutex
	reason string // why the host ended it
}

// Start starts a plugin and shakes hands with it. The context bounds the start
// only; the process lives until Stop. Log lines go to the context's logger.
//
// It returns an error that says what the person should look at: a binary that
// is no plugin, one that ended at once (an [*ExitError]), one that did not
// answer in time, one of another protocol version.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	spec = spec.withDefaults()
	leave, err := enterStart(ctx)
	if err != nil {
		return nil, fmt.Errorf("start plugin %q: %w", spec.Instance, err)
	}
	defer leave()
	log := ctxzap.Extract(ctx).With(zap.String("plugin", spec.Instance))
	lines, err := withLevel(log, spec.LogLevel)
	if err != nil {
		return nil, fmt.Errorf("start plugin %q: %w", spec.Instance, err)
	}
	socketDir, err := newSocketDir()
	if err != nil {
		return nil, err
	}
	logs := newLogWriter(lines)
	made := &image{path: spec.Path}
	if spec.Pin != nil {
		if made, err = verified(spec, socketDir.Path()); err != nil {
			_ = socketDir.Remove()
			return nil, err
		}
	}
	p := &Process{spec: spec, log: log, logs: logs, runner: newRunner(spec, logs, made), socketDir: socketDir}
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
		GRPCDialOptions:  append(plugin.DialOptions(), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(spec.MaxAnswer))),
		Logger:           newGoPluginLogger(log, logs),
		SyncStdout:       logs.printed,
		SyncStderr:       logs.synced,
	})

	if err := p.shakeHands(ctx); err != nil {
		err = p.explainStart(ctx, err)
		p.end()
		return nil, err
	}
	if spec.Pin != nil {
		// What an interpreter reads cannot be held fast. It has read it by now, and
		// has been given no secret yet.
		if err := spec.verifyFiles(); err != nil {
			p.end()
			return nil, err
		}
	}
	log.Debug("plugin started", zap.String("path", spec.Path), zap.Int("pid", p.PID()))
	go p.watchHealth() //nolint:gosec // It lasts as long as the process does, not as the start.
	if spec.MemoryLimit > 0 {
		go p.watchMemory()
	}
	return p, nil
}

// starting bounds how many plugins start at a time: a start is work for the
// processor, keys for TLS above all.
var starting = semaphore.NewWeighted(int64(max(2, runtime.GOMAXPROCS(0))))

// enterStart waits for its turn to start.
func enterStart(ctx context.Context) (leave func(), err error) {
	if err := starting.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return func() { starting.Release(1) }, nil
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
		return p.exit()
	case <-timer.C:
		return nil
	}
}

// exit is how the process ended. Call it after it has.
func (p *Process) exit() *ExitError {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &ExitError{
		Instance: p.spec.Instance, Reason: p.reason, LastLines: p.logs.lastLines(),
		State: p.runner.state.String(), ExitCode: p.runner.state.ExitCode(),
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
	_ = p.runner.Kill(context.Background())
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
	p.logs.redact(redact.Secrets(request.GetSecrets()))
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
	p := c.process
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	// Not a deadline: it would travel with the call, and the plugin's end of the
	// connection may keep it first, with an error that says nothing.
	defer time.AfterFunc(p.spec.CallTimeout, func() {
		p.condemn(fmt.Sprintf("did not answer %s within its call-timeout of %s", path.Base(method), p.spec.CallTimeout))
		cancel()
	}).Stop()
	err := p.client.Conn.Invoke(limited, method, request, reply, options...)
	if status.Code(err) == codes.ResourceExhausted && strings.Contains(err.Error(), "larger than max") {
		return p.tooLarge(request, err)
	}
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		if exit := p.waitExit(killAfter); exit != nil {
			return exit
		}
		return &ExitError{Instance: p.spec.Instance, Reason: "hangs and cannot even be killed", ExitCode: -1}
	}
	return p.explainCall(err)
}

// tooLarge says of which message gRPC's error speaks: both sides have a limit for
// both directions.
func (p *Process) tooLarge(request any, err error) error {
	if message, ok := request.(proto.Message); ok && proto.Size(message) > plugin.MaxMessageBytes {
		return status.Errorf(codes.ResourceExhausted, "the request is larger than the %s that a plugin takes", humanize.IBytes(plugin.MaxMessageBytes))
	}
	return status.Errorf(codes.ResourceExhausted, "an answer of the plugin is larger than its max-page-size of %s allows; have the connector make smaller pages: %s",
		humanize.IBytes(uint64(p.spec.MaxAnswer)), status.Convert(err).Message()) //nolint:gosec // It is more than 0.
}

func (c connection) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := c.process.client.Conn.NewStream(ctx, desc, method, options...)
	if err != nil {
		return nil, c.process.explainCall(err)
	}
	return explainedStream{ClientStream: stream, process: c.process}, nil
}

// explainCall replaces the bare end of a connection by the end of the process,
// where that is the reason, and blanks the values of secrets that a careless
// connector repeats in its errors. Code and kinds of details stay.
func (p *Process) explainCall(err error) error {
	if err == nil {
		return nil
	}
	switch status.Code(err) {
	case codes.Unavailable:
		if exit := p.waitExit(exitNotice); exit != nil {
			return exit
		}
	case codes.Canceled:
		// A call that comes after the connection was closed, which it is once the
		// process is gone. A caller that gave up itself does not care.
		if p.gone() {
			return p.exit()
		}
	}
	return blankError(p.logs.redactor(), err)
}

// Stop asks the plugin to finish, gives its process a moment to end and then
// ends it with what is left of its process group. It returns within about
// eleven seconds, whatever the plugin does, and earlier if the context ends.
func (p *Process) Stop(ctx context.Context) {
	p.stopOnce.Do(func() {
		stopCtx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		if _, err := p.client.Stop(stopCtx, &pluginv1.StopRequest{}); err != nil {
			p.log.Debug("the plugin did not stop when asked", zap.Error(blankError(p.logs.redactor(), err)))
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

// gone says that the process has ended.
func (p *Process) gone() bool {
	select {
	case <-p.runner.exited:
		return true
	default:
		return false
	}
}
