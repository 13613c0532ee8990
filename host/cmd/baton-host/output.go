package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
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

// listing is a result in rows, for any form of output.
type listing struct {
	// columns are the names of the columns as csv has them: lower case with
	// underscores.
	columns []string
	rows    [][]string
	// value is the same for json.
	value any
}

func (l listing) write(w io.Writer, output string) error {
	switch output {
	case outputJSON:
		return writeJSON(w, l.value)
	case outputCSV:
		records := csv.NewWriter(w)
		_ = records.Write(l.columns) // The writer remembers its error.
		for _, row := range l.rows {
			_ = records.Write(noFormulas(row))
		}
		records.Flush()
		return records.Error()
	default:
		header := make([]string, len(l.columns))
		for i, column := range l.columns {
			header[i] = strings.ToUpper(strings.ReplaceAll(column, "_", " "))
		}
		return writeTable(w, header, l.rows)
	}
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
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
