package supervise

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// ExitError says that a plugin's process is gone although it was not to
// stop: it ended by itself, another program ended it, or the host did because it
// hung or took too much.
type ExitError struct {
	// Instance is the plugin's name in the configuration.
	Instance string
	// Reason is why the host ended the process, the rest of a sentence that
	// begins with "it"; "" if the host did not.
	Reason string
	// State is how the process ended, for example "exit status 3".
	State string
	// ExitCode is its exit status, or -1 if a signal ended it.
	ExitCode int
	// LastLines are the last lines of its log, oldest first.
	LastLines []string
	// Denied is what opens what the plugin was denied by the last lines; empty: nothing.
	Denied string

	// replaced says that a new process takes the place of this one.
	replaced bool
	// attached says that this host had not started it.
	attached bool
}

func (e *ExitError) Error() string {
	text := e.Public()
	if len(e.LastLines) > 0 {
		text += "; its last words: " + strings.Join(e.LastLines, " / ")
	}
	if e.Denied != "" {
		text += "; " + e.Denied
	}
	return text
}

// Public is the error without what the plugin said last.
func (e *ExitError) Public() string {
	text := fmt.Sprintf("the process of plugin %q ended (%s)", e.Instance, e.State)
	if e.State == "signal: killed" {
		text += ", and not by this host: by the system, which does that for lack of memory, or by a person"
	}
	if e.Reason != "" {
		text = fmt.Sprintf("the process of plugin %q was ended: it %s", e.Instance, e.Reason)
	}
	return text
}

// GRPCStatus makes the error ABORTED: it is not worth a retry on the same
// process, which UNAVAILABLE would ask for.
func (e *ExitError) GRPCStatus() *status.Status {
	return status.New(codes.Aborted, e.Error())
}

// Replaced says that the next call finds another process, or fails because
// there will be none.
func (e *ExitError) Replaced() bool { return e.replaced }

// RefusedError says that a plugin does not take its configuration. Its process
// is stopped again; what the plugin objects to may pass, such as an app that
// cannot be reached.
type RefusedError struct {
	Instance string
	// Err is what the plugin says, for a person to fix.
	Err error
}

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// Public is the error without the plugin's own words.
func (e *RefusedError) Public() string {
	text := fmt.Sprintf("plugin %q refuses its configuration", e.Instance)
	if why := errtext.Public(e.Err); why != "" {
		text += ": " + why
	}
	return text
}

// GRPCStatus makes the error UNAVAILABLE: a plugin that took its configuration
// once may do so again soon.
func (e *RefusedError) GRPCStatus() *status.Status {
	return status.New(codes.Unavailable, e.Error())
}

// UnresolvedError says that the configuration of a plugin cannot be resolved at this time: a
// store of secrets is away, say. It is tried again.
type UnresolvedError struct {
	Instance string
	Err      error
}

func (e *UnresolvedError) Error() string { return e.Err.Error() }
func (e *UnresolvedError) Unwrap() error { return e.Err }

// Public is the error without what stores say.
func (e *UnresolvedError) Public() string {
	return fmt.Sprintf("the secrets of plugin %q cannot be resolved", e.Instance)
}

// GRPCStatus makes the error UNAVAILABLE: they may be there soon.
func (e *UnresolvedError) GRPCStatus() *status.Status {
	return status.New(codes.Unavailable, e.Error())
}

// FailedError says that a plugin ended so often that it is not started again
// until an operator acts.
type FailedError struct {
	Instance string
	// Ends is how often it ended within Window.
	Ends   int
	Window time.Duration
	// Last is how it ended the last time.
	Last error
}

func (e *FailedError) Error() string { return e.text() + "; the last time: " + e.Last.Error() }

// Public is the error without what the plugin said last.
func (e *FailedError) Public() string {
	if why := errtext.Public(e.Last); why != "" {
		return e.text() + "; the last time: " + why
	}
	return e.text()
}

func (e *FailedError) text() string {
	return fmt.Sprintf("plugin %q has failed: it ended %d times within %s and is not started again before an operator restarts the host or sends it SIGUSR1",
		e.Instance, e.Ends, e.Window)
}

func (e *FailedError) Unwrap() error { return e.Last }

// GRPCStatus makes the error ABORTED: to ask again changes nothing.
func (e *FailedError) GRPCStatus() *status.Status {
	return status.New(codes.Aborted, e.Error())
}

// stoppedError says that the host itself has stopped the plugin.
type stoppedError struct{ instance string }

func (e *stoppedError) Error() string {
	return fmt.Sprintf("plugin %q has been stopped", e.instance)
}

// Public is all of the error.
func (e *stoppedError) Public() string { return e.Error() }

func (e *stoppedError) GRPCStatus() *status.Status {
	return status.New(codes.Aborted, e.Error())
}

// unreachedError says that a call found no process to go to: whatever its code, it is
// not the plugin's answer.
type unreachedError struct{ error }

func (e *unreachedError) Unwrap() error { return e.error }

// Unreached marks the error.
func (e *unreachedError) Unreached() {}

// startError is why a plugin could not be started, where the host has found out
// itself.
type startError struct {
	error
	words string // without paths, and without what the plugin said
}

func (e *startError) Unwrap() error { return e.error }

// Public is the error without paths, and without what the plugin said.
func (e *startError) Public() string { return e.words }
