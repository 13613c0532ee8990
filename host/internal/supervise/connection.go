package supervise

import (
	"context"
	"errors"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc"
)

// Err is why calls fail at once, or nil: calls to a plugin that is idle, or has been ready,
// wait while it is started, and those to one that is started for the first
// time do, but not until one that did not start is tried again.
func (p *Plugin) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err()
}

func (p *Plugin) err() error {
	switch p.status.State {
	case Ready, Idle:
		return nil
	case Starting:
		if p.once {
			return nil
		}
	}
	return p.status.Err
}

// ready waits for a process that can be called, and is started if the plugin is idle. The
// caller calls done once the call has ended: until then the process stays, also if another
// replaces it.
func (p *Plugin) ready(ctx context.Context) (process *Process, done func(), err error) {
	p.begin(true)
	process, err = p.awaitProcess(ctx)
	if err != nil {
		p.end()
		return nil, nil, err
	}
	return process, func() {
		process.calls.Done()
		p.end()
	}, nil
}

// awaitProcess is ready for who has begun something.
func (p *Plugin) awaitProcess(ctx context.Context) (*Process, error) {
	for {
		p.mu.Lock()
		status, process, changed, err := p.status, p.process, p.changed, p.err()
		called := err == nil && status.State == Ready && process != nil && !process.gone()
		if called {
			process.calls.Add(1) // Under the lock: once it is replaced, no call begins.
		}
		if status.State == Idle {
			p.wake()
		}
		p.mu.Unlock()
		switch {
		case err != nil:
			return nil, err
		case called:
			return process, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Conn reaches the plugin's process of the moment. A call waits while the
// plugin is started, for it or again, as far as its context lets it. One whose process
// ends under it fails with an [*ExitError] whose Replaced method says that
// another may be tried.
func (p *Plugin) Conn() grpc.ClientConnInterface { return steadyConnection{p} }

type steadyConnection struct{ plugin *Plugin }

func (c steadyConnection) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	if c.plugin.answersIdle(method, reply) {
		return nil
	}
	process, done, err := c.plugin.ready(ctx)
	if err != nil {
		return &unreachedError{err}
	}
	defer done()
	if method == v2.ActionService_InvokeAction_FullMethodName {
		c.plugin.noteAction(v2.BatonActionStatus_BATON_ACTION_STATUS_PENDING) // It may go on behind a call that breaks off.
	}
	if err := process.Conn().Invoke(ctx, method, request, reply, options...); err != nil {
		return c.plugin.replaced(err)
	}
	c.plugin.noteAnswer(reply)
	return nil
}

func (c steadyConnection) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	process, done, err := c.plugin.ready(ctx)
	if err != nil {
		return nil, err
	}
	stream, err := process.Conn().NewStream(ctx, desc, method, options...)
	if err != nil {
		done()
		return nil, c.plugin.replaced(err)
	}
	context.AfterFunc(stream.Context(), done) // It ends with the stream.
	return stream, nil
}

// replaced marks the end of a process that another one follows.
func (p *Plugin) replaced(err error) error {
	if exit, ok := errors.AsType[*ExitError](err); ok {
		exit.replaced = !p.stopped()
	}
	return err
}
