package main

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

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/config/wizard"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/supervise"
)

// initOptions are the flags of `baton-host init`.
type initOptions struct {
	root    *rootOptions
	request wizard.Request

	configFile string
	set        []string
	noInput    bool
	noValidate bool
	timeout    time.Duration
	add        bool // to a file that is there
	reload     bool
	stateDir   string // of a host that runs
	// installed is what the lock file is to have of the connector; nil: none was installed.
	installed *pin.Entry
}

func newInitCommand(root *rootOptions) *cobra.Command {
	options := &initOptions{root: root}
	cmd := &cobra.Command{
		Use:   "init [APP]",
		Short: "Ask for an app and its fields and write the configuration file",
		Long: `Ask for an app and the fields that its plugin takes, and write the configuration
file. Each answer is checked at once by the rules of its field. A secret is not written
into it but referred to: as an environment variable, as a file, or, if it is typed, as
a separate file below secrets/, which only its owner can read. What is there already is
never written over.

Before the file is written the plugin is started, configured and has to validate its
credentials on its app, as baton-host check does it. If that fails, an answer can be
corrected. It is left out while a variable or file is not there that a field refers to.

A connector that is not on this machine is installed first, if you name a release or an
image, as baton-host install does it: it is verified, and locked.

With --no-input nothing is asked: APP and the fields that it needs are given with
--set, as BATON_* variables have them; secrets as references only. If the plugin or its
app does not take them, nothing is written and the exit status is 1; --no-validate
writes the file without trying it.`,
		Example: `  baton-host init
  baton-host init fullstory --config fullstory.yaml
  baton-host init github --version v0.2.41
  baton-host init fullstory --no-input --set scim-base-url=https://app.fullstory.com/scim/v2 --set 'scim-token=${env:FULLSTORY_SCIM_TOKEN}'`,
	}
	options.complete(cmd, "the configuration file to write", "the name of the upload (default workforce)", "the upload's client id at C1, or a reference to it", "a reference to the upload's client secret")
	return cmd
}

func newAddCommand(root *rootOptions) *cobra.Command {
	options := &initOptions{root: root, add: true}
	cmd := &cobra.Command{
		Use:   "add [APP]",
		Short: "Ask for another app and add it to the configuration file",
		Long: `Ask for an app and the fields that its plugin takes, as init does, and add it to a
configuration file that is there, and to an upload in it. What the file has stays as
it is, byte for byte: order, comments and form. Its mode and owner stay too. A secret
is referred to, and kept in a separate file if it is typed. Before the file is replaced,
it is read as a whole, and the new plugin has to validate its credentials on its app, as
with init.

The upload is the only one that there is, or the one that --upload names; a name that is
not there yet makes a new one.

A host that runs goes on without the app until it reloads its configuration: by
baton-host reload, or by this command with --reload.`,
		Example: `  baton-host add design-tool
  baton-host add scim --name intranet --upload workforce --no-input --set scim-base-url=https://intranet.example.com/scim/v2 --set 'scim-token=${env:INTRANET_TOKEN}'`,
	}
	cmd.Flags().BoolVar(&options.reload, "reload", false, "have the host that runs reload its configuration afterwards")
	cmd.Flags().StringVar(&options.stateDir, "state-dir", "", "the state directory of run, to find the host that runs (default that of run)")
	options.complete(cmd, "the configuration file to add to", "the upload that it is to be in (default the only one)", "the client id of a new upload at C1, or a reference to it", "a reference to the client secret of a new upload")
	return cmd
}

// complete gives the command its argument, its flags and what it does; the texts are what
// some flags are about.
func (o *initOptions) complete(cmd *cobra.Command, config, upload, clientID, clientSecret string) {
	cmd.Args, cmd.ValidArgsFunction = cobra.MaximumNArgs(1), perArgument(o.root.apps)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			o.request.App = args[0]
		}
		return o.run(cmd.Context(), cmd.OutOrStdout())
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.configFile, "config", "c", host.DefaultConfigFile, config)
	flags.StringVar(&o.request.Instance, "name", "", "the plugin's name in the configuration, which is permanent (default the app's)")
	flags.StringVar(&o.request.Upload, "upload", "", upload)
	flags.StringVar(&o.request.Version, "version", "", "install this release of the connector, such as v0.2.41")
	flags.StringVar(&o.request.Image, "image", "", "install the connector from this image, such as public.ecr.aws/conductorone/baton-github:v0.2.41")
	flags.StringArrayVar(&o.set, "set", nil, "field=value; may be repeated")
	flags.StringVar(&o.request.ClientID, "client-id", "", clientID)
	flags.StringVar(&o.request.ClientSecret, "client-secret", "", clientSecret)
	flags.BoolVar(&o.noInput, "no-input", false, "ask nothing")
	flags.BoolVar(&o.noValidate, "no-validate", false, "write the file without having the plugin validate it")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "how long the app may take to answer")
	exclude(cmd, "no-validate", "timeout")
	exclude(cmd, "version", "image")
}

