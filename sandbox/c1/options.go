package c1

import (
	"net"
	"time"
)

const (
	// DefaultLease is how long a task is a host's without a heartbeat.
	DefaultLease = time.Minute
	// DefaultNextPoll is the pause that a client is asked to make before it asks
	// for the next task.
	DefaultNextPoll = 100 * time.Millisecond
	// DefaultTokenLifetime is how long an access token is good.
	DefaultTokenLifetime = 10 * time.Minute
)

// Options describe how a [Server] answers. The zero value is a good one.
type Options struct {
	// Listener is what to listen on, a TCP listener of a loopback address without
	// TLS; the server closes it. Without one a free port of 127.0.0.1 is taken.
	Listener net.Listener
	// Authority signs the server's certificate. Without one it has its own.
	Authority *Authority
	// Dir is where complete uploads are kept, as Dir/client/task-n.c1z. Without
	// one they are checked and not kept.
	Dir string
	// Lease is how long a full sync is a host's without a heartbeat.
	Lease time.Duration
	// TaskLease is the same for every other task, which the SDK's client sends no
	// heartbeats for. The default is Lease.
	TaskLease time.Duration
	// MaxAttempts is how often a task is handed out that fails and may be tried
	// again. The default is 1. A lease that runs out is not counted.
	MaxAttempts int
	// TokenLifetime is how long an access token is good.
	TokenLifetime time.Duration
	// ClockAhead is how far the server's clock is ahead, as its answers over HTTP have it.
	ClockAhead time.Duration
	// NextPoll is the pause that GetTask asks for; a negative one asks for none.
	NextPoll time.Duration
	// NextHeartbeat is the pause that Heartbeat asks for; the SDK's client waits
	// for a second at least. The default is a third of Lease.
	NextHeartbeat time.Duration
	// OnEvent gets every event, in order and one at a time. It must not call
	// the server.
	OnEvent func(Event)
}

func (o Options) withDefaults() Options {
	setDefault(&o.Lease, DefaultLease)
	setDefault(&o.TaskLease, o.Lease)
	setDefault(&o.TokenLifetime, DefaultTokenLifetime)
	setDefault(&o.NextPoll, DefaultNextPoll)
	setDefault(&o.NextHeartbeat, o.Lease/3)
	o.NextPoll = max(o.NextPoll, 0)
	o.MaxAttempts = max(o.MaxAttempts, 1)
	return o
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}
