//go:build unix

package supervise_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/spf13/viper"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
	"github.com/batonhost/baton-host/sandbox/built"
)

// TestMain lets the test binary be a plugin with bad habits, or a host that is
// about to be killed: the tests start it again as a real subprocess, with the
// role as its argument.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && strings.HasPrefix(os.Args[1], "unmodified-") {
		unmodifiedRole()
		return
	}
	if len(os.Args) != 2 || !strings.HasPrefix(os.Args[1], "role-") {
		code, err := prepareAndRun(m)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}
	switch role := strings.TrimPrefix(os.Args[1], "role-"); role {
	case "exit-3":
		fmt.Fprintln(os.Stderr, "cannot find my shoes")
		os.Exit(3)
	case "exit-0":
	case "panic":
		panic("an early mistake")
	case "garbage":
		fmt.Println("hello, I am no plugin")
		time.Sleep(time.Hour)
	case "silent":
		time.Sleep(time.Hour)
	case "other-version":
		fmt.Println("1|99|unix|/nowhere|grpc|")
		time.Sleep(time.Hour)
	case "host":
		hostRole()
	case "habits":
		habits()
	case "alone":
		alone(os.Getenv(aloneVariable))
	case "long-line":
		fmt.Print(strings.Repeat("x", 70<<10))
		time.Sleep(time.Hour)
	case "sweep":
		supervise.Sweep()
	case "foreign", "hangs-in-describe":
		foreignRole(role == "hangs-in-describe", goplugin.DefaultGRPCServer)
	case "brokerless":
		foreignRole(false, brokerless)
	case "leak":
		leak()
	default:
		plugin.Run(context.Background(), "baton-test", "v1.0.0", testSchema, func(_ context.Context, v *viper.Viper, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
			if err := trust(role); err != nil {
				return nil, nil, err
			}
			if role == "refuse-once" && firstTime() {
				return nil, nil, errors.New("the app cannot be reached")
			}
			return &testConnector{token: v.GetString("token"), role: role}, nil, nil
		})
	}
}

// trust reads a file, as a connector does whose configuration names one with certificates.
func trust(role string) error {
	path, ok := strings.CutPrefix(role, "trusts:")
	if !ok {
		return nil
	}
	if _, err := os.ReadFile(path); err != nil {
		return fmt.Errorf("read the authorities: %w", err)
	}
	return nil
}

// habits is the role of a host with plugins that would like to outlive it, where
// processes can be looked at.
var habits = func() {}

// alone is the role of a process that a test has for itself, to change what holds for
// whole processes; aloneVariable says what it does.
var alone = func(string) {}

const aloneVariable = "ALONE"

