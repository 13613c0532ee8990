package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/config/wizard"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// initOptions are the flags of `baton-host init` and `baton-host add`.
type initOptions struct {
	root *rootOptions
	wizard.Options
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
	options := &initOptions{root: root, Options: wizard.Options{Add: true}}
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
	cmd.Flags().BoolVar(&options.Reload, "reload", false, "have the host that runs reload its configuration afterwards")
	cmd.Flags().StringVar(&options.StateDir, "state-dir", "", "the state directory of run, to find the host that runs (default that of run)")
	options.complete(cmd, "the configuration file to add to", "the upload that it is to be in (default the only one)", "the client id of a new upload at C1, or a reference to it", "a reference to the client secret of a new upload")
	return cmd
}

// complete gives the command its argument, its flags and what it does; the texts are what
// some flags are about.
func (o *initOptions) complete(cmd *cobra.Command, config, upload, clientID, clientSecret string) {
	cmd.Args, cmd.ValidArgsFunction = cobra.MaximumNArgs(1), perArgument(o.root.apps)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			o.Request.App = args[0]
		}
		return o.run(cmd.Context(), cmd.OutOrStdout())
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.ConfigFile, "config", "c", host.DefaultConfigFile, config)
	flags.StringVar(&o.Request.Instance, "name", "", "the plugin's name in the configuration, which is permanent (default the app's)")
	flags.StringVar(&o.Request.Upload, "upload", "", upload)
	flags.StringVar(&o.Request.Version, "version", "", "install this release of the connector, such as v0.2.41")
	flags.StringVar(&o.Request.Image, "image", "", "install the connector from this image, such as public.ecr.aws/conductorone/baton-github:v0.2.41")
	flags.StringArrayVar(&o.Set, "set", nil, "field=value; may be repeated")
	flags.StringVar(&o.Request.ClientID, "client-id", "", clientID)
	flags.StringVar(&o.Request.ClientSecret, "client-secret", "", clientSecret)
	flags.BoolVar(&o.NoInput, "no-input", false, "ask nothing")
	flags.BoolVar(&o.NoValidate, "no-validate", false, "write the file without having the plugin validate it")
	flags.DurationVar(&o.Timeout, "timeout", time.Minute, "how long the app may take to answer")
	exclude(cmd, "no-validate", "timeout")
	exclude(cmd, "version", "image")
}

func (o *initOptions) run(ctx context.Context, stdout io.Writer) error {
	if o.Timeout <= 0 {
		return fmt.Errorf("--timeout must be more than 0, such as 30s, not %s", o.Timeout)
	}
	o.Host = o.root.hostOptions(ctx, host.NoSecrets)
	var person wizard.Dialogue
	if terminal.HasPerson() {
		person = terminal.NewDialogue(ctx)
	}
	return wizard.Run(ctx, stdout, person, o.Options)
}
