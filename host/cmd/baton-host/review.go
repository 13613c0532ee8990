package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/batonhost/baton-host/host"
)

// keptOptions are the flags of commands about refused syncs, which name where the syncs
// were made as run and sync do.
type keptOptions struct {
	root       *rootOptions
	configFile string
	plugin     string
	stateDir   string
	outputDir  string
	file       string
}

// The usual places of sync.
const (
	usualOutputDir = "."
	usualFile      = "sync.c1z"
)

func (o *keptOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&o.configFile, "config", "c", host.DefaultConfigFile, "the configuration file")
	flags.StringVar(&o.plugin, "plugin", "", "the one app of run or sync without a configuration file")
	flags.StringVar(&o.stateDir, "state-dir", "", "the state directory of run (default that of run, then where sync writes)")
	flags.StringVarP(&o.outputDir, "output-dir", "d", usualOutputDir, "where sync writes its files")
	flags.StringVarP(&o.file, "file", "f", usualFile, "with --plugin: the sync file of sync")
	exclude(cmd, "plugin", "config", "output-dir")
	exclude(cmd, "file", "config", "state-dir", "output-dir")
	exclude(cmd, "state-dir", "output-dir")
}

// open opens the host whose syncs are meant, and returns where these may be.
func (o *keptOptions) open(ctx context.Context, flags *pflag.FlagSet) (*host.Host, []host.Kept, error) {
	options := o.root.hostOptions(ctx, host.NoSecrets)
	options.StateDir = o.stateDir
	selection, written := host.Selection{ConfigFile: o.configFile}, host.Kept{OutputDir: o.outputDir}
	if o.plugin != "" {
		selection, written = host.Selection{App: o.plugin}, host.Kept{File: o.file}
	}
	places := []host.Kept{{}, written}
	switch {
	case flags.Changed("state-dir"):
		places = places[:1]
	case flags.Changed("output-dir"), flags.Changed("file"):
		places = places[1:]
	}
	h, err := host.Open(ctx, selection, options)
	return h, places, err
}

func newReviewCommand(root *rootOptions) *cobra.Command {
	options := &keptOptions{root: root}
	var output string
	cmd := &cobra.Command{
		Use:   "review [UPLOAD]",
		Short: "Show what a sync that the change guard refused would have changed",
		Long: `Show why the last sync of an upload was refused by the change guard, and what it
would have changed in ConductorOne (C1): which accounts and other resources would
have been removed, disabled or added, which accounts would have lost their e-mail,
login or name (emptied), which entitlements would have been withdrawn, and who would
have lost which grant (ungranted). At the end is the command that approves it.

It reads files beside the baseline; the host need not run. They are looked for in the
state directory of run, then where sync writes, unless a flag says which. Without
UPLOAD it is the upload of which a sync was refused.

A csv value that a spreadsheet would take for a formula (it begins with = + - @)
gets an apostrophe in front; json is exact.`,
		Example: `  baton-host review
  baton-host review workforce --state-dir /var/lib/baton-host
  baton-host review workforce --output csv > refused.csv`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: perArgument(uploads),
		RunE: func(cmd *cobra.Command, args []string) error {
			upload := ""
			if len(args) == 1 {
				upload = args[0]
			}
			return options.review(cmd.Context(), cmd.OutOrStdout(), cmd.Flags(), output, upload)
		},
	}
	options.addFlags(cmd)
	addOutputFlag(cmd, &output, outputTable, outputJSON, outputCSV)
	return cmd
}

func (o *keptOptions) review(ctx context.Context, w io.Writer, flags *pflag.FlagSet, output, upload string) error {
	h, places, err := o.open(ctx, flags)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	found, at, err := h.FindReview(ctx, upload, "", places...)
	if err != nil {
		return err
	}
	out := newChangeStream(w, output)
	if err := found.Each(ctx, func(one host.Change) error { return out.change(found.Upload, one) }); err != nil {
		return err
	}
	command := h.Command("approve", at, found.Upload, found.ID)
	if output == outputJSON {
		return out.end(member{"review", found}, member{"approve_with", command})
	}
	out.counts(found.Upload, found.Counts)
	out.line("")
	for _, one := range found.Reasons {
		out.line("refused: %s", one.Reason)
	}
	out.line("%s of upload %s, refused at %s and kept until %s", found.ID, found.Upload, instant(found.RefusedAt), instant(found.Until))
	if found.Approval != nil {
		for _, one := range found.Approval.Plugins {
			out.line("approved: %s", approvedInWords(one))
		}
	}
	out.line("if all of this is right: %s", command)
	return out.end()
}

func instant(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// approvedInWords returns what is approved of a plugin.
func approvedInWords(one host.ApprovedPlugin) string {
	return fmt.Sprintf("%s of plugin %s until %s, as %s, by %s", amount(one.Changes, "change", "changes"), one.Plugin, instant(one.Until), one.ID, cmp.Or(one.By, "unknown"))
}

// changeStream writes changes, then their numbers and sentences. csv has changes only.
type changeStream struct {
	*stream
	after []string // lines below the table
}

func newChangeStream(w io.Writer, output string) *changeStream {
	out := newStream(w, output, "upload", "change", "plugin", "resource_type", "id", "login", "display_name", "email", "attribute",
		"entitlement", "on_resource_type", "on_id", "on_display_name")
	out.heads, out.member, out.compact = []string{"CHANGE", "PLUGIN", "TYPE", "ID", "LOGIN", "NAME", "WHAT"}, "changes", true
	return &changeStream{stream: out}
}

// changed is a change of an upload, for json.
type changed struct {
	Upload string `json:"upload"`
	host.Change
}

func (s *changeStream) change(upload string, one host.Change) error {
	s.value(changed{upload, one})
	s.row(one.Kind, one.Plugin, one.ResourceType, one.ID, one.Login, one.Name, changeInWords(one))
	s.record(upload, one.Kind, one.Plugin, one.ResourceType, one.ID, one.Login, one.Name, one.Email, one.Attribute,
		one.Entitlement, one.OnType, one.OnID, one.OnName)
	return s.err
}

// changeInWords returns what a row of a table says beside whom it is about.
func changeInWords(one host.Change) string {
	switch {
	case one.Attribute != "":
		return "lost its " + one.Attribute
	case one.OnID != "":
		return fmt.Sprintf("%s of %s", one.Entitlement, cmp.Or(one.OnName, one.OnID))
	}
	return one.Entitlement
}

// counts adds the numbers by plugin and resource type.
func (s *changeStream) counts(upload string, counts []host.ChangeCount) {
	for _, one := range counts {
		s.line("%s: %s: %s: %d removed, %d disabled, %d emptied, %d withdrawn, %d ungranted, %d added", upload,
			one.Plugin, one.ResourceType, one.Removed, one.Disabled, one.Emptied, one.Withdrawn, one.Ungranted, one.Added)
	}
}

// line adds a line below the table.
func (s *changeStream) line(format string, args ...any) {
	s.after = append(s.after, printable(fmt.Sprintf(format, args...)))
}

func (s *changeStream) end(members ...member) error {
	if s.form != outputTable {
		return s.finish(s.stream.end(members...))
	}
	if len(s.rows) > 0 {
		_ = s.stream.end() // It remembers its error.
		s.print("\n")
	}
	for _, line := range s.after {
		s.print(line + "\n")
	}
	return s.finish(s.err)
}

func (s *changeStream) finish(err error) error {
	if err != nil {
		return fmt.Errorf("the changes could not be written to standard output: %w", err)
	}
	return nil
}
