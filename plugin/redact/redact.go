package redact

import (
	"cmp"
	"slices"
	"strings"
)

// Hidden is written in place of a secret.
const Hidden = "(secret)"

// Shortest is the least length of a value that is blanked, in bytes: to blank
// shorter ones would garble every text and hide nothing.
const Shortest = 4

// Value is a text that must not be seen and what is written in its place.
type Value struct {
	Text    string
	Instead string
}

// Redactor blanks a set of values. It is made once and may be used concurrently;
// what a text costs does not depend on the number of values. The zero value and
// nil blank nothing.
type Redactor struct {
	// patterns are by their first four bytes, the longest first.
	patterns map[[Shortest]byte][]pattern
	// begins has a bit for each two bytes with which a pattern begins: a look at
	// it spares most looks into the map.
	begins [1 << 16 / 64]uint64
}

// pattern is one form of a value.
type pattern struct {
	text    string
	instead string
	// before and after mean that the character before or behind belongs to it too,
	// as in base64, where one character can hold bits of two bytes.
	before, after bool
}

// New makes a Redactor. Of two values with the same text the first counts.
func New(values ...Value) *Redactor {
	r := &Redactor{patterns: map[[Shortest]byte][]pattern{}}
	seen := map[string]bool{}
	for _, value := range values {
		if len(value.Text) < Shortest {
			continue
		}
		for _, text := range writtenAs(value.Text) {
			for _, p := range patternsOf(text) {
				if len(p.text) < Shortest || seen[p.text] {
					continue
				}
				seen[p.text] = true
				p.instead = value.Instead
				r.add(p)
			}
		}
	}
	for _, found := range r.patterns {
		slices.SortStableFunc(found, func(a, b pattern) int { return cmp.Compare(len(b.text), len(a.text)) })
	}
	return r
}

// Of makes a Redactor that writes [Hidden] in place of each text.
func Of(texts ...string) *Redactor {
	values := make([]Value, 0, len(texts))
	for _, text := range texts {
		values = append(values, Value{Text: text, Instead: Hidden})
	}
	return New(values...)
}

func (r *Redactor) add(p pattern) {
	key := [Shortest]byte([]byte(p.text[:Shortest]))
	r.patterns[key] = append(r.patterns[key], p)
	two := beginning(p.text, 0)
	r.begins[two/64] |= 1 << (two % 64)
}

// beginning is the two bytes at i as a number.
func beginning(text string, i int) uint16 { return uint16(text[i])<<8 | uint16(text[i+1]) }

// Longest is how much of a text Blank returns, in bytes. A person reads less, and
// to look through escapes takes many times the memory of the text.
const Longest = 1 << 20

// Blank returns the text with every value in it replaced. Where there are values to
// look for, it returns only the beginning of a text of more than [Longest] bytes.
func (r *Redactor) Blank(text string) string { return r.blank(text, false) }

// BlankBeginning is Blank for a text of which only the beginning is left: what
// stands at its end may be the beginning of a value, and is blanked too.
func (r *Redactor) BlankBeginning(text string) string { return r.blank(text, true) }

// Finds reports whether there is a value in the text, whatever its length.
func (r *Redactor) Finds(text string) bool {
	return !r.empty() && slices.ContainsFunc(Readings(text), func(plain string) bool {
		return len(r.search(nil, reading{text: plain})) > 0
	})
}

func (r *Redactor) empty() bool { return r == nil || len(r.patterns) == 0 }

func (r *Redactor) blank(text string, cut bool) string {
	if r.empty() {
		return text
	}
	if len(text) > Longest {
		text, cut = text[:Longest], true
	}
	found := r.find(text, cut)
	if len(found) == 0 {
		return text
	}
	slices.SortStableFunc(found, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to))
	})
	var blanked strings.Builder
	end := 0
	for _, m := range found {
		if m.from >= end { // else the rest of what has been blanked
			blanked.WriteString(text[end:m.from])
			blanked.WriteString(m.instead)
		}
		end = max(end, m.to)
	}
	blanked.WriteString(text[end:])
	return blanked.String()
}

// match is a part of a text that must not be seen.
type match struct {
	from, to int
	instead  string
}

// find returns all matches, whatever escapes the values are written with.
// Matches may overlap.
func (r *Redactor) find(text string, cut bool) []match {
	var found []match
	for reading, escapes := read(text), 0; ; escapes++ {
		found = r.search(found, reading)
		if cut {
			found = r.searchEnd(found, reading)
		}
		next, ok := reading.unescaped()
		if !ok || escapes == deepest {
			return found
		}
		reading = next
	}
}

func (r *Redactor) search(found []match, in reading) []match {
	text := in.text
	for i := 0; i+Shortest <= len(text); i++ {
		two := beginning(text, i)
		if r.begins[two/64]&(1<<(two%64)) == 0 {
			continue
		}
		for _, p := range r.patterns[[Shortest]byte([]byte(text[i:i+Shortest]))] {
			if strings.HasPrefix(text[i:], p.text) {
				found = append(found, p.at(in, i, i+len(p.text)))
				break // The longest; what else begins here is in it.
			}
		}
	}
	return found
}

// searchEnd finds the beginning of a value at the end of the text, also before an
// escape that has been cut.
func (r *Redactor) searchEnd(found []match, in reading) []match {
	end := len(in.text)
	if tail := max(0, end-longestEscape); strings.ContainsAny(in.text[tail:], `\%`) {
		if m, ok := r.ending(in, tail+strings.LastIndexAny(in.text[tail:], `\%`)); ok {
			_, m.to = in.original(end-1, end)
			found = append(found, m)
		}
	}
	if m, ok := r.ending(in, end); ok {
		found = append(found, m)
	}
	return found
}

// ending is the longest beginning of a value that ends at this byte.
func (r *Redactor) ending(in reading, end int) (match, bool) {
	for i := 0; i+Shortest <= end; i++ {
		for _, p := range r.patterns[[Shortest]byte([]byte(in.text[i:i+Shortest]))] {
			if strings.HasPrefix(p.text, in.text[i:end]) {
				return p.at(in, i, end), true
			}
		}
	}
	return match{}, false
}

// at is the match of a pattern in a reading, in terms of the original text.
func (p pattern) at(in reading, from, to int) match {
	if p.before && from > 0 && isBase64(in.text[from-1]) {
		from--
	}
	if p.after && to < len(in.text) && isBase64(in.text[to]) {
		to++
	}
	start, end := in.original(from, to)
	return match{from: start, to: end, instead: p.instead}
}
