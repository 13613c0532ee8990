package scim

import (
	"strconv"
	"strings"
	"time"
)

// timestamp is a date and time (xsd:dateTime, RFC 7643 section 2.3.5) in any of
// the forms servers send. One that cannot be read is the zero time.
type timestamp struct{ time.Time }

// timestampLayouts are tried in turn; a fraction of a second fits all of them.
// Without a zone the time is taken for UTC.
var timestampLayouts = []string{
	time.RFC3339,
	"2006-01-02T15:04:05",
	"2006-01-02T15:04:05Z0700",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05",
	"2006-01-02",
}

// epochMillisecondsFrom separates milliseconds since 1970 from seconds: as seconds
// it is the year 5138, as milliseconds 1973.
const epochMillisecondsFrom = 100_000_000_000

// UnmarshalJSON reads a string in one of the layouts, or a number of seconds or
// milliseconds since 1970.
func (t *timestamp) UnmarshalJSON(raw []byte) error {
	var written text
	_ = written.UnmarshalJSON(raw)
	*t = timestamp{}
	value := strings.TrimSpace(string(written))
	for _, layout := range timestampLayouts {
		if at, err := time.Parse(layout, value); err == nil {
			t.set(at)
			return nil
		}
	}
	if epoch, err := strconv.ParseInt(value, 10, 64); err == nil && epoch > 0 {
		if epoch >= epochMillisecondsFrom {
			t.set(time.UnixMilli(epoch))
		} else {
			t.set(time.Unix(epoch, 0))
		}
	}
	return nil
}

// set keeps a time unless it is a placeholder (year 1) or beyond what
// protobuf's Timestamp holds.
func (t *timestamp) set(at time.Time) {
	at = at.UTC()
	if at.Year() > 1 && at.Year() <= 9999 {
		t.Time = at
	}
}
