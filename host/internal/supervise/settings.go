package supervise

import (
	"time"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Owner knows how a plugin is configured, and follows its state.
type Owner interface {
	// Find returns the path of the binary, at every start, where Spec.Path is empty.
	Find() (path string, err error)
	// Configure returns the configuration for a process that describes itself as the
	// manifest does. It is called for every process.
	Configure(*pluginv1.Manifest) (*pluginv1.ConfigureRequest, error)
	// Refused returns what a process objects to in its configuration, as an error for
	// a person; nil if none of it is an obstacle.
	Refused([]*pluginv1.Diagnostic) error
	// Changed receives every change of state, in order. It must be quick and must not
	// call the plugin.
	Changed(Status)
}

// Settings say how one plugin instance is run.
type Settings struct {
	Spec

	Owner Owner
	// Restarts is how often the plugin is started again within RestartWindow
	// before it has failed; zero is DefaultRestarts within DefaultRestartWindow,
	// less than zero is never.
	Restarts      int
	RestartWindow time.Duration
	// Concurrency is how many listings of the plugin are read at the same time, at
	// most plugin.MaxConcurrency; 0 is what its manifest declares.
	Concurrency int
	// Persistent tries a plugin again that does not start the first time.
	Persistent bool
}

// State is what a plugin is doing.
type State string

// The states of a plugin.
const (
	// Starting is also the time of waiting for the next start.
	Starting State = "starting"
	Ready    State = "ready"
	// Refusing is a plugin that does not take its configuration; it is asked
	// again from time to time.
	Refusing State = "refusing"
	// Failed is a plugin that is not started again before an operator acts.
	Failed  State = "failed"
	Stopped State = "stopped"
)

// Status is how a plugin is.
type Status struct {
	Instance string
	State    State
	// PID is the running process, 0 if none is.
	PID int
	// Restarts is how often it has been started again.
	Restarts int
	// Err is why it is not ready.
	Err error
	// Manifest is what the plugin said of itself last; nil if it has not yet.
	Manifest *pluginv1.Manifest
}