// hostRole is a host that starts a plugin, says its process id and waits to be
// killed.
func hostRole() {
	process, err := supervise.Start(context.Background(), spec("good"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(process.PID())
	time.Sleep(time.Hour)
}

var testSchema = field.NewConfiguration([]field.SchemaField{field.StringField("token", field.WithIsSecret(true))})

type testConnector struct{ token, role string }

func (c *testConnector) Metadata(context.Context) (*connectorv2.ConnectorMetadata, error) {
	variables := map[string]string{}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		variables[name] = value
	}
	encoded, err := json.Marshal(variables)
	switch c.role {
	case "large":
		encoded = bytes.Repeat([]byte("x"), 100<<10)
	case "huge":
		encoded = bytes.Repeat([]byte("x"), 100<<20)
	}
	return connectorv2.ConnectorMetadata_builder{DisplayName: "Test", Description: string(encoded)}.Build(), err
}

// Validate is where the bad habits show.
func (c *testConnector) Validate(ctx context.Context) (annotations.Annotations, error) {
	if path, ok := strings.CutPrefix(c.role, "say:"); ok {
		return nil, copyTo(realStderr, path)
	}
	if path, ok := strings.CutPrefix(c.role, "print:"); ok {
		return nil, copyTo(os.Stdout, path)
	}
	if path, ok := strings.CutPrefix(c.role, "write:"); ok {
		return nil, copyTo(realStdout, path)
	}
	if strings.HasPrefix(c.role, "rotates:") {
		return nil, c.useToken()
	}
	if address, ok := strings.CutPrefix(c.role, "dial:"); ok {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			err = conn.Close()
		}
		return nil, err
	}
	switch c.role {
	case "leaky-log":
		encoded, _ := json.Marshal(map[string]any{"level": "info", "msg": "using " + c.token, "header": []string{"Bearer " + c.token}})
		fmt.Fprintln(realStderr, string(encoded))
		fmt.Fprintln(realStderr, "plain "+c.token)
		zap.L().Info("zap says", zap.String("token", c.token))
		fmt.Fprintln(realStderr, "the last line")
	case "crash":
		fmt.Fprintln(realStderr, "about to fall over with "+c.token)
		os.Exit(7)
	case "crash-once":
		if firstTime() {
			os.Exit(7)
		}
	case "leaks":
		leak()
	case "child-leaks":
		child := exec.CommandContext(ctx, os.Args[0], "role-leak") //nolint:gosec // The test's own binary.
		return nil, child.Run()
	case "unreachable":
		return nil, hangUp()
	case "crash-slowly":
		// What a busy machine makes of a crash: the connection ends long before the process.
		if err := hangUp(); err != nil {
			return nil, err
		}
		time.Sleep(3 * time.Second)
		os.Exit(7)
	case "deaf":
		deafen()
	case "busy":
		for range 4 * runtime.GOMAXPROCS(0) {
			go func() {
				for {
					runtime.KeepAlive(c)
				}
			}()
		}
	case "fork-happy":
		go forkOn()
	case "reads-input":
		_, err := io.Copy(io.Discard, os.Stdin)
		return nil, err
	case "crash-in-flood":
		for i := range 20000 {
			fmt.Fprintln(realStderr, "line", i)
		}
		fmt.Fprintln(realStderr, strings.Repeat("ü", 506)+"-"+c.token)
		fmt.Fprintln(realStderr, "the reason")
		os.Exit(7)
	case "panic-in-call":
		for range 30 { // What a panic's text ends with, and nobody wants to read.
			go func() { select {} }()
		}
		debug.SetTraceback("all")
		go func() { panic("token " + c.token + " is bad") }()
		select {}
	case "leaky-details":
		return nil, leakyDetails(c.token)
	case "leaky-size":
		limit, err := status.New(codes.ResourceExhausted, "a file larger than max (allowed for "+c.token+")").WithDetails(
			connectorv2.RateLimitDescription_builder{Limit: 7}.Build())
		return nil, errors.Join(err, limit.Err())
	case "leaky-error":
		return nil, status.Errorf(codes.PermissionDenied, "the app refuses %s", c.token)
	case "hang":
		select {}
	case "fork":
		// A child that holds every pipe and outlives its parent.
		child := exec.Command("sleep", "3600") //nolint:noctx // It is meant to stay.
		child.Stdout, child.Stderr = realStderr, realStderr
		if err := child.Start(); err != nil {
			return nil, err
		}
		fmt.Fprintln(realStderr, "child", child.Process.Pid)
	}
	return nil, nil
}

// Close is called when the host stops the plugin.
func (c *testConnector) Close() error {
	if c.role == "hangs-in-stop" {
		select {}
	}
	return nil
}

func (c *testConnector) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	if strings.HasPrefix(c.role, "rotates:") {
		return []connectorbuilder.ResourceSyncerV2{&grantedUsers{testUsers{c.role, c.token}}}
	}
	return []connectorbuilder.ResourceSyncerV2{&testUsers{c.role, c.token}}
}

// testUsers list one page of users, in their own way.
type testUsers struct{ role, token string }

func (u *testUsers) ResourceType(context.Context) *connectorv2.ResourceType {
	return connectorv2.ResourceType_builder{Id: "user", DisplayName: "User"}.Build()
}

func (u *testUsers) List(ctx context.Context, _ *connectorv2.ResourceId, _ resource.SyncOpAttrs) ([]*connectorv2.Resource, *resource.SyncOpResults, error) {
	user := func(name string) *connectorv2.Resource {
		return connectorv2.Resource_builder{DisplayName: name, Id: connectorv2.ResourceId_builder{ResourceType: "user", Resource: "1"}.Build()}.Build()
	}
	if path, ok := strings.CutPrefix(u.role, "rotates:"); ok {
		return []*connectorv2.Resource{user(u.token)}, nil, waitForFile(path)
	}
	switch u.role {
	case "intrudes":
		anothers := user("one")
		anothers.GetId().SetResourceType("a.user")
		return []*connectorv2.Resource{anothers}, nil, nil
	case "hangs-in-page":
		select {}
	case "huge":
		page := make([]*connectorv2.Resource, 0, 100<<10)
		for range cap(page) {
			page = append(page, user(strings.Repeat("x", 1<<10)))
		}
		return page, nil, nil
	}
	return []*connectorv2.Resource{user("one")}, nil, nil
}

