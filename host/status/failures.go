package status

import (
	"github.com/batonhost/baton-host/host/discreet"
)

// sentence is an error without anything that came from outside; otherwise stands
// for one of which nothing can be said.
func sentence(err error, otherwise string) string {
	if err == nil {
		return ""
	}
	if said := discreet.Of(err); said != "" {
		return said
	}
	return otherwise + "; the host's log says why"
}

// ofPlugin is an error that is one plugin's.
type ofPlugin interface {
	error
	Plugin() string
	Discreet() string
}

// failuresOf are the plugins that an error is about, and what it says of each.
func failuresOf(err error) map[string]string {
	found := map[string]string{}
	var walk func(error)
	walk = func(err error) {
		var inner []error
		switch err := err.(type) { //nolint:errorlint // The tree is walked here.
		case ofPlugin:
			if _, known := found[err.Plugin()]; !known {
				found[err.Plugin()] = err.Discreet()
			}
			return
		case interface{ Unwrap() []error }:
			inner = err.Unwrap()
		case interface{ Unwrap() error }:
			inner = []error{err.Unwrap()}
		}
		for _, one := range inner {
			walk(one)
		}
	}
	walk(err)
	return found
}
