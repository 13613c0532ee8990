package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	pluginrunner "github.com/hashicorp/go-plugin/runner"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"

	"github.com/batonhost/baton-host/host/internal/child"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc"
	"github.com/batonhost/baton-host/host/internal/supervise/unmodified"
	"github.com/batonhost/baton-host/internal/mutualtls"
	"github.com/batonhost/baton-host/plugin"
)

// Start starts a plugin and shakes hands with it. The context bounds the start
// only; the process lives until Stop. Log lines go to the context's logger.
//
// An unmodified connector is asked what it is, and its process is started by
// Configure: it starts with its configuration or not at all.
//
// It returns an error that says what the person should look at: a binary that
// is no plugin, one that ended at once (an [*ExitError]), one that did not
// answer in time, one of another protocol version.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	spec = spec.withDefaults()
	if spec.Attach != nil {
		return attach(ctx, spec)
	}
	leave, err := enterStart(ctx)
	if err != nil {
		return nil, fmt.Errorf("start plugin %q: %w", spec.Instance, err)
	}
	defer leave()
	// The process may be started in another directory.
	if spec.Path, err = filepath.Abs(spec.Path); err != nil {
		return nil, fmt.Errorf("start plugin %q: make the path of its program absolute: %w", spec.Instance, err)
	}
	spec.Sandbox.Mode = spec.SandboxMode()
	log := ctxzap.Extract(ctx).With(zap.String("plugin", spec.Instance))
	lines, err := pluginlog.WithLevel(log, spec.LogLevel)
	if err != nil {
		return nil, fmt.Errorf("start plugin %q: %w", spec.Instance, err)
	}
	socketDir, err := newSocketDir()
	if err != nil {
		return nil, err
	}
	command := spec.command()
	denied := spec.deniedTexts(log)
	observe := spec.Observe
	if denied != nil {
		observe = denied.observe
	}
	logs := pluginlog.New(lines, observe)
	spec.enclose(&command, socketDir.Path(), logs)
	if spec.Pin != nil {
		if command.Image, err = spec.Pin.Open(spec.program(), socketDir.Path()); err != nil {
			_ = socketDir.Remove()
			return nil, err
		}
	}
	p := &Process{spec: spec, log: log, logs: logs, denied: denied, runner: proc.New(command, logs), socketDir: socketDir, superseded: make(chan struct{}), rested: make(chan struct{}), outdated: make(chan struct{})}
	if denied != nil {
		denied.policy = command.Sandbox
		p.opened = command.Sandbox.Opened(command.Env)
	}
	if spec.isUnmodified() {
		err = p.openConnector(ctx)
	} else {
		err = p.openPlugin(ctx)
	}
	if err != nil {
		p.end()
		return nil, denied.explain(err)
	}
	if spec.Pin != nil {
		// What an interpreter reads cannot be held fast. It has read it by now, and
		// has been given no secret yet.
		if err := spec.Pin.VerifyFiles(spec.program()); err != nil {
			p.end()
			return nil, err
		}
	}
	return p, nil
}

// isUnmodified reports whether the program is a connector without a plugin's side.
func (s Spec) isUnmodified() bool {
	if s.Unmodified {
		return true
	}
	build, ok := unmodified.Read(s.Path)
	return ok && build.Unmodified()
}

// openConnector asks an unmodified connector what it is.
func (p *Process) openConnector(ctx context.Context) error {
	settings := unmodified.Settings{
		Command: p.runner.Command, Fields: p.spec.Fields, Dir: p.socketDir.Path(), AskTimeout: p.spec.StartTimeout,
		Sessions: p.spec.Sessions, Log: p.log.Named("sessions"), DialOptions: p.spec.dialOptions(),
	}
	if p.spec.Pin != nil {
		settings.Sum = p.spec.Pin.Executable
	}
	p.connector = unmodified.New(p.runner, p.logs, settings)
	p.client, p.conn, p.hangUp = &plugin.Client{PluginServiceClient: p.connector}, p.connector, p.connector.HangUp
	if err := p.connector.Open(ctx); err != nil {
		return fmt.Errorf("start plugin %q (%s), an unmodified Baton connector: %w", p.spec.Instance, p.spec.Path, p.explainUnmodified(ctx, err))
	}
	return nil
}

// explainUnmodified adds to an error of a program whose entry declares it unmodified that
// it may be a plugin, where its own fault is not known.
func (p *Process) explainUnmodified(ctx context.Context, err error) error {
	_, notExecuted := errors.AsType[syscall.Errno](err)
	build, _ := unmodified.Read(p.spec.Path)
	isForeign := build.Platform != "" && build.Platform != child.Platform
	if !p.spec.Unmodified || notExecuted || isForeign || ctx.Err() != nil {
		return err
	}
	if hint := unmodified.PluginHint(build, err.Error()); hint != "" {
		return &startError{fmt.Errorf("%s (%w)", hint, err), p.cannot(hint)}
	}
	return fmt.Errorf("%w; if it is a plugin, remove unmodified: true from its entry", err)
}

