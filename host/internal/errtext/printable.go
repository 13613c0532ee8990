package errtext

import (
	"strconv"
	"strings"
	"unicode"
)

// Printable escapes what a terminal would obey or hide: control characters and
// those that turn the direction of a text. The characters in keep stay.
func Printable(text, keep string) string {
	var shown strings.Builder
	for _, r := range text {
		if (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) && !strings.ContainsRune(keep, r) {
			shown.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			shown.WriteRune(r)
		}
	}
	return shown.String()
}

// Lines is a text of several lines, each fit to be shown, those behind the first
// indented.
func Lines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = Printable(line, "")
	}
	return strings.Join(lines, "\n  ")
}

// Cut cuts a text to a number of bytes, at a whole character.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}
