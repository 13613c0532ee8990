package status

import (
	"time"

	"github.com/batonhost/baton-host/host/internal/syncrun"
)

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
	// Sending is a sync that has been read and is being sent to C1.
	Sending
	// Uploaded is a sync that C1 has taken.
	Uploaded
)

// Event is something that happened to an upload in service mode.
type Event struct {
	Upload string
	Kind   Kind
	Task   string // the type, as the SDK names it; of TaskBegun and TaskDone
	ID     string // C1's id of the task; of all kinds that are about one
	Whole  bool   // the task is a sync of everything
	Err    error
	// Dropped says that Err decides nothing: C1 has taken the task back, or the host
	// is stopping.
	Dropped bool
	Result  *syncrun.Result // of Uploaded
	Bytes   int64           // of Uploaded
	Took    time.Duration   // of TaskDone and Uploaded
}

// Ends reports whether the event ends a sync of everything: C1 has taken it, or it
// failed.
func (e Event) Ends() bool {
	return e.Whole && (e.Kind == Uploaded || e.Kind == TaskDone && e.Err != nil)
}