// name is that of the command.
func (o *initOptions) name() string {
	if o.add {
		return "add"
	}
	return "init"
}

// place finds out whether the file can be written.
func (o *initOptions) place(ctx context.Context) (err error) {
	if o.add {
		o.request.Existing, err = wizard.OpenExisting(ctx, o.configFile)
		return err
	}
	return wizard.CheckPlace(o.configFile)
}

func (o *initOptions) run(ctx context.Context, stdout io.Writer) error {
	if o.timeout <= 0 {
		return fmt.Errorf("--timeout must be more than 0, such as 30s, not %s", o.timeout)
	}
	if err := o.place(ctx); err != nil {
		return err
	}
	if err := o.readSet(); err != nil {
		return err
	}
	o.request.Dir, o.request.Lookup = filepath.Dir(o.configFile), os.LookupEnv
	if !o.noInput && !atTerminal() {
		return fmt.Errorf("baton-host %[1]s asks questions, and here is no terminal to ask them on; give --no-input with the app and its fields:\n"+
			"baton-host %[1]s APP --no-input --set field=value (baton-host inspect APP shows the fields)", o.name())
	}
	if o.noInput {
		plan, err := o.plan(ctx, nil)
		if err != nil {
			return err
		}
		draft, err := o.draft(ctx, plan)
		if err != nil {
			return err
		}
		return o.write(ctx, stdout, draft)
	}
	dialogue := newDialogue(ctx)
	plan, err := o.plan(ctx, dialogue)
	if err != nil {
		return err
	}
	draft, err := o.draftWith(ctx, plan, dialogue)
	if err != nil {
		return err
	}
	dialogue.Say("")
	return o.write(ctx, stdout, draft)
}

// draft returns a draft that the plugin takes.
func (o *initOptions) draft(ctx context.Context, plan *wizard.Plan) (*wizard.Draft, error) {
	draft, err := plan.Draft(ctx, o.configFile)
	if err != nil || !draft.IsWhole || o.noValidate {
		return draft, err
	}
	if err := o.try(ctx, draft); err != nil {
		draft.Discard()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("nothing was written, as this does not work (--no-validate writes the file nevertheless): %w", wizard.Objection(err))
	}
	return draft, nil
}

