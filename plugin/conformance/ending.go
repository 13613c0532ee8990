package conformance

import (
	"context"
	"fmt"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/segmentio/ksuid"
	"google.golang.org/grpc"
)

const (
	// headStart is how long a call runs before it is cancelled.
	headStart = 100 * time.Millisecond
	// prompt is how long a plugin may take to give up what was cancelled and to
	// stop: far more than it takes, as the machine may be busy, and less than a host
	// waits.
	prompt = 4 * time.Second
)

// cancelPromptly cancels calls and has the plugin stop: it stops when no call is
// running any more.
func cancelPromptly(ctx context.Context, s *Suite) (string, error) {
	process, err := s.configured(ctx)
	if err != nil {
		return "", err
	}
	calls, err := someCalls(ctx, process.Conn())
	if err != nil {
		return "", err
	}
	cancelled, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	var mu sync.Mutex
	gaveUp := 0
	for _, call := range calls {
		running.Go(func() {
			if call(cancelled) != nil && cancelled.Err() != nil {
				mu.Lock()
				defer mu.Unlock()
				gaveUp++
			}
		})
	}
	// Calls that have returned by then need no cancelling.
	defer time.AfterFunc(headStart, cancel).Stop()
	running.Wait()
	cancel()

	begin := time.Now()
	err = process.Stop(ctx)
	if took := time.Since(begin); took > prompt {
		return "", fmt.Errorf("calls went on after they had been cancelled: the plugin took %s to stop; hand the context of a call on to all that it waits for", took.Round(100*time.Millisecond))
	}
	if err != nil {
		return "", err
	}
	if gaveUp == 0 {
		return fmt.Sprintf("none of %d calls took long enough to be cancelled", len(calls)), nil
	}
	return fmt.Sprintf("%d of %d calls were cancelled, and nothing went on running", gaveUp, len(calls)), nil
}

// someCalls are one for each list of resources at the root, and Validate.
func someCalls(ctx context.Context, conn grpc.ClientConnInterface) ([]func(context.Context) error, error) {
	sync := ksuid.New().String()
	types, err := readFrom(ctx, conn, listing{kind: resourceTypes, sync: sync}, "")
	if err != nil {
		return nil, err
	}
	calls := []func(context.Context) error{func(ctx context.Context) error {
		_, err := connectorv2.NewConnectorServiceClient(conn).Validate(ctx, &connectorv2.ConnectorServiceValidateRequest{})
		return err
	}}
	for _, read := range types.pages {
		for _, one := range read.rows {
			calls = append(calls, func(ctx context.Context) error {
				_, err := listing{kind: resources, sync: sync, typeID: one.id}.read(ctx, conn, "")
				return err
			})
		}
	}
	return calls, nil
}

// stop stops processes that have nothing to do.
func stop(ctx context.Context, s *Suite) (string, error) {
	for _, moment := range []struct {
		what  string
		begin func(context.Context) (Process, error)
	}{{"before it is configured", s.start}, {"once it is configured", s.configured}} {
		what := moment.what
		process, err := moment.begin(ctx)
		if err != nil {
			return "", err
		}
		asked := time.Now()
		if err := process.Stop(ctx); err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
		if took := time.Since(asked); took > prompt {
			return "", fmt.Errorf("%s it takes %s to stop, with nothing to do", what, took.Round(100*time.Millisecond))
		}
		if _, err := process.Describe(ctx); err == nil {
			return "", fmt.Errorf("%s: it answers calls after it has stopped", what)
		}
	}
	return "it ends when it is asked to, configured or not", nil
}
