package supervise_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/supervise"
)

func init() {
	aloneIn["descriptors plugin"] = func() error { return startsWithFewDescriptors(spec("good"), false) }
	aloneIn["descriptors pinned"] = func() error { return startsWithFewDescriptors(spec("good"), true) }
	aloneIn["descriptors unmodified"] = func() error { return startsWithFewDescriptors(unmodifiedSpec("good"), false) }
}

// TestStart_ExplainsTooManyOpenFiles starts plugins with no descriptor to spare, with one, with two,
// until they start: wherever the limit is met, it is what the error speaks of.
func TestStart_ExplainsTooManyOpenFiles(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"plugin", "pinned", "unmodified"} {
		t.Run("H15: too many open files, at any moment of a start: "+kind, func(t *testing.T) {
			t.Parallel()
			doAlone(t, "descriptors "+kind, 0)
		})
	}
}

func startsWithFewDescriptors(s supervise.Spec, pinned bool) error {
	// A plugin, which has the limit of its host, needs fewer.
	const limit, enough = 256, 64
	ctx := context.Background()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	if pinned {
		found, err := pin.Measure(s.Path, s.Args)
		if err != nil {
			return err
		}
		s.Pin = found
	}
	for spare := range enough {
		taken, err := takeAllBut(spare)
		if err != nil {
			return err
		}
		err = startAndCall(ctx, s)
		for _, file := range taken {
			_ = file.Close()
		}
		switch {
		case err == nil && spare == 0:
			return fmt.Errorf("it starts without a descriptor, so this shows nothing")
		case err == nil:
			return nil
		case errtext.LimitHint(err.Error()) == "":
			return fmt.Errorf("with %d descriptors to spare: %w", spare, err)
		}
	}
	return fmt.Errorf("it does not start with %d descriptors either", enough)
}

func startAndCall(ctx context.Context, s supervise.Spec) error {
	process, err := supervise.Start(ctx, s)
	if err != nil {
		return err
	}
	defer process.Stop(ctx)
	if _, err := configure(ctx, process); err != nil {
		return err
	}
	return validate(ctx, process)
}

// takeAllBut opens files until only so many more can be opened.
func takeAllBut(spare int) ([]*os.File, error) {
	var taken []*os.File
	for {
		file, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		taken = append(taken, file)
	}
	if len(taken) < spare {
		return nil, fmt.Errorf("there are only %d descriptors", len(taken))
	}
	for _, file := range taken[:spare] {
		_ = file.Close()
	}
	return taken[spare:], nil
}
