package errtext

import (
	"regexp"
	"strings"
)

// limits are what a system reports when one of its limits is reached, or when it lacks
// something that every system is expected to have, and what a person does about it. The
// longer text comes first.
var limits = []struct {
	reports string
	// about is what the text must have in it too, where the report alone does not say
	// what it is about; nil: nothing.
	about  *regexp.Regexp
	remedy string
}{
	{reports: "too many open files in system", remedy: "the limit of open files of a whole machine is reached; if it is this one, raise fs.file-max (sysctl)"},
	{reports: "too many open files", remedy: "a limit of open files is reached; if it is this machine's, raise it (ulimit -n, LimitNOFILE= in a systemd unit, --ulimit nofile= of a container)"},
	// The system reports EAGAIN for much else than a process or a thread that it refuses.
	{reports: "esource temporarily unavailable", about: refusedProcess, remedy: processes},
	{reports: "EAGAIN", about: refusedProcess, remedy: processes},
	{reports: "failed to create new OS thread", remedy: processes},
	{reports: "can't start new thread", remedy: processes},
	{reports: "127.0.0.1", about: noLoopback, remedy: "there is no loopback network (127.0.0.1) where this ran; bring the interface lo up there (ip link set lo up), or let the sandbox of the container or the unit allow connections to 127.0.0.1"},
}

// processes is what to do about a limit of processes.
const processes = "a limit of processes and threads is reached; if it is this machine's, raise it (ulimit -u, TasksMax= and LimitNPROC= in a systemd unit, --pids-limit of a container, pids.max of a cgroup)"

// refusedProcess matches what Go, shells, Node and the C library report of a
// process or a thread that the system refuses to start.
var refusedProcess = regexp.MustCompile(`(?i)(fork/exec [^\n]*|\bfork|\bv?fork failed|\bclone3?|\bpthread_create[^:\n]*): (retry: )?resource temporarily unavailable|\bspawn(sync)? \S+ EAGAIN`)

// noLoopback matches attempts to use the loopback network that a system without one
// fails. An address in use, or a refused connection, is something else.
var noLoopback = regexp.MustCompile(`127\.0\.0\.1:\d+(->[^ ]*)?: (bind: cannot assign requested address|connect: (network is unreachable|no route to host|operation not permitted|permission denied))`)

// LimitHint is what to do about the limit that an error's text speaks of; "" if it
// speaks of none. The text is all that is left of an error that another process, such
// as a plugin, has returned.
func LimitHint(text string) string {
	for _, limit := range limits {
		if strings.Contains(text, limit.reports) && (limit.about == nil || limit.about.MatchString(text)) {
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
