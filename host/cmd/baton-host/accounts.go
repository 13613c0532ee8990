package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host/internal/syncfile"
)

func newAccountsCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "accounts FILE.c1z",
		Short: "Show the accounts in a sync file",
		Long: "Show the accounts in a sync file, of this host or of a connector: app, login, name, e-mail, status, last login.\n\n" +
			"A csv value that a spreadsheet would take for a formula (it begins with = + - @)\n" +
			"gets an apostrophe in front, and control characters in the table are escaped;\n" +
			"json is exact.",
		Example: `  baton-host accounts out/workforce.c1z
  baton-host accounts out/workforce.c1z --output csv > accounts.csv`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: perArgument(syncFiles),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeAccounts(cmd.Context(), cmd.OutOrStdout(), args[0], output)
		},
	}
	addOutputFlag(cmd, &output, outputTable, outputJSON, outputCSV)
	return cmd
}

func writeAccounts(ctx context.Context, w io.Writer, path, output string) error {
	out := newStream(w, output, "app", "resource_type", "id", "login", "display_name", "email", "status", "last_login")
	out.heads, out.compact = []string{"APP", "LOGIN", "NAME", "E-MAIL", "STATUS", "LAST LOGIN"}, true
	err := syncfile.Accounts(ctx, path, func(account syncfile.Account) error {
		out.value(account)
		out.row(account.App, account.Login, account.DisplayName, account.Email, account.Status, lastLogin(account, "-"))
		out.record(account.App, account.ResourceType, account.ID, account.Login,
			account.DisplayName, account.Email, account.Status, lastLogin(account, ""))
		return out.err
	})
	if err != nil {
		return err
	}
	return out.end()
}

func lastLogin(account syncfile.Account, none string) string {
	if account.LastLogin == nil {
		return none
	}
	return account.LastLogin.UTC().Format(time.RFC3339)
}
