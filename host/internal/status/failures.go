package status

import (
	"github.com/batonhost/baton-host/host/internal/errtext"
)

// sentence is an error without anything that came from outside; otherwise stands
// for one of which nothing can be said.
func sentence(err error, otherwise string) string {
	if err == nil {
		return ""
	}
	if said := errtext.Public(err); said != "" {
		return said
	}
	return otherwise + "; the host's log says why"
}
