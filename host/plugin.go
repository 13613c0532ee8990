package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/call"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/plugin/conformance"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Here is what is done with the single plugin of a host: [Selection] has its name.

// Describe starts the plugin, lets it describe itself and stops it, which needs no
// configuration.
func (h *Host) Describe(ctx context.Context) (*Description, error) {
	spec, err := h.single(ctx)
	if err != nil {
		return nil, err
	}
	supervise.Sweep()
	described := &Description{App: h.plugins[0].App, Instance: spec.Instance, Binary: spec.Path, spec: spec}
	described.describe(ctx)
	if described.Err != nil {
		return nil, described.Err
	}
	return described, nil
}

// single returns what is started for the plugin.
func (h *Host) single(ctx context.Context) (supervise.Spec, error) {
	if err := h.requireSingle(); err != nil {
		return supervise.Spec{}, err
	}
	if err := h.prepare(ctx, h.plugins); err != nil {
		return supervise.Spec{}, err
	}
	return h.plugins[0].Found(h.finder)
}

// requireSingle fails for a host of a whole configuration.
func (h *Host) requireSingle() error {
	if len(h.plugins) != 1 {
		return fmt.Errorf("this needs a host of one plugin, and there are %d; select one by its name", len(h.plugins))
	}
	return nil
}

func (d *Description) describe(ctx context.Context) {
	process, err := supervise.Start(ctx, d.spec)
	if err != nil {
		d.Err = err
		return
	}
	defer process.Stop(context.WithoutCancel(ctx))
	d.FromHelp = process.FieldsFromHelp()
	d.Manifest, d.Err = process.Describe(ctx)
}

// Description is how a plugin describes itself.
type Description struct {
	App string
	// Instance is its name in the configuration; empty: it is known by its app only.
	Instance string
	Binary   string // what is started
	Manifest *pluginv1.Manifest
	// FromHelp says that the fields of the configuration are those that the --help of an
	// unmodified connector shows, which does not show which of them are secrets.
	FromHelp bool
	Err      error // why it does not describe itself

	spec supervise.Spec
}

// DescribeAll lets plugins describe themselves: those of these apps, or else all that
// are installed, and, with a configuration file, its entries that name a program, a version or an image. What
// is locked is started only as it is locked.
func DescribeAll(ctx context.Context, configFile string, apps []string, options Options) ([]*Description, error) {
	h := &Host{options: options, finder: supervise.NewFinder(options.PluginDirs)}
	var all []*Description
	if configFile != "" {
		if err := h.load(ctx, configFile); err != nil {
			return nil, err
		}
		entries := fleet.Of(slices.DeleteFunc(slices.Clone(h.cfg.Plugins), func(entry *config.Plugin) bool { return entry.Path == "" && !entry.IsInstalled() }))
		if err := h.prepare(ctx, entries); err != nil {
			return nil, err
		}
		for _, entry := range entries {
			spec := entry.Spec()
			all = append(all, &Description{App: entry.App, Instance: entry.Name, Binary: spec.Path, spec: spec})
		}
	}
	ofApp := func(app, path string) *Description {
		return &Description{App: app, Binary: path, spec: supervise.Spec{
			Instance: "baton-" + app, Path: path, Sandbox: supervise.Sandbox{Policy: sandbox.Policy{Hidden: h.hiddenFrom("")}},
		}}
	}
	for _, app := range apps {
		path, err := h.finder.Find(app)
		if err != nil {
			return nil, err
		}
		all = append(all, ofApp(app, path))
	}
	if len(apps) == 0 {
		for _, found := range h.finder.List() {
			if !found.Shadowed {
				all = append(all, ofApp(found.App, found.Path))
			}
		}
	}
	supervise.Sweep()
	const atATime = 4
	free := make(chan struct{}, atATime)
	var describing sync.WaitGroup
	for _, one := range all {
		free <- struct{}{}
		describing.Go(func() {
			defer func() { <-free }()
			one.describe(ctx)
		})
	}
	describing.Wait()
	return all, ctx.Err()
}

