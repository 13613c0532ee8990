package population

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/files"
)

const (
	// largest is how large a CSV file is read, in bytes.
	largest = 256 << 20
	// mostColumns and longestColumn are how much of the names of columns an error has.
	mostColumns, longestColumn = 40, 60
)

// separators are what parts the columns of CSV files; the first one is the standard's.
var separators = []rune{',', ';', '\t', '|'}

// howToSave is what to do about a file that cannot be read.
const howToSave = `save it again as CSV in UTF-8 (in Excel: "CSV UTF-8 (Comma delimited)")`

// Row is a row of the CSV file.
type Row struct {
	// Line is where it begins in the file, from 1.
	Line int `json:"line"`
	// Value is what the column has that accounts are compared with.
	Value string `json:"value"`

	keys []string
}

// readCSV returns the rows of a file, and the name of the column as the file has it. The
// first row has the names of the columns.
func readCSV(ctx context.Context, path string, by By) (rows []Row, column string, err error) {
	data, err := files.ReadPatiently(ctx, path, largest)
	if err == nil {
		data, err = decode(data)
	}
	if err == nil {
		rows, column, err = parse(data, by)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s cannot be compared with: %w", path, err)
	}
	return rows, column, nil
}

// decode returns a text in UTF-8 with one kind of line break, or an error for what is no
// text of a CSV file.
func decode(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")), bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0")):
		return nil, errors.New("it is a workbook or another packed file, not CSV; open it and " + howToSave)
	case bytes.HasPrefix(data, []byte("%PDF-")):
		return nil, errors.New("it is a PDF, not CSV; export the users as CSV")
	}
	order, wide := utf16Order(data)
	if wide {
		if len(data)%2 != 0 {
			return nil, errors.New("it is in UTF-16 and ends within a character: it is cut short; export it again")
		}
		decoded, err := unicode.UTF16(order, unicode.UseBOM).NewDecoder().Bytes(data)
		if err != nil {
			return nil, fmt.Errorf("it is in UTF-16, and cannot be decoded: %w; %s", err, howToSave)
		}
		if bytes.ContainsRune(decoded, utf8.RuneError) {
			return nil, errors.New("it is in UTF-16, with characters that are lost or no characters; " + howToSave)
		}
		data = decoded
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("it is empty; its first row must have the names of the columns")
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return nil, fmt.Errorf("it is no CSV: line %d has a zero byte, which no text has; export the users as CSV in UTF-8", lineAt(data, i))
	}
	if i := invalid(data); i >= 0 {
		if bytes.ContainsFunc(data, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\r\n\f\v", r) }) {
			return nil, errors.New("it is no text; export the users as CSV in UTF-8")
		}
		return nil, fmt.Errorf("line %d is not UTF-8; the file is probably in ISO-8859-1 or Windows-1252; %s", lineAt(data, i), howToSave)
	}
	begins := bytes.ToLower(bytes.TrimSpace(data)[:min(20, len(bytes.TrimSpace(data)))])
	switch {
	case bytes.HasPrefix(begins, []byte("<!doctype")), bytes.HasPrefix(begins, []byte("<html")), bytes.HasPrefix(begins, []byte("<?xml")):
		return nil, errors.New("it is a web page or XML, not CSV; export the users as CSV")
	case bytes.HasPrefix(begins, []byte("{")) || bytes.HasPrefix(begins, []byte("[")):
		if json.Valid(data) {
			return nil, errors.New("it is JSON, not CSV; export the users as CSV")
		}
	}
	if !bytes.ContainsRune(data, '\n') {
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n")) // As old programs end lines.
	}
	return data, nil
}

// utf16Order reports whether a text is in UTF-16, by its first character, and in which order.
func utf16Order(data []byte) (order unicode.Endianness, wide bool) {
	if len(data) < 4 {
		return unicode.LittleEndian, bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff"))
	}
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(data, []byte("\x00\x00")):
		return unicode.LittleEndian, false // UTF-32, or no text.
	case bytes.HasPrefix(data, []byte("\xff\xfe")), data[0] != 0 && data[1] == 0 && data[2] != 0 && data[3] == 0:
		return unicode.LittleEndian, true
	case bytes.HasPrefix(data, []byte("\xfe\xff")), data[0] == 0 && data[1] != 0 && data[2] == 0 && data[3] != 0:
		return unicode.BigEndian, true
	}
	return unicode.LittleEndian, false
}

// invalid returns where a text is not UTF-8, or -1.
func invalid(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
	return -1
}

// lineAt returns the line of a place in a text.
func lineAt(data []byte, at int) int { return bytes.Count(data[:at], []byte("\n")) + 1 }

