package plugintest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	pluginrunner "github.com/hashicorp/go-plugin/runner"

	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/plugin/conformance"
	"github.com/batonhost/baton-host/plugin/redact"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// testVariable names the test that a plugin's process runs.
const testVariable = "BATON_PLUGINTEST"

// startTimeout is how long a plugin may take to shake hands: a test binary under
// the race detector takes its time.
const startTimeout = time.Minute

// visible are the variables that a plugin sees, as under the host.
var visible = []string{
	"PATH", "HOME", "TMPDIR", "TZ", "LANG",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR",
	"SystemRoot", "TEMP", "TMP", "USERPROFILE",
}

// startedAs reports whether this process is the plugin of that test.
func startedAs(test string) bool {
	return os.Getenv(plugin.Handshake.MagicCookieKey) == plugin.Handshake.MagicCookieValue && os.Getenv(testVariable) == test
}

// program starts processes of a plugin.
type program struct {
	path string
	args []string
	env  []string
	// sessions is served to the processes.
	sessions *conformance.Sessions
}

// ownBinary is this test binary as the plugin of the running test.
func ownBinary(t *testing.T, sessions *conformance.Sessions, environment []string) *program {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var pattern []string
	for name := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(name)+"$")
	}
	p := &program{path: path, args: []string{"-test.run=" + strings.Join(pattern, "/"), "-test.timeout=0"}, sessions: sessions}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(visible, name) || slices.Contains(environment, name) {
			p.env = append(p.env, variable)
		}
	}
	if !slices.ContainsFunc(p.env, func(variable string) bool { return strings.HasPrefix(variable, "GORACE=") }) {
		// Built with the race detector, each process would sleep a second at its end.
		p.env = append(p.env, "GORACE=atexit_sleep_ms=0")
	}
	p.env = append(
		p.env,
		fmt.Sprintf("%s=%d", plugin.HostPIDEnv, os.Getpid()),
		plugin.ScratchEnv+"="+t.TempDir(),
		testVariable+"="+t.Name(),
	)
	return p
}

// child is a plugin in a separate process.
type child struct {
	connection
	host *goplugin.Client
	*runner
}

// start starts a process and shakes hands with it.
func (p *program) start(_ context.Context, written func(conformance.Line)) (conformance.Process, error) {
	cmd := exec.Command(p.path, p.args...) //nolint:gosec,noctx // The test's own binary; Stop bounds its life.
	cmd.Env = slices.Clone(p.env)
	log := &recorder{written: written, secrets: redact.Of()}
	c := &child{connection: connection{sessions: p.sessions}, runner: &runner{cmd: cmd, log: log, exited: make(chan struct{})}}
	c.host = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake,
		VersionedPlugins: plugin.HostPlugins(),
		RunnerFunc: func(_ hclog.Logger, prepared *exec.Cmd, _ string) (pluginrunner.Runner, error) {
			cmd.Env = append(cmd.Env, prepared.Env...)
			return c.runner, nil
		},
		SkipHostEnv:      true,
		AutoMTLS:         true,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		StartTimeout:     startTimeout,
		GRPCDialOptions:  plugin.DialOptions(),
		Logger:           hclog.NewNullLogger(),
		SyncStdout:       log.stream(true),
		SyncStderr:       log.stream(false),
	})
	err := c.connect()
	if err != nil {
		c.host.Kill()
		c.Kill()
		return nil, fmt.Errorf("the plugin does not start: %w; what it wrote last: %q", err, log.last())
	}
	return c, nil
}

func (c *child) connect() error {
	protocol, err := c.host.Client()
	if err != nil {
		return err
	}
	c.client, err = plugin.Dispense(protocol)
	return err
}

// Configure has the values of secrets looked for in the log from now on.
func (c *child) Configure(ctx context.Context, request *pluginv1.ConfigureRequest) ([]*pluginv1.Diagnostic, error) {
	c.log.look(redact.Request(request))
	return c.connection.Configure(ctx, request)
}

// Stop asks, and ends the process if it does not end.
func (c *child) Stop(ctx context.Context) error {
	select {
	case <-c.exited:
		c.host.Kill()
		return nil
	default:
	}
	err := c.stop(ctx)
	c.host.Kill() // It gives the process two seconds.
	if c.killed() && err == nil {
		err = fmt.Errorf("the process did not end after Stop, and had to be killed")
	}
	<-c.exited
	return err
}

// Kill ends the process at once.
func (c *child) Kill() { _ = c.runner.Kill(context.Background()) }

// Exited is closed when the process is gone.
func (c *child) Exited() <-chan struct{} { return c.exited }

