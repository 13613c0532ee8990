package errtext

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable escapes what a terminal would obey or hide: control characters and
// those that turn the direction of a text. The characters in keep stay.
func Printable(text, keep string) string {
	return escape(text, keep, func(r rune) string { return strings.Trim(strconv.QuoteRuneToASCII(r), "'") })
}

// isObeyed reports whether a terminal obeys a character or hides it.
func isObeyed(r rune) bool {
	if ' ' <= r && r <= '~' {
		return false
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// PrintableJSON is a document in JSON whose texts are escaped further: what a terminal
// would obey or hide stands as \u and its number, which is the same text. Line breaks and
// tabs stay, as they can only be between the values.
func PrintableJSON(document string) string {
	return escape(document, "\n\t", func(r rune) string { return fmt.Sprintf(`\u%04x`, r) }) // There is none beyond U+FFFF.
}

// escape has other text stand for what a terminal would obey or hide, but for the characters
// in keep, and U+FFFD for what is not UTF-8. Most texts, of which a log has many, stay as
// they are.
func escape(text, keep string, escaped func(rune) string) string {
	isEscaped := func(r rune) bool { return isObeyed(r) && !strings.ContainsRune(keep, r) }
	if utf8.ValidString(text) && !strings.ContainsFunc(text, isEscaped) {
		return text
	}
	var shown strings.Builder
	for _, r := range text {
		if isEscaped(r) {
			shown.WriteString(escaped(r))
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

// Shorten returns a text of so many bytes at most, the mark that it was cut among them.
func Shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	if text = strings.ToValidUTF8(text, "\uFFFD"); len(text) <= limit {
		return text
	}
	const mark = " … (%d more bytes cut)"
	end := limit - len(fmt.Sprintf(mark, len(text)))
	for back := 1; back < utf8.UTFMax && !utf8.RuneStart(text[end]); back++ {
		end--
	}
	return text[:end] + fmt.Sprintf(mark, len(text)-end)
}
