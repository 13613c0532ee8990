package supervise_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/plugin"
)

// TestStart_ServesFromTheSandbox: what is started in a sandbox works as without one, however
// it is executed, and is in it.
func TestStart_ServesFromTheSandbox(t *testing.T) {
	t.Parallel()
	if !sandbox.Kernel().Seccomp {
		t.Skip("this system has no seccomp")
	}
	pinnedPlugin := spec("good")
	pinnedPlugin.Pin = pinned(t, pinnedPlugin)
	for name, s := range map[string]supervise.Spec{
		"a plugin": spec("good"), "a pinned plugin": pinnedPlugin, "a script": scripted(t, goodScript()), "an unmodified connector": unmodifiedSpec("good"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			s.Sandbox.Mode = sandbox.On
			process := started(t, ctx, s)
			require.NoError(t, validate(ctx, process))
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.PID()))
			require.NoError(t, err)
			require.Contains(t, string(status), "NoNewPrivs:\t1\n")
			require.Contains(t, string(status), "Seccomp:\t2\n")
			process.Stop(ctx)
		})
	}
}

// TestSpec_IsInASandboxByDefault, unless it is of an unmodified connector.
func TestSpec_IsInASandboxByDefault(t *testing.T) {
	t.Parallel()
	on := "on: " + sandbox.Kernel().String()
	warn := "warn: what would be denied is reported"
	if why := sandbox.Unobservable(); why != "" {
		warn = "off: what would be denied cannot be reported: " + why
	}
	for name, c := range map[string]struct {
		spec    supervise.Spec
		mode    sandbox.Mode
		want    string
		exposes bool
	}{
		"a plugin":                         {spec("good"), "", on, sandbox.Kernel().Landlock == 0},
		"a plugin, on":                     {spec("good"), sandbox.On, on, sandbox.Kernel().Landlock == 0},
		"a plugin, warn":                   {spec("good"), sandbox.Warn, warn, true},
		"a plugin, off":                    {spec("good"), sandbox.Off, "off", true},
		"a script":                         {scripted(t, goodScript()), "", on, sandbox.Kernel().Landlock == 0},
		"an unmodified connector":          {unmodifiedSpec("good"), "", warn, true},
		"an unmodified connector, on":      {unmodifiedSpec("good"), sandbox.On, on, sandbox.Kernel().Landlock == 0},
		"a connector that is recognized":   {supervise.Spec{Path: launcher(t, launcherVersion)}, "", warn, true},
		"a plugin that runs in a debugger": {supervise.Spec{Path: self, Attach: &plugin.Attachment{}}, "", "", false},
		"a program that does not exist":    {supervise.Spec{Path: filepath.Join(t.TempDir(), "none")}, "", on, sandbox.Kernel().Landlock == 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.spec.Sandbox.Mode = c.mode
			state := c.spec.SandboxState()
			require.Equal(t, c.want, state.String())
			require.Equal(t, c.exposes, state.Exposes)
		})
	}
}

// TestStart_ReportsWhatASandboxWouldDeny, once, and denies nothing: the script fails unless
// it reads its file.
func TestStart_ReportsWhatASandboxWouldDeny(t *testing.T) {
	t.Parallel()
	if why := sandbox.Unobservable(); why != "" {
		t.Skip(why)
	}
	extra := filepath.Join(t.TempDir(), "extra")
	require.NoError(t, os.WriteFile(extra, nil, 0o600))
	hostile := filepath.Join(t.TempDir(), "\x1b[31mred")
	require.NoError(t, os.WriteFile(hostile, nil, 0o600))
	text := fmt.Sprintf("#!/bin/sh\nset -e\ncat '%s' '%s'\ncat '%s'\ntouch $TMPDIR/temporary\n", extra, extra, hostile)
	reading := func(good string) string { return text + strings.TrimPrefix(good, "#!/bin/sh\n") }
	unmodified := unmodifiedSpec("good")
	wrapped := scripted(t, reading(fmt.Sprintf("exec '%s' \"$@\"\n", unmodified.Path)))
	wrapped.Unmodified, wrapped.Args, wrapped.Fields = true, unmodified.Args, unmodified.Fields
	for name, s := range map[string]supervise.Spec{"a plugin": scripted(t, reading(goodScript())), "an unmodified connector": wrapped} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, logs := logged(t)
			s.Sandbox.Mode, s.Sandbox.Read, s.Env = sandbox.Warn, []string{filepath.Dir(self)}, unmodified.Env
			process := started(t, ctx, s)
			require.NoError(t, validate(ctx, process))
			reports := logs.FilterMessage("the sandbox would deny this to the plugin")
			found := reports.FilterField(zap.String("to", extra)).All()
			require.Len(t, found, 1, "%v", reports.All())
			require.Equal(t, zap.WarnLevel, found[0].Level)
			require.Equal(t, "sandbox: {read: ["+extra+"]}", found[0].ContextMap()["opened_by"])
			require.Equal(t, "read", found[0].ContextMap()["access"])
			require.Len(t, reports.FilterField(zap.String("to", filepath.Dir(hostile)+`/\x1b[31mred`)).All(), 1)
			require.Equal(t, 2, reports.Len(), "%v", reports.All())
			process.Stop(ctx)
		})
	}
}

