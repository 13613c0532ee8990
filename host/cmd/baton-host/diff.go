package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
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

// differences writes what is different in one of the forms.
type differences interface {
	each(diff.Difference) error
	end(*diff.Result) error
}

func writeDifferences(ctx context.Context, w io.Writer, output, oldPath, newPath string) (different bool, err error) {
	var out differences
	switch output {
	case outputJSON:
		out = &jsonDifferences{w: w, separator: "{\n  \"differences\": [\n    "}
	case outputCSV:
		out = &csvDifferences{records: csv.NewWriter(w)}
	default:
		out = &tableDifferences{w: w}
	}
	result, err := diff.Files(ctx, oldPath, newPath, func(one diff.Difference) error {
		different = true
		return out.each(one)
	})
	if err != nil {
		return false, err
	}
	for _, note := range result.Notes {
		_, _ = fmt.Fprintf(hostlog.Stderr, "baton-host: note: %s\n", printable(note))
	}
	if err := out.end(result); err != nil {
		return false, fmt.Errorf("the differences could not be written to standard output: %w", err)
	}
	return different, nil
}

// tableDifferences is a line for each account, and the figures at the end.
type tableDifferences struct {
	w    io.Writer
	rows [][]string
}

func (t *tableDifferences) each(one diff.Difference) error {
	t.rows = append(t.rows, []string{string(one.Change), one.Account.App, one.Account.Login, one.Account.DisplayName, fieldsInWords(one.Fields)})
	return nil
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

func (t *tableDifferences) end(result *diff.Result) error {
	if len(t.rows) > 0 {
		if err := writeTable(t.w, []string{"CHANGE", "APP", "LOGIN", "NAME", "WHAT"}, t.rows); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(t.w); err != nil {
			return err
		}
	}
	for _, count := range result.Counts {
		if _, err := fmt.Fprintf(t.w, "%s: %d added, %d removed, %d changed, %d the same\n",
			printable(count.ResourceType), count.Added, count.Removed, count.Changed, count.Same); err != nil {
			return err
		}
	}
	if len(result.Counts) == 0 {
		_, err := fmt.Fprintln(t.w, "neither file has an account")
		return err
	}
	return nil
}

// csvDifferences is a record for each account that came or went, and for each field
// that changed.
type csvDifferences struct {
	records *csv.Writer
	begun   bool
}

func (c *csvDifferences) begin() {
	if !c.begun {
		c.begun = true
		_ = c.records.Write([]string{"change", "app", "resource_type", "id", "login", "display_name", "field", "old", "new"}) // The writer remembers its error.
	}
}

func (c *csvDifferences) each(one diff.Difference) error {
	c.begin()
	fields := one.Fields
	if len(fields) == 0 {
		fields = []diff.Field{{}}
	}
	for _, field := range fields {
		record := []string{
			string(one.Change), one.Account.App, one.Account.ResourceType, one.Account.ID, one.Account.Login, one.Account.DisplayName,
			field.Field, field.Old, field.New,
		}
		if err := c.records.Write(noFormulas(record)); err != nil {
			return err
		}
	}
	return nil
}

func (c *csvDifferences) end(*diff.Result) error {
	c.begin()
	c.records.Flush()
	return c.records.Error()
}

// jsonDifferences is one object, written as it comes.
type jsonDifferences struct {
	w         io.Writer
	separator string
	begun     bool
}

func (j *jsonDifferences) each(one diff.Difference) error {
	encoded, err := json.Marshal(one)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(j.w, "%s%s", j.separator, encoded)
	j.separator, j.begun = ",\n    ", true
	return err
}

func (j *jsonDifferences) end(result *diff.Result) error {
	closing := "\n  ],"
	if !j.begun {
		closing = "{\n  \"differences\": [],"
	}
	if result.Counts == nil {
		result.Counts = []diff.Count{}
	}
	old, err := json.Marshal(result.Old)
	if err != nil {
		return err
	}
	now, err := json.Marshal(result.New)
	if err != nil {
		return err
	}
	counts, err := json.Marshal(result.Counts)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(j.w, "%s\n  \"counts\": %s,\n  \"old\": %s,\n  \"new\": %s\n}\n", closing, counts, old, now)
	return err
}
