package supervise_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/supervise"
)

// scripted is a plugin that is a script: it becomes the test binary in a role.
func scripted(t *testing.T, text string) supervise.Spec {
	t.Helper()
	path := filepath.Join(t.TempDir(), "baton-script")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o700)) //nolint:gosec // It is to be executed.
	// Scripts start the binary of the plugins, which is not beside them.
	return supervise.Spec{Instance: "test", Path: path, Sandbox: supervise.Sandbox{Policy: sandbox.Policy{Read: []string{filepath.Dir(self)}}}}
}

func goodScript() string { return fmt.Sprintf("#!/bin/sh\nexec '%s' role-good\n", self) }

func pinned(t *testing.T, spec supervise.Spec) *pin.Pin {
	t.Helper()
	found, err := pin.Measure(spec.Path, spec.Args)
	require.NoError(t, err)
	found.Source, found.Accept = "the.lock", "baton-host lock"
	return found
}

func TestPin_RunsWhatIsPinned(t *testing.T) {
	t.Parallel()
	interpreted := scripted(t, goodScript())
	interpreted.Path, interpreted.Args = "/bin/sh", []string{interpreted.Path}
	for name, s := range map[string]supervise.Spec{
		"a program":                    spec("good"),
		"a script":                     scripted(t, goodScript()),
		"an interpreter with a script": interpreted,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			s.Pin = pinned(t, s)
			for range 2 {
				process := started(t, ctx, s)
				require.NoError(t, validate(ctx, process))
				cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", process.PID()))
				require.NoError(t, err)
				require.NotContains(t, string(cmdline), "secret")
				process.Stop(ctx)
			}
		})
	}
}

func TestPin_RefusesWhatIsNotPinned(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	evil := fmt.Sprintf("#!/bin/sh\ntouch '%s'\n", mark)
	interpreted := func() supervise.Spec {
		s := scripted(t, goodScript())
		s.Path, s.Args = "/bin/sh", []string{s.Path}
		return s
	}
	for name, c := range map[string]struct {
		spec   supervise.Spec
		change func(t *testing.T, s *supervise.Spec)
		want   string
	}{
		"the executable": {scripted(t, goodScript()), func(t *testing.T, s *supervise.Spec) {
			t.Helper()
			require.NoError(t, os.WriteFile(s.Path, []byte(evil), 0o700)) //nolint:gosec // It is to be executed.
		}, "but the.lock says that it is sha256:"},
		"the script": {interpreted(), func(t *testing.T, s *supervise.Spec) {
			t.Helper()
			require.NoError(t, os.WriteFile(s.Args[0], []byte(evil), 0o600))
		}, "but the.lock says that it is sha256:"},
		"another script": {interpreted(), func(t *testing.T, s *supervise.Spec) {
			t.Helper()
			s.Args = []string{scripted(t, evil).Path}
		}, "but the.lock does not know it"},
		"one more file": {interpreted(), func(t *testing.T, s *supervise.Spec) {
			t.Helper()
			s.Args = append(s.Args, "--include="+scripted(t, evil).Path)
		}, "but the.lock does not know it"},
		"no script": {interpreted(), func(t *testing.T, s *supervise.Spec) {
			t.Helper()
			s.Args = []string{"-c", "touch '" + mark + "'"}
		}, "knows a file among its arguments that is not there"},
		"a directory": {interpreted(), func(t *testing.T, s *supervise.Spec) {
			t.Helper()
			s.Args = append(s.Args, t.TempDir())
		}, "is a directory, which cannot be locked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			c.spec.Pin = pinned(t, c.spec)
			c.change(t, &c.spec)
			_, err := supervise.Start(ctx, c.spec)
			require.ErrorContains(t, err, c.want)
			if refused, ok := errors.AsType[*pin.Error](err); ok {
				require.Contains(t, err.Error(), "accept it with: baton-host lock")
				require.NotEqual(t, refused.Found, refused.Pinned)
				require.Equal(t, codes.FailedPrecondition, status.Code(err))
			}
			require.NoFileExists(t, mark)
		})
	}
}

// TestPin_ExecutesWhatWasVerified replaces the binary, as fast as it can and
// in two ways, while the plugin is started again and again.
func TestPin_ExecutesWhatWasVerified(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	mark := filepath.Join(t.TempDir(), "mark")
	// As long as the good one, so that a mix of both is one of them or none.
	evil := fmt.Sprintf("#!/bin/sh\ntouch '%s'; exec '%s' role-good\n", mark, self)
	s := scripted(t, goodScript())
	s.Sandbox.Write = []string{filepath.Dir(mark)}
	s.Pin = pinned(t, s)

	stop := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		other := s.Path + ".new"
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			text := []byte(goodScript())
			if i%2 == 0 {
				text = []byte(evil)
			}
			if i%3 == 0 {
				_ = os.WriteFile(s.Path, text, 0o700) //nolint:gosec // It is to be executed.
				continue
			}
			_ = os.WriteFile(other, text, 0o700) //nolint:gosec // It is to be executed.
			_ = os.Rename(other, s.Path)
		}
	})
	ran, refused := 0, 0
	for range 400 {
		process, err := supervise.Start(ctx, s)
		if err != nil {
			refused++
			continue
		}
		ran++
		process.Stop(ctx)
		if ran >= 10 && refused >= 10 {
			break
		}
	}
	close(stop)
	swapping.Wait()
	require.Positive(t, ran, "the good one was never there")
	require.Positive(t, refused, "the evil one was never there")
	require.NoFileExists(t, mark)

	// Without a pin it is a matter of luck: this is what the test would see.
	require.NoError(t, os.WriteFile(s.Path, []byte(evil), 0o700)) //nolint:gosec // It is to be executed.
	s.Pin = nil
	process, err := supervise.Start(ctx, s)
	require.NoError(t, err)
	process.Stop(ctx)
	require.FileExists(t, mark)
}

func TestMeasure_ExplainsWhatCannotBePinned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		path string
		args []string
		want string
	}{
		"a directory":             {path: dir, want: "is a directory"},
		"nothing":                 {path: filepath.Join(dir, "none"), want: "no such file"},
		"a directory as argument": {path: "/bin/sh", args: []string{dir}, want: "is a directory, which cannot be locked"},
	} {
		_, err := pin.Measure(c.path, c.args)
		require.ErrorContains(t, err, c.want, name)
	}
	found, err := pin.Measure("/bin/sh", []string{"-c", "true", "/dev/null", "--x=" + self})
	require.NoError(t, err)
	require.Len(t, found.Files, 1, "a device is no file")
}