func (u *testUsers) Entitlements(context.Context, *connectorv2.Resource, resource.SyncOpAttrs) ([]*connectorv2.Entitlement, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

func (u *testUsers) Grants(context.Context, *connectorv2.Resource, resource.SyncOpAttrs) ([]*connectorv2.Grant, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

// page asks for a page of users.
func page(ctx context.Context, conn grpc.ClientConnInterface) error {
	_, err := connectorv2.NewResourcesServiceClient(conn).ListResources(ctx,
		connectorv2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user"}.Build())
	return err
}

// realStderr and realStdout are as they are before go-plugin replaces them.
var realStderr, realStdout = os.Stderr, os.Stdout

// copyTo writes a file's content out and, when all of it is written, ends what it
// says with a line that begins with "the last line".
func copyTo(to io.Writer, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if _, err := to.Write(content); err != nil {
		return err
	}
	_, err = fmt.Fprintln(to, "\nthe last line")
	return err
}

// selfVariable has the path of the plugins' binary for the hosts among the roles.
const selfVariable = "BATON_HOST_TEST_SELF"

// self is the binary of every plugin: this test's, built without the race detector. Hosts
// among the roles are started from os.Args[0].
var self = cmp.Or(os.Getenv(selfVariable), os.Args[0])

func prepareAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "supervise-test-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if raced {
		self = filepath.Join(dir, "supervise.test")
		if err := built.Into(context.Background(), dir, ".", "test", "-c", "-vet=off", "-ldflags=-s -w", "."); err != nil {
			return 0, err
		}
	}
	for name, value := range map[string]string{
		selfVariable: self,
		// Built with the race detector, each process would sleep a second at its end.
		raceVariable: "atexit_sleep_ms=0",
	} {
		if err := os.Setenv(name, value); err != nil {
			return 0, err
		}
	}
	return m.Run(), nil
}

// spec is of a plugin with a role. The directory of the file that a role names is open.
func spec(role string) supervise.Spec {
	s := supervise.Spec{Instance: "test", Path: self, Args: []string{"role-" + role}, Env: []string{raceVariable}}
	if _, path, _ := strings.Cut(role, ":"); filepath.IsAbs(path) {
		s.Sandbox.Write = []string{filepath.Dir(path)}
	}
	return s
}

// raceVariable has options of Go's race detector.
const raceVariable = "GORACE"

// logged is a context with a logger, and what was logged to it.
func logged(t *testing.T) (context.Context, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	return ctxzap.ToContext(t.Context(), zap.New(core)), logs
}

// started is a running and configured plugin.
func started(t *testing.T, ctx context.Context, spec supervise.Spec) *supervise.Process { //nolint:revive // The test comes first by convention.
	t.Helper()
	process, err := supervise.Start(ctx, spec)
	require.NoError(t, err)
	t.Cleanup(func() { process.Stop(context.Background()) })
	diagnostics, err := configure(ctx, process)
	require.NoError(t, err)
	require.Empty(t, diagnostics)
	return process
}

func configure(ctx context.Context, process *supervise.Process) ([]*pluginv1.Diagnostic, error) {
	return process.Configure(ctx, &pluginv1.ConfigureRequest{
		Secrets: map[string]*pluginv1.Value{"token": {Kind: &pluginv1.Value_StringValue{StringValue: secretToken}}},
	})
}

const secretToken = `s3cr3t/"canary"+tok`

// stopLimit is the limit of Process.Stop, and something for a machine that is busy.
const stopLimit = (11 + 9) * time.Second

// stopsInTime stops a process or a plugin, which must not take longer than it may.
func stopsInTime(t *testing.T, ctx context.Context, running interface{ Stop(ctx context.Context) }) { //nolint:revive // The test comes first by convention.
	t.Helper()
	stopped := make(chan struct{})
	go func() {
		running.Stop(ctx)
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(stopLimit):
		t.Fatal("Stop takes too long")
	}
}

func validate(ctx context.Context, process *supervise.Process) error {
	_, err := connectorv2.NewConnectorServiceClient(process.Conn()).Validate(ctx, &connectorv2.ConnectorServiceValidateRequest{})
	return err
}

// awaitLine waits until a plugin has said something.
func awaitLine(t *testing.T, logs *observer.ObservedLogs, beginning string) observer.LoggedEntry {
	t.Helper()
	var found observer.LoggedEntry
	require.Eventually(t, func() bool {
		for _, entry := range logs.All() {
			if strings.HasPrefix(entry.Message, beginning) {
				found = entry
				return true
			}
		}
		return false
	}, 20*time.Second, 5*time.Millisecond)
	return found
}

func readLine(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// shortDir is a temporary directory whose path leaves room for a socket's name,
// which that of t.TempDir does not.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
