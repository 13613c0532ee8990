package scaffold

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// hostModule is what every connector's module requires, sdkVersion the version of
// the SDK that the host's own packages are built with.
const (
	hostModule = "github.com/batonhost/baton-host"
	sdkModule  = "github.com/conductorone/baton-sdk"
	sdkVersion = "v0.25.0"
	goVersion  = "1.26.0"
)

// Request is what is to be written.
type Request struct {
	// App is the app's name: the connector is baton-<App>.
	App string
	// Module is the path of the module; "" is DefaultModule.
	Module string
	// Dir is where it goes; "" is baton-<App>. It may exist if it is empty.
	Dir string
	// SCIM makes it a connector over package scim.
	SCIM bool
	// HostVersion is the release of this host's module.
	HostVersion string
	// HostSource is the directory of a checkout of it, to be used in place of a
	// release; "" is none.
	HostSource string
}

const longestApp = 40

var appForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// reserved are apps whose binaries would be those of this project.
var reserved = []string{"host", "sandbox"}

// complete checks the request and fills in what is left open.
func (r Request) complete() (Request, error) {
	switch {
	case len(r.App) > longestApp:
		return r, fmt.Errorf("the name of the app is longer than %d characters; it becomes a part of file names and ids, so choose a short one", longestApp)
	case !appForm.MatchString(r.App):
		return r, fmt.Errorf("%q is not the name of an app: it takes lower-case letters and digits, and single dashes between them, such as design-tool", r.App)
	case slices.Contains(reserved, r.App):
		return r, fmt.Errorf("an app cannot be called %q: baton-%s is a program of this project", r.App, r.App)
	}
	if r.Dir == "" {
		r.Dir = r.binary()
	}
	if r.Module == "" {
		r.Module = "example.com/" + r.binary()
	}
	if err := module.CheckImportPath(r.Module); err != nil {
		return r, fmt.Errorf("--module: %w; it must look like github.com/you/%s", err, r.binary())
	}
	if r.Module == hostModule || strings.HasPrefix(r.Module, hostModule+"/") {
		return r, fmt.Errorf("--module: %s is this project's own; the connector is a separate module, such as github.com/you/%s", r.Module, r.binary())
	}
	return r.withHost()
}

// withHost settles which version of the host's module is required.
func (r Request) withHost() (Request, error) {
	if r.HostSource == "" {
		if r.HostVersion == "" {
			return r, fmt.Errorf("this baton-host was not built from a release, so that there is no version of %s to require; give --host-source with the directory of its checkout", hostModule)
		}
		return r, nil
	}
	source, err := filepath.Abs(r.HostSource)
	if err != nil {
		return r, err
	}
	text, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil || modfile.ModulePath(text) != hostModule {
		return r, fmt.Errorf("--host-source %s: that is no checkout of %s, whose go.mod would be there", r.HostSource, hostModule)
	}
	r.HostSource, r.HostVersion = source, "v0.0.0"
	return r, nil
}

func (r Request) binary() string { return "baton-" + r.App }

// displayName returns the app's name as people may write it, for the author to correct.
func (r Request) displayName() string {
	words := strings.Split(r.App, "-")
	for i, word := range words {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, " ")
}
