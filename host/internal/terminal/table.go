package terminal

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// WriteTable writes rows under a header in aligned columns. Control characters,
// which an app may send and a terminal would obey, are escaped.
func WriteTable(w io.Writer, header []string, rows [][]string) error {
	widths := make([]int, len(header))
	lines := append([][]string{header}, rows...)
	for _, line := range lines {
		for i, cell := range line {
			line[i] = Printable(cell)
			widths[i] = max(widths[i], runewidth.StringWidth(line[i]))
		}
	}
	for n, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			cell = runewidth.FillRight(cell, widths[i])
			if n > 0 && stateColumns[header[i]] {
				cell = Colored(cell)
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

// Sections writes lines and tables with a blank line between them, and remembers its first
// error. Empty tables are left out.
type Sections struct {
	w   io.Writer
	err error
}

// NewSections returns sections that are written to w.
func NewSections(w io.Writer) *Sections { return &Sections{w: w} }

// Line writes a line.
func (s *Sections) Line(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintln(s.w, Printable(fmt.Sprintf(format, args...)))
	}
}

// Table writes a table that has rows.
func (s *Sections) Table(header []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	s.Line("")
	if s.err == nil {
		s.err = WriteTable(s.w, header, rows)
	}
}

// Err returns the first error.
func (s *Sections) Err() error { return s.err }
