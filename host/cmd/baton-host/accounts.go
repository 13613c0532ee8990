package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host/internal/population"
	"github.com/batonhost/baton-host/host/internal/show"
	"github.com/batonhost/baton-host/host/internal/terminal"
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
	addOutputFlag(cmd, &options.output, terminal.Table, terminal.JSON, terminal.CSV)
	return cmd
}

func (o *accountsOptions) show(ctx context.Context, w io.Writer, path string) (err error) {
	file, err := population.Open(ctx, path, o.app)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(ctx)) }()
	return show.Accounts(ctx, w, o.output, file)
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
	agrees, err := show.Comparison(ctx, w, o.output, file, o.csv, by)
	if err == nil && !agrees {
		return errDifferent
	}
	return err
}
