package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"golang.org/x/mod/modfile"

	"github.com/batonhost/baton-host/host/internal/files"
)

// The names end in .tmpl so that Go does not compile them as this module's own.
//
//go:embed templates
var templates embed.FS

const (
	suffix = ".tmpl"
	// workPrefix begins the names of directories in which a module is written.
	workPrefix = ".baton-host-new-"
)

// Result is a module that has been written.
type Result struct {
	// Dir is where it is, as the request has it.
	Dir    string
	Module string
}

// Write writes a module: all of it, or nothing.
func Write(request Request) (*Result, error) {
	request, err := request.complete()
	if err != nil {
		return nil, err
	}
	content, err := request.files()
	if err != nil {
		return nil, err
	}
	goal, err := placeFor(request.Dir)
	if err != nil {
		return nil, err
	}
	work, err := files.Make(goal.beside, workPrefix)
	if err != nil {
		return nil, fmt.Errorf("the module cannot be written into %s: %w", goal.beside, err)
	}
	defer func() { _ = work.Remove() }()
	draft := filepath.Join(work.Path(), "module")
	for name, text := range content {
		if err := write(filepath.Join(draft, name), text); err != nil {
			return nil, fmt.Errorf("the module cannot be written: %w", err)
		}
	}
	if err := goal.fill(draft); err != nil {
		return nil, fmt.Errorf("the module cannot be put into %s: %w", request.Dir, err)
	}
	return &Result{Dir: request.Dir, Module: request.Module}, nil
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // Source code: who may see it is for the umask.
		return err
	}
	return os.WriteFile(path, content, 0o644) //nolint:gosec // As above.
}

// files returns the module's files by name.
func (r Request) files() (map[string][]byte, error) {
	kind := "http"
	if r.SCIM {
		kind = "scim"
	}
	files := map[string][]byte{}
	for _, set := range []string{"common", kind} {
		if err := r.expand("templates/"+set, files); err != nil {
			return nil, err
		}
	}
	mod, err := r.goMod()
	if err != nil {
		return nil, err
	}
	files["go.mod"] = mod
	return files, nil
}

// expand fills in the templates below a directory.
func (r Request) expand(dir string, into map[string][]byte) error {
	return fs.WalkDir(templates, dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := templates.ReadFile(path)
		if err != nil {
			return err
		}
		parsed, err := template.New(path).Option("missingkey=error").Parse(string(text))
		if err != nil {
			return err
		}
		var content bytes.Buffer
		if err := parsed.Execute(&content, r.values()); err != nil {
			return err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, dir+"/"), suffix)
		// Hidden files are not embedded.
		into[strings.Replace(name, "dot-", ".", 1)] = content.Bytes()
		return nil
	})
}

func (r Request) values() map[string]any {
	return map[string]any{
		"App": r.App, "Binary": r.binary(), "Module": r.Module, "Name": r.displayName(),
		"SCIM": r.SCIM,
	}
}

// goMod returns the module's go.mod. What is required indirectly is for go mod tidy.
func (r Request) goMod() ([]byte, error) {
	file := &modfile.File{}
	steps := []error{
		file.AddModuleStmt(r.Module),
		file.AddGoStmt(goVersion),
		file.AddRequire(hostModule, r.HostVersion),
		file.AddRequire(sdkModule, sdkVersion),
	}
	if r.HostSource != "" {
		steps = append(steps, file.AddReplace(hostModule, "", r.HostSource, ""))
	}
	if err := errors.Join(steps...); err != nil {
		return nil, err
	}
	return file.Format()
}
