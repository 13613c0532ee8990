package page

import (
	"fmt"
	"html/template"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

var functions = template.FuncMap{
	"number":   number,
	"bytes":    func(n int64) string { return humanize.Bytes(uint64(max(n, 0))) },
	"took":     took,
	"rfc3339":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"absolute": absolute,
}

func number(n int) string { return humanize.Comma(int64(n)) }

// plural is a number of things, whose name has a regular plural.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return number(n) + " " + thing + "s"
}

func accounts(n int) string { return plural(n, "account") }

// absolute is a moment for people, the same wherever they are.
func absolute(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") }

// relative is how long ago a moment was.
func relative(t, now time.Time) string {
	if d := now.Sub(t); d < 2*time.Second {
		return "just now"
	}
	return humanize.RelTime(t, now, "ago", "from now")
}

// lasting is how long something has been so.
func lasting(since, now time.Time) string {
	if now.Sub(since) < 2*time.Second {
		return "for a moment"
	}
	return "for " + strings.TrimSpace(humanize.RelTime(since, now, "", ""))
}

// took is a duration for people.
func took(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
}

// asSentence begins with a capital letter and ends with a full stop.
func asSentence(text string) string {
	if text == "" {
		return ""
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// inSentence is a reason after a colon.
func inSentence(why, plugin string) string {
	why = withoutName(why, plugin)
	if why != "" && !strings.HasSuffix(why, ".") {
		why += "."
	}
	return why
}

// withoutName leaves out at the beginning of a sentence whom it is about, where
// that is said already.
func withoutName(text, plugin string) string {
	return strings.TrimPrefix(text, fmt.Sprintf("plugin %q: ", plugin))
}