// draftWith has the person correct answers until the plugin takes the draft, or the person
// wants it as it is.
func (o *initOptions) draftWith(ctx context.Context, plan *wizard.Plan, dialogue *dialogue) (*wizard.Draft, error) {
	for {
		draft, err := plan.Draft(ctx, o.configFile)
		_, refused := errors.AsType[*wizard.RefusedError](err)
		switch {
		case err != nil && !refused:
			return nil, err
		case err == nil && (!draft.IsWhole || o.noValidate):
			return draft, nil
		case err == nil:
			dialogue.Say(fmt.Sprintf("\nTrying it with its credentials, for %s at most …", o.timeout))
			if err = o.try(ctx, draft); err == nil {
				dialogue.Say("It works.")
				return draft, nil
			}
		}
		if ctx.Err() == nil {
			var keep bool
			if keep, err = plan.AskAbout(dialogue, err, !refused); err == nil && keep {
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
func (o *initOptions) try(ctx context.Context, draft *wizard.Draft) error {
	forget, err := o.lockDraft(ctx, draft)
	if err != nil {
		return err
	}
	defer forget()
	selection, secrets := host.Selection{ConfigFile: draft.Path, Plugin: draft.Instance}, host.PluginSecrets
	if draft.Upload != "" {
		selection, secrets = host.Selection{ConfigFile: draft.Path, Upload: draft.Upload}, host.AllSecrets
	}
	h, err := host.Open(ctx, selection, o.root.hostOptions(ctx, secrets))
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	found, err := h.Check(ctx, host.CheckOptions{Timeout: o.timeout})
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
func (o *initOptions) readSet() error {
	o.request.Fields = map[string]string{}
	for _, one := range o.set {
		name, value, ok := strings.Cut(one, "=")
		if !ok || name == "" {
			return errors.New("--set takes a field and its value, such as --set scim-base-url=https://app.example.com/scim/v2")
		}
		if _, twice := o.request.Fields[name]; twice {
			return fmt.Errorf("--set gives %s twice", name)
		}
		o.request.Fields[name] = value
	}
	return nil
}

// plan returns what to write. Without a dialogue it is what the flags have.
func (o *initOptions) plan(ctx context.Context, dialogue *dialogue) (*wizard.Plan, error) {
	finder := supervise.NewFinder(o.root.pluginDirs)
	if o.request.App == "" {
		if dialogue == nil {
			return nil, fmt.Errorf("name the app: baton-host %s APP --no-input (baton-host plugins shows which there are)", o.name())
		}
		var apps []string
		for _, found := range finder.List() {
			if !found.Shadowed {
				apps = append(apps, found.App)
			}
		}
		app, err := wizard.AskApp(dialogue, apps)
		if err != nil {
			return nil, err
		}
		o.request.App = app
	}
	described, err := o.describe(ctx, dialogue)
	if err != nil {
		return nil, err
	}
	o.request.Manifest = described.Manifest
	if o.installed == nil {
		if o.request.PluginDir, err = o.pluginDir(described.Binary); err != nil {
			return nil, err
		}
	}
	if dialogue == nil {
		return wizard.Given(o.request)
	}
	return wizard.Ask(dialogue, o.request)
}

// pluginDir returns where the plugin is, if the host finds it there only because of
// --plugin-dir: as it was given there, since a relative path stays one.
func (o *initOptions) pluginDir(path string) (string, error) {
	if found, err := supervise.NewFinder(nil).Find(o.request.App); err == nil && sameFile(found, path) {
		return "", nil
	}
	dir := filepath.Dir(path)
	for _, given := range o.root.pluginDirs {
		if sameFile(given, dir) {
			dir = given
			break
		}
	}
	return wizard.FromConfiguration(o.request.Dir, dir)
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
func (o *initOptions) write(ctx context.Context, stdout io.Writer, draft *wizard.Draft) error {
	written, err := draft.Place(ctx)
	if err != nil {
		return err
	}
	if err := o.lock(ctx, written.Instance); err != nil {
		return err
	}
	var text strings.Builder
	done := "is written"
	if o.add {
		done = "has one more app"
	}
	fmt.Fprintf(&text, "%s %s: the plugin %s in the upload %s.\n", o.configFile, done, written.Instance, written.Upload)
	if o.installed != nil {
		fmt.Fprintf(&text, "Its connector is installed, and locked in %s; keep that in version control too.\n", pin.PathFor(o.configFile))
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
	running := o.running(ctx)
	for _, command := range o.next(ctx) {
		fmt.Fprintf(&text, "  baton-host %s%s\n", command, o.where())
	}
	switch {
	case running != nil && !o.reload:
		where := o.where()
		if o.stateDir != "" {
			where += " --state-dir " + o.stateDir
		}
		fmt.Fprintf(&text, "  baton-host reload%s\n\nA host (%s) runs on the state directory of this configuration, without the app until the reload.\n", where, running.Host.ID)
	case o.add && !o.reload:
		text.WriteString("\nA host that runs takes it in with baton-host reload.\n")
	}
	if _, err := io.WriteString(stdout, errtext.Printable(text.String(), "\n")); err != nil {
		return fmt.Errorf("%s is written, but that could not be reported on standard output: %w", o.configFile, err)
	}
	if o.reload {
		return o.reloadRunning(ctx, stdout, written.Instance)
	}
	return nil
}

// where is how the next commands find the configuration.
func (o *initOptions) where() string {
	if o.configFile == host.DefaultConfigFile {
		return ""
	}
	return " --config " + o.configFile
}

// ofRunning opens a host with the state directory of the one that runs.
func (o *initOptions) ofRunning(ctx context.Context) (*host.Host, error) {
	options := o.root.hostOptions(ctx, host.NoSecrets)
	options.StateDir = o.stateDir
	return host.Open(ctx, host.Selection{ConfigFile: o.configFile}, options)
}

// running returns how the host is that runs on the configuration's state directory; nil if
// none does, or this user may not ask it.
func (o *initOptions) running(ctx context.Context) *host.Status {
	if !o.add {
		return nil
	}
	h, err := o.ofRunning(ctx)
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
func (o *initOptions) reloadRunning(ctx context.Context, stdout io.Writer, instance string) error {
	h, err := o.ofRunning(ctx)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	result, err := h.RequestReload(ctx)
	if err != nil {
		return fmt.Errorf("%s is written, but no host has reloaded it: %w", o.configFile, err)
	}
	if !slices.ContainsFunc(result.Plugins, func(one host.ReloadedEntry) bool { return one.Name == instance }) {
		return fmt.Errorf("%s is written, but the host that runs on its state directory has no plugin %q after its reload: it was started with another configuration", o.configFile, instance)
	}
	return printReloaded(stdout, outputTable, result)
}

// next are the commands that come next; lock, where there is a lock file.
func (o *initOptions) next(ctx context.Context) []string {
	if !o.add {
		return []string{"check", "sync", "run"}
	}
	var commands []string
	if _, err := os.Stat(pin.PathFor(o.configFile)); err == nil && !o.isLocked(ctx) {
		commands = append(commands, "lock")
	}
	return append(commands, "check")
}

// atTerminal reports whether there is a person to be asked.
func atTerminal() bool {
	return !slices.ContainsFunc([]*os.File{os.Stdin, os.Stderr}, func(file *os.File) bool { return !term.IsTerminal(int(file.Fd())) })
}
