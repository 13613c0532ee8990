package population

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// App is an app whose accounts are in a sync file.
type App struct {
	// Name is that of the plugin, by what the record beside the file knows or by the name in
	// front of the resource types. Types without either are of one connector, whose name the
	// file's name may have; else they give it theirs.
	Name string `json:"app"`
	// Evidence is what proves that its lists are complete, by the record beside the file, and
	// Reason why it is no more than that.
	Evidence baseline.Grade `json:"evidence"`
	Reason   string         `json:"evidence_reason,omitempty"`
}

// File is a sync file, open, with what the record beside it knows. Close it.
type File struct {
	path   string
	file   *syncfile.File
	apps   []App
	ofType map[string]string // the app of each type of accounts
}

// Open opens a sync file for the accounts of one app, or of all if the name is empty. The
// errors are those of [syncfile.Open], and one that names the apps if this one is not there.
func Open(ctx context.Context, path, app string) (*File, error) {
	file, err := syncfile.Open(ctx, path, os.TempDir())
	if err != nil {
		return nil, err
	}
	f := &File{path: path, file: file}
	types, err := file.AccountTypes(ctx)
	if err == nil {
		f.findApps(slices.Sorted(maps.Keys(types)))
		err = f.only(app)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close(ctx))
	}
	return f, nil
}

// findApps finds the apps of the types of accounts.
func (f *File) findApps(types []string) {
	var known baseline.Sync
	if path, err := syncfile.BehindLinks(f.path); err == nil {
		known = baseline.At(path).Known()
	}
	f.ofType = map[string]string{}
	evidence := map[string]baseline.Evidence{}
	var bare []string
	for _, id := range types {
		app, _, namespaced := strings.Cut(id, ".")
		if plugin := known.PluginOf(id); plugin != "" {
			app = plugin
			evidence[app] = baseline.EvidenceOfAll(known.Plugins[plugin].Evidence)
		} else if !namespaced {
			bare = append(bare, id)
		}
		f.ofType[id] = app
	}
	for _, id := range bare {
		f.ofType[id] = cmp.Or(f.file.Connector(), strings.Join(bare, "+"))
	}
	for _, name := range slices.Compact(slices.Sorted(maps.Values(f.ofType))) {
		f.apps = append(f.apps, App{Name: name, Evidence: cmp.Or(evidence[name].Grade, baseline.NotReported), Reason: evidence[name].Reason})
	}
}

// only leaves one app; all if the name is empty.
func (f *File) only(app string) error {
	if app == "" {
		return nil
	}
	named := func(one App) bool { return one.Name == app }
	if !slices.ContainsFunc(f.apps, named) {
		var names []string
		for _, one := range f.apps {
			names = append(names, one.Name)
		}
		return fmt.Errorf("%s has no accounts of the app %q; it has those of: %s", f.path, app, cmp.Or(strings.Join(names, ", "), "no app"))
	}
	f.apps = slices.DeleteFunc(f.apps, func(one App) bool { return !named(one) })
	maps.DeleteFunc(f.ofType, func(_, of string) bool { return of != app })
	return nil
}

// Close closes the file and removes what was unpacked.
func (f *File) Close(ctx context.Context) error { return f.file.Close(ctx) }

// Path is the path by which the file was opened.
func (f *File) Path() string { return f.path }

// Apps are the apps, in alphabetical order, also those without a single account.
func (f *File) Apps() []App { return f.apps }

// EachAccount calls each with every account and its app, in the order of the file, which is
// stable. It stops at the first error.
func (f *File) EachAccount(ctx context.Context, each func(App, syncfile.Account) error) error {
	apps := map[string]App{}
	for _, app := range f.apps {
		apps[app.Name] = app
	}
	return f.file.EachAccount(ctx, func(account syncfile.Account) error {
		app, ok := apps[f.ofType[account.ResourceType]]
		if !ok {
			return nil
		}
		account.App = app.Name
		return each(app, account)
	})
}
