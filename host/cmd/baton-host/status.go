package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/batonhost/baton-host/host"
)

// runningOptions are the flags of commands about a host that runs, which find its state
// directory as run does.
type runningOptions struct {
	root       *rootOptions
	configFile string
	plugin     string
	stateDir   string
}

func (o *runningOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&o.configFile, "config", "c", host.DefaultConfigFile, "the configuration file")
	flags.StringVar(&o.plugin, "plugin", "", "the one app of run without a configuration file")
	flags.StringVar(&o.stateDir, "state-dir", "", "the state directory of run; the configuration file is then not read, unless it is named (default that of run)")
	exclude(cmd, "plugin", "config")
}

// open opens a host with the state directory of the one that runs.
func (o *runningOptions) open(ctx context.Context, flags *pflag.FlagSet) (*host.Host, error) {
	options := o.root.hostOptions(ctx, host.NoSecrets)
	options.StateDir = o.stateDir
	selection := host.Selection{ConfigFile: o.configFile}
	switch {
	case o.plugin != "":
		selection = host.Selection{App: o.plugin}
	case o.stateDir != "" && !flags.Changed("config"):
		selection = host.Selection{} // A file that is wrong at the moment is no obstacle.
	}
	return host.Open(ctx, selection, options)
}

// outcomeError is an exit status of its own. Without an error nothing is written about it.
type outcomeError struct {
	status int
	err    error
}

func (e *outcomeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *outcomeError) Unwrap() error { return e.err }

// The exit statuses of status beside 0 and 1.
const (
	isDegraded = 2
	isBad      = 3
	isAway     = 4
)

