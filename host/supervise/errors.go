package supervise

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ExitError says that a plugin's process is gone although nobody stopped it.
type ExitError struct {
	// Instance is the plugin's name in the configuration.
	Instance string
	// State is how the process ended, for example "exit status 3".
	State string
	// LastLines are the last lines of its log, oldest first.
	LastLines []string
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("the process of plugin %q ended (%s)", e.Instance, e.State)
	if len(e.LastLines) > 0 {
		text += "; its last words: " + strings.Join(e.LastLines, " / ")
	}
	return text
}

// GRPCStatus makes the error ABORTED: it is not worth a retry on the same
// process, which UNAVAILABLE would ask for.
func (e *ExitError) GRPCStatus() *status.Status {
	return status.New(codes.Aborted, e.Error())
}
