package supervise_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

func init() {
	aloneIn["loopback plugin"] = func() error { return startAndCall(context.Background(), spec("good")) }
	aloneIn["loopback unmodified"] = func() error {
		err := startAndCall(context.Background(), unmodifiedSpec("good"))
		if err == nil {
			return errNotHere // Something has brought lo up.
		}
		for _, text := range []string{
			`plugin "test" cannot be configured: `,
			"an unmodified connector is reached over the loopback network (127.0.0.1), which does not work here: ",
			"bring the interface lo up (ip link set lo up)",
		} {
			if !strings.Contains(err.Error(), text) {
				return fmt.Errorf("it does not report %q: %w", text, err)
			}
		}
		if hint := errtext.LimitHint(err.Error()); hint != "" {
			return fmt.Errorf("it names the remedy twice: %w; %s", err, hint)
		}
		return nil
	}
}

// TestStart_NamesTheLoopbackNetworkThatIsMissing starts plugins in a network namespace in
// which nothing is up.
func TestStart_NamesTheLoopbackNetworkThatIsMissing(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"plugin", "unmodified"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			doAlone(t, "loopback "+kind, syscall.CLONE_NEWUSER|syscall.CLONE_NEWNET)
		})
	}
}
