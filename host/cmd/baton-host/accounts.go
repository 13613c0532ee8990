package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
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

var accountHeader = []string{"APP", "LOGIN", "NAME", "E-MAIL", "STATUS", "LAST LOGIN"}

func writeAccounts(ctx context.Context, w io.Writer, path, output string) error {
	switch output {
	case outputJSON:
		return writeAccountsJSON(ctx, w, path)
	case outputCSV:
		return writeAccountsCSV(ctx, w, path)
	default:
		var rows [][]string
		err := syncfile.Accounts(ctx, path, func(account syncfile.Account) error {
			rows = append(rows, []string{
				account.App, account.Login, account.DisplayName, account.Email, account.Status, lastLogin(account, "-"),
			})
			return nil
		})
		if err != nil {
			return err
		}
		return writeTable(w, accountHeader, rows)
	}
}

// writeAccountsJSON writes one array without ever holding it.
func writeAccountsJSON(ctx context.Context, w io.Writer, path string) error {
	separator := "[\n  "
	err := syncfile.Accounts(ctx, path, func(account syncfile.Account) error {
		encoded, err := json.Marshal(account)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s%s", separator, encoded)
		separator = ",\n  "
		return err
	})
	if err != nil {
		return err
	}
	end := "\n]"
	if separator == "[\n  " {
		end = "[]"
	}
	_, err = fmt.Fprintln(w, end)
	return err
}

func writeAccountsCSV(ctx context.Context, w io.Writer, path string) error {
	records := csv.NewWriter(w)
	if err := records.Write([]string{"app", "resource_type", "id", "login", "display_name", "email", "status", "last_login"}); err != nil {
		return err
	}
	err := syncfile.Accounts(ctx, path, func(account syncfile.Account) error {
		record := []string{
			account.App, account.ResourceType, account.ID, account.Login,
			account.DisplayName, account.Email, account.Status, lastLogin(account, ""),
		}
		return records.Write(noFormulas(record))
	})
	if err != nil {
		return err
	}
	records.Flush()
	return records.Error()
}

func lastLogin(account syncfile.Account, none string) string {
	if account.LastLogin == nil {
		return none
	}
	return account.LastLogin.UTC().Format(time.RFC3339)
}
