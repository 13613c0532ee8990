package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host/internal/show"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// exitCode is the flag that has the exit status report whether there are differences.
const exitCode = "exit-code"

// errDifferent reports differences, and nothing that is wrong.
var errDifferent = errors.New("the files differ")

func newDiffCommand() *cobra.Command {
	var output string
	var status bool
	cmd := &cobra.Command{
		Use:   "diff OLD.c1z NEW.c1z",
		Short: "Show what is different between the accounts of two sync files",
		Long: `Show which accounts were added and removed between two sync files of the same apps,
and what changed about the others: status, login, e-mail, name, what else the app
reports of them (their profile), and the roles that were granted (+) or revoked (-).
A role is anything that is granted to an account, such as membership in a group; some
apps have roles in the profile too. The time of the last login is not compared.

The exit status is 0, with or without differences. With --exit-code it is 1 if there
are differences, and 2 if the files cannot be compared.

A csv value that a spreadsheet would take for a formula (it begins with = + - @)
gets an apostrophe in front; json is exact.`,
		Example: `  baton-host diff last-week.c1z out/workforce.c1z
  baton-host diff last-week.c1z out/workforce.c1z --output csv > differences.csv
  baton-host diff last-week.c1z out/workforce.c1z --exit-code > /dev/null && echo unchanged`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: perArgument(syncFiles, syncFiles),
		RunE: func(cmd *cobra.Command, args []string) error {
			different, err := show.Differences(cmd.Context(), cmd.OutOrStdout(), output, args[0], args[1])
			if err == nil && different && status {
				return errDifferent
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&status, exitCode, false, "exit with status 1 if there are differences, 2 if something is wrong")
	addOutputFlag(cmd, &output, terminal.Table, terminal.JSON, terminal.CSV)
	return cmd
}
