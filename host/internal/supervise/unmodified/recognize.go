package unmodified

import (
	"debug/buildinfo"
)

// The modules by which an unmodified connector is told from a plugin.
const (
	sdkModule  = "github.com/conductorone/baton-sdk"
	hostModule = "github.com/batonhost/baton-host"
)

// Build is what the Go toolchain wrote into an executable.
type Build struct {
	// SDKVersion is the version of baton-sdk that is linked in; "" if none is.
	SDKVersion string
	// SDKReplaced says that the linked code is not that of this version: another
	// module or a directory replaces it.
	SDKReplaced bool
	// Platform is the system that it is built for, such as "linux/amd64".
	Platform string
	// Plugin says that it holds code of this project, and so serves its contract.
	Plugin bool
}

// Read reads what is written in an executable. It executes nothing. It reports
// false for what is no Go program: a script, or a program in another language.
func Read(path string) (Build, bool) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return Build{}, false
	}
	build := Build{Plugin: info.Main.Path == hostModule}
	for _, module := range info.Deps {
		switch module.Path {
		case sdkModule:
			build.SDKVersion = module.Version
			if module.Replace != nil && module.Replace.Version != "" {
				build.SDKVersion = module.Replace.Version
			}
			build.SDKReplaced = module.Replace != nil && (module.Replace.Path != sdkModule || module.Replace.Version == "")
		case hostModule:
			build.Plugin = true
		}
	}
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	if settings["GOOS"] != "" && settings["GOARCH"] != "" {
		build.Platform = settings["GOOS"] + "/" + settings["GOARCH"]
	}
	return build, true
}

// Unmodified says that this is a Baton connector which knows no host: it is built
// with the SDK and without this project.
func (b Build) Unmodified() bool { return b.SDKVersion != "" && !b.Plugin }
