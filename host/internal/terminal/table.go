package terminal

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// columnGap is what stands between two columns.
const columnGap = "  "

// WriteTable writes rows under a header in aligned columns, which fit a terminal's width.
// Control characters, which an app may send and a terminal would obey, are escaped.
func WriteTable(w io.Writer, header []string, rows [][]string) error {
	return writeTable(w, widthOf(w), header, rows)
}

// writeTable writes a table of this width; 0: as wide as it is.
func writeTable(w io.Writer, width int, header []string, rows [][]string) error {
	widths := make([]int, len(header))
	lines := make([][]string, 0, 1+len(rows))
	for _, row := range append([][]string{header}, rows...) {
		line := make([]string, len(row)) // The caller's row stays as it is.
		for i, cell := range row {
			line[i] = Printable(cell)
			widths[i] = max(widths[i], runewidth.StringWidth(line[i]))
		}
		lines = append(lines, line)
	}
	if width > 0 {
		fit(widths, width-len(columnGap)*(len(header)-1))
	}
	for n, line := range lines {
		cells, height := make([][]string, len(line)), 1
		for i, cell := range line {
			cells[i] = wrap(cell, widths[i])
			height = max(height, len(cells[i]))
		}
		for at := range height {
			var text strings.Builder
			for i, parts := range cells {
				part := ""
				if at < len(parts) {
					part = parts[at]
				}
				part = runewidth.FillRight(part, widths[i])
				if n > 0 && stateColumns[header[i]] && (at == 0 || at < len(parts) && strings.HasSuffix(parts[at-1], ";")) {
					part = Colored(part)
				}
				text.WriteString(part)
				text.WriteString(columnGap)
			}
			if _, err := fmt.Fprintln(w, strings.TrimRight(text.String(), " ")); err != nil {
				return err
			}
		}
	}
	return nil
}

// narrowest is how narrow a column is made at most. A table that does not fit then is as wide
// as it is, and the terminal breaks its lines.
const narrowest = 8

// fit makes the widest columns narrower until all of them have room in a width.
func fit(widths []int, room int) {
	order := slices.Clone(widths)
	slices.Sort(order)
	for i, width := range order {
		share := room / (len(order) - i)
		if width <= share {
			room -= width
			continue
		}
		if share < narrowest {
			return
		}
		for at := range widths {
			widths[at] = min(widths[at], share)
		}
		return
	}
}

// wrap breaks a text into lines of a width, between words where it can.
func wrap(text string, width int) []string {
	if runewidth.StringWidth(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		if joined := line + " " + word; line != "" && runewidth.StringWidth(joined) <= width {
			line = joined
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		parts := strings.Split(runewidth.Wrap(word, width), "\n")
		lines = append(lines, parts[:len(parts)-1]...)
		line = parts[len(parts)-1]
	}
	return append(lines, line)
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
