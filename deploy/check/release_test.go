package check_test

import (
	"encoding/json"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// programs are what a release holds, by package.
var programs = map[string]string{
	"./host/cmd/baton-host":           "baton-host",
	"./host/cmd/baton-host-explore":   "baton-host-explore",
	"./fullstory/cmd/baton-fullstory": "baton-fullstory",
	"./scim/cmd/baton-scim":           "baton-scim",
}

// programsIn are the packages of programs that a command or a variable names.
func programsIn(text string) []string {
	found := regexp.MustCompile(`\./[a-z]+/cmd/[a-z-]+`).FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// goPackage is what the go command reports of a package.
type goPackage struct {
	Dir, Name, ImportPath string
	Standard              bool
	Module                *struct{ Main bool }
	GoFiles, EmbedFiles   []string
}

// list asks the go command about packages of the main module, for Linux.
func list(t *testing.T, arguments ...string) []goPackage {
	t.Helper()
	arguments = append([]string{"-C", root, "list", "-json=Dir,Name,ImportPath,Standard,Module,GoFiles,EmbedFiles"}, arguments...)
	cmd := exec.CommandContext(t.Context(), "go", arguments...) //nolint:gosec // Fixed arguments.
	cmd.Env = append(cmd.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	out, err := cmd.Output()
	require.NoError(t, err)
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var one goPackage
		require.NoError(t, decoder.Decode(&one))
		packages = append(packages, one)
	}
	return packages
}

func TestRelease_ProgramsHaveAVersion(t *testing.T) {
	t.Parallel()
	for main, name := range programs {
		found := list(t, main)
		require.Len(t, found, 1)
		require.Equal(t, "main", found[0].Name, main)
		require.Equal(t, name, path.Base(found[0].ImportPath))
		var declared bool
		for _, file := range found[0].GoFiles {
			declared = declared || regexp.MustCompile(`(?m)^var version = "dev"$`).Match(read(t, path.Join(found[0].Dir, file)))
		}
		require.True(t, declared, "%s has no version for -X main.version to set", main)
	}
}

// TestBuildContext_HoldsWhatIsCompiled and nothing that should not leave a checkout.
func TestBuildContext_HoldsWhatIsCompiled(t *testing.T) {
	t.Parallel()
	patterns, err := ignorefile.ReadAll(strings.NewReader(string(read(t, root+"/.dockerignore"))))
	require.NoError(t, err)
	ignored, err := patternmatcher.New(patterns)
	require.NoError(t, err)
	excluded := func(file string) bool {
		is, err := ignored.MatchesOrParentMatches(file)
		require.NoError(t, err)
		return is
	}

	top := list(t, "./host/cmd/baton-host")[0].Dir
	top = strings.TrimSuffix(top, "/host/cmd/baton-host")
	needed := []string{"go.mod", "go.sum", "LICENSE"}
	arguments := []string{"-deps"}
	for main := range programs {
		arguments = append(arguments, main)
	}
	for _, one := range list(t, arguments...) {
		if one.Standard || one.Module == nil || !one.Module.Main {
			continue
		}
		dir := strings.TrimPrefix(one.Dir, top+"/")
		for _, file := range slices.Concat(one.GoFiles, one.EmbedFiles) {
			needed = append(needed, path.Join(dir, file))
		}
	}
	require.Greater(t, len(needed), 100)
	for _, file := range needed {
		require.False(t, excluded(file), "%s is needed for the images", file)
	}
	for _, file := range []string{
		".git/config", "bin/baton-host", "baton-host.yaml", "demo-out/workforce.c1z", "out.c1z", ".env", "deploy/Dockerfile",
		"sandbox/c1/server.go", "scim/user_test.go", "scim/testdata/fuzz/x", "host/cmd/baton-host/testdata/baton-notes/main.go",
	} {
		require.True(t, excluded(file), "%s is sent to the builder", file)
	}
}

// release is what the tests look at in .goreleaser.yaml.
type release struct {
	Builds []struct {
		Main, Binary string
		Env          []string
		Goos, Goarch []string
		Flags        []string
		Ldflags      []string
	}
	Archives []struct{ Files []string }
}

func TestRelease_HasEveryProgramForEverySystem(t *testing.T) {
	t.Parallel()
	var r release
	require.NoError(t, yaml.Unmarshal(read(t, root+"/.goreleaser.yaml"), &r))
	found := map[string]string{}
	for _, one := range r.Builds {
		found[one.Main] = one.Binary
		require.ElementsMatch(t, []string{"linux", "darwin", "windows"}, one.Goos, one.Binary)
		require.ElementsMatch(t, []string{"amd64", "arm64"}, one.Goarch, one.Binary)
		require.Contains(t, one.Env, "CGO_ENABLED=0", one.Binary)
		require.Contains(t, one.Flags, "-trimpath", one.Binary)
		require.Contains(t, strings.Join(one.Ldflags, " "), "-X main.version=", one.Binary)
	}
	require.Equal(t, programs, found)
	require.Len(t, r.Archives, 1)
	for _, file := range r.Archives[0].Files {
		require.NotEmpty(t, read(t, path.Join(root, file)))
	}
}

// TestCross_CompilesWhatIsReleased so that a release cannot be the first to try it.
func TestCross_CompilesWhatIsReleased(t *testing.T) {
	t.Parallel()
	var mains []string
	for main := range programs {
		mains = append(mains, main)
	}
	slices.Sort(mains)
	makefile := string(read(t, root+"/Makefile"))
	_, rest, ok := strings.Cut(makefile, "\nRELEASED := ")
	require.True(t, ok)
	value, _, ok := strings.Cut(rest, "\n\n")
	require.True(t, ok)
	require.Equal(t, mains, programsIn(value))
}
