package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	goplugin "github.com/hashicorp/go-plugin"
	pluginrunner "github.com/hashicorp/go-plugin/runner"
	"go.uber.org/zap"
	"google.golang.org/grpc/connectivity"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc"
	"github.com/batonhost/baton-host/plugin"
)

// reattachHint is what a person does about any of the errors below.
const reattachHint = "start the plugin with --debug-plugin and export what it prints, or unset " + plugin.ReattachEnv

// patience is how long an attached plugin may take for anything: a person looks at
// it in a debugger.
const patience = time.Duration(math.MaxInt64)

// Attachments reads the value of the variable with plugins to attach to, by the
// names that it gives them. An empty value has none.
func Attachments(value string) (map[string]plugin.Attachment, error) {
	if value == "" {
		return nil, nil
	}
	var attachments map[string]plugin.Attachment
	if err := json.Unmarshal([]byte(value), &attachments); err != nil {
		return nil, fmt.Errorf("%s is not what --debug-plugin prints (%w); %s", plugin.ReattachEnv, err, reattachHint)
	}
	for _, name := range slices.Sorted(maps.Keys(attachments)) {
		if err := sound(attachments[name]); err != nil {
			return nil, fmt.Errorf("%s, plugin %q: %w; %s", plugin.ReattachEnv, name, err, reattachHint)
		}
	}
	return attachments, nil
}

// sound looks at an attachment without looking at what it leads to.
func sound(attachment plugin.Attachment) error {
	switch {
	case attachment.Protocol != goplugin.ProtocolGRPC:
		return fmt.Errorf("its protocol is %q and not %q", attachment.Protocol, goplugin.ProtocolGRPC)
	case attachment.ProtocolVersion != plugin.ProtocolVersion:
		return fmt.Errorf("it speaks version %d of the plugin protocol, and this host version %d", attachment.ProtocolVersion, plugin.ProtocolVersion)
	case attachment.PID <= 0:
		return fmt.Errorf("%d is no process id", attachment.PID)
	}
	_, err := address(attachment)
	return err
}

// address is where the plugin listens.
func address(attachment plugin.Attachment) (net.Addr, error) {
	switch at := attachment.Addr; {
	case at.Network == "unix" && at.Text != "":
		return net.ResolveUnixAddr("unix", at.Text)
	case at.Network == "tcp" && runtime.GOOS == "windows": // Where go-plugin has no sockets.
		return net.ResolveTCPAddr("tcp", at.Text)
	default:
		return nil, fmt.Errorf("it has no address that can be attached to (%q, %q)", at.Network, at.Text)
	}
}

// attach makes a Process of a plugin that another program started. Nothing ends it:
// it is not verified, killed or started again, and no time limit holds, as a
// person's debugger may stop it anywhere. Its log stays where it was started.
func attach(ctx context.Context, spec Spec) (*Process, error) {
	at := fmt.Sprintf("attach to plugin %q (%s, process %d)", spec.Instance, plugin.ReattachEnv, spec.Attach.PID)
	listens, err := address(*spec.Attach)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	if err := there(ctx, *spec.Attach, listens); err != nil {
		return nil, fmt.Errorf("%s: %w; %s", at, err, reattachHint)
	}
	log := ctxzap.Extract(ctx).With(zap.String("plugin", spec.Instance), zap.Int("pid", spec.Attach.PID))
	log.Warn("DEVELOPMENT MODE: attached to a plugin that this host did not start; it is not verified, not limited and not started again, and gets its secrets without TLS")

	answers := spec.StartTimeout
	spec.StartTimeout, spec.CallTimeout, spec.HealthTimeout = patience, patience, patience
	logs := pluginlog.New(log, nil)
	process := proc.Attached(spec.Attach.PID)
	p := &Process{spec: spec, log: log, logs: logs, runner: process, attached: true, superseded: make(chan struct{}), rested: make(chan struct{})}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: plugin.Handshake,
		Plugins:         plugin.HostPlugins()[plugin.ProtocolVersion],
		Reattach: &goplugin.ReattachConfig{
			Protocol: spec.Attach.Protocol, ProtocolVersion: spec.Attach.ProtocolVersion, Pid: spec.Attach.PID, Addr: listens,
			ReattachFunc: func() (pluginrunner.AttachedRunner, error) { return leftAlone{goPluginRunner{process, logs}}, nil },
			Test:         true,
		},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		GRPCDialOptions:  spec.dialOptions(),
		Logger:           newGoPluginLogger(log, logs),
	})
	protocol, err := client.Client()
	if err == nil {
		p.client, err = plugin.Dispense(protocol)
	}
	if err != nil {
		process.Leave()
		return nil, fmt.Errorf("%s: %w; %s", at, err, reattachHint)
	}
	p.conn = p.client.Conn
	if err := p.answers(ctx, answers); err != nil {
		_ = p.client.Conn.Close()
		process.Leave()
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	go p.watchConnection(listens) //nolint:gosec // It lasts as long as the connection does.
	return p, nil
}

// there says why there is nothing to attach to.
func there(ctx context.Context, attachment plugin.Attachment, listens net.Addr) error {
	if runtime.GOOS != "windows" { // Where no signal asks whether a process is there.
		process, err := os.FindProcess(attachment.PID)
		if err == nil {
			err = process.Signal(syscall.Signal(0))
		}
		if errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH) {
			return errors.New("the process is gone")
		}
	}
	conn, err := dial(ctx, listens)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("its socket is gone: %w", err)
	case err != nil:
		return fmt.Errorf("nothing listens any more: %w", err)
	}
	_ = conn.Close()
	return nil
}

// dial connects, with nothing said.
func dial(ctx context.Context, to net.Addr) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: DefaultStartTimeout}
	return dialer.DialContext(ctx, to.Network(), to.String())
}

// answers waits for the plugin to answer a health check.
func (p *Process) answers(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_, err := healthpb.NewHealthClient(p.client.Conn).Check(ctx, &healthpb.HealthCheckRequest{Service: goplugin.GRPCServiceName})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("it does not answer within %s; if it is stopped in a debugger, let it run on: %w", within, ctx.Err())
	default:
		return fmt.Errorf("it does not answer as a plugin does: %w; %s", err, reattachHint)
	}
}

// watchConnection takes the process for gone when nothing listens any more. A
// connection that is merely idle is closed by gRPC, and made again.
func (p *Process) watchConnection(listens net.Addr) {
	defer p.runner.Leave()
	conn := p.client.Conn
	for {
		state := conn.GetState()
		if state == connectivity.Shutdown {
			return
		}
		if state != connectivity.Ready {
			probe, err := dial(context.Background(), listens)
			if err != nil {
				return
			}
			_ = probe.Close()
			conn.Connect()
		}
		conn.WaitForStateChange(context.Background(), state)
	}
}

// detached is how an attached process ended.
func (p *Process) detached() *ExitError {
	return &ExitError{
		Instance: p.spec.Instance, ExitCode: -1, attached: true,
		State: "it was attached to by " + plugin.ReattachEnv + " and is not started again; its own terminal says more",
	}
}

// detach leaves an attached process alone.
func (p *Process) detach() {
	p.client.HangUp()
	<-p.runner.Exited()
}

// lose gives an attached plugin up that is gone, until Stop.
func (p *Plugin) lose(exit *ExitError) {
	p.logger().Error("the attached plugin is gone; it is not started again", zap.Error(exit))
	p.set(Failed, nil, exit)
}
