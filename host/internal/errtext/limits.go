package errtext

import (
	"regexp"
	"strings"
)

// limits are what a system reports when one of its limits is reached, and what a
// person does about it. The longer text comes first.
var limits = []struct{ reports, remedy string }{
	{"too many open files in system", "the limit of open files of a whole machine is reached; if it is this one, raise fs.file-max (sysctl)"},
	{"too many open files", "a limit of open files is reached; if it is this machine's, raise it (ulimit -n, LimitNOFILE= in a systemd unit, --ulimit nofile= of a container)"},
}

// LimitHint is what to do about the limit that an error's text speaks of; "" if it
// speaks of none. The text is all that is left of an error that another process, such
// as a plugin, has returned.
func LimitHint(text string) string {
	for _, limit := range limits {
		if strings.Contains(text, limit.reports) {
			return limit.remedy
		}
	}
	return ""
}

// WithLimitHint appends the hint to an error's text that has none yet.
func WithLimitHint(text string) string {
	hint := LimitHint(text)
	if hint == "" || strings.Contains(text, hint) {
		return text
	}
	return text + "; " + hint
}

// The SDK puts a status inside a status, so that gRPC's prefix turns up anywhere.
var statusPrefix = regexp.MustCompile(`rpc error: code = \w+ desc = `)

// Plain is the text of an error for people: without gRPC's prefixes, and with what to
// do about a limit of the system.
func Plain(text string) string {
	return WithLimitHint(statusPrefix.ReplaceAllString(text, ""))
}
