//go:build unix

package supervise_test

import (
	"bytes"
	"context"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/supervise"
)

func TestProcess_StartsDescribesConfiguresAndStops(t *testing.T) {
	ctx, _ := logged(t)
	sockets := shortDir(t)
	t.Setenv("TMPDIR", sockets)

	process := started(t, ctx, spec("good"))
	manifest, err := process.Describe(ctx)
	require.NoError(t, err)
	require.Equal(t, "baton-test", manifest.GetName())
	require.NoError(t, validate(ctx, process))

	dirs, err := os.ReadDir(sockets)
	require.NoError(t, err)
	require.Len(t, dirs, 1)
	info, err := dirs[0].Info()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "nobody else may reach the socket")

	process.Stop(ctx)
	select {
	case <-process.Exited():
	default:
		t.Fatal("Stop returned before the process was gone")
	}
	dirs, err = os.ReadDir(sockets)
	require.NoError(t, err)
	require.Empty(t, dirs, "the socket's directory must go with the process")
}

func TestStart_ExplainsWhatCannotBeStarted(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	text := filepath.Join(empty, "baton-text")
	require.NoError(t, os.WriteFile(text, []byte("no program"), 0o700)) //nolint:gosec // It must be executable to fail later.
	cases := map[string]struct {
		spec supervise.Spec
		want []string
	}{
		"missing binary":                  {supervise.Spec{Instance: "test", Path: filepath.Join(empty, "baton-none")}, []string{"there is no such program", "no such file"}},
		"a directory":                     {supervise.Spec{Instance: "test", Path: empty}, []string{"it is a directory, not a program", "permission denied"}},
		"a script without an interpreter": {supervise.Spec{Instance: "test", Path: text}, []string{"it is a script whose first line names no interpreter; begin it with one, such as #!/bin/sh", "exec format error"}},
		"exits with an error":             {spec("exit-3"), []string{"no baton-host plugin", "exit status 3", "cannot find my shoes"}},
		"exits in peace":                  {spec("exit-0"), []string{"no baton-host plugin", "exit status 0"}},
		"panics":                          {spec("panic"), []string{"exit status 2", "panic: an early mistake"}},
		"talks something else":            {spec("garbage"), []string{"no baton-host plugin", "something else than the plugin handshake"}},
		"says nothing":                    {supervise.Spec{Instance: "test", Path: self, Args: []string{"role-silent"}, StartTimeout: 200 * time.Millisecond}, []string{"did not shake hands within 200ms"}},
		"another protocol":                {spec("other-version"), []string{"another version of the plugin protocol"}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			process, err := supervise.Start(ctx, test.spec)
			require.Error(t, err)
			require.Nil(t, process)
			require.Contains(t, err.Error(), `start plugin "test"`)
			require.Contains(t, err.Error(), test.spec.Path)
			for _, want := range test.want {
				require.Contains(t, err.Error(), want)
			}
		})
	}
}