// recorder takes the lines of one process.
type recorder struct {
	written func(conformance.Line)

	mu      sync.Mutex
	secrets *redact.Redactor
	tail    []string
}

func (r *recorder) look(secrets *redact.Redactor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets = secrets
}

// tailLines is how many lines are kept for the message of a start that failed.
const tailLines = 10

func (r *recorder) line(text string, output bool) {
	r.mu.Lock()
	secrets := r.secrets
	shown := secrets.Blank(text)
	r.tail = append(r.tail, shown)
	r.tail = r.tail[max(0, len(r.tail)-tailLines):]
	r.mu.Unlock()
	r.written(conformance.Line{Text: shown, Output: output, Secret: secrets.Finds(text)})
}

func (r *recorder) last() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.tail)
}

// stream is a writer of lines.
func (r *recorder) stream(output bool) *stream { return &stream{to: r, output: output} }

// stream cuts what is written into lines.
type stream struct {
	to     *recorder
	output bool

	mu   sync.Mutex
	rest []byte
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append(s.rest, p...)
	for {
		at := slices.Index(s.rest, '\n')
		if at < 0 {
			return len(p), nil
		}
		s.to.line(string(s.rest[:at]), s.output)
		s.rest = s.rest[at+1:]
	}
}

// flush takes what has no end for a line.
func (s *stream) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rest) > 0 {
		s.to.line(string(s.rest), s.output)
		s.rest = nil
	}
}

// runner is the process as go-plugin wants it (runner.Runner). go-plugin's own
// drops what a plugin writes to standard output behind the handshake.
type runner struct {
	cmd      *exec.Cmd
	log      *recorder
	stdout   *os.File
	lifeline *os.File

	mu     sync.Mutex
	ended  bool // killed by Kill
	exited chan struct{}
}

// drainTime is how long the last lines of a process are waited for whose children
// hold its log open.
const drainTime = time.Second

func (r *runner) Start(context.Context) error {
	stdout, theirStdout, err := os.Pipe()
	if err != nil {
		return err
	}
	stderr, theirStderr, err := os.Pipe()
	if err != nil {
		return err
	}
	theirLifeline, lifeline, err := os.Pipe()
	if err != nil {
		return err
	}
	r.cmd.Stdout, r.cmd.Stderr = theirStdout, theirStderr
	if runtime.GOOS != "windows" { // Which has no inherited descriptors.
		r.cmd.ExtraFiles = []*os.File{theirLifeline}
		r.cmd.Env = append(r.cmd.Env, plugin.LifelineEnv+"=3")
	}
	r.stdout, r.lifeline = stdout, lifeline
	err = r.cmd.Start()
	for _, file := range []*os.File{theirStdout, theirStderr, theirLifeline} {
		_ = file.Close()
	}
	if err != nil {
		return err
	}
	go r.watch(stderr)
	return nil
}

// watch reads the log to its end and notices the exit.
func (r *runner) watch(stderr *os.File) {
	log := r.log.stream(false)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(log, stderr)
	}()
	_ = r.cmd.Wait()
	select {
	case <-drained:
	case <-time.After(drainTime):
	}
	_ = stderr.Close()
	<-drained
	log.flush()
	_ = r.stdout.Close()
	_ = r.lifeline.Close()
	close(r.exited)
}

func (r *runner) Wait(context.Context) error {
	<-r.exited
	return nil
}

func (r *runner) Kill(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.cmd.Process == nil {
		return nil
	}
	return r.cmd.Process.Kill()
}

// killed reports whether the process did not end by itself.
func (r *runner) killed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// Stdout gives the handshake to go-plugin and the rest to the log.
func (r *runner) Stdout() io.ReadCloser {
	return &handshake{from: r.stdout, rest: r.log.stream(true)}
}

func (r *runner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

func (r *runner) Name() string { return r.cmd.Path }

func (r *runner) ID() string {
	if r.cmd.Process == nil {
		return ""
	}
	return fmt.Sprint(r.cmd.Process.Pid)
}

func (r *runner) Diagnose(context.Context) string { return "" }

func (r *runner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

func (r *runner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// handshake reads a plugin's first line, and has the others recorded.
type handshake struct {
	from *os.File
	rest *stream
	read bool
}

func (h *handshake) Read(p []byte) (int, error) {
	if h.read {
		_, _ = io.Copy(h.rest, h.from)
		h.rest.flush()
		return 0, io.EOF
	}
	n, err := h.from.Read(p)
	if at := slices.Index(p[:n], '\n'); at >= 0 {
		h.read = true
		_, _ = h.rest.Write(p[at+1 : n])
		n = at + 1
	}
	return n, err
}

func (h *handshake) Close() error { return h.from.Close() }
