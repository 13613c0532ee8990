package service

import (
	"context"
	"os"
	"time"

	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"google.golang.org/grpc"

	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/host/syncfile"
)

// Config is one upload's end of the connection.
type Config struct {
	// Upload is the upload's name, for logs and errors.
	Upload string

	// ClientID is one half of the credentials that C1 gave out.
	ClientID string

	// ClientSecret returns the other: a function, so that nothing that prints a
	// Config prints it.
	ClientSecret func() string

	// HostID is who C1 hears that we are; [HostID] is the SDK's rule.
	HostID string

	// Version is the host's own.
	Version string

	// TempDir is a private directory for the SDK's handlers.
	TempDir string

	// Connector is all plugins of the upload as one, for every task but full
	// syncs. It is asked for at each task.
	Connector func(context.Context) (grpc.ClientConnInterface, error)

	// Sync makes a sync of the upload.
	Sync func(context.Context, Scope) (*syncrun.Result, error)

	// Uploaded takes over a sync that C1 has: it publishes or discards its draft.
	Uploaded func(context.Context, *syncrun.Result) error

	// Report is told what happens. It may be nil.
	Report func(Event)

	// Grace is how long work in hand may go on once the context has ended.
	Grace time.Duration

	// StallTimeout is how long C1 may neither take more of an upload nor, once it
	// has all, answer, before the upload is broken off and begun again. 0 is
	// [DefaultStallTimeout].
	StallTimeout time.Duration
}

// DefaultStallTimeout is for a C1 that is merely slow.
const DefaultStallTimeout = 5 * time.Minute

// Scope is what a task wants of a full sync.
type Scope struct {
	syncfile.Scope
	// Task is C1's id of the task.
	Task string
	// Engine is the storage engine that C1 asks for; empty is the SDK's default.
	Engine c1zstore.Engine
	// Figures are for the line of the log that tells of the sync.
	Figures *syncrun.Figures
}

// Kind is what an event is about.
type Kind int

// The kinds of events.
const (
	// Connected: C1 has answered, for the first time or again. Err is nil.
	Connected Kind = iota + 1
	// Disconnected: C1 cannot be reached or refuses us; Err says why.
	Disconnected
	// TaskBegun and TaskDone are about the task of type Task. Err is why it failed.
	TaskBegun
	TaskDone
	// Sending is a sync that is made and is being sent to C1.
	Sending
	// Uploaded is a sync that C1 has taken.
	Uploaded
)

// Event is something that happened to an upload.
type Event struct {
	Upload string
	Kind   Kind
	Task   string // the type, as the SDK names it; of TaskBegun and TaskDone
	ID     string // C1's id of the task; of all kinds that are about one
	Whole  bool   // the task is a sync of everything
	Err    error
	Result *syncrun.Result // of Uploaded
	Bytes  int64           // of Uploaded
	Took   time.Duration   // of TaskDone and Uploaded
}

// HostID is BATON_HOST_ID, else the name of the machine, as in the SDK.
func HostID() string {
	id, set := os.LookupEnv("BATON_HOST_ID")
	if !set {
		id, _ = os.Hostname()
	}
	if id == "" {
		return "baton-host"
	}
	return id
}
