package wizard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/show"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// Options are what a person gives on the command line.
type Options struct {
	Request Request
	// ConfigFile is the configuration that is written, or added to.
	ConfigFile string
	// Add adds the app to a file that is there.
	Add bool
	// Set are values of fields, as name=value.
	Set []string
	// NoInput asks nothing, and NoValidate writes the file without trying the plugin.
	NoInput, NoValidate bool
	// Timeout is how long the app may take to answer.
	Timeout time.Duration
	// Reload has the host that runs reload its configuration afterwards, and StateDir is its
	// state directory; empty: the usual one.
	Reload   bool
	StateDir string
	// Host are the options of the hosts that try the plugin.
	Host host.Options
}

// session is one run of the wizard.
type session struct {
	Options
	person Dialogue // nil: nothing is asked
	// installed is what the lock file is to have of the connector; nil: none was installed.
	installed *pin.Entry
}

// hostOptions returns the options of a host that resolves these secrets.
func (s *session) hostOptions(secrets host.Secrets) host.Options {
	options := s.Host
	options.Secrets = secrets
	return options
}

// name is that of the command.
func (s *session) name() string {
	if s.Add {
		return "add"
	}
	return "init"
}

// openPlace finds out whether the file can be written.
func (s *session) openPlace(ctx context.Context) (err error) {
	if s.Add {
		s.Request.Existing, err = OpenExisting(ctx, s.ConfigFile)
		return err
	}
	return CheckPlace(s.ConfigFile)
}

// Run asks the person for what the options leave open, and writes the configuration. Without
// a person it writes what the options have, or fails if that is not enough.
func Run(ctx context.Context, stdout io.Writer, person Dialogue, options Options) error {
	s := &session{Options: options, person: person}
	if err := s.openPlace(ctx); err != nil {
		return err
	}
	if err := s.readSet(); err != nil {
		return err
	}
	s.Request.Dir, s.Request.Lookup = filepath.Dir(s.ConfigFile), os.LookupEnv
	if s.NoInput {
		s.person = nil
	} else if s.person == nil {
		return fmt.Errorf("baton-host %[1]s asks questions, and here is no terminal to ask them on; give --no-input with the app and its fields:\n"+
			"baton-host %[1]s APP --no-input --set field=value (baton-host inspect APP shows the fields)", s.name())
	}
	plan, err := s.plan(ctx)
	if err != nil {
		return err
	}
	draft, err := s.draft(ctx, plan)
	if err != nil {
		return err
	}
	if s.person != nil {
		s.person.Say("")
	}
	return s.write(ctx, stdout, draft)
}

// draft returns a draft that the plugin takes.
func (s *session) draft(ctx context.Context, plan *Plan) (*Draft, error) {
	if s.person != nil {
		return s.correctedDraft(ctx, plan)
	}
	draft, err := plan.Draft(ctx, s.ConfigFile)
	if err != nil || !draft.IsWhole || s.NoValidate {
		return draft, err
	}
	if err := s.try(ctx, draft); err != nil {
		draft.Discard()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("nothing was written, as this does not work (--no-validate writes the file nevertheless): %w", Objection(err))
	}
	return draft, nil
}

// correctedDraft has the person correct answers until the plugin takes the draft, or the person
// wants it as it is.
func (s *session) correctedDraft(ctx context.Context, plan *Plan) (*Draft, error) {
	for {
		draft, err := plan.Draft(ctx, s.ConfigFile)
		_, refused := errors.AsType[*RefusedError](err)
		switch {
		case err != nil && !refused:
			return nil, err
		case err == nil && (!draft.IsWhole || s.NoValidate):
			return draft, nil
		case err == nil:
			s.person.Say(fmt.Sprintf("\nTrying it with its credentials, for %s at most …", s.Timeout))
			if err = s.try(ctx, draft); err == nil {
				s.person.Say("It works.")
				return draft, nil
			}
		}
		if ctx.Err() == nil {
			var keep bool
			if keep, err = plan.AskAbout(s.person, err, !refused); err == nil && keep {
				return draft, nil
			}
		}
		if !refused {
			draft.Discard()
		}
		if err := cmp.Or(ctx.Err(), err); err != nil {
			return nil, err
		}
	}
}

