package redact

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

const (
	// shortestPart is the least length of a part of a value that is blanked by
	// itself, in bytes: shorter ones are words.
	shortestPart = 8
	// mostParts is how many parts of a line are looked at.
	mostParts = 8
)

// Forms lists how a text may be written without escapes: as it is, and what can be
// shown of it in base64, wherever in the encoded text it begins. (How escapes are
// looked through: see [Readings].)
func Forms(text string) []string {
	patterns := patternsOf(text)
	forms := make([]string, 0, len(patterns))
	for _, p := range patterns {
		forms = append(forms, p.text)
	}
	return forms
}

func patternsOf(text string) []pattern {
	patterns := []pattern{{text: text}}
	if strings.Contains(text, " ") { // as a form of HTML is sent
		patterns = append(patterns, pattern{text: strings.ReplaceAll(text, " ", "+")})
	}
	for shift := range 3 {
		// What precedes the text shifts its base64 form by 0, 1 or 2 bytes. The
		// characters at its ends also depend on the neighbours.
		first := (8*shift + 5) / 6
		behind := 8 * (shift + len(text)) / 6
		if behind-first < Shortest {
			continue
		}
		for i, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			encoded := encoding.EncodeToString([]byte("\x00\x00"[:shift] + text))[first:behind]
			if i > 0 && encoded == patterns[len(patterns)-1].text {
				continue
			}
			patterns = append(patterns, pattern{text: encoded, before: shift > 0, after: (shift+len(text))%3 > 0})
		}
	}
	return patterns
}

func isBase64(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("+/-_", c) >= 0
}

// writtenAs lists what of a value may turn up by itself: the whole, each line of
// it (also where its line breaks are escaped, as those of a private key in JSON)
// and what follows a word such as "Bearer" or the name of a header.
func writtenAs(value string) []string {
	texts := []string{value}
	if !utf8.ValidString(value) {
		// As texts and as JSON have it.
		texts = append(texts, strings.ToValidUTF8(value, string(utf8.RuneError)), string([]rune(value)))
	}
	lines := strings.Split(value, "\n")
	for _, reading := range Readings(value)[1:] {
		lines = append(lines, strings.Split(reading, "\n")...)
	}
	for _, line := range lines {
		line = strings.TrimSpace(line)
		texts = append(texts, line)
		for range mostParts {
			at := strings.IndexAny(line, " \t:=")
			if at < 0 {
				break
			}
			line = strings.Trim(line[at+1:], " \t:=\"',")
			if len(line) >= shortestPart {
				texts = append(texts, line)
			}
		}
	}
	return texts
}