// foreignFiles are programs that this system does not execute, as their first bytes have
// them, with what is said of each.
func foreignFiles(t *testing.T) map[string]struct {
	content []byte
	want    string
} {
	t.Helper()
	here := runtime.GOOS + "/" + runtime.GOARCH
	elfOf := func(machine elf.Machine, abi elf.OSABI) []byte {
		var file bytes.Buffer
		header := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64}
		copy(header.Ident[:], elf.ELFMAG)
		header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)
		header.Ident[elf.EI_VERSION], header.Ident[elf.EI_OSABI] = byte(elf.EV_CURRENT), byte(abi)
		require.NoError(t, binary.Write(&file, binary.LittleEndian, header))
		return file.Bytes()
	}
	machO := make([]byte, 32)
	binary.LittleEndian.PutUint32(machO, macho.Magic64)
	binary.LittleEndian.PutUint32(machO[4:], uint32(macho.CpuArm64))
	windows := make([]byte, 0x98)
	copy(windows, "MZ")
	windows[0x3c] = 0x80
	copy(windows[0x80:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(windows[0x84:], pe.IMAGE_FILE_MACHINE_AMD64)
	const install = "; install the release for this system"
	return map[string]struct {
		content []byte
		want    string
	}{
		"another processor": {elfOf(elf.EM_S390, elf.ELFOSABI_NONE), "it is built for linux/s390x, and this is " + here + install},
		"a rare processor":  {elfOf(elf.EM_SPARCV9, elf.ELFOSABI_NONE), "it is built for linux/sparcv9, and this is " + here + install},
		"FreeBSD":           {elfOf(elf.EM_S390, elf.ELFOSABI_FREEBSD), "it is built for freebsd/s390x, and this is " + here + install},
		"macOS":             {machO, "it is built for darwin/arm64, and this is " + here + install},
		"Windows":           {windows, "it is built for windows/amd64, and this is " + here + install},
		"the beginning of a program": {
			elfOf(elf.EM_X86_64, elf.ELFOSABI_NONE)[:30],
			"it is no program for this system (" + here + "), or not the whole of one; install it again",
		},
		"a script without an interpreter": {
			[]byte("echo Grüße\n"),
			"it is a script whose first line names no interpreter; begin it with one, such as #!/bin/sh, or put the interpreter in front of it in command",
		},
		"an empty file": {nil, "it is no program for this system (" + here + "), or not the whole of one"},
	}
}

func TestStart_ExplainsAProgramOfAnotherPlatform(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("Other systems refuse these files in their own ways.")
	}
	for name, c := range foreignFiles(t) {
		for kind, isUnmodified := range map[string]bool{"plugin": false, "unmodified": true} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "baton-app")
				require.NoError(t, os.WriteFile(path, c.content, 0o700)) //nolint:gosec // It must be executable to fail later.
				ctx, _ := logged(t)
				_, err := supervise.Start(ctx, supervise.Spec{Instance: "test", Path: path, Unmodified: isUnmodified})
				require.ErrorContains(t, err, c.want)
				require.ErrorContains(t, err, `start plugin "test" (`+path+`)`)
			})
		}
	}
}

func TestStart_EndsAtOnceWhenCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		slow := spec("silent")
		slow.StartTimeout = 10 * time.Minute
		_, err := supervise.Start(ctx, slow)
		ended <- err
	}()
	cancel()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(time.Minute):
		t.Fatal("the start went on")
	}
}

func TestProcess_SeesOnlyTheAllowedEnvironment(t *testing.T) {
	ctx, _ := logged(t)
	allowed := []string{
		"PATH", "HOME", "TMPDIR", "TZ", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	}
	for _, name := range allowed {
		if os.Getenv(name) == "" {
			t.Setenv(name, "") // There, and of no effect.
		}
	}
	for _, name := range []string{"BATON_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD_32", "GOMEMLIMIT", "GODEBUG", "APP_REGION_2"} {
		t.Setenv(name, "")
	}
	t.Setenv("APP_REGION", "eu")
	with := spec("good")
	with.Env = []string{"APP_REGION"}
	with.MemoryLimit = 1000 << 20
	process := started(t, ctx, with)

	response, err := connectorv2.NewConnectorServiceClient(process.Conn()).GetMetadata(ctx, &connectorv2.ConnectorServiceGetMetadataRequest{})
	require.NoError(t, err)
	var seen map[string]string
	require.NoError(t, json.Unmarshal([]byte(response.GetMetadata().GetDescription()), &seen))
	require.Equal(t, "943718400", seen["GOMEMLIMIT"], "nine tenths of the limit")
	require.Equal(t, "eu", seen["APP_REGION"])
	delete(seen, "GOMEMLIMIT")
	for name := range seen { // What go-plugin and the host say themselves.
		if strings.HasPrefix(name, "PLUGIN_") || strings.HasPrefix(name, "BATON_PLUGIN_") {
			delete(seen, name)
		}
	}
	require.ElementsMatch(t, append(allowed, "APP_REGION"), slices.Collect(maps.Keys(seen)))
}

func TestExitError_HasTheLastWordsOfACrash(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	process := started(t, ctx, spec("crash"))
	err := validate(ctx, process)

	var exit *supervise.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, "exit status 7", exit.State)
	require.Equal(t, []string{"about to fall over with (secret)"}, exit.LastLines)
	require.Equal(t, codes.Aborted, status.Code(err), "a retry on the same process is pointless")
	require.Equal(t, `the process of plugin "test" ended (exit status 7)`, errtext.Public(err), "its last words may name anybody")
}