// try starts the draft's plugin, configures it and has it validate its credentials. The
// credentials of a new upload are tried at C1.
func (s *session) try(ctx context.Context, draft *Draft) error {
	forget, err := s.lockDraft(ctx, draft)
	if err != nil {
		return err
	}
	defer forget()
	selection, secrets := host.Selection{ConfigFile: draft.Path, Plugin: draft.Instance}, host.PluginSecrets
	if draft.Upload != "" {
		selection, secrets = host.Selection{ConfigFile: draft.Path, Upload: draft.Upload}, host.AllSecrets
	}
	h, err := host.Open(ctx, selection, s.hostOptions(secrets))
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	found, err := h.Check(ctx, host.CheckOptions{Timeout: s.Timeout})
	if found == nil {
		return err
	}
	var failed []error // What is wrong with stores, baselines and the webhook is for check.
	for _, one := range found {
		if one.Kind != host.CheckedStore && one.Kind != host.CheckedWebhook {
			failed = append(failed, one.Err)
		}
	}
	return errors.Join(failed...)
}

// readSet reads the values that were given.
func (s *session) readSet() error {
	s.Request.Fields = map[string]string{}
	for _, one := range s.Set {
		name, value, ok := strings.Cut(one, "=")
		if !ok || name == "" {
			return errors.New("--set takes a field and its value, such as --set scim-base-url=https://app.example.com/scim/v2")
		}
		if _, twice := s.Request.Fields[name]; twice {
			return fmt.Errorf("--set gives %s twice", name)
		}
		s.Request.Fields[name] = value
	}
	return nil
}

// plan returns what to write. Without a dialogue it is what the flags have.
func (s *session) plan(ctx context.Context) (*Plan, error) {
	finder := supervise.NewFinder(s.Host.PluginDirs)
	if s.Request.App == "" {
		if s.person == nil {
			return nil, fmt.Errorf("name the app: baton-host %s APP --no-input (baton-host plugins shows which there are)", s.name())
		}
		var apps []string
		for _, found := range finder.List() {
			if !found.Shadowed {
				apps = append(apps, found.App)
			}
		}
		app, err := AskApp(s.person, apps)
		if err != nil {
			return nil, err
		}
		s.Request.App = app
	}
	described, err := s.describe(ctx)
	if err != nil {
		return nil, err
	}
	s.Request.Manifest = described.Manifest
	if s.installed == nil {
		if s.Request.PluginDir, err = s.pluginDir(described.Binary); err != nil {
			return nil, err
		}
	}
	if s.person == nil {
		return Given(s.Request)
	}
	return Ask(s.person, s.Request)
}

// pluginDir returns where the plugin is, if the host finds it there only because of
// --plugin-dir: as it was given there, since a relative path stays one.
func (s *session) pluginDir(path string) (string, error) {
	if found, err := supervise.NewFinder(nil).Find(s.Request.App); err == nil && sameFile(found, path) {
		return "", nil
	}
	dir := filepath.Dir(path)
	for _, given := range s.Host.PluginDirs {
		if sameFile(given, dir) {
			dir = given
			break
		}
	}
	return FromConfiguration(s.Request.Dir, dir)
}

func sameFile(one, other string) bool {
	first, err := os.Stat(one)
	if err != nil {
		return false
	}
	second, err := os.Stat(other)
	return err == nil && os.SameFile(first, second)
}

