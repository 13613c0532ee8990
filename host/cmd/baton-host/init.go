package main

import (
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
	"github.com/batonhost/baton-host/host/internal/supervise"
)

// initOptions are the flags of `baton-host init`.
type initOptions struct {
	root    *rootOptions
	request wizard.Request

	configFile string
	set        []string
	noInput    bool
}

func newInitCommand(root *rootOptions) *cobra.Command {
	options := &initOptions{root: root}
	cmd := &cobra.Command{
		Use:   "init [APP]",
		Short: "Ask for an app and its fields and write the configuration file",
		Long: `Ask for an app and the fields that its plugin takes, and write the configuration
file. Each answer is checked at once. A secret is not written into it but referred
to: as an environment variable, as a file, or, if it is typed, as a separate file
below secrets/, which only its owner can read. What is there already is never written
over.

On a terminal it then offers to try the configuration (baton-host check).

With --no-input nothing is asked: APP and the fields that it needs are given with
--set, as BATON_* variables have them; secrets as references only.`,
		Example: `  baton-host init
  baton-host init fullstory --config fullstory.yaml
  baton-host init fullstory --no-input --set scim-base-url=https://app.fullstory.com/scim/v2 --set 'scim-token=${env:FULLSTORY_SCIM_TOKEN}'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: perArgument(root.apps),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				options.request.App = args[0]
			}
			return options.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.configFile, "config", "c", host.DefaultConfigFile, "the configuration file to write")
	flags.StringVar(&options.request.Instance, "name", "", "the plugin's name in the configuration, which is permanent (default the app's)")
	flags.StringVar(&options.request.Upload, "upload", "", "the name of the upload (default workforce)")
	flags.StringArrayVar(&options.set, "set", nil, "field=value; may be repeated")
	flags.StringVar(&options.request.ClientID, "client-id", "", "the upload's client id at C1, or a reference to it")
	flags.StringVar(&options.request.ClientSecret, "client-secret", "", "a reference to the upload's client secret")
	flags.BoolVar(&options.noInput, "no-input", false, "ask nothing")
	return cmd
}

func (o *initOptions) run(ctx context.Context, stdout io.Writer) error {
	if err := wizard.CheckPlace(o.configFile); err != nil {
		return err
	}
	if err := o.readSet(); err != nil {
		return err
	}
	o.request.Dir, o.request.Lookup = filepath.Dir(o.configFile), os.LookupEnv
	if !o.noInput && !atTerminal() {
		return errors.New("baton-host init asks questions, and here is no terminal to ask them on; give --no-input with the app and its fields:\n" +
			"baton-host init APP --no-input --set field=value (baton-host inspect APP shows the fields)")
	}
	if o.noInput {
		plan, err := o.plan(ctx, nil)
		if err != nil {
			return err
		}
		_, err = o.write(ctx, stdout, plan)
		return err
	}
	dialogue := newDialogue(ctx)
	plan, err := o.plan(ctx, dialogue)
	if err != nil {
		return err
	}
	dialogue.Say("")
	written, err := o.write(ctx, stdout, plan)
	if err != nil || len(written.Unset) > 0 {
		return err
	}
	return o.offerCheck(ctx, stdout, dialogue)
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
			return nil, errors.New("name the app: baton-host init APP --no-input (baton-host plugins shows which there are)")
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
	h, err := host.Open(ctx, host.Selection{App: o.request.App}, o.root.hostOptions(ctx, host.NoSecrets))
	if err != nil {
		return nil, err
	}
	described, err := h.Describe(ctx)
	if err != nil {
		return nil, err
	}
	o.request.Manifest = described.Manifest
	if o.request.PluginDir, err = o.pluginDir(described.Binary); err != nil {
		return nil, err
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

func (o *initOptions) write(ctx context.Context, stdout io.Writer, plan *wizard.Plan) (*wizard.Written, error) {
	written, err := plan.Write(ctx, o.configFile)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s is written: the plugin %s in the upload %s.\n", o.configFile, written.Instance, written.Upload)
	if len(written.Secrets) > 0 {
		fmt.Fprintf(&text, "What is secret is in %s; keep it out of version control.\n", strings.Join(written.Secrets, ", "))
	}
	text.WriteString("\n")
	if len(written.Unset) > 0 {
		fmt.Fprintf(&text, "Set %s. Then:\n\n", strings.Join(written.Unset, ", "))
	}
	where := ""
	if o.configFile != host.DefaultConfigFile {
		where = " --config " + o.configFile
	}
	for _, command := range []string{"check", "sync", "run"} {
		fmt.Fprintf(&text, "  baton-host %s%s\n", command, where)
	}
	if _, err := io.WriteString(stdout, text.String()); err != nil {
		return nil, fmt.Errorf("%s is written, but that could not be reported on standard output: %w", o.configFile, err)
	}
	return written, nil
}

// offerCheck tries the configuration, if the person likes. That something is wrong
// with it is the person's to see, and no reason to take it away again.
func (o *initOptions) offerCheck(ctx context.Context, stdout io.Writer, dialogue *dialogue) error {
	dialogue.Say("")
	yes, err := wizard.AskYes(dialogue, "Try it now, with its credentials?")
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil || !yes {
		return err
	}
	check := &checkOptions{root: o.root, configFile: o.configFile, timeout: time.Minute, output: outputTable}
	return check.run(ctx, stdout)
}

// atTerminal reports whether there is a person to be asked.
func atTerminal() bool {
	return !slices.ContainsFunc([]*os.File{os.Stdin, os.Stderr}, func(file *os.File) bool { return !term.IsTerminal(int(file.Fd())) })
}