// Call starts the plugin, configures it, calls a method of it and stops it. Each answer
// goes to take, whose error ends the call. A method that changes something in the app
// is refused unless the plugin's entry or provisioning lets it.
func (h *Host) Call(ctx context.Context, method call.Method, request proto.Message, provisioning bool, take func(proto.Message) error) error {
	if err := h.requireSingle(); err != nil {
		return err
	}
	p := h.plugins[0]
	if err := h.permit(method, provisioning); err != nil {
		return err
	}
	if err := h.prepare(ctx, h.plugins); err != nil {
		return err
	}
	supervise.Sweep()
	notes, closeNotes, err := openNotes(ctx)
	if err != nil {
		return err
	}
	defer closeNotes()
	running := p.Single(ctx, h.fleetOptions(), notes)
	defer running.Stop(context.WithoutCancel(ctx))
	if err := running.Start(ctx); err != nil {
		return err
	}
	var takeErr error
	err = method.Call(ctx, running.Conn(), request, func(answer proto.Message) error {
		takeErr = take(answer)
		return takeErr
	})
	if takeErr != nil {
		return fmt.Errorf("plugin %q: %w", p.Name, takeErr)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	if exit, ok := errors.AsType[*supervise.ExitError](err); ok {
		return exit
	}
	return fmt.Errorf("plugin %q: %w", p.Name, method.Explain(err))
}

// permit refuses a call that changes something in an app that is not opened for changes.
func (h *Host) permit(method call.Method, provisioning bool) error {
	if !method.Changes || h.plugins[0].Provisioning || provisioning {
		return nil
	}
	how := "give --provisioning"
	if h.configured {
		how += ", or set `provisioning: true` in the plugin's entry of the configuration"
	}
	return fmt.Errorf("plugin %q: %s changes something in the app; to let it, %s", h.plugins[0].Name, method, how)
}

// Tested is what became of a plugin's checks, and what it needed.
type Tested struct {
	*conformance.Report
	// Sandbox is what it needed beyond what every plugin may use.
	Sandbox Sandboxed `json:"sandbox"`
}

// Sandboxed is what a plugin did in its sandbox.
type Sandboxed struct {
	// Mode is on, warn or off: with off nothing is known.
	Mode string `json:"mode"`
	sandbox.Needed
}

// Test runs the conformance checks on the plugin, and reports each outcome. The plugin is in
// a sandbox unless its entry says otherwise.
func (h *Host) Test(ctx context.Context, report func(conformance.Outcome)) (*Tested, error) {
	if os.Getenv(plugin.ReattachEnv) != "" {
		return nil, fmt.Errorf("baton-host test starts and kills its own processes, and cannot attach to one; unset %s", plugin.ReattachEnv)
	}
	spec, err := h.single(ctx)
	if err != nil {
		return nil, err
	}
	supervise.Sweep()
	scratch, err := supervise.MakeScratch()
	if err != nil {
		return nil, err
	}
	defer func() { _ = scratch.Remove() }()
	spec.ScratchDir = scratch.Path()
	notes, closeNotes, err := openNotes(ctx)
	if err != nil {
		return nil, err
	}
	defer closeNotes()
	spec.Sessions = notes
	needs := &sandbox.Needs{}
	spec.Sandbox.Mode, spec.Sandbox.Observer = cmp.Or(spec.Sandbox.Mode, sandbox.On), needs
	result := &Tested{Report: conformance.New(h.subject(spec)).Run(ctx, report)}
	result.Sandbox = Sandboxed{Mode: string(spec.Sandbox.Mode), Needed: needs.Needed()}
	return result, ctx.Err()
}

// subject has the checks' processes supervised as those of a sync are.
func (h *Host) subject(spec supervise.Spec) conformance.Subject {
	return conformance.Subject{
		Start: func(ctx context.Context, written func(conformance.Line)) (conformance.Process, error) {
			spec := spec
			spec.Observe = func(line pluginlog.Line) { written(conformance.Line(line)) }
			process, err := supervise.Start(ctx, spec)
			if err != nil {
				return nil, err
			}
			return conformanceProcess{process}, nil
		},
		Request: func(schema *pluginv1.ConfigurationSchema) (*pluginv1.ConfigureRequest, error) {
			bound, problems := h.plugins[0].Settings.Bind(schema)
			if err := problems.Err(); err != nil {
				return nil, err
			}
			return bound.Request(&pluginv1.Host{UserAgent: "baton-host/" + h.options.Version}), nil
		},
	}
}

// conformanceProcess is a process as the checks need it.
type conformanceProcess struct{ *supervise.Process }

// Stop stops it as a sync does.
func (s conformanceProcess) Stop(ctx context.Context) error {
	s.Process.Stop(ctx)
	return nil
}

// openNotes makes a session store for a plugin that takes part in no sync: it is
// empty, and gone when close is called, after the plugin has stopped.
func openNotes(ctx context.Context) (notes *conformance.Sessions, closeNotes func(), err error) {
	dir, err := supervise.MakeScratch()
	if err != nil {
		return nil, nil, err
	}
	notes, err = conformance.OpenSessions(ctx, dir.Path())
	if err != nil {
		_ = dir.Remove()
		return nil, nil, err
	}
	return notes, func() {
		_ = notes.Close(context.WithoutCancel(ctx))
		_ = dir.Remove()
	}, nil
}
