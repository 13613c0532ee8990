package show

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// Status writes a status in one of the forms.
func Status(w io.Writer, form string, is *host.Status) error {
	var err error
	switch form {
	case terminal.JSON:
		err = terminal.WriteJSON(w, is)
	case terminal.CSV:
		err = writeStatusRecords(w, is)
	default:
		err = writeStatus(w, is)
	}
	if err != nil {
		return fmt.Errorf("the status could not be written to standard output: %w", err)
	}
	return nil
}

// writeStatus writes a status for a person.
func writeStatus(w io.Writer, is *host.Status) error {
	out := terminal.NewSections(w)
	stopping := ""
	if is.Host.Stopping {
		stopping = "; it is stopping"
	}
	out.Line("baton-host %s as %s, started at %s%s", is.Host.Version, is.Host.ID, Instant(is.Host.StartedAt), stopping)

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
	out.Table([]string{"UPLOAD", "PLUGIN", "STATE", "ACCOUNTS", "LAST READ", "EVIDENCE", "WHY"}, rows)

	rows = nil
	for _, p := range is.Plugins {
		rows = append(rows, []string{p.Name, p.State, ago(p.Since), strconv.Itoa(p.Restarts), cmp.Or(strings.TrimSpace(p.Connector+" "+p.Version), "-"), cmp.Or(p.Sandbox, "-"), p.Why})
	}
	out.Table([]string{"PROCESS OF", "STATE", "SINCE", "RESTARTS", "VERSION", "SANDBOX", "WHY"}, rows)
	if exposure := is.Exposure(); exposure != "" {
		out.Line("%s", exposure)
	}
	out.Table([]string{"CREDENTIAL", "OF", "EXPIRES", "STATE", "PROBLEM"}, credentialRows(is))

	rows = nil
	for _, e := range is.Errors {
		rows = append(rows, []string{Instant(e.At), strconv.Itoa(e.Times), cmp.Or(e.Upload, "-"), cmp.Or(e.Plugin, "-"), e.What, e.Why})
	}
	out.Table([]string{"ERROR AT", "TIMES", "UPLOAD", "PLUGIN", "WHAT", "WHY"}, rows)

	rows = nil
	for _, u := range is.Uploads {
		for _, p := range u.Syncing {
			doing := "it reads the apps"
			if p.Sending {
				doing = "it is sent to C1"
			}
			rows = append(rows, []string{u.Name, p.Task, Instant(p.StartedAt), doing})
		}
	}
	out.Table([]string{"SYNC OF", "TASK", "SINCE", "WHAT"}, rows)
	return out.Err()
}

func uploadRow(u host.UploadStatus) []string {
	row := []string{u.Name, "", string(u.State), "-", "-", "-", u.Why}
	if u.Last != nil {
		row[3], row[4], row[5] = strconv.Itoa(u.Last.Accounts), Instant(u.Last.At), cmp.Or(string(u.Last.Evidence), "-")
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
	out := terminal.NewStream(w, terminal.CSV, "upload", "upload_state", "last_sync", "plugin", "state", "accounts", "stale_accounts", "as_of", "evidence", "why",
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
			out.Record(u.Name, string(u.State), moment(last), part.Plugin, string(part.State), strconv.Itoa(part.Accounts), strconv.Itoa(part.StaleAccounts),
				moment(part.AsOf), string(part.Evidence), terminal.Printable(cmp.Or(part.Why, process.Why)), process.State, strconv.Itoa(process.Restarts), terminal.Printable(process.Version), process.Sandbox)
		}
	}
	return out.End()
}

// Restarted writes what became of a plugin that was to be restarted.
func Restarted(w io.Writer, restarted *host.Restarted) error {
	out := terminal.NewSections(w)
	if restarted.Replaced {
		out.Line("plugin %s: another process has taken over", restarted.Plugin)
	} else {
		out.Line("plugin %s: it did not run and is being started; baton-host status shows how that goes", restarted.Plugin)
	}
	return out.Err()
}

// Reloaded writes what a reload did.
func Reloaded(w io.Writer, form string, result *host.Reloaded) error {
	if form == terminal.JSON {
		return terminal.WriteJSON(w, result)
	}
	var rows [][]string
	for _, one := range result.Plugins {
		rows = append(rows, []string{"plugin", one.Name, string(one.Change)})
	}
	for _, one := range result.Uploads {
		rows = append(rows, []string{"upload", one.Name, string(one.Change)})
	}
	return terminal.WriteTable(w, []string{"KIND", "NAME", "CHANGE"}, rows)
}

// ago returns a moment as a table has it; "-" for none.
func ago(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return Instant(at)
}

// Instant returns a moment in words.
func Instant(at time.Time) string { return at.UTC().Format(time.RFC3339) }