// openPlugin starts a plugin and shakes hands with it.
func (p *Process) openPlugin(ctx context.Context) error {
	identity, err := mutualtls.New()
	if err != nil {
		return fmt.Errorf("start plugin %q: %w", p.spec.Instance, err)
	}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake,
		VersionedPlugins: plugin.HostPlugins(),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (pluginrunner.Runner, error) {
			p.runner.Env = append(p.runner.Env, cmd.Env...)
			p.runner.Env = append(p.runner.Env, mutualtls.CertificateEnv+"="+identity.PEM())
			return goPluginRunner{p.runner, p.logs}, nil
		},
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: p.socketDir.Path()},
		SkipHostEnv:      true,
		TLSConfig:        identity.Host(),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		StartTimeout:     p.spec.StartTimeout,
		GRPCDialOptions:  p.spec.dialOptions(),
		Logger:           newGoPluginLogger(p.log, p.logs),
		SyncStdout:       p.logs.Printed,
		SyncStderr:       p.logs.Synced,
	})
	p.hangUp = client.Kill
	if err := p.shakeHands(ctx, client); err != nil {
		return p.explainStart(ctx, err)
	}
	p.started()
	return nil
}

// dialOptions are those of the connection to the process.
func (s Spec) dialOptions() []grpc.DialOption {
	options := append(plugin.DialOptions(), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(s.MaxAnswer)))
	return append(options, s.Telemetry.DialOptions()...)
}

// started watches a process that can be called.
func (p *Process) started() {
	p.log.Debug("plugin started", zap.String("path", p.spec.Path), zap.Int("pid", p.PID()))
	go p.watchHealth()
	if p.denied != nil {
		go p.watchFiles()
	}
	if p.spec.MemoryLimit > 0 {
		go p.watchMemory()
	}
}

// program is what is started, for its pin.
func (s Spec) program() pin.Program {
	return pin.Program{Instance: s.Instance, Path: s.Path, Args: s.Args}
}

// command is what is executed. The process finds out from its environment who its host
// is, where its directory is, and where traces go.
func (s Spec) command() proc.Command {
	environment := append(child.Environment(s.Env), plugin.HostPIDEnv+"="+strconv.Itoa(os.Getpid()))
	if s.ScratchDir != "" {
		environment = append(environment, plugin.ScratchEnv+"="+s.ScratchDir)
	}
	return proc.Command{
		Path: s.Path, Args: s.Args, Env: append(environment, s.Telemetry.Environment()...),
		MemoryLimit: s.MemoryLimit, Patience: s.StartTimeout,
	}
}

// starting bounds how many plugins start at a time: a start is work for the
// processor, keys for TLS above all.
var starting = semaphore.NewWeighted(int64(max(2, runtime.GOMAXPROCS(0))))

// longestTurn is how long a start counts as work. One that takes longer waits for
// something else, and must not hold up the starts of other plugins.
const longestTurn = 3 * time.Second

// enterStart waits for its turn to start.
func enterStart(ctx context.Context) (leave func(), err error) {
	if err := starting.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	release := sync.OnceFunc(func() { starting.Release(1) })
	turn := time.AfterFunc(longestTurn, release)
	return func() {
		turn.Stop()
		release()
	}, nil
}

// shakeHands runs go-plugin's start, which knows no context, under ours.
func (p *Process) shakeHands(ctx context.Context, from *goplugin.Client) error {
	type outcome struct {
		protocol goplugin.ClientProtocol
		err      error
	}
	done := make(chan outcome, 1)
	go func() {
		if _, err := from.Start(); err != nil {
			done <- outcome{err: err}
			return
		}
		protocol, err := from.Client()
		done <- outcome{protocol: protocol, err: err}
	}()

	select {
	case result := <-done:
		if result.err != nil {
			return result.err
		}
		client, err := plugin.Dispense(result.protocol)
		if err != nil {
			return err
		}
		p.client, p.conn = client, client.Conn
		return nil
	case <-ctx.Done():
		_ = p.runner.Kill()
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
	if p.runner.PID() == 0 {
		return &startError{fmt.Errorf("%s: %s%w", at, child.Obstacle(p.spec.Path, err), err), p.cannot(strings.TrimSuffix("its program cannot be executed: "+errtext.Public(err), ": "))}
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "timeout while waiting for plugin"):
		return &startError{
			fmt.Errorf("%s: it did not shake hands within %s%s", at, p.spec.StartTimeout, p.lastWords()),
			p.cannot(fmt.Sprintf("it did not shake hands within %s", p.spec.StartTimeout)),
		}
	case strings.Contains(text, "incompatible API version"):
		const why = "it speaks another version of the plugin protocol than this host"
		return &startError{
			fmt.Errorf("%s: %s, which speaks %d; use a plugin and a host of matching releases", at, why, plugin.ProtocolVersion), p.cannot(why),
		}
	case strings.Contains(text, "exited before we could connect"), strings.Contains(text, "Failed to read any lines"):
		if exit := p.waitExit(ctx, exitNotice); exit != nil {
			return fmt.Errorf("%s: it is no baton-host plugin, or it failed before it could serve: %w", at, exit)
		}
	case strings.Contains(text, "Unrecognized remote plugin message"):
		const why = "it is no baton-host plugin: it wrote something else than the plugin handshake to standard output"
		return &startError{fmt.Errorf("%s: %s", at, why), p.cannot(why)}
	}
	return fmt.Errorf("%s: %w%s", at, err, p.lastWords())
}

func (p *Process) cannot(why string) string {
	return fmt.Sprintf("plugin %q cannot be started: %s", p.spec.Instance, why)
}

// lastWords is the end of a sentence with what the plugin wrote last, and what opens what it
// was denied.
func (p *Process) lastWords() string {
	words := p.logs.LastWords()
	if hint := p.denied.hint(words); hint != "" {
		words += "; " + hint
	}
	return words
}
