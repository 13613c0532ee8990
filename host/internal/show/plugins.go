package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// Programs writes the programs of plugins, with the plugins where there is a configuration.
func Programs(w io.Writer, form string, programs []host.Program, isConfigured bool) error {
	columns := []string{"app", "path", "note"}
	if isConfigured {
		columns = append([]string{"plugin"}, columns...)
	}
	out := terminal.NewStream(w, form, columns...)
	for _, program := range programs {
		row := []string{program.App, strings.Join(append([]string{program.Path}, program.Files...), " "), noteOf(program)}
		if isConfigured {
			row = append([]string{program.Plugin}, row...)
		}
		out.Add(listedOf(program), row...)
	}
	return out.End()
}

// noteOf returns what a person must know of a program.
func noteOf(program host.Program) string {
	var notes []string
	if program.IsUnmodified {
		notes = append(notes, "unmodified connector")
	}
	if program.IsShadowed {
		notes = append(notes, "not used: an earlier directory has one")
	}
	if program.Err != nil {
		notes = append(notes, "cannot be started: "+terminal.Words(program.Err))
	}
	return strings.Join(notes, "; ")
}

// listedPlugin is a program, for json.
type listedPlugin struct {
	Plugin     string   `json:"plugin,omitempty"`
	App        string   `json:"app"`
	Path       string   `json:"path"`
	Files      []string `json:"files,omitempty"`
	Unmodified bool     `json:"unmodified"`
	Shadowed   bool     `json:"shadowed"`
	Error      string   `json:"error,omitempty"`
}

func listedOf(program host.Program) listedPlugin {
	listed := listedPlugin{
		Plugin: program.Plugin, App: program.App, Path: program.Path, Files: program.Files,
		Unmodified: program.IsUnmodified, Shadowed: program.IsShadowed,
	}
	if program.Err != nil {
		listed.Error = terminal.Words(program.Err)
	}
	return listed
}

// Checks writes what was checked.
func Checks(w io.Writer, form string, found []host.Checked) error {
	out := terminal.NewStream(w, form, "kind", "name", "app", "result", "sandbox")
	for _, one := range found {
		shown, outcome := checked{Kind: one.Kind, Name: one.Name, App: one.App, OK: one.Err == nil, Result: "ok", Sandbox: one.Sandbox}, "ok"
		switch {
		case one.Err != nil:
			shown.Error, shown.Result, outcome = terminal.Words(one.Err), "failed", "FAILED"
		case one.Skipped != "":
			outcome = "not checked: " + one.Skipped
			shown.Result = outcome
		}
		out.Add(shown, one.Kind, one.Name, one.App, outcome, one.Sandbox)
	}
	return unwritten(out.End())
}

// unwritten returns the error for results that could not be written.
func unwritten(err error) error {
	if err != nil {
		return fmt.Errorf("the results could not be written to standard output: %w", err)
	}
	return nil
}

// checked is how a plugin, an upload or a store was found, for json.
type checked struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	App  string `json:"app,omitempty"`
	// OK is true also for what was not checked, as Result says then.
	OK     bool   `json:"ok"`
	Result string `json:"result"`
	Error  string `json:"error,omitempty"`
	// Sandbox is what of a sandbox a plugin is in.
	Sandbox string `json:"sandbox,omitempty"`
}

// Locked writes what became of the entries of a lock file.
func Locked(w io.Writer, form string, locked []host.LockedPlugin) error {
	out := terminal.NewStream(w, form, "plugin", "version", "result")
	for _, one := range locked {
		out.Add(lockedPlugin{Plugin: one.Name, Version: one.Version, Result: one.Change}, one.Name, one.Version, one.Change)
	}
	return unwritten(out.End())
}

// lockedPlugin is what became of one plugin's entry, for json.
type lockedPlugin struct {
	Plugin  string `json:"plugin"`
	Version string `json:"version"`
	Result  string `json:"result"`
}

// Installed writes what was installed.
func Installed(w io.Writer, form string, installed []host.InstalledPlugin) error {
	out := terminal.NewStream(w, form, "plugin", "version", "platform", "result", "built_from")
	for _, one := range installed {
		out.Add(installedPlugin{
			Plugin: one.Name, Connector: one.Connector, Version: one.Version, Platform: one.Platform, Result: one.Change,
			Digest: one.Digest, Binary: one.Binary, Signer: one.Signer, Repository: one.Repository, Commit: one.Commit, Path: one.Path,
		}, one.Name, one.Version, one.Platform, one.Change, builtFrom(one))
	}
	return unwritten(out.End())
}

// builtFrom returns what a connector was built from, for people.
func builtFrom(one host.InstalledPlugin) string {
	if one.Repository == "" {
		return "not known: provenance none"
	}
	return strings.TrimPrefix(one.Repository, "https://") + "@" + one.Commit
}

// installedPlugin is a connector that is installed, for json.
type installedPlugin struct {
	Plugin    string `json:"plugin"`
	Connector string `json:"connector"`
	Version   string `json:"version"`
	Platform  string `json:"platform"`
	// Result is what became of the plugin's entry in the lock file.
	Result string `json:"result"`
	// Digest is that of the archive or the image, and Binary that of the program.
	Digest string `json:"digest"`
	Binary string `json:"binary"`
	// The rest of the provenance is left out where there is none.
	Signer     string `json:"signer,omitempty"`
	Repository string `json:"repository,omitempty"`
	Commit     string `json:"commit,omitempty"`
	Path       string `json:"path"`
}
