package redact

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// deepest is how many layers of escapes are looked through: JSON in a text in
// JSON in a URL.
const deepest = 3

// longestEscape is the length of two \uXXXX that are one character, in bytes.
const longestEscape = 12

// Readings returns the text and, layer by layer, what it reads with the escapes of
// JSON, Go and URLs taken for what they stand for.
func Readings(text string) []string {
	readings := []string{text}
	for range deepest {
		if !hasEscapes(text) {
			break
		}
		plain, _ := unescape(text, nil)
		if plain == text {
			break
		}
		readings = append(readings, plain)
		text = plain
	}
	return readings
}

// reading is a text without some layers of its escapes, and where in the
// original each byte comes from.
type reading struct {
	text string
	// places are where each byte of text comes from; nil for the original.
	places []place
}

// place is a part of the original, from the first byte to behind the last.
type place struct{ from, to int }

func read(text string) reading { return reading{text: text} }

// original is where the bytes from one to behind another come from.
func (r reading) original(from, to int) (start, end int) {
	if r.places == nil {
		return from, to
	}
	return r.places[from].from, r.places[to-1].to
}

// unescaped is the reading without one more layer of escapes. It is not ok where
// there is none.
func (r reading) unescaped() (reading, bool) {
	if !hasEscapes(r.text) {
		return r, false
	}
	text, places := unescape(r.text, make([]place, 0, len(r.text)))
	if text == r.text {
		return r, false
	}
	for i, p := range places {
		places[i].from, places[i].to = r.original(p.from, p.to)
	}
	return reading{text: text, places: places}, true
}

func hasEscapes(text string) bool { return strings.ContainsAny(text, `\%`) }

// unescape takes one layer of escapes for what they stand for. What is no escape
// stays as it is. Unless places is nil, each byte's place is added to it.
func unescape(text string, places []place) (string, []place) {
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		before := len(plain)
		length := 1
		if text[i] == '\\' || text[i] == '%' {
			plain, length = appendEscape(plain, text[i:])
		}
		if len(plain) == before {
			plain = append(plain, text[i])
			length = 1
		}
		if places != nil {
			for range len(plain) - before {
				places = append(places, place{i, i + length})
			}
		}
		i += length
	}
	return string(plain), places
}

// letters are the escapes of a backslash and one character.
var letters = map[byte]byte{
	'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f', 'a': '\a', 'v': '\v',
	'"': '"', '\'': '\'', '\\': '\\', '/': '/',
}

// appendEscape appends what the escape with which the text begins stands for, and
// returns how long the escape is. It appends nothing where it is no escape.
func appendEscape(plain []byte, text string) ([]byte, int) {
	if text[0] == '%' {
		if code, ok := digits(text, 1, 2, 16); ok {
			return append(plain, byte(code&0xff)), 3
		}
		return plain, 1
	}
	if len(text) < 2 {
		return plain, 1
	}
	switch kind := text[1]; kind {
	case 'u':
		return appendUTF16(plain, text)
	case 'U':
		if code, ok := digits(text, 2, 8, 16); ok && code <= utf8.MaxRune {
			return utf8.AppendRune(plain, code), 10
		}
	case 'x':
		if code, ok := digits(text, 2, 2, 16); ok {
			return append(plain, byte(code&0xff)), 4
		}
	case '0', '1', '2', '3': // as protobuf's text form has them
		if code, ok := digits(text, 1, 3, 8); ok {
			return append(plain, byte(code&0xff)), 4
		}
	default:
		if letter, ok := letters[kind]; ok {
			return append(plain, letter), 2
		}
	}
	return plain, 1
}

// appendUTF16 appends the character of one \uXXXX, or of two that are one pair.
func appendUTF16(plain []byte, text string) ([]byte, int) {
	first, ok := digits(text, 2, 4, 16)
	if !ok {
		return plain, 1
	}
	if utf16.IsSurrogate(first) && strings.HasPrefix(text[6:], `\u`) {
		if second, ok := digits(text, 8, 4, 16); ok {
			if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
				return utf8.AppendRune(plain, r), 12
			}
		}
	}
	return utf8.AppendRune(plain, first), 6
}

// digits reads a number of so many digits.
func digits(text string, from, count, base int) (rune, bool) {
	if len(text) < from+count {
		return 0, false
	}
	number, err := strconv.ParseUint(text[from:from+count], base, 31)
	return rune(number & math.MaxInt32), err == nil
}
