package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host/internal/diff"
	"github.com/batonhost/baton-host/host/internal/hostlog"
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
			different, err := writeDifferences(cmd.Context(), cmd.OutOrStdout(), output, args[0], args[1])
			if err == nil && different && status {
				return errDifferent
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&status, exitCode, false, "exit with status 1 if there are differences, 2 if something is wrong")
	addOutputFlag(cmd, &output, outputTable, outputJSON, outputCSV)
	return cmd
}

func writeDifferences(ctx context.Context, w io.Writer, output, oldPath, newPath string) (different bool, err error) {
	out := newStream(w, output, "change", "app", "resource_type", "id", "login", "display_name", "field", "old", "new")
	out.heads, out.member, out.compact = []string{"CHANGE", "APP", "LOGIN", "NAME", "WHAT"}, "differences", true
	result, err := diff.Files(ctx, oldPath, newPath, func(one diff.Difference) error {
		different = true
		writeDifference(out, one)
		return out.err
	})
	if err != nil {
		return false, err
	}
	for _, note := range result.Notes {
		_, _ = fmt.Fprintf(hostlog.Stderr, "baton-host: note: %s\n", printable(note))
	}
	if err := endDifferences(out, result); err != nil {
		return false, fmt.Errorf("the differences could not be written to standard output: %w", err)
	}
	return different, nil
}

// writeDifference writes a row for an account; for csv a record for one that came or
// went, and for each field that changed.
func writeDifference(out *stream, one diff.Difference) {
	out.value(one)
	out.row(string(one.Change), one.Account.App, one.Account.Login, one.Account.DisplayName, fieldsInWords(one.Fields))
	fields := one.Fields
	if len(fields) == 0 {
		fields = []diff.Field{{}}
	}
	for _, field := range fields {
		out.record(string(one.Change), one.Account.App, one.Account.ResourceType, one.Account.ID, one.Account.Login, one.Account.DisplayName,
			field.Field, field.Old, field.New)
	}
}

// endDifferences ends with the figures; csv has none.
func endDifferences(out *stream, result *diff.Result) error {
	if result.Counts == nil {
		result.Counts = []diff.Count{}
	}
	if out.form != outputTable {
		return out.end(member{"counts", result.Counts}, member{"old", result.Old}, member{"new", result.New})
	}
	if len(out.rows) > 0 {
		_ = out.end() // It remembers its error.
		out.print("\n")
	}
	for _, count := range result.Counts {
		out.print(fmt.Sprintf("%s: %d added, %d removed, %d changed, %d the same\n",
			printable(count.ResourceType), count.Added, count.Removed, count.Changed, count.Same))
	}
	if len(result.Counts) == 0 {
		out.print("neither file has an account\n")
	}
	return out.err
}

func fieldsInWords(fields []diff.Field) string {
	var words []string
	for _, field := range fields {
		name := strings.TrimPrefix(strings.ReplaceAll(strings.ReplaceAll(field.Field, "_", " "), "email", "e-mail"), "profile.")
		switch {
		case field.Field == "role" && field.Old == "":
			words = append(words, "+"+field.New)
		case field.Field == "role":
			words = append(words, "-"+field.Old)
		default:
			words = append(words, fmt.Sprintf("%s: %s → %s", name, orNone(field.Old), orNone(field.New)))
		}
	}
	return strings.Join(words, "; ")
}

func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}
