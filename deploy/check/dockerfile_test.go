package check_test

import (
	"bytes"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
)

// dockerfile is what BuildKit reads in deploy/Dockerfile.
type dockerfile struct {
	stages    []instructions.Stage
	arguments map[string]string // before the first stage
}

func readDockerfile(t *testing.T) dockerfile {
	t.Helper()
	parsed, err := parser.Parse(bytes.NewReader(read(t, root+"/deploy/Dockerfile")))
	require.NoError(t, err)
	require.Empty(t, parsed.Warnings)
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, at []parser.Range) {
		t.Errorf("deploy/Dockerfile: %s: %s %v", rule, message, at)
	}})
	stages, global, err := instructions.Parse(parsed.AST, lint)
	require.NoError(t, err)
	d := dockerfile{stages: stages, arguments: map[string]string{}}
	for _, command := range global {
		for _, argument := range command.Args {
			d.arguments[argument.Key] = argument.ValueString()
		}
	}
	return d
}

// stage returns a stage, by name.
func (d dockerfile) stage(t *testing.T, name string) instructions.Stage {
	t.Helper()
	at := slices.IndexFunc(d.stages, func(stage instructions.Stage) bool { return stage.Name == name })
	require.GreaterOrEqual(t, at, 0, "there is no stage %s", name)
	return d.stages[at]
}

// of are the commands of one type in a stage and in those it is made from.
func of[T instructions.Command](t *testing.T, d dockerfile, stage instructions.Stage) []T {
	t.Helper()
	var found []T
	if slices.ContainsFunc(d.stages, func(other instructions.Stage) bool { return other.Name == stage.BaseName }) {
		found = of[T](t, d, d.stage(t, stage.BaseName))
	}
	for _, command := range stage.Commands {
		if typed, ok := command.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

// images are the targets of the Dockerfile and the program that each starts.
var images = map[string]string{
	"baton-host":      "/usr/local/bin/baton-host",
	"baton-fullstory": "/usr/local/bin/baton-fullstory",
	"baton-scim":      "/usr/local/bin/baton-scim",
}

func TestBaseImages_ArePinnedAndOfThisGo(t *testing.T) {
	t.Parallel()
	d := readDockerfile(t)
	builder, runtime := d.stage(t, "build"), d.stage(t, "base")
	require.Equal(t, "${GO}", builder.BaseName)
	require.Equal(t, "$BUILDPLATFORM", builder.Platform)
	require.Equal(t, "${RUNTIME}", runtime.BaseName)
	require.Regexp(t, `^gcr\.io/distroless/static-debian\d+:nonroot$`, d.arguments["RUNTIME"])

	needed := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(read(t, root+"/go.mod"))
	require.NotNil(t, needed)
	require.Regexp(t, `^golang:`+regexp.QuoteMeta(string(needed[1]))+`\.\d+$`, d.arguments["GO"])
}

func TestImages_StartTheirProgramAsAnUnprivilegedUser(t *testing.T) {
	t.Parallel()
	d := readDockerfile(t)
	require.Equal(t, "baton-host", d.stages[len(d.stages)-1].Name, "what is built without --target")
	for name, program := range images {
		stage := d.stage(t, name)
		users := of[*instructions.UserCommand](t, d, stage)
		require.Len(t, users, 1, name)
		require.Equal(t, "65532:65532", users[0].User, name)

		entry := of[*instructions.EntrypointCommand](t, d, stage)
		require.Len(t, entry, 1, name)
		require.False(t, entry[0].PrependShell, "%s: there is no shell in it", name)
		require.Equal(t, []string{program}, entry[0].CmdLine, name)

		var installed []string
		for _, command := range of[*instructions.CopyCommand](t, d, stage) {
			if command.DestPath == "/usr/local/bin/" {
				require.Equal(t, "build", command.From, name)
				installed = append(installed, command.SourcePaths...)
			}
		}
		want := []string{"/out/" + name}
		if name == "baton-host" { // It finds plugins beside itself.
			want = []string{"/out/baton-fullstory", "/out/baton-host", "/out/baton-host-aws", "/out/baton-host-explore", "/out/baton-scim"}
		}
		require.ElementsMatch(t, want, installed, name)
	}
}

func TestImages_FitTheManifests(t *testing.T) {
	t.Parallel()
	d := readDockerfile(t)
	for _, dir := range both {
		container := loadWorkload(t, dir).container(t)
		name, _, ok := strings.Cut(path.Base(container.Image), ":")
		require.True(t, ok, "%s has no tag", container.Image)
		require.Equal(t, container.Name, name)
		require.Contains(t, images, name)
		require.Empty(t, container.Command, "the image knows what it starts")
	}

	set := the[*appsv1.StatefulSet](t, load(t, host))
	require.Equal(t, int64(65532), *set.Spec.Template.Spec.SecurityContext.RunAsUser)
	require.Equal(t, int64(65532), *set.Spec.Template.Spec.SecurityContext.RunAsGroup)

	// The directories are the same as with Docker alone.
	stage, container := d.stage(t, "baton-host"), loadWorkload(t, host).container(t)
	environment := map[string]string{}
	for _, command := range of[*instructions.EnvCommand](t, d, stage) {
		for _, one := range command.Env {
			environment[one.Key] = one.Value
		}
	}
	state, _ := mounted(t, container, environment["STATE_DIRECTORY"])
	require.Equal(t, "state", state.Name)
	place := of[*instructions.CopyCommand](t, d, stage)
	made := place[len(place)-1]
	require.Equal(t, environment["STATE_DIRECTORY"], made.DestPath)
	require.Equal(t, "65532:65532", made.Chown, "a new volume takes its owner from it")
	workdirs := of[*instructions.WorkdirCommand](t, d, stage)
	require.Equal(t, path.Dir(flag(t, container.Args, "config")), workdirs[len(workdirs)-1].Path)
	ports := of[*instructions.ExposeCommand](t, d, stage)
	require.Equal(t, []string{"9400"}, ports[0].Ports)
}

// build is the command of the build stage that compiles.
func build(t *testing.T, d dockerfile) (command string, environment map[string]string) {
	t.Helper()
	stage := d.stage(t, "build")
	var found []string
	for _, run := range of[*instructions.RunCommand](t, d, stage) {
		if line := strings.Join(run.CmdLine, " "); strings.Contains(line, "go build") {
			found = append(found, line)
		}
	}
	require.Len(t, found, 1)
	environment = map[string]string{}
	for _, one := range of[*instructions.EnvCommand](t, d, stage) {
		for _, pair := range one.Env {
			environment[pair.Key] = pair.Value
		}
	}
	return found[0], environment
}

func TestImages_AreCompiledForAnyPlatform(t *testing.T) {
	t.Parallel()
	command, environment := build(t, readDockerfile(t))
	require.Equal(t, "0", environment["CGO_ENABLED"], "the image has no libc")
	for _, want := range []string{"GOOS=$TARGETOS", "GOARCH=$TARGETARCH", "-trimpath", "-X main.version=$VERSION"} {
		require.Contains(t, command, want)
	}
	require.Equal(t, slices.Sorted(maps.Keys(programs)), programsIn(command))
}