func newStatusCommand(root *rootOptions) *cobra.Command {
	options := &runningOptions{root: root}
	var output string
	cmd := &cobra.Command{
		Use:   "status [UPLOAD]",
		Short: "Show how the host that runs is: uploads, plugins, credentials, errors",
		Long: `Show how the host is that runs on the state directory, as its status page does:
the state of each upload and of each plugin's part of it, the processes of the
plugins, credentials that are known to expire or were not renewed, and the last
errors. With UPLOAD it is about that upload and its plugins.

It asks the host over its control socket, so it must be run as the host's user. The
page need not be served (--listen).

The exit status is
  0 if everything is fresh, or waits for its first sync,
  1 if the command has failed,
  2 if something is incomplete or stale, C1 does not answer, a plugin is being
    started again, or a credential has expired or was not renewed,
  3 if an upload has failed or is stopped, or a plugin has failed, refuses its
    configuration or is stopped,
  4 if no host runs on the state directory.
With 1 and 4 nothing is written to standard output.

json is all that the page and its history have, in the form of docs/status.md; csv has
one record for each plugin of each upload.`,
		Example: `  baton-host status
  baton-host status workforce --state-dir /var/lib/baton-host
  baton-host status --output json | jq '.uploads[].state'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: perArgument(uploads),
		RunE: func(cmd *cobra.Command, args []string) error {
			asked := host.StatusOptions{History: output == outputJSON}
			if len(args) == 1 {
				asked.Upload = args[0]
			}
			return options.status(cmd.Context(), cmd.OutOrStdout(), cmd.Flags(), asked, output)
		},
	}
	options.addFlags(cmd)
	addOutputFlag(cmd, &output, outputTable, outputJSON, outputCSV)
	return cmd
}

func (o *runningOptions) status(ctx context.Context, w io.Writer, flags *pflag.FlagSet, asked host.StatusOptions, output string) error {
	h, err := o.open(ctx, flags)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	is, err := h.Status(ctx, asked)
	if errors.Is(err, host.ErrNoHost) {
		return &outcomeError{isAway, err}
	}
	if err != nil {
		return err
	}
	switch output {
	case outputJSON:
		err = writeJSON(w, is)
	case outputCSV:
		err = writeStatusRecords(w, is)
	default:
		err = writeStatus(w, is)
	}
	if err != nil {
		return fmt.Errorf("the status could not be written to standard output: %w", err)
	}
	switch is.Outlook() {
	case host.Degraded:
		return &outcomeError{status: isDegraded}
	case host.Bad:
		return &outcomeError{status: isBad}
	}
	return nil
}

// ago returns a moment as a table has it; "-" for none.
func ago(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return instant(at)
}

// writeStatus writes a status for a person.
func writeStatus(w io.Writer, is *host.Status) error {
	out := sections{w: w}
	stopping := ""
	if is.Host.Stopping {
		stopping = "; it is stopping"
	}
	out.line("baton-host %s as %s, started at %s%s", is.Host.Version, is.Host.ID, instant(is.Host.StartedAt), stopping)

	var rows [][]string
	for _, u := range is.Uploads {
		rows = append(rows, uploadRow(u))
		for _, part := range u.Parts {
			accounts := "-"
			if !part.AsOf.IsZero() {
				accounts = strconv.Itoa(part.Accounts)
			}
			why := part.Why
			if part.EvidenceReason != "" {
				why = strings.TrimPrefix(why+"; nothing proves that its lists are complete: "+part.EvidenceReason, "; ")
			}
			rows = append(rows, []string{"", part.Plugin, string(part.State), accounts, ago(part.AsOf), cmp.Or(string(part.Evidence), "-"), why})
		}
	}
	out.table([]string{"UPLOAD", "PLUGIN", "STATE", "ACCOUNTS", "LAST READ", "EVIDENCE", "WHY"}, rows)

	rows = nil
	for _, p := range is.Plugins {
		rows = append(rows, []string{p.Name, p.State, ago(p.Since), strconv.Itoa(p.Restarts), cmp.Or(strings.TrimSpace(p.Connector+" "+p.Version), "-"), cmp.Or(p.Sandbox, "-"), p.Why})
	}
	out.table([]string{"PROCESS OF", "STATE", "SINCE", "RESTARTS", "VERSION", "SANDBOX", "WHY"}, rows)
	if exposure := is.Exposure(); exposure != "" {
		out.line("%s", exposure)
	}
	out.table([]string{"CREDENTIAL", "OF", "EXPIRES", "STATE", "PROBLEM"}, credentialRows(is))

	rows = nil
	for _, e := range is.Errors {
		rows = append(rows, []string{instant(e.At), strconv.Itoa(e.Times), cmp.Or(e.Upload, "-"), cmp.Or(e.Plugin, "-"), e.What, e.Why})
	}
	out.table([]string{"ERROR AT", "TIMES", "UPLOAD", "PLUGIN", "WHAT", "WHY"}, rows)

	rows = nil
	for _, u := range is.Uploads {
		for _, p := range u.Syncing {
			doing := "it reads the apps"
			if p.Sending {
				doing = "it is sent to C1"
			}
			rows = append(rows, []string{u.Name, p.Task, instant(p.StartedAt), doing})
		}
	}
	out.table([]string{"SYNC OF", "TASK", "SINCE", "WHAT"}, rows)
	return out.err
}

func uploadRow(u host.UploadStatus) []string {
	row := []string{u.Name, "", string(u.State), "-", "-", "-", u.Why}
	if u.Last != nil {
		row[3], row[4], row[5] = strconv.Itoa(u.Last.Accounts), instant(u.Last.At), cmp.Or(string(u.Last.Evidence), "-")
	}
	if !u.Connection.Connected && u.Connection.Why != "" && u.Connection.Why != u.Why {
		row[6] = strings.TrimPrefix(u.Why+"; no connection to C1: "+u.Connection.Why, "; ")
	}
	return row
}

// credentialRows returns a row for each credential of which something is known beside its
// name.
func credentialRows(is *host.Status) [][]string {
	var rows [][]string
	add := func(of string, credentials []host.Credential) {
		for _, one := range credentials {
			if one.Expires.IsZero() && one.Problem == "" {
				continue
			}
			state := "-"
			switch {
			case one.HasExpired(is.Now):
				state = "expired"
			case one.Problem != "":
				state = "not renewed"
			case one.ExpiresSoon(is.Now):
				state = "expires soon"
			}
			rows = append(rows, []string{one.Name(), of, ago(one.Expires), state, one.Problem})
		}
	}
	for _, u := range is.Uploads {
		add("upload "+u.Name, u.Credentials)
	}
	for _, p := range is.Plugins {
		add("plugin "+p.Name, p.Credentials)
	}
	return rows
}

// writeStatusRecords writes a status as csv.
func writeStatusRecords(w io.Writer, is *host.Status) error {
	out := newStream(w, outputCSV, "upload", "upload_state", "last_sync", "plugin", "state", "accounts", "stale_accounts", "as_of", "evidence", "why",
		"process", "restarts", "version", "sandbox")
	moment := func(at time.Time) string { return strings.TrimPrefix(ago(at), "-") }
	for _, u := range is.Uploads {
		var last time.Time
		if u.Last != nil {
			last = u.Last.At
		}
		for _, part := range u.Parts {
			process := host.PluginStatus{}
			if i := slices.IndexFunc(is.Plugins, func(p host.PluginStatus) bool { return p.Name == part.Plugin }); i >= 0 {
				process = is.Plugins[i]
			}
			out.record(u.Name, string(u.State), moment(last), part.Plugin, string(part.State), strconv.Itoa(part.Accounts), strconv.Itoa(part.StaleAccounts),
				moment(part.AsOf), string(part.Evidence), printable(cmp.Or(part.Why, process.Why)), process.State, strconv.Itoa(process.Restarts), printable(process.Version), process.Sandbox)
		}
	}
	return out.end()
}

// sections writes lines and tables with a blank line between them, and remembers its first
// error. Empty tables are left out.
type sections struct {
	w   io.Writer
	err error
}

func (s *sections) line(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintln(s.w, printable(fmt.Sprintf(format, args...)))
	}
}

func (s *sections) table(header []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	s.line("")
	if s.err == nil {
		s.err = writeTable(s.w, header, rows)
	}
}

func newRestartCommand(root *rootOptions) *cobra.Command {
	options := &runningOptions{root: root}
	cmd := &cobra.Command{
		Use:   "restart PLUGIN",
		Short: "Start a plugin of the host that runs again",
		Long: `Start a plugin of the host that runs on the state directory again.

Where the plugin runs, another process is started, configured and has to validate its
credentials; then it takes over, and no sync fails. If it cannot, the process that runs
goes on, and the error says why. A plugin that has failed, or waits for its next start,
is started at once; status shows how that goes. SIGUSR1 does that for all of them.

It asks the host over its control socket, so it must be run as the host's user. The
host's log says who has asked.`,
		Example: `  baton-host restart fullstory
  baton-host restart fullstory --state-dir /var/lib/baton-host`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: perArgument(instances),
		RunE: func(cmd *cobra.Command, args []string) error {
			return options.restart(cmd.Context(), cmd.OutOrStdout(), cmd.Flags(), args[0])
		},
	}
	options.addFlags(cmd)
	return cmd
}

func (o *runningOptions) restart(ctx context.Context, w io.Writer, flags *pflag.FlagSet, plugin string) error {
	h, err := o.open(ctx, flags)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	restarted, err := h.Restart(ctx, plugin)
	if err != nil {
		return err
	}
	out := sections{w: w}
	if restarted.Replaced {
		out.line("plugin %s: another process has taken over", restarted.Plugin)
	} else {
		out.line("plugin %s: it did not run and is being started; baton-host status shows how that goes", restarted.Plugin)
	}
	return out.err
}
