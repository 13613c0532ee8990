package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

const (
	outputTable = "table"
	outputJSON  = "json"
	outputCSV   = "csv"
)

// addOutputFlag adds --output with the forms that a command has, the first of
// which is the default.
func addOutputFlag(cmd *cobra.Command, into *string, forms ...string) {
	cmd.Flags().StringVarP(into, "output", "o", forms[0], "the form of the result: "+strings.Join(forms, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
	previous := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(forms, *into) {
			return fmt.Errorf("--output must be one of %s, not %q", strings.Join(forms, ", "), *into)
		}
		if previous != nil {
			return previous(cmd, args)
		}
		return nil
	}
}

// stream writes a result piece by piece in one of the forms; only a table is held until
// its end, for the widths of its columns. It remembers its first error.
type stream struct {
	w    io.Writer
	form string
	// heads are those of a table.
	heads []string
	// member is the name of the list in an object of json; empty: the list is the whole.
	member string
	// compact has each value of json on one line.
	compact bool

	rows    [][]string
	records *csv.Writer
	begun   bool
	err     error
}

// newStream returns a stream with these columns: lower case with underscores, as csv has
// them.
func newStream(w io.Writer, form string, columns ...string) *stream {
	s := &stream{w: w, form: form, records: csv.NewWriter(w)}
	for _, column := range columns {
		s.heads = append(s.heads, strings.ToUpper(strings.ReplaceAll(column, "_", " ")))
	}
	if form == outputCSV {
		s.err = s.records.Write(columns)
	}
	return s
}

// add writes what is one row of a table, one record of csv and one value of json.
func (s *stream) add(value any, row ...string) {
	s.value(value)
	s.row(row...)
	s.record(row...)
}

// row writes a row of a table, and nothing in other forms.
func (s *stream) row(cells ...string) {
	if s.form != outputJSON && s.form != outputCSV {
		s.rows = append(s.rows, cells)
	}
}

// record writes a record of csv, and nothing in other forms.
func (s *stream) record(cells ...string) {
	if s.form == outputCSV && s.err == nil {
		cells = noFormulas(cells)
		if isTerminal(s.w) {
			for i, cell := range cells {
				cells[i] = printable(cell)
			}
		}
		s.err = s.records.Write(cells)
	}
}

// value writes an element of the list of json, and nothing in other forms.
func (s *stream) value(value any) {
	if s.form != outputJSON || s.err != nil {
		return
	}
	separator := ",\n"
	if !s.begun {
		separator = s.opening() + "\n"
	}
	s.begun = true
	s.print(separator + s.indent() + "  ")
	s.encode(value, s.indent()+"  ", s.compact)
}

// member is one more member of the object of json.
type member struct {
	name  string
	value any
}

// end writes what is still to be written, and after the list the other members of the
// object of json.
func (s *stream) end(members ...member) error {
	switch s.form {
	case outputJSON:
		if s.begun {
			s.print("\n" + s.indent() + "]")
		} else {
			s.print(s.opening() + "]")
		}
		for _, one := range members {
			s.print(fmt.Sprintf(",\n  %q: ", one.name))
			s.encode(one.value, "  ", true)
		}
		if s.member != "" {
			s.print("\n}")
		}
		s.print("\n")
	case outputCSV:
		s.records.Flush()
		s.err = cmp.Or(s.err, s.records.Error())
	default:
		if s.err == nil {
			s.err = writeTable(s.w, s.heads, s.rows)
		}
	}
	return s.err
}

// opening is what stands before the list of json.
func (s *stream) opening() string {
	if s.member == "" {
		return "["
	}
	return fmt.Sprintf("{\n  %q: [", s.member)
}

func (s *stream) indent() string {
	if s.member == "" {
		return ""
	}
	return "  "
}

func (s *stream) print(text string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.w, text)
	}
}

func (s *stream) encode(value any, prefix string, compact bool) {
	indent := "  "
	if compact {
		prefix, indent = "", ""
	}
	text, err := encoded(value, prefix, indent)
	s.err = cmp.Or(s.err, err)
	s.print(text)
}

// encoded returns a value as JSON. Characters that a terminal would obey or hide are escaped,
// also those that JSON lets stand: people look at it.
func encoded(value any, prefix, indent string) (string, error) {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent(prefix, indent)
	err := encoder.Encode(value)
	return errtext.PrintableJSON(strings.TrimSuffix(text.String(), "\n")), err
}

// writeTable writes rows under a header in aligned columns. Control characters,
// which an app may send and a terminal would obey, are escaped.
func writeTable(w io.Writer, header []string, rows [][]string) error {
	widths := make([]int, len(header))
	lines := append([][]string{header}, rows...)
	for _, line := range lines {
		for i, cell := range line {
			line[i] = printable(cell)
			widths[i] = max(widths[i], runewidth.StringWidth(line[i]))
		}
	}
	for n, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			cell = runewidth.FillRight(cell, widths[i])
			if n > 0 && stateColumns[header[i]] {
				cell = coloured(cell)
			}
			text.WriteString(cell)
			text.WriteString("  ")
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(text.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// isTerminal reports whether a terminal would obey what is written there.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// longestCell is how many bytes of a text of others are printed in one place. C1 takes no
// longer ones, but a file may be of another program.
const longestCell = 4 << 10

// printable is a text of others as it may be printed.
func printable(text string) string {
	return errtext.Printable(errtext.Shorten(text, longestCell), "")
}

func writeJSON(w io.Writer, value any) error {
	text, err := encoded(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, text)
	return err
}

// noFormulas puts an apostrophe before what a spreadsheet would take for a formula
// and compute: people choose their names themselves.
func noFormulas(record []string) []string {
	safe := slices.Clone(record)
	for i, value := range safe {
		if value != "" && strings.ContainsRune("=+-@\t\r", rune(value[0])) {
			safe[i] = "'" + value
		}
	}
	return safe
}
