package registry

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// Platform is what a binary runs on.
type Platform struct {
	// OS and Arch are as the go command has them.
	OS, Arch string
}

// platforms are those that connectors are released for.
var platforms = []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64"}

// Host returns the platform of this process.
func Host() Platform { return Platform{OS: runtime.GOOS, Arch: runtime.GOARCH} }

// ParsePlatform reads "linux/amd64".
func ParsePlatform(text string) (Platform, error) {
	if !slices.Contains(platforms, text) {
		return Platform{}, fmt.Errorf("%q is not a platform that connectors are released for; name one of %s", text, strings.Join(platforms, ", "))
	}
	os, arch, _ := strings.Cut(text, "/")
	return Platform{OS: os, Arch: arch}, nil
}

// String returns "linux/amd64", as the lock file has it.
func (p Platform) String() string { return p.OS + "/" + p.Arch }

// asset is the key of the platform's archive in the manifest of a release.
func (p Platform) asset() string { return p.OS + "-" + p.Arch }

// binary is the name of a connector's file.
func (p Platform) binary(connector string) string {
	if p.OS == "windows" {
		return connector + ".exe"
	}
	return connector
}
