package check_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
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
	"./host/cmd/baton-host-aws":       "baton-host-aws",
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

// signed is what the tests look at of the signatures in .goreleaser.yaml.
type signed struct {
	Signs []struct {
		Artifacts, Cmd, Signature string
		Args                      []string
	}
}

// TestRelease_IsSigned without a key, and its archives carry provenance under the name that
// connectors' have. What the guide verifies is what is written.
func TestRelease_IsSigned(t *testing.T) {
	t.Parallel()
	var of signed
	require.NoError(t, yaml.Unmarshal(read(t, root+"/.goreleaser.yaml"), &of))
	guide := string(read(t, root+"/deploy/README.md"))
	suffixes := map[string]string{}
	for _, one := range of.Signs {
		suffix, ok := strings.CutPrefix(one.Signature, "${artifact}")
		require.True(t, ok, one.Signature)
		suffixes[one.Artifacts] = suffix
		require.Contains(t, guide, suffix)
		require.Contains(t, strings.Join(one.Args, " "), "${signature}")
		require.NotContains(t, strings.Join(one.Args, " "), "--key")
	}
	require.Equal(t, map[string]string{"checksum": ".sigstore.json", "archive": ".provenance.sigstore.json"}, suffixes)
	require.Equal(t, ".ci/provenance", of.Signs[1].Cmd)
}

// TestRelease_WorkflowIsTheOneThatIsVerified: the guide names the file, which may ask for an
// identity and runs for tags alone.
func TestRelease_WorkflowIsTheOneThatIsVerified(t *testing.T) {
	t.Parallel()
	const name = ".github/workflows/release.yaml"
	guide := string(read(t, root+"/deploy/README.md"))
	require.Equal(t, 2, strings.Count(guide, "--certificate-identity https://github.com/batonhost/baton-host/"+name+"@refs/tags/v1.2.3 "))
	var workflow struct {
		On struct {
			Push map[string][]string
		}
		Permissions map[string]string
	}
	require.NoError(t, yaml.Unmarshal(read(t, root+"/"+name), &workflow))
	require.Equal(t, map[string][]string{"tags": {"v*"}}, workflow.On.Push)
	require.Equal(t, map[string]string{"contents": "write", "id-token": "write"}, workflow.Permissions)
}

// TestProvenance_NamesWhatTheReleaseWasBuiltFrom, by a program in the place of cosign.
func TestProvenance_NamesWhatTheReleaseWasBuiltFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const stub = "#!/bin/sh\nfor argument; do test \"$before\" = --predicate && cp \"$argument\" predicate.json; before=$argument; done\necho \"$@\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cosign"), []byte(stub), 0o700)) //nolint:gosec // It is a program.
	script, err := filepath.Abs(root + "/.ci/provenance")
	require.NoError(t, err)
	environment := []string{
		"GITHUB_SERVER_URL=https://github.com", "GITHUB_REPOSITORY=batonhost/baton-host", "GITHUB_REF=refs/tags/v1.2.3",
		"GITHUB_SHA=c0ffee", "GITHUB_WORKFLOW_REF=batonhost/baton-host/.github/workflows/release.yaml@refs/tags/v1.2.3", "GITHUB_RUN_ID=7",
	}
	attest := func(environment []string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), script, "x.tar.gz", "x.tar.gz.provenance.sigstore.json")
		cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + dir + string(filepath.ListSeparator) + os.Getenv("PATH")}, environment...)
		return cmd.CombinedOutput()
	}
	out, err := attest(environment)
	require.NoError(t, err, string(out))
	require.Regexp(t, `^attest-blob --yes .*--type slsaprovenance1 .*--bundle x\.tar\.gz\.provenance\.sigstore\.json x\.tar\.gz\n$`, string(out))
	var predicate struct {
		BuildDefinition struct {
			ExternalParameters   struct{ Workflow map[string]string }
			ResolvedDependencies []struct {
				URI    string
				Digest map[string]string
			}
		}
	}
	require.NoError(t, json.Unmarshal(read(t, filepath.Join(dir, "predicate.json")), &predicate))
	require.Equal(t, map[string]string{"ref": "refs/tags/v1.2.3", "repository": "https://github.com/batonhost/baton-host", "path": ".github/workflows/release.yaml"}, predicate.BuildDefinition.ExternalParameters.Workflow)
	require.Len(t, predicate.BuildDefinition.ResolvedDependencies, 1)
	require.Equal(t, "git+https://github.com/batonhost/baton-host@refs/tags/v1.2.3", predicate.BuildDefinition.ResolvedDependencies[0].URI)
	require.Equal(t, map[string]string{"gitCommit": "c0ffee"}, predicate.BuildDefinition.ResolvedDependencies[0].Digest)

	out, err = attest(environment[:3])
	require.Error(t, err)
	require.Contains(t, string(out), "GITHUB_SHA is not set")
}