// TestExitError_WaitsForAProcessAfterItsConnection: a failure of the app
// would be retried on the same process, and would not tell its last words.
func TestExitError_WaitsForAProcessAfterItsConnection(t *testing.T) {
	t.Parallel()
	for name, slow := range map[string]supervise.Spec{
		"plugin":               spec("crash-slowly"),
		"unmodified connector": unmodifiedSpec("crash-slowly"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			err := validate(ctx, started(t, ctx, slow))
			exit, ok := errors.AsType[*supervise.ExitError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, 7, exit.ExitCode)
		})
	}
}

// TestExitError_IsNotAwaitedByACancelledCall, which would explain a call that failed.
func TestExitError_IsNotAwaitedByACancelledCall(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	process := started(t, ctx, spec("unreachable"))
	callContext, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := validate(callContext, process)
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	until, _ := callContext.Deadline()
	require.Less(t, time.Since(until), 7*time.Second)
	select {
	case <-process.Exited():
		t.Fatal("the process ended, so this shows nothing")
	default:
	}
}

func TestConn_CallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	process := started(t, ctx, spec("hang"))
	callContext, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	err := validate(callContext, process)
	require.Equal(t, codes.DeadlineExceeded, status.Code(err), "%v", err)
	var exit *supervise.ExitError
	require.NotErrorAs(t, err, &exit)
}

func TestLog_HasNoSecret(t *testing.T) {
	t.Parallel()
	ctx, logs := logged(t)
	process := started(t, ctx, spec("leaky-log"))
	require.NoError(t, validate(ctx, process))
	awaitLine(t, logs, "the last line")
	awaitLine(t, logs, "using (secret)")
	awaitLine(t, logs, "plain (secret)")
	awaitLine(t, logs, "zap says")
	for _, entry := range logs.All() {
		encoded, err := json.Marshal(entry.ContextMap())
		require.NoError(t, err)
		require.NotContains(t, entry.Message+string(encoded), "s3cr3t")
	}
}

func TestProcess_BlanksSecretsInErrors(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	err := validate(ctx, started(t, ctx, spec("leaky-error")))
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	require.Contains(t, err.Error(), "the app refuses (secret)")
	require.NotContains(t, err.Error(), "s3cr3t")
}

func TestFinder_PrefersTheFirstDirectory(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	for path, mode := range map[string]os.FileMode{
		filepath.Join(first, "baton-one"):      0o700,
		filepath.Join(second, "baton-one"):     0o700,
		filepath.Join(second, "baton-two"):     0o700,
		filepath.Join(second, "baton-host"):    0o700,
		filepath.Join(second, "baton-sandbox"): 0o700,
		filepath.Join(second, "baton-"):        0o700,
		filepath.Join(second, "other"):         0o700,
		filepath.Join(second, "baton-three"):   0o600,
	} {
		require.NoError(t, os.WriteFile(path, nil, mode))
	}
	require.NoError(t, os.Mkdir(filepath.Join(first, "baton-two"), 0o700))
	finder := &supervise.Finder{Dirs: []string{first, second, filepath.Join(first, "none"), first}}

	path, err := finder.Find("one")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(first, "baton-one"), path)
	path, err = finder.Find("two")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(second, "baton-two"), path, "a directory is no binary")
	_, err = finder.Find("four")
	require.EqualError(t, err, "there is no plugin binary baton-four; install it, or say where it is with the plugin's path or --plugin-dir; it was looked for in "+
		strings.Join([]string{first, second, filepath.Join(first, "none")}, ", "), "the remedy stands before a list that may be long")
	require.NotContains(t, err.Error(), "did you mean")
	_, err = finder.Find("twoo")
	require.ErrorContains(t, err, `(did you mean the app "two"?)`)
	_, err = finder.Find("three")
	require.ErrorContains(t, err, filepath.Join(second, "baton-three")+" is not executable")

	require.Equal(t, []supervise.Found{
		{App: "one", Path: filepath.Join(first, "baton-one")},
		{App: "one", Path: filepath.Join(second, "baton-one"), Shadowed: true},
		{App: "two", Path: filepath.Join(second, "baton-two")},
	}, finder.List())
}

func TestSocket_WorksInADeepTemporaryDirectory(t *testing.T) {
	ctx, _ := logged(t)
	deep := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	require.NoError(t, os.Mkdir(deep, 0o700))
	t.Setenv("TMPDIR", deep)
	require.NoError(t, validate(ctx, started(t, ctx, spec("good"))))
}
