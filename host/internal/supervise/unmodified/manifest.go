package unmodified

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/host/internal/child"
	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc"
	"github.com/batonhost/baton-host/internal/schema"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// mostPrinted is how much of what a command prints is read, in bytes.
const mostPrinted = 4 << 20

// known is what connectors said of themselves, by what they are made of: a
// connector that is started again is not asked again.
var known = struct {
	sync.Mutex
	by map[string]Answers
}{by: map[string]Answers{}}

// description is what is known of a connector before it is configured.
type description struct {
	manifest *pluginv1.Manifest
	// build is what the toolchain wrote into the executable, which is nothing in a script.
	build   Build
	answers Answers
}

// askManifest asks an unmodified connector what it is, by its own commands.
func (s Settings) askManifest(ctx context.Context) (*description, error) {
	build, ok := Read(s.Command.Path)
	if ok && build.Platform != "" && build.Platform != child.Platform {
		return nil, fmt.Errorf("it is built for %s, and this is %s; install the release for this system", build.Platform, child.Platform)
	}
	id := s.fileID()
	known.Lock()
	answers, ok := known.by[id]
	known.Unlock()
	if !ok {
		asked, err := s.askAll(ctx)
		if err != nil {
			return nil, err
		}
		answers = asked
		if id != "" && answers.Schema != "" {
			known.Lock()
			known.by[id] = answers
			known.Unlock()
		}
	}
	if err := s.checkFields(ctx, answers); err != nil {
		return nil, err
	}
	manifest, err := manifestOf(s.Command.Path, build, answers, s.Fields)
	if err != nil {
		return nil, err
	}
	return &description{manifest: manifest, build: build, answers: answers}, nil
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

// askAll runs the commands that describe the connector, at the same time. If it does not
// print its schema, its help is asked for.
func (s Settings) askAll(ctx context.Context) (Answers, error) {
	ctx, cancel := context.WithTimeout(ctx, s.AskTimeout)
	defer cancel()
	var answers Answers
	var asking sync.WaitGroup
	asking.Go(func() { answers.Schema, answers.Failure = s.askSchema(ctx) })
	asking.Go(func() { answers.Version, _ = s.ask(ctx, VersionCommand) })
	asking.Go(func() { answers.Capabilities, _ = s.ask(ctx, CapabilitiesCommand) })
	asking.Wait()
	if _, notExecuted := errors.AsType[syscall.Errno](answers.Failure); notExecuted {
		return Answers{}, answers.Failure
	}
	if answers.Failure != nil {
		answers.Help, _ = s.ask(ctx, HelpCommand)
	}
	if ctx.Err() != nil && answers.Failure != nil {
		return Answers{}, fmt.Errorf("its %s command, by which it says what configuration it takes, %w; see what it waits for, or raise start-timeout",
			strings.Join(SchemaCommand, " "), answers.Failure)
	}
	return answers, nil
}

// askSchema returns the configuration schema that the connector prints.
func (s Settings) askSchema(ctx context.Context) (string, error) {
	printed, err := s.ask(ctx, SchemaCommand)
	if err != nil {
		return "", err
	}
	if err := decodeSchema(printed, &configv1.Configuration{}); err != nil {
		return "", fmt.Errorf("does not print a configuration schema: %w", err)
	}
	return printed, nil
}

func decodeSchema(printed string, into *configv1.Configuration) error {
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal([]byte(printed), into)
}

// ask runs a command of the connector that prints something and ends. The
// connector is given no configuration.
func (s Settings) ask(ctx context.Context, args []string) (string, error) {
	command := s.Command
	command.Args = slices.Concat(command.Args, args)
	logs := pluginlog.New(zap.NewNop(), nil)
	printed := beginning{spoken: make(chan struct{})}
	command.ByInput = true
	command.Output = &printed
	command.Dir = s.Dir // No configuration of its own is found here.
	r := proc.New(command, logs)
	if err := r.Start(ctx); err != nil {
		return "", fmt.Errorf("cannot be started: %s%w", child.Obstacle(command.Path, err), err)
	}
	select {
	case <-r.Exited():
	case <-printed.spoken:
		_ = r.Kill()
		<-r.Exited()
		return "", errHandshake
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
	return printed.kept.String(), nil
}

// errHandshake says that a program has begun to serve as a plugin, whatever its arguments.
var errHandshake = errors.New("writes the plugin handshake, as a plugin does")

// handshake matches the line by which a plugin says where it serves.
var handshake = regexp.MustCompile(`^\d+\|\d+\|(unix|tcp)\|`)

// beginning keeps the beginning of what is written to it. It must not be a bytes.Buffer,
// which io.Copy reads into without a bound.
type beginning struct {
	kept      bytes.Buffer
	spoken    chan struct{} // closed when that is a plugin's handshake
	hasSpoken bool
}

func (b *beginning) Write(p []byte) (int, error) {
	if room := mostPrinted - b.kept.Len(); room > 0 {
		_, _ = b.kept.Write(p[:min(room, len(p))])
	}
	if !b.hasSpoken && handshake.Match(b.kept.Bytes()) {
		b.hasSpoken = true
		close(b.spoken)
	}
	return len(p), nil
}

// The commands of a connector that say what it is. They are run without its
// configuration.
var (
	// SchemaCommand prints the configuration schema; every connector of a
	// recent SDK has it.
	SchemaCommand = []string{"config"}
	// VersionCommand prints a line with the version.
	VersionCommand = []string{"--version"}
	// CapabilitiesCommand prints what the connector can do. It fails where the
	// author did not say so for a connector without configuration.
	CapabilitiesCommand = []string{"capabilities"}
)

// Answers is what these commands of one connector printed; "" for one that failed.
type Answers struct {
	Schema, Version, Capabilities string
	// Failure is why there is no schema, the rest of a sentence that begins with the
	// command; Help is then what HelpCommand printed.
	Failure error
	Help    string
}

// ownFields are fields of every connector that the host decides on by itself.
var ownFields = []string{
	"log-level", "log-level-debug-expires-at", "log-format", "client-id", "client-secret", "provisioning", "ticketing",
	"health-check", "health-check-port", "health-check-bind-address",
}

// manifestOf puts what a connector says of itself into the contract's words. path
// is its executable, after which it is named if it does not say how. fields are its
// configuration if it does not describe that; without them its help has to do.
func manifestOf(path string, build Build, answers Answers, fields []*pluginv1.Field) (*pluginv1.Manifest, error) {
	encoded := &configv1.Configuration{}
	configuration := &pluginv1.ConfigurationSchema{Fields: fields}
	switch {
	case answers.Schema == "" && len(fields) == 0:
		shown, ok := readHelp(answers.Help)
		if !ok || !build.mayLackSchema() {
			return nil, build.notDescribed(answers)
		}
		configuration.Fields = shown.fields
	case answers.Schema != "":
		if err := decodeSchema(answers.Schema, encoded); err != nil {
			return nil, fmt.Errorf("its config command does not print a configuration schema: %w", err)
		}
		encoded.SetFields(slices.DeleteFunc(encoded.GetFields(), func(f *configv1.Field) bool {
			return f.GetIsOps() && slices.Contains(ownFields, f.GetName())
		}))
		var err error
		if configuration, err = schema.Translate(encoded); err != nil {
			return nil, fmt.Errorf("its configuration schema: %w", err)
		}
	}

	name, version := nameAndVersion(answers.Version)
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(path), ".exe")
	}
	manifest := &pluginv1.Manifest{
		Name: name, Version: version, SdkVersion: build.SDKVersion,
		DisplayName: encoded.GetDisplayName(), HelpUrl: encoded.GetHelpUrl(), IconUrl: encoded.GetIconUrl(),
		Configuration: configuration,
	}
	if capabilities := readCapabilities(answers.Capabilities); capabilities != nil {
		manifest.Capabilities = schema.Capabilities(capabilities)
	}
	return manifest, nil
}

// readCapabilities reads what the capabilities command prints. It returns nil for
// what it does not understand: the configured connector says it too.
func readCapabilities(printed string) *connectorv2.ConnectorCapabilities {
	if printed == "" {
		return nil
	}
	packed := &anypb.Any{}
	capabilities := &connectorv2.ConnectorCapabilities{}
	if protojson.Unmarshal([]byte(printed), packed) != nil || packed.UnmarshalTo(capabilities) != nil {
		return nil
	}
	return capabilities
}

// unknownVersion is the version of a connector that says none: a manifest has
// one.
const unknownVersion = "unknown"

// nameAndVersion reads "baton-github version v1.2.3", which is what the SDK's
// command line prints.
func nameAndVersion(printed string) (name, version string) {
	line, _, _ := strings.Cut(strings.TrimSpace(printed), "\n")
	name, version, found := strings.Cut(line, " version ")
	if !found || strings.ContainsRune(name, ' ') || strings.TrimSpace(version) == "" {
		return "", unknownVersion
	}
	return name, strings.TrimSpace(version)
}
