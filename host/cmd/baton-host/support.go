package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// supportOptions are the flags of `baton-host support`.
type supportOptions struct {
	running runningOptions
	file    string
	yes     bool
}

func newSupportCommand(root *rootOptions) *cobra.Command {
	options := &supportOptions{running: runningOptions{root: root}}
	cmd := &cobra.Command{
		Use:   "support",
		Short: "Write one file for a bug report, without secrets and names",
		Long: `Write one file for a bug report: versions, the outline of the configuration, states,
metrics and the last errors. It is shown first, and written if you agree.

Plugins and uploads have aliases in it (plugin-1, upload-1). Of errors it has the words
of the host alone; secrets, addresses, paths, accounts and values of the configuration are
not in it. A connector is named if it is published, such as baton-fullstory.

A host that runs on the state directory is asked for its states and metrics, so run this
as the host's user. Without one, it has what the state directory has. A configuration that
does not load is no obstacle. It resolves no reference and starts no plugin.`,
		Example: `  baton-host support
  baton-host support --state-dir /var/lib/baton-host --file report.txt --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return options.support(cmd.Context(), cmd.OutOrStdout())
		},
	}
	options.running.addFlags(cmd)
	flags := cmd.Flags()
	flags.Lookup("state-dir").Usage = "the state directory of run (default that of run)" // The file is read nevertheless.
	flags.StringVarP(&options.file, "file", "f", "", "the file to write (default baton-host-support-DATE.txt)")
	flags.BoolVar(&options.yes, "yes", false, "write the file without a question, for scripts")
	return cmd
}

func (o *supportOptions) support(ctx context.Context, w io.Writer) error {
	options := o.running.root.hostOptions(ctx, host.NoSecrets)
	options.StateDir = o.running.stateDir
	selection := host.Selection{ConfigFile: o.running.configFile}
	if o.running.plugin != "" {
		selection = host.Selection{App: o.running.plugin}
	}
	text, err := host.Support(ctx, selection, options)
	if err != nil {
		return err
	}
	path := o.file
	if path == "" {
		path = "baton-host-support-" + time.Now().UTC().Format("20060102-150405") + ".txt"
	}
	person := terminal.NewDialogue(ctx)
	person.Say(text)
	if !o.yes {
		if !terminal.HasPerson() {
			return errors.New("the file was not written, as there is no terminal to ask on: read what is shown above, and write it with --yes")
		}
		answer, err := person.Ask("Write this to " + path + "? [y/N]: ")
		if err != nil {
			return err
		}
		if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
			person.Say("The file was not written.")
			return nil
		}
	}
	if err := writeSupport(path, text); err != nil {
		return fmt.Errorf("the file %s cannot be written: %w; name another with --file", path, err)
	}
	_, err = fmt.Fprintln(w, path)
	return err
}

// writeSupport writes a file that is not there yet, for its owner alone.
func writeSupport(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, text)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
