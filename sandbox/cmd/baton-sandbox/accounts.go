package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/sandbox/scim"
)

func newAccountsCommand(people *peopleOptions) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "accounts",
		Short: "Print the accounts that a service with these people has",
		Long: `Print the accounts that a service started with the same --app, --seed and
--accounts has. No service needs to run: this is the truth to compare a sync
file with.`,
		Example: `  baton-sandbox scim accounts --app fullstory --seed 1 --accounts 40`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			accounts, err := scim.People(people.app, people.seed, people.accounts)
			if err != nil {
				return err
			}
			return writeAccounts(cmd.OutOrStdout(), accounts, output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "csv", "csv or json")
	return cmd
}

func writeAccounts(w io.Writer, accounts []scim.Account, output string) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(accounts)
	case "csv":
		return writeCSV(w, accounts)
	default:
		return fmt.Errorf("the output must be csv or json, not %q", output)
	}
}

// writeCSV writes a column for each field; several values go into one column
// with a semicolon between them.
func writeCSV(w io.Writer, accounts []scim.Account) error {
	records := csv.NewWriter(w)
	// A write that fails is returned by Error at the end.
	_ = records.Write([]string{
		"id", "user_name", "display_name", "given_name", "family_name", "emails", "active", "omit_active", "roles",
		"title", "department", "employee_number", "external_id", "created", "last_modified",
	})
	for _, account := range accounts {
		_ = records.Write([]string{
			account.ID, account.UserName, account.DisplayName, account.GivenName, account.FamilyName,
			strings.Join(account.Emails, ";"),
			strconv.FormatBool(account.Active), strconv.FormatBool(account.OmitActive),
			strings.Join(account.Roles, ";"),
			account.Title, account.Department, account.EmployeeNumber, account.ExternalID,
			account.Created.Format(time.RFC3339), account.LastModified.Format(time.RFC3339),
		})
	}
	records.Flush()
	return records.Error()
}
