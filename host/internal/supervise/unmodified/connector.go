package unmodified

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	batonv1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	goplugin "github.com/hashicorp/go-plugin"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/child"
	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc"
	"github.com/batonhost/baton-host/internal/schema"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Settings say how a connector is asked what it is, and started.
type Settings struct {
	// Command is what is executed, without the arguments of the SDK's own commands.
	Command proc.Command
	// Fields are what the operator says of a configuration that the connector does not
	// describe itself; empty: nothing.
	Fields []*pluginv1.Field
	// Sum is the sum of the executable, where it is pinned.
	Sum string
	// Dir is a directory that no other user can enter, and that is there for as long as
	// the connector runs.
	Dir string
	// AskTimeout is how long the commands may take by which it describes itself.
	AskTimeout time.Duration
	// Sessions is the session store that is served to the connector; nil: none.
	Sessions batonv1.BatonSessionServiceServer
	// Log is where it is logged what the connector asks of that.
	Log *zap.Logger
	// DialOptions are those of the connection to the process.
	DialOptions []grpc.DialOption
}

// Connector is a connector that knows no host, seen as a plugin: what a plugin
// answers itself is answered here, and the connector services are the process's.
type Connector struct {
	settings Settings
	process  *proc.Process
	logs     *pluginlog.Writer
	manifest *pluginv1.Manifest
	receiver Receiver
	fromHelp bool

	configured atomic.Bool
	stopping   atomic.Bool
	conn       atomic.Pointer[grpc.ClientConn] // nil until it serves
	service    atomic.Pointer[Service]         // nil until it is configured
	// inside has a unit for each call in the process, and all of them once it is
	// to stop.
	inside *semaphore.Weighted
}

const allCalls = math.MaxInt64

// ErrEnded says that the process ended before it served, and not as one that refuses
// its configuration does.
var ErrEnded = errors.New("the process of the connector ended before it served")

// New returns a connector whose process Configure starts. What the process
// writes goes to logs.
func New(process *proc.Process, logs *pluginlog.Writer, settings Settings) *Connector {
	return &Connector{settings: settings, process: process, logs: logs, inside: semaphore.NewWeighted(allCalls)}
}

// Open asks the connector what it is, by its own commands.
func (u *Connector) Open(ctx context.Context) error {
	if !child.InheritsDescriptors {
		return errors.New("one can be loaded on Linux and macOS only; on this system use one that is built as a plugin")
	}
	asked, err := u.settings.askManifest(ctx)
	if err != nil {
		return err
	}
	u.manifest = asked.manifest
	shown, _ := readHelp(asked.answers.Help)
	u.receiver = Receiver{
		Build: asked.build, Schema: asked.manifest.GetConfiguration(),
		Early: asked.answers.Schema == "" && asked.build.mayLackSchema(), FlagTypes: shown.words,
	}
	u.fromHelp = asked.answers.Schema == "" && len(u.settings.Fields) == 0
	return nil
}

// FieldsFromHelp reports whether the fields of the configuration are those that the
// connector's help shows, which does not show which of them are secrets.
func (u *Connector) FieldsFromHelp() bool { return u.fromHelp }

// Describe returns what the connector's commands said.
func (u *Connector) Describe(context.Context, *pluginv1.DescribeRequest, ...grpc.CallOption) (*pluginv1.DescribeResponse, error) {
	if u.stopping.Load() {
		return nil, errStopping
	}
	return &pluginv1.DescribeResponse{Manifest: u.manifest}, nil
}

// Configure starts the connector with its configuration. One that ends by itself
// before it serves refuses its configuration; its last words are what it says
// about it.
func (u *Connector) Configure(ctx context.Context, request *pluginv1.ConfigureRequest, _ ...grpc.CallOption) (*pluginv1.ConfigureResponse, error) {
	if u.stopping.Load() {
		return nil, errStopping
	}
	if findings := schema.Check(u.manifest.GetConfiguration(), request); len(findings) > 0 {
		return &pluginv1.ConfigureResponse{Diagnostics: findings}, nil
	}
	if findings := u.receiver.Check(request); len(findings) > 0 {
		return &pluginv1.ConfigureResponse{Diagnostics: findings}, nil
	}
	if !u.configured.CompareAndSwap(false, true) {
		return nil, status.Error(codes.FailedPrecondition, "an unmodified connector takes one configuration for each start")
	}
	logged := ctxzap.ToContext(context.WithoutCancel(ctx), u.settings.Log)
	service, err := u.receiver.Prepare(logged, u.settings.Dir, request, u.settings.Sessions)
	if err != nil {
		return nil, err
	}
	u.service.Store(service)
	err = u.serve(ctx, service)
	if err == nil {
		// It serves, so it has read everything.
		return &pluginv1.ConfigureResponse{}, service.Handover.Discard()
	}
	_ = u.process.Kill()
	_ = service.Handover.Discard()
	if u.hasRefused() {
		return &pluginv1.ConfigureResponse{Diagnostics: []*pluginv1.Diagnostic{u.objection()}}, nil
	}
	return nil, err
}

// serve starts the process and returns when it answers.
func (u *Connector) serve(ctx context.Context, service *Service) error {
	r := u.process
	r.ByInput = true
	r.Inherited = service.Inherited
	r.Output = u.logs.Stdout
	r.Args = slices.Concat(r.Args, []string{ServiceCommand})
	r.Env = append(r.Env,
		ConfigPathEnv+"="+service.Handover.Path(),
		fmt.Sprintf("%s=%d", ListenerEnv, FirstDescriptor))
	r.Sandbox = service.reachable(r.Sandbox)
	if err := r.Start(ctx); err != nil {
		return fmt.Errorf("%s%w", child.Obstacle(r.Path, err), err)
	}
	if _, err := r.Write(service.Input); err != nil {
		return fmt.Errorf("write to its standard input: %w", err)
	}
	conn, err := service.Dial(u.settings.DialOptions...)
	if err != nil {
		return fmt.Errorf("reach it: %w", err)
	}
	u.conn.Store(conn)
	return u.await(ctx, conn, service.Handover.Failed())
}