// write has the draft take its place, and says what comes next.
func (s *session) write(ctx context.Context, stdout io.Writer, draft *Draft) error {
	written, err := draft.Place(ctx)
	if err != nil {
		return err
	}
	if err := s.lock(ctx, written.Instance); err != nil {
		return err
	}
	var text strings.Builder
	done := "is written"
	if s.Add {
		done = "has one more app"
	}
	fmt.Fprintf(&text, "%s %s: the plugin %s in the upload %s.\n", s.ConfigFile, done, written.Instance, written.Upload)
	if s.installed != nil {
		fmt.Fprintf(&text, "Its connector is installed, and locked in %s; keep that in version control too.\n", pin.PathFor(s.ConfigFile))
	}
	if len(written.Secrets) > 0 {
		fmt.Fprintf(&text, "What is secret is in %s; keep it out of version control.\n", strings.Join(written.Secrets, ", "))
	}
	if !draft.IsWhole {
		text.WriteString("The plugin was not tried, as not all that it refers to is there.\n")
	}
	text.WriteString("\n")
	if len(written.Unset) > 0 {
		fmt.Fprintf(&text, "Set %s. ", strings.Join(written.Unset, ", "))
	}
	if len(written.Absent) > 0 {
		fmt.Fprintf(&text, "Write %s. ", strings.Join(written.Absent, ", "))
	}
	if len(written.Unset)+len(written.Absent) > 0 {
		text.WriteString("Then:\n\n")
	}
	running := s.running(ctx)
	for _, command := range s.next(ctx) {
		fmt.Fprintf(&text, "  baton-host %s%s\n", command, s.where())
	}
	switch {
	case running != nil && !s.Reload:
		where := s.where()
		if s.StateDir != "" {
			where += " --state-dir " + s.StateDir
		}
		fmt.Fprintf(&text, "  baton-host reload%s\n\nA host (%s) runs on the state directory of this configuration, without the app until the reload.\n", where, running.Host.ID)
	case s.Add && !s.Reload:
		text.WriteString("\nA host that runs takes it in with baton-host reload.\n")
	}
	if _, err := io.WriteString(stdout, errtext.Printable(text.String(), "\n")); err != nil {
		return fmt.Errorf("%s is written, but that could not be reported on standard output: %w", s.ConfigFile, err)
	}
	if s.Reload {
		return s.reloadRunning(ctx, stdout, written.Instance)
	}
	return nil
}

// where is how the next commands find the configuration.
func (s *session) where() string {
	if s.ConfigFile == host.DefaultConfigFile {
		return ""
	}
	return " --config " + s.ConfigFile
}

// ofRunning opens a host with the state directory of the one that runs.
func (s *session) ofRunning(ctx context.Context) (*host.Host, error) {
	options := s.hostOptions(host.NoSecrets)
	options.StateDir = s.StateDir
	return host.Open(ctx, host.Selection{ConfigFile: s.ConfigFile}, options)
}

// running returns how the host is that runs on the configuration's state directory; nil if
// none does, or this user may not ask it.
func (s *session) running(ctx context.Context) *host.Status {
	if !s.Add {
		return nil
	}
	h, err := s.ofRunning(ctx)
	if err != nil {
		return nil
	}
	defer h.Close(ctx)
	is, err := h.Status(ctx, host.StatusOptions{})
	if err != nil {
		return nil
	}
	return is
}

// reloadRunning has the host that runs take the app in.
func (s *session) reloadRunning(ctx context.Context, stdout io.Writer, instance string) error {
	h, err := s.ofRunning(ctx)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	result, err := h.RequestReload(ctx)
	if err != nil {
		return fmt.Errorf("%s is written, but no host has reloaded it: %w", s.ConfigFile, err)
	}
	if !slices.ContainsFunc(result.Plugins, func(one host.ReloadedEntry) bool { return one.Name == instance }) {
		return fmt.Errorf("%s is written, but the host that runs on its state directory has no plugin %q after its reload: it was started with another configuration", s.ConfigFile, instance)
	}
	return show.Reloaded(stdout, terminal.Table, result)
}

// next are the commands that come next; lock, where there is a lock file.
func (s *session) next(ctx context.Context) []string {
	if !s.Add {
		return []string{"check", "sync", "run"}
	}
	var commands []string
	if _, err := os.Stat(pin.PathFor(s.ConfigFile)); err == nil && !s.isLocked(ctx) {
		commands = append(commands, "lock")
	}
	return append(commands, "check")
}
