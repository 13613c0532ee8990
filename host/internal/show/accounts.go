package show

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/batonhost/baton-host/host/internal/hostlog"
	"github.com/batonhost/baton-host/host/internal/population"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// listedAccount is an account with the evidence of its app, for json.
type listedAccount struct {
	syncfile.Account

	Evidence       string `json:"evidence"`
	EvidenceReason string `json:"evidence_reason,omitempty"`
}

// Accounts writes the accounts of a sync file. A table ends with the evidence.
func Accounts(ctx context.Context, w io.Writer, form string, file *population.File) error {
	out := terminal.NewStream(w, form, "app", "resource_type", "id", "login", "display_name", "email", "status", "last_login")
	out.Heads, out.Compact = []string{"APP", "LOGIN", "NAME", "E-MAIL", "STATUS", "LAST LOGIN"}, true
	accounts := map[string]int{}
	err := file.EachAccount(ctx, func(app population.App, account syncfile.Account) error {
		accounts[app.Name]++
		out.Value(listedAccount{Account: account, Evidence: string(app.Evidence), EvidenceReason: app.Reason})
		out.Row(account.App, account.Login, account.DisplayName, account.Email, account.Status, lastLogin(account, "-"))
		out.Record(account.App, account.ResourceType, account.ID, account.Login,
			account.DisplayName, account.Email, account.Status, lastLogin(account, ""))
		return out.Err()
	})
	if err != nil {
		return err
	}
	if err := out.End(); err != nil || form != terminal.Table {
		return err
	}
	out.Print("\n")
	for _, app := range file.Apps() {
		out.Print(fmt.Sprintf("%s: %d accounts; %s\n", terminal.Printable(app.Name), accounts[app.Name], evidenceInWords(app)))
	}
	return out.Err()
}

// Comparison compares a sync file with a CSV file and writes what has no counterpart. agrees
// reports that everything has one.
func Comparison(ctx context.Context, w io.Writer, form string, file *population.File, csv string, by population.By) (agrees bool, err error) {
	out := terminal.NewStream(w, form, "where", "app", "resource_type", "id", "login", "display_name", "email", "status", "line")
	out.Heads, out.Member, out.Compact = []string{"WHERE", "APP", "ID", "LOGIN", "NAME", "E-MAIL", "STATUS", "LINE"}, "differences", true
	result, err := population.Compare(ctx, file, csv, by, func(one population.Difference) error {
		writeCounterpartless(out, by, one)
		return out.Err()
	})
	if err != nil {
		return false, err
	}
	members := []terminal.Member{{Name: "file", Value: file.Path()}, {Name: "csv", Value: csv}, {Name: "by", Value: by.Attribute}, {Name: "column", Value: result.Column}}
	if err := endComparison(out, result, members...); err != nil {
		return false, fmt.Errorf("the comparison could not be written to standard output: %w", err)
	}
	return result.Agrees(), nil
}

// writeCounterpartless writes an account or a row; of a row there is its value in the place
// of the attribute, and its line.
func writeCounterpartless(out *terminal.Stream, by population.By, one population.Difference) {
	account, line := syncfile.Account{}, ""
	if one.Account != nil {
		account = *one.Account
	} else {
		line = strconv.Itoa(one.Row.Line)
		*map[string]*string{"id": &account.ID, "login": &account.Login, "name": &account.DisplayName, "email": &account.Email}[by.Attribute] = one.Row.Value
	}
	out.Value(one)
	out.Row(string(one.Where), one.App, account.ID, account.Login, account.DisplayName, account.Email, account.Status, line)
	out.Record(string(one.Where), one.App, account.ResourceType, account.ID, account.Login, account.DisplayName, account.Email, account.Status, line)
}

// endComparison ends with the numbers, by app; those of csv go to standard error.
func endComparison(out *terminal.Stream, result *population.Result, members ...terminal.Member) error {
	if out.Form() == terminal.JSON {
		return out.End(append([]terminal.Member{{Name: "counts", Value: result.Counts}}, members...)...)
	}
	if out.Form() == terminal.CSV || out.HasRows() {
		_ = out.End() // It remembers its error.
	}
	if out.Form() == terminal.Table && out.HasRows() {
		out.Print("\n")
	}
	for _, count := range result.Counts {
		line := comparisonInWords(count)
		if out.Form() == terminal.CSV {
			_, _ = fmt.Fprintf(hostlog.Stderr, "baton-host: %s\n", line)
		} else {
			out.Print(line + "\n")
		}
	}
	return out.Err()
}

func comparisonInWords(count population.Count) string {
	words := fmt.Sprintf("%s: %d in both, %d only in the sync file, %d only in the CSV file, %d accounts and %d rows cannot be compared",
		terminal.Printable(count.Name), count.Both, count.OnlyInFile, count.OnlyInCSV, count.AccountsWithoutKey, count.RowsWithoutKey)
	if count.RepeatedAccounts+count.RepeatedRows > 0 {
		words += fmt.Sprintf("; %d accounts and %d rows repeat another", count.RepeatedAccounts, count.RepeatedRows)
	}
	if count.ByExternalID {
		words += "; the ids are the external ids"
	}
	return words + "; " + evidenceInWords(count.App)
}

func evidenceInWords(app population.App) string {
	words := "evidence: " + string(app.Evidence)
	if app.Reason != "" {
		words += " (" + terminal.Printable(app.Reason) + ")"
	}
	return words
}

func lastLogin(account syncfile.Account, none string) string {
	if account.LastLogin == nil {
		return none
	}
	return account.LastLogin.UTC().Format(time.RFC3339)
}
