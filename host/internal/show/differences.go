package show

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/batonhost/baton-host/host/internal/diff"
	"github.com/batonhost/baton-host/host/internal/hostlog"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// Differences compares two sync files and writes what is different between their accounts.
func Differences(ctx context.Context, w io.Writer, form, oldPath, newPath string) (different bool, err error) {
	out := terminal.NewStream(w, form, "change", "app", "resource_type", "id", "login", "display_name", "field", "old", "new")
	out.Heads, out.Member, out.Compact = []string{"CHANGE", "APP", "LOGIN", "NAME", "WHAT"}, "differences", true
	result, err := diff.Files(ctx, oldPath, newPath, func(one diff.Difference) error {
		different = true
		writeDifference(out, one)
		return out.Err()
	})
	if err != nil {
		return false, err
	}
	for _, note := range result.Notes {
		_, _ = fmt.Fprintf(hostlog.Stderr, "baton-host: note: %s\n", terminal.Printable(note))
	}
	if err := endDifferences(out, result); err != nil {
		return false, fmt.Errorf("the differences could not be written to standard output: %w", err)
	}
	return different, nil
}

// writeDifference writes a row for an account; for csv a record for one that came or
// went, and for each field that changed.
func writeDifference(out *terminal.Stream, one diff.Difference) {
	out.Value(one)
	out.Row(string(one.Change), one.Account.App, one.Account.Login, one.Account.DisplayName, fieldsInWords(one.Fields))
	fields := one.Fields
	if len(fields) == 0 {
		fields = []diff.Field{{}}
	}
	for _, field := range fields {
		out.Record(string(one.Change), one.Account.App, one.Account.ResourceType, one.Account.ID, one.Account.Login, one.Account.DisplayName,
			field.Field, field.Old, field.New)
	}
}

// endDifferences ends with the figures; csv has none.
func endDifferences(out *terminal.Stream, result *diff.Result) error {
	if result.Counts == nil {
		result.Counts = []diff.Count{}
	}
	if out.Form() != terminal.Table {
		return out.End(terminal.Member{Name: "counts", Value: result.Counts}, terminal.Member{Name: "old", Value: result.Old}, terminal.Member{Name: "new", Value: result.New})
	}
	if out.HasRows() {
		_ = out.End() // It remembers its error.
		out.Print("\n")
	}
	for _, count := range result.Counts {
		out.Print(fmt.Sprintf("%s: %d added, %d removed, %d changed, %d the same\n",
			terminal.Printable(count.ResourceType), count.Added, count.Removed, count.Changed, count.Same))
	}
	if len(result.Counts) == 0 {
		out.Print("neither file has an account\n")
	}
	return out.Err()
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
