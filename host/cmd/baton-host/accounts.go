package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host/internal/hostlog"
	"github.com/batonhost/baton-host/host/internal/population"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// compareWith is the flag that names a CSV file to compare the accounts with. With it the
// exit status reports whether they agree.
const compareWith = "compare"

// accountsOptions are the flags of `baton-host accounts`.
type accountsOptions struct {
	output, app, csv, by string
}

func newAccountsCommand() *cobra.Command {
	options := &accountsOptions{}
	cmd := &cobra.Command{
		Use:   "accounts FILE.c1z",
		Short: "Show the accounts in a sync file, or compare them with a list of users",
		Long: `Show the accounts in a sync file, of this host or of a connector: app, login, name,
e-mail, status, last login. Table and json also have the grade of the evidence that the
lists of the app are complete, where there is a record of it beside the file.

With --compare, show instead who is in the sync file and not in a CSV file, such as the
users that the app exports, and the other way round. Each app of the file is compared
with the whole CSV file. --by is what they are compared by: email (all addresses of an
account), login, id (or the external id, if more of those are found) or name; letter case
counts for id only. It is the name of the column too; if that has another one, write
--by "email=Work Email". An account or a row without a value there is listed as one that
cannot be compared.

The exit status of --compare is 0 if every account and every row has a counterpart, 1 if
not, and 2 if the files cannot be compared.

A csv value that a spreadsheet would take for a formula (it begins with = + - @)
gets an apostrophe in front, and control characters in the table are escaped;
json is exact.`,
		Example: `  baton-host accounts out/workforce.c1z
  baton-host accounts out/workforce.c1z --output csv > accounts.csv
  baton-host accounts out/workforce.c1z --app fullstory --compare users.csv --by email
  baton-host accounts sync.c1z --compare users.csv --by "email=Work Email"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: perArgument(syncFiles),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed(compareWith) {
				return options.compare(cmd.Context(), cmd.OutOrStdout(), args[0])
			}
			if cmd.Flags().Changed("by") {
				return errors.New("--by is what accounts are compared by: name the CSV file too, with --compare")
			}
			return options.show(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.app, "app", "", "the accounts of this app only, by its name in the file")
	flags.StringVar(&options.csv, compareWith, "", "compare the accounts with the users in this CSV file")
	flags.StringVar(&options.by, "by", population.Attributes[0], "with --compare: what to compare by, email, login, id or name, with =COLUMN if the column has another name")
	addOutputFlag(cmd, &options.output, outputTable, outputJSON, outputCSV)
	return cmd
}

// listedAccount is an account with the evidence of its app, for json.
type listedAccount struct {
	syncfile.Account

	Evidence       string `json:"evidence"`
	EvidenceReason string `json:"evidence_reason,omitempty"`
}

func (o *accountsOptions) show(ctx context.Context, w io.Writer, path string) (err error) {
	file, err := population.Open(ctx, path, o.app)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(ctx)) }()

	out := newStream(w, o.output, "app", "resource_type", "id", "login", "display_name", "email", "status", "last_login")
	out.heads, out.compact = []string{"APP", "LOGIN", "NAME", "E-MAIL", "STATUS", "LAST LOGIN"}, true
	accounts := map[string]int{}
	err = file.EachAccount(ctx, func(app population.App, account syncfile.Account) error {
		accounts[app.Name]++
		out.value(listedAccount{Account: account, Evidence: string(app.Evidence), EvidenceReason: app.Reason})
		out.row(account.App, account.Login, account.DisplayName, account.Email, account.Status, lastLogin(account, "-"))
		out.record(account.App, account.ResourceType, account.ID, account.Login,
			account.DisplayName, account.Email, account.Status, lastLogin(account, ""))
		return out.err
	})
	if err != nil {
		return err
	}
	if err := out.end(); err != nil || o.output != outputTable {
		return err
	}
	out.print("\n")
	for _, app := range file.Apps() {
		out.print(fmt.Sprintf("%s: %d accounts; %s\n", printable(app.Name), accounts[app.Name], evidenceInWords(app)))
	}
	return out.err
}

// compare returns errDifferent if an account or a row has no counterpart.
func (o *accountsOptions) compare(ctx context.Context, w io.Writer, path string) (err error) {
	by, err := population.ParseBy(o.by)
	if err != nil {
		return err
	}
	file, err := population.Open(ctx, path, o.app)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(ctx)) }()

	out := newStream(w, o.output, "where", "app", "resource_type", "id", "login", "display_name", "email", "status", "line")
	out.heads, out.member, out.compact = []string{"WHERE", "APP", "ID", "LOGIN", "NAME", "E-MAIL", "STATUS", "LINE"}, "differences", true
	result, err := population.Compare(ctx, file, o.csv, by, func(one population.Difference) error {
		writeCounterpartless(out, by, one)
		return out.err
	})
	if err != nil {
		return err
	}
	if err := endComparison(out, result, member{"file", path}, member{"csv", o.csv}, member{"by", by.Attribute}, member{"column", result.Column}); err != nil {
		return fmt.Errorf("the comparison could not be written to standard output: %w", err)
	}
	if !result.Agrees() {
		return errDifferent
	}
	return nil
}

// writeCounterpartless writes an account or a row; of a row there is its value in the place
// of the attribute, and its line.
func writeCounterpartless(out *stream, by population.By, one population.Difference) {
	account, line := syncfile.Account{}, ""
	if one.Account != nil {
		account = *one.Account
	} else {
		line = strconv.Itoa(one.Row.Line)
		*map[string]*string{"id": &account.ID, "login": &account.Login, "name": &account.DisplayName, "email": &account.Email}[by.Attribute] = one.Row.Value
	}
	out.value(one)
	out.row(string(one.Where), one.App, account.ID, account.Login, account.DisplayName, account.Email, account.Status, line)
	out.record(string(one.Where), one.App, account.ResourceType, account.ID, account.Login, account.DisplayName, account.Email, account.Status, line)
}

// endComparison ends with the numbers, by app; those of csv go to standard error.
func endComparison(out *stream, result *population.Result, members ...member) error {
	if out.form == outputJSON {
		return out.end(append([]member{{"counts", result.Counts}}, members...)...)
	}
	if out.form == outputCSV || len(out.rows) > 0 {
		_ = out.end() // It remembers its error.
	}
	if out.form == outputTable && len(out.rows) > 0 {
		out.print("\n")
	}
	for _, count := range result.Counts {
		line := comparisonInWords(count)
		if out.form == outputCSV {
			_, _ = fmt.Fprintf(hostlog.Stderr, "baton-host: %s\n", line)
		} else {
			out.print(line + "\n")
		}
	}
	return out.err
}

func comparisonInWords(count population.Count) string {
	words := fmt.Sprintf("%s: %d in both, %d only in the sync file, %d only in the CSV file, %d accounts and %d rows cannot be compared",
		printable(count.Name), count.Both, count.OnlyInFile, count.OnlyInCSV, count.AccountsWithoutKey, count.RowsWithoutKey)
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
		words += " (" + printable(app.Reason) + ")"
	}
	return words
}

func lastLogin(account syncfile.Account, none string) string {
	if account.LastLogin == nil {
		return none
	}
	return account.LastLogin.UTC().Format(time.RFC3339)
}
