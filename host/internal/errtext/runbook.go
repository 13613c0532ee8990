package errtext

import (
	"bytes"
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// Runbook is where people look up what to do. Its headings are held by tests of the documents.
const Runbook = "https://github.com/batonhost/baton-host/blob/main/docs/runbook.md"

// sentencesText has a line for each sentence of the code: the anchor of its entry in the
// runbook, or none where the sentence names all that is to be done, a tab, and the sentence
// with … for what differs. docs/gen writes it.
//
//go:embed sentences.txt
var sentencesText string

// longestError is how much of an error is looked at, in bytes: a log line has no more of it.
const longestError = 4 << 10

// longestGap is the length, in bytes, of what may stand for one … of a sentence.
const longestGap = 400

// appsWords precedes the words of an app in an error of package scim.
const appsWords = " It answered: "

// known is a sentence of the code.
type known struct {
	anchor string
	parts  [][]byte // what is between the …
	weight int      // the length of the parts together
}

var knownSentences = sync.OnceValue(func() []known {
	var all []known
	for line := range strings.Lines(sentencesText) {
		anchor, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		one := known{anchor: anchor}
		for part := range strings.SplitSeq(text, "…") {
			if strings.TrimSpace(part) != "" {
				one.parts = append(one.parts, []byte(part))
				one.weight += len(part)
			}
		}
		all = append(all, one)
	}
	// A sentence may be a part of another one, which then counts.
	slices.SortStableFunc(all, func(a, b known) int { return b.weight - a.weight })
	return all
})

// RunbookEntry returns the address of the runbook's entry about an error, or "" if the error
// has no sentence of the code, or one that names all that is to be done. An error is put
// together from several sentences: the one that begins last is nearest to the cause. Of several
// errors, one to a line, the first counts. What an app answered is not looked at. An error that
// begins with a flag names all as well.
func RunbookEntry(text string) string {
	if strings.HasPrefix(text, "--") {
		return ""
	}
	for line := range strings.Lines(Cut(text, longestError)) {
		line, _, _ = strings.Cut(line, appsWords)
		left, anchor, last := []byte(line), "", -1
		for _, one := range knownSentences() {
			if begin, ok := one.take(left); ok && begin > last {
				anchor, last = one.anchor, begin
			}
		}
		switch {
		case last < 0:
			continue
		case anchor == "":
			return ""
		}
		return Runbook + "#" + anchor
	}
	return ""
}

// take finds the sentence in a text, returns where it begins, and overwrites its parts, so
// that no shorter sentence is found in them.
func (k known) take(text []byte) (begin int, ok bool) {
	var ends []int
	for at, i := 0, 0; i < len(k.parts); i++ {
		found := bytes.Index(text[at:], k.parts[i])
		if found < 0 || i > 0 && found > longestGap {
			return 0, false
		}
		if i == 0 {
			begin = at + found
		}
		at += found + len(k.parts[i])
		ends = append(ends, at)
	}
	for i, end := range ends {
		for at := end - len(k.parts[i]); at < end; at++ {
			text[at] = 0
		}
	}
	return begin, len(ends) > 0
}