// TestSandbox_NamesTheKeyInErrors: whoever reads why a plugin failed reads what opens it.
func TestSandbox_NamesTheKeyInErrors(t *testing.T) {
	t.Parallel()
	if sandbox.Kernel().Landlock == 0 {
		t.Skip("this system has no Landlock")
	}
	file := content(t, "text")
	hint := "sandbox: {read: [" + file + "]}"
	for name, fails := range map[string]func(t *testing.T, ctx context.Context) error{
		"of a start": func(_ *testing.T, ctx context.Context) error {
			_, err := supervise.Start(ctx, scripted(t, "#!/bin/sh\ncat "+file+"\nexit 3\n"))
			return err
		},
		"of a call": func(t *testing.T, ctx context.Context) error {
			t.Helper()
			s := spec("say:" + file)
			s.Sandbox.Write = nil
			return validate(ctx, started(t, ctx, s))
		},
		"of a refusal": func(t *testing.T, ctx context.Context) error {
			t.Helper()
			s := unmodifiedSpec("say:" + file)
			s.Sandbox.Mode = sandbox.On
			return validate(ctx, started(t, ctx, s))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			err := fails(t, ctx)
			require.ErrorContains(t, err, hint)
			require.Equal(t, 1, strings.Count(err.Error(), "the plugin is in a sandbox"), "%v", err)
		})
	}
	t.Run("of a configuration", func(t *testing.T) {
		t.Parallel()
		ctx, logs := logged(t)
		told := filepath.Join(t.TempDir(), "told")
		s := unmodifiedSpec("tell:" + told)
		s.Sandbox.Mode = sandbox.On
		process, err := supervise.Start(ctx, s)
		require.NoError(t, err)
		t.Cleanup(func() { process.Stop(context.Background()) })
		diagnostics, err := configure(ctx, process)
		require.NoError(t, err)
		require.Len(t, diagnostics, 1)
		require.Contains(t, diagnostics[0].GetSummary(), "sandbox: {read: ["+told+"]}, or write in place of read if it writes there")
		require.Len(t, logs.FilterMessageSnippet("the plugin is in a sandbox").All(), 1, "for what it wrote to its log")
	})
}

// TestSandbox_OpensWhatItsKeysName: with what an error names, the plugin does what it could
// not do without it.
func TestSandbox_OpensWhatItsKeysName(t *testing.T) {
	t.Parallel()
	if !sandbox.Kernel().LimitsPorts() {
		t.Skip("this system limits no ports")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It ends with the test.
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	at, err := net.ResolveTCPAddr("tcp", listener.Addr().String())
	require.NoError(t, err)
	authorities := content(t, "text")
	const another = 443
	for name, c := range map[string]struct {
		role  string
		hint  string // as the text of an error, or in the answer to Configure
		close func(*supervise.Sandbox)
		open  func(*supervise.Sandbox)
	}{
		"a port": {
			"dial:" + listener.Addr().String(), fmt.Sprintf("the plugin is in a sandbox that keeps it from port %[1]d; open that in its entry: sandbox: {connect: [443, %[1]d]}", at.Port),
			func(s *supervise.Sandbox) { s.Connect = []uint16{another} },
			func(s *supervise.Sandbox) { s.Connect = []uint16{another, at.AddrPort().Port()} },
		},
		"any port": {"dial:" + listener.Addr().String(), "", nil, func(*supervise.Sandbox) {}},
		"a file that the configuration names": {
			"trusts:" + authorities, "open this in its entry: sandbox: {read: [" + authorities + "]}",
			func(s *supervise.Sandbox) { s.Write = nil },
			func(s *supervise.Sandbox) { s.Write, s.Read = nil, []string{authorities} },
		},
	} {
		for kind, made := range map[string]func(string) supervise.Spec{"a plugin": spec, "an unmodified connector": unmodifiedSpec} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				ctx, _ := logged(t)
				s := made(c.role)
				s.Sandbox.Mode = sandbox.On
				if c.close != nil {
					c.close(&s.Sandbox)
					require.Contains(t, refusal(t, ctx, s), c.hint)
				}
				c.open(&s.Sandbox)
				require.Empty(t, refusal(t, ctx, s))
			})
		}
	}
}

