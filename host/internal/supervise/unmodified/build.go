package unmodified

import (
	"debug/buildinfo"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// The modules by which an unmodified connector differs from a plugin.
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

// A reading is how an SDK reads the lists and maps of a configuration file. Each
// SDK sets the flag of a field from the file, and the connector reads the flag.
// Where the flag does not accept what it is given, the connector reads the file as
// viper does, with the keys of maps in lower case.
type reading int

const (
	// readingUnknown is for a program that does not say which SDK it is built with.
	// Every SDK from v0.2.68 on reads a list as one text in the form of the flag; no
	// form of a map is read by all of them.
	readingUnknown reading = iota
	// readingEarly is for a program that does not say it either and prints no schema, so
	// that its SDK is from before v0.2.68. Those read a list as one text with commas; a
	// comma in quotes only some of them.
	readingEarly
	// readingUntried is for an SDK whose reading nothing here has been tried on.
	readingUntried
	// readingFile, to v0.2.0: the connector reads the file as viper does, and no flag is
	// set. A list in YAML arrives as it is, and so does a flat map, except for dots and
	// capitals in its keys.
	readingFile
	// readingArrays, from v0.2.9: like readingFlags, but the flag of a list has the whole
	// text for its only item. After v0.2.10 it may be as in readingFlags already: the
	// connector's help shows which.
	readingArrays
	// readingFlags, from v0.2.25: like readingText, and no field can be a map.
	readingFlags
	// readingText, from v0.2.68: the flag is set from a text and from nothing else.
	// A list in YAML is lost; a map in YAML stays as viper reads it.
	readingText
	// readingFlat, from v0.8.19: the flag of a map is set from its pairs, joined by
	// commas without quotes, whether the map is YAML or JSON in a text. What is no
	// text, number or truth value becomes an empty text.
	readingFlat
	// readingNested, from v0.11.2: like readingFlat, but a map in YAML that holds a
	// map or a list stays as viper reads it.
	readingNested
)

// listsChanged is when the SDK first read lists in YAML, after v0.8.18. What it did
// until v0.8.19 was released is a reading of neither.
var listsChanged = time.Date(2026, time.April, 9, 13, 54, 53, 0, time.UTC)

// isUnknown reports whether it is not known which release of the SDK is linked in:
// another module, a working copy, a commit that follows no release, or nothing is said.
func (b Build) isUnknown() bool {
	return b.SDKReplaced || !semver.IsValid(b.SDKVersion) || strings.HasPrefix(b.SDKVersion, "v0.0.0-")
}

// reading returns how the connector's SDK reads.
func (b Build) reading() reading {
	version := b.SDKVersion
	switch {
	case b.isUnknown():
		return readingUnknown
	case semver.Compare(version, "v0.2.0") <= 0:
		return readingFile
	case semver.Compare(version, "v0.2.9") < 0:
		return readingUntried
	case semver.Compare(version, "v0.2.25") < 0:
		return readingArrays
	case semver.Compare(version, describedSince) < 0:
		return readingFlags
	case semver.Compare(version, "v0.8.18") <= 0:
		return readingText
	case semver.Compare(version, "v0.8.19") < 0:
		if committed, err := module.PseudoVersionTime(version); err == nil && committed.Before(listsChanged) {
			return readingText
		}
		return readingUntried
	case semver.Compare(version, "v0.11.2") < 0:
		return readingFlat
	default:
		return readingNested
	}
}
