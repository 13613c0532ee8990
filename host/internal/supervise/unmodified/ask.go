package unmodified

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// mostTold is how much of what a command prints is read, in bytes.
const mostTold = 4 << 20

// told is what connectors said of themselves, by what they are made of: a
// connector that is started again is not asked again.
var told = struct {
	sync.Mutex
	by map[string]Told
}{by: map[string]Told{}}

// askManifest asks an unmodified connector what it is, by its own commands. It
// returns what the toolchain wrote into the executable too, which is nothing in a
// script.
func (s Settings) askManifest(ctx context.Context) (*pluginv1.Manifest, Build, error) {
	build, ok := Read(s.Command.Path)
	if ok && build.Platform != "" && build.Platform != proc.Platform {
		return nil, build, fmt.Errorf("it is built for %s, and this is %s; install the release for this system", build.Platform, proc.Platform)
	}
	id := s.fileID()
	told.Lock()
	answers, known := told.by[id]
	told.Unlock()
	if !known {
		asked, err := s.askAll(ctx)
		if err != nil {
			return nil, build, err
		}
		answers = asked
		if id != "" {
			told.Lock()
			told.by[id] = answers
			told.Unlock()
		}
	}
	manifest, err := Manifest(s.Command.Path, build, answers)
	return manifest, build, err
}

// fileID returns what differs between two states of a program; "" if that cannot be
// said.
func (s Settings) fileID() string {
	info, err := os.Stat(s.Command.Path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s\x00%q\x00%d\x00%d\x00%s", s.Command.Path, s.Command.Args, info.Size(), info.ModTime().UnixNano(), s.Sum)
}

// askAll runs the commands that tell, at the same time. Only the first has to
// work.
func (s Settings) askAll(ctx context.Context) (Told, error) {
	ctx, cancel := context.WithTimeout(ctx, s.AskTimeout)
	defer cancel()
	var answers Told
	var failed error
	var asking sync.WaitGroup
	asking.Go(func() { answers.Schema, failed = s.ask(ctx, SchemaCommand) })
	asking.Go(func() { answers.Version, _ = s.ask(ctx, VersionCommand) })
	asking.Go(func() { answers.Capabilities, _ = s.ask(ctx, CapabilitiesCommand) })
	asking.Wait()
	if _, notExecuted := errors.AsType[syscall.Errno](failed); notExecuted {
		return Told{}, failed
	}
	if failed != nil {
		return Told{}, fmt.Errorf("its %s command, by which it says what configuration it takes, %w; use a release of it that is built with a later baton-sdk",
			strings.Join(SchemaCommand, " "), failed)
	}
	return answers, nil
}

// ask runs a command of the connector that prints something and ends. The
// connector is given no configuration.
func (s Settings) ask(ctx context.Context, args []string) (string, error) {
	command := s.Command
	command.Args = slices.Concat(command.Args, args)
	logs := pluginlog.New(zap.NewNop(), nil)
	var printed beginning
	command.ByInput = true
	command.Output = &printed
	command.Dir = s.Dir // No configuration of its own is found here.
	r := proc.New(command, logs)
	if err := r.Start(ctx); err != nil {
		return "", fmt.Errorf("cannot be started: %s%w", proc.Obstacle(command.Path, err), err)
	}
	select {
	case <-r.Exited():
	case <-ctx.Done():
		_ = r.Kill()
		<-r.Exited()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "", fmt.Errorf("did not end within %s", s.AskTimeout)
		}
		return "", ctx.Err()
	}
	if !r.State().Success() {
		return "", fmt.Errorf("failed (%s)%s", r.State(), logs.LastWords())
	}
	return printed.String(), nil
}

// beginning keeps the beginning of what is written to it.
type beginning struct{ bytes.Buffer }

func (b *beginning) Write(p []byte) (int, error) {
	if room := mostTold - b.Len(); room > 0 {
		_, _ = b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
