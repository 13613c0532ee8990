package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

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

// printable returns a text of others as it may be printed.
func printable(text string) string { return errtext.Printable(text, "") }
