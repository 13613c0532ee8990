// Package terminal is the person's side of a command: results as tables, JSON and CSV on
// standard output, lines that change and questions on standard error.
//
// The command line and the rooms that show what package host returns call it. It must never
// know what a text is about, print a character that a terminal would obey, or ask on standard
// output, which is for results.
package terminal

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// The forms of a result.
const (
	Table = "table"
	JSON  = "json"
	CSV   = "csv"
)

// Stream writes a result piece by piece in one of the forms; only a table is held until
// its end, for the widths of its columns. It remembers its first error.
type Stream struct {
	// Heads are those of a table.
	Heads []string
	// Member is the name of the list in an object of json; empty: the list is the whole.
	Member string
	// Compact has each value of json on one line.
	Compact bool

	w    io.Writer
	form string

	rows    [][]string
	records *csv.Writer
	begun   bool
	err     error
}

// NewStream returns a stream with these columns: lower case with underscores, as csv has
// them.
func NewStream(w io.Writer, form string, columns ...string) *Stream {
	s := &Stream{w: w, form: form, records: csv.NewWriter(w)}
	for _, column := range columns {
		s.Heads = append(s.Heads, strings.ToUpper(strings.ReplaceAll(column, "_", " ")))
	}
	if form == CSV {
		s.err = s.records.Write(columns)
	}
	return s
}

// Add writes what is one row of a table, one record of csv and one value of json.
func (s *Stream) Add(value any, row ...string) {
	s.Value(value)
	s.Row(row...)
	s.Record(row...)
}

// Row writes a row of a table, and nothing in other forms.
func (s *Stream) Row(cells ...string) {
	if s.form != JSON && s.form != CSV {
		s.rows = append(s.rows, cells)
	}
}

// Record writes a record of csv, and nothing in other forms.
func (s *Stream) Record(cells ...string) {
	if s.form == CSV && s.err == nil {
		cells = noFormulas(cells)
		if IsTerminal(s.w) {
			for i, cell := range cells {
				cells[i] = Printable(cell)
			}
		}
		s.err = s.records.Write(cells)
	}
}

// Value writes an element of the list of json, and nothing in other forms.
func (s *Stream) Value(value any) {
	if s.form != JSON || s.err != nil {
		return
	}
	separator := ",\n"
	if !s.begun {
		separator = s.opening() + "\n"
	}
	s.begun = true
	s.Print(separator + s.indent() + "  ")
	s.encode(value, s.indent()+"  ", s.Compact)
}

// Member is one more member of the object of json.
type Member struct {
	Name  string
	Value any
}

// End writes what is still to be written, and after the list the other members of the
// object of json.
func (s *Stream) End(members ...Member) error {
	switch s.form {
	case JSON:
		if s.begun {
			s.Print("\n" + s.indent() + "]")
		} else {
			s.Print(s.opening() + "]")
		}
		for _, one := range members {
			s.Print(fmt.Sprintf(",\n  %q: ", one.Name))
			s.encode(one.Value, "  ", true)
		}
		if s.Member != "" {
			s.Print("\n}")
		}
		s.Print("\n")
	case CSV:
		s.records.Flush()
		s.err = cmp.Or(s.err, s.records.Error())
	default:
		if s.err == nil {
			s.err = WriteTable(s.w, s.Heads, s.rows)
		}
	}
	return s.err
}

// Form is the form of the result.
func (s *Stream) Form() string { return s.form }

// HasRows reports whether a table has a row.
func (s *Stream) HasRows() bool { return len(s.rows) > 0 }

// Err returns the first error.
func (s *Stream) Err() error { return s.err }

// opening is what stands before the list of json.
func (s *Stream) opening() string {
	if s.Member == "" {
		return "["
	}
	return fmt.Sprintf("{\n  %q: [", s.Member)
}

func (s *Stream) indent() string {
	if s.Member == "" {
		return ""
	}
	return "  "
}

// Print writes a text as it is, for what stands below a table.
func (s *Stream) Print(text string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.w, text)
	}
}

func (s *Stream) encode(value any, prefix string, compact bool) {
	indent := "  "
	if compact {
		prefix, indent = "", ""
	}
	text, err := encoded(value, prefix, indent)
	s.err = cmp.Or(s.err, err)
	s.Print(text)
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

// WriteJSON writes a value as JSON, indented.
func WriteJSON(w io.Writer, value any) error {
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
