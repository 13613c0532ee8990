package policy

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// Refusal is a reason that the host itself gives for refusing what a plugin does.
type Refusal struct {
	Code   codes.Code
	Format string
	Args   []any
}

func (e *Refusal) Error() string { return fmt.Sprintf(e.Format, e.Args...) }

// Public leaves texts out, which may come from the plugin.
func (e *Refusal) Public() string {
	args := slices.Clone(e.Args)
	for i, arg := range args {
		if _, ok := arg.(string); ok {
			args[i] = "…"
		}
	}
	return fmt.Sprintf(e.Format, args...)
}

// Message returns an error's message without gRPC's prefixes.
func Message(err error) string {
	words := errtext.Plain(status.Convert(err).Message())
	// The syncer takes this marker in an error of ListStaticEntitlements for an
	// old connector that has none, and ends the listing as if complete.
	return strings.ReplaceAll(words, `"errorType":"prefixError"`, `"errorType": "prefixError"`)
}