// parse returns the rows of a text, and the name of the column that is compared.
func parse(data []byte, by By) (rows []Row, column string, err error) {
	text, line, separator := withoutSeparatorLine(data)
	tried := separators
	if separator != 0 {
		tried = []rune{separator}
	}
	var header []string
	best := rune(0)
	at := -1
	for _, one := range tried {
		names, err := reader(text, one).Read()
		if err != nil {
			if best == 0 && one == tried[len(tried)-1] {
				return nil, "", inWords(err, line)
			}
			continue
		}
		found := columnsNamed(names, by.Column)
		// The one that has the column, or the most columns.
		if best == 0 || len(found) > 0 && at < 0 || (len(found) > 0) == (at >= 0) && len(names) > len(header) {
			header, best, at = names, one, -1
			if len(found) > 0 {
				at = found[0]
			}
		}
	}
	if found := columnsNamed(header, by.Column); len(found) > 1 {
		return nil, "", fmt.Errorf("its columns %q and %q both may be meant by %q; write the name of one exactly, as in --by \"%s=%s\", or rename the other", header[found[0]], header[found[1]], by.Column, by.Attribute, header[found[0]])
	}
	if at < 0 {
		return nil, "", fmt.Errorf("it has no column %q in its first row; its columns are: %s; name one of them, as in --by \"%s=%s\"",
			by.Column, shownColumns(header), by.Attribute, errtext.Cut(header[0], longestColumn))
	}
	rows, err = readRows(text, best, header, at, line, by)
	return rows, header[at], err
}

// readRows returns the rows behind the header. Those of a file with one column may be empty
// lines; in others an empty line is no row.
func readRows(text []byte, separator rune, header []string, at, line int, by By) ([]Row, error) {
	records := reader(text, separator)
	var rows []Row
	end := func() int { return line + bytes.Count(text[:records.InputOffset()], []byte("\n")) }
	for first := true; ; first = false {
		begins := end()
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, inWords(err, line)
		}
		place, _ := records.FieldPos(0)
		place += line
		if len(header) == 1 && !first {
			for empty := begins + 1; empty < place; empty++ {
				rows = append(rows, Row{Line: empty})
			}
		}
		if len(record) > len(header) && slices.ContainsFunc(record[len(header):], func(cell string) bool { return strings.TrimSpace(cell) != "" }) {
			return nil, fmt.Errorf("line %d has %d columns and the first row has %d: a value with the separator (%s) in it has no quotation marks, or it is no CSV; export it again",
				place, len(record), len(header), separatorName(separator))
		}
		if first {
			continue // The header.
		}
		row := Row{Line: place}
		if at < len(record) {
			row.Value = strings.TrimSpace(record[at])
			row.keys = by.keysOfCell(row.Value)
		}
		rows = append(rows, row)
	}
}

func reader(text []byte, separator rune) *csv.Reader {
	records := csv.NewReader(bytes.NewReader(text))
	records.Comma, records.FieldsPerRecord = separator, -1
	records.TrimLeadingSpace = separator != '\t' // With it, empty columns would go.
	return records
}

// withoutSeparatorLine removes the line "sep=;" that Excel writes and reads, and returns how
// many lines that are.
func withoutSeparatorLine(data []byte) (text []byte, lines int, separator rune) {
	first, rest, found := bytes.Cut(data, []byte("\n"))
	words := strings.ToLower(strings.Trim(string(first), "\"\r "))
	name, ok := strings.CutPrefix(words, "sep=")
	if named := []rune(name); found && ok && len(named) == 1 && slices.Contains(separators, named[0]) {
		return rest, 1, named[0]
	}
	return data, 0, 0
}

// columnsNamed returns which columns have this name: those that have it exactly, or else
// those that have it but for letter case, spaces, hyphens and underscores.
func columnsNamed(header []string, name string) []int {
	var exact, alike []int
	for i, one := range header {
		if strings.TrimSpace(one) == strings.TrimSpace(name) {
			exact = append(exact, i)
		}
		if plainName(one) == plainName(name) {
			alike = append(alike, i)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return alike
}

func shownColumns(header []string) string {
	var shown []string
	for i, one := range header {
		if i == mostColumns {
			shown = append(shown, fmt.Sprintf("and %d more", len(header)-i))
			break
		}
		shown = append(shown, fmt.Sprintf("%q", errtext.Cut(strings.TrimSpace(one), longestColumn)))
	}
	return strings.Join(shown, ", ")
}

func separatorName(separator rune) string {
	if separator == '\t' {
		return "a tab"
	}
	return string(separator)
}

// inWords is an error of the CSV reader, with the line in the file.
func inWords(err error, lines int) error {
	parse, ok := errors.AsType[*csv.ParseError](err)
	if !ok {
		return err
	}
	line := parse.Line + lines
	switch {
	case errors.Is(err, csv.ErrBareQuote):
		return fmt.Errorf("line %d has a quotation mark within a value without quotation marks around it; export it again, or put the value in quotation marks and double those within it", line)
	case errors.Is(err, csv.ErrQuote):
		return fmt.Errorf("the value in quotation marks that begins in line %d has no end, or text behind its end; export it again", parse.StartLine+lines)
	default:
		return fmt.Errorf("line %d: %w", line, parse.Err)
	}
}