// refusal is what a plugin has against its configuration, or against serving with it; empty:
// nothing.
func refusal(t *testing.T, ctx context.Context, s supervise.Spec) string { //nolint:revive // The test comes first by convention.
	t.Helper()
	process, err := supervise.Start(ctx, s)
	require.NoError(t, err)
	defer process.Stop(context.WithoutCancel(ctx))
	diagnostics, err := configure(ctx, process)
	require.NoError(t, err)
	for _, one := range diagnostics {
		return one.GetSummary()
	}
	if err := validate(ctx, process); err != nil {
		return err.Error()
	}
	return ""
}

// TestPlugin_ReportsItsSandboxOnce, at its first start, and has it in its status.
func TestPlugin_ReportsItsSandboxOnce(t *testing.T) {
	const open = "the plugin is in no sandbox, and can read the secrets of this host and of all plugins"
	for name, c := range map[string]struct {
		mode sandbox.Mode
		said int
	}{"off": {sandbox.Off, 1}, "on": {"", 0}} {
		t.Run(name, func(t *testing.T) {
			mark := filepath.Join(t.TempDir(), "mark")
			t.Setenv(markVariable, mark)
			ctx, logs := logged(t)
			s := settings("crash-once")
			s.Env, s.Sandbox.Write, s.Sandbox.Mode = []string{markVariable}, []string{filepath.Dir(mark)}, c.mode
			p := made(t, ctx, s)
			require.Empty(t, p.Status().Sandbox)
			require.NoError(t, p.Start(ctx))
			require.Error(t, ask(ctx, p))
			require.NoError(t, ask(ctx, p))
			require.Equal(t, 1, p.Status().Restarts)
			require.NoError(t, p.Replace(ctx, tryToken))
			require.Equal(t, c.said, logs.FilterMessage(open).Len())
			require.Equal(t, s.SandboxState(), p.Status().Sandbox)
			incomplete := 0
			if c.mode == "" && !sandbox.Kernel().IsComplete() {
				incomplete = 1
			}
			require.Equal(t, incomplete, logs.FilterMessage("the sandbox of the plugin is not complete").Len())
		})
	}
}

// TestPlugin_IsRenewedOnceAFileIsReplaced that its sandbox opens by its path: a process that
// is in it would be denied the new one.
func TestPlugin_IsRenewedOnceAFileIsReplaced(t *testing.T) {
	t.Parallel()
	if sandbox.Kernel().Landlock == 0 {
		t.Skip("this system has no Landlock")
	}
	file := content(t, "before")
	ctx, logs := logged(t)
	s := settings("say:" + file)
	s.Sandbox.Write, s.Sandbox.Read, s.HealthTimeout = nil, []string{file}, 2*time.Second
	p := made(t, ctx, s)
	require.NoError(t, p.Start(ctx))
	first := p.Status().PID
	require.NoError(t, ask(ctx, p))
	require.NoError(t, os.WriteFile(file+".new", []byte("behind"), 0o600))
	require.NoError(t, os.Rename(file+".new", file))
	require.Eventually(t, func() bool { return p.Status().PID != first && p.Err() == nil }, time.Minute, 5*time.Millisecond)
	require.NoError(t, ask(ctx, p))
	awaitLine(t, logs, "behind")
	require.Zero(t, p.Status().Restarts)
	require.Len(t, logs.FilterMessageSnippet("a file was replaced that the sandbox of the plugin opens by its path").All(), 1)
}

// TestStart_HasTemporaryFilesInTheSandbox: TMPDIR is a directory of its own.
func TestStart_HasTemporaryFilesInTheSandbox(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	s := scripted(t, "#!/bin/sh\nset -e\nfile=$(mktemp)\necho text > \"$file\"\ncat \"$file\" > /dev/null\nrm \"$file\"\necho done > \"$TMPDIR/kept\"\n"+
		"exec '"+self+"' role-good\n")
	require.NoError(t, validate(ctx, started(t, ctx, s)))
}