// await returns when the process answers a call, or when it will not, because its
// configuration cannot be handed over. It has no health service, and says so.
func (u *Connector) await(ctx context.Context, conn *grpc.ClientConn, notHanded <-chan error) error {
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-u.process.Exited():
			cancel(ErrEnded)
		case err := <-notHanded:
			cancel(fmt.Errorf("hand the configuration over: %w", err))
		case <-waiting.Done():
		}
	}()
	_, err := healthpb.NewHealthClient(conn).Check(waiting, &healthpb.HealthCheckRequest{Service: goplugin.GRPCServiceName}, grpc.WaitForReady(true))
	switch {
	case err == nil, status.Code(err) == codes.Unimplemented:
		return nil
	case u.process.IsGone():
		return ErrEnded
	case ctx.Err() == nil && waiting.Err() != nil:
		return context.Cause(waiting)
	case ctx.Err() != nil:
		// The text has what the last attempt to connect failed of.
		return status.Error(status.FromContextError(ctx.Err()).Code(), status.Convert(err).Message())
	default:
		return fmt.Errorf("it does not serve: %w", err)
	}
}

// hasRefused reports whether the process ended by itself, with a status that says
// that it failed, before it served.
func (u *Connector) hasRefused() bool { return u.process.IsGone() && u.process.State().ExitCode() > 0 }

// mostLastWords is how many of a connector's last lines are taken for what it has
// against its configuration.
const mostLastWords = 5

// objection is a refusal as a plugin would say it. The SDK's own messages name the
// field that they are about.
func (u *Connector) objection() *pluginv1.Diagnostic {
	lines := u.logs.LastLines()
	if begins := slices.IndexFunc(lines, pluginlog.BeginsPanic); begins >= 0 {
		// What follows is where, from the inside out.
		lines = lines[begins:min(begins+mostLastWords, len(lines))]
	} else if len(lines) > mostLastWords {
		lines = lines[len(lines)-mostLastWords:]
	}
	words := strings.Join(lines, " / ")
	diagnostic := &pluginv1.Diagnostic{
		Severity: pluginv1.Severity_SEVERITY_ERROR,
		Summary:  fmt.Sprintf("the connector does not start with this configuration (%s): %s", u.process.State(), words),
	}
	if saysPlugin.MatchString(words) {
		diagnostic.Summary += "; " + isPlugin
	}
	for _, field := range u.manifest.GetConfiguration().GetFields() {
		if isAbout(words, field.GetName()) {
			diagnostic.Field = field.GetName()
		}
	}
	return diagnostic
}

// saysPlugin matches what a plugin writes that is started by something else than its host:
// go-plugin's own words, and those of programs that say it in a sentence.
var saysPlugin = regexp.MustCompile(`(?i)not meant to be executed directly|\bis an? (\S+ )?plugin\b|` + errHandshake.Error())

// PluginHint is what to do about a program that is to be run unmodified and cannot be; ""
// if nothing in what is known of it says that it is a plugin. failure is why it cannot.
func PluginHint(build Build, failure string) string {
	if !build.Plugin && !saysPlugin.MatchString(failure) {
		return ""
	}
	return isPlugin
}

const isPlugin = "it is a plugin of baton-host, which runs by itself: remove unmodified: true from its entry"

// isAbout reports whether a message of the SDK names a field: `field x: value must be …`,
// `field x of type string is marked as required but …`, `required flag(s) "x" not set`.
func isAbout(words, field string) bool {
	return strings.Contains(words, "field "+field+":") || strings.Contains(words, "field "+field+" of type ") ||
		strings.Contains(words, strconv.Quote(field))
}

// Stop waits for running calls until the context ends, and lets none in any more.
func (u *Connector) Stop(ctx context.Context, _ *pluginv1.StopRequest, _ ...grpc.CallOption) (*pluginv1.StopResponse, error) {
	u.stopping.Store(true)
	return &pluginv1.StopResponse{}, u.inside.Acquire(ctx, allCalls)
}

// Invoke calls the process.
func (u *Connector) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	conn := u.conn.Load()
	if conn == nil {
		return errNotConfigured
	}
	if !u.inside.TryAcquire(1) {
		return errStopping
	}
	defer u.inside.Release(1)
	return conn.Invoke(ctx, method, request, reply, options...)
}

// NewStream opens a stream to the process. Streams, which carry pictures, are not
// waited for when it stops.
func (u *Connector) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	conn := u.conn.Load()
	if conn == nil {
		return nil, errNotConfigured
	}
	return conn.NewStream(ctx, desc, method, options...)
}

var (
	errNotConfigured = status.Error(codes.FailedPrecondition, "the plugin is not configured: call PluginService.Configure first")
	errStopping      = status.Error(codes.Unavailable, "the plugin is stopping")
)

// GetState is the state of the connection. Before there is one, none is broken.
func (u *Connector) GetState() connectivity.State {
	conn := u.conn.Load()
	if conn == nil {
		return connectivity.Ready
	}
	return conn.GetState()
}

// HangUp ends the connection and the process's standard input, on which it ends.
func (u *Connector) HangUp() {
	if conn := u.conn.Load(); conn != nil {
		_ = conn.Close()
	}
	if service := u.service.Load(); service != nil {
		defer service.EndSessions()
	}
	r := u.process
	if r.PID() == 0 {
		return
	}
	r.CloseInput()
	<-r.Exited()
}
