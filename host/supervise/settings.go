package supervise

import (
	"time"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Configuration is what a plugin is given once it has said what it takes.
type Configuration struct {
	Request *pluginv1.ConfigureRequest
	// Refused puts the plugin's objections into an error for a person; nil if
	// none of them stands in the way.
	Refused func([]*pluginv1.Diagnostic) error
}

// Settings say how one plugin instance is run.
type Settings struct {
	Spec

	// Find looks for the binary where Spec.Path is empty, at every start.
	Find func() (path string, err error)
	// Configure makes the configuration of a process that says of itself what
	// the manifest does. It is called for every process.
	Configure func(*pluginv1.Manifest) (*Configuration, error)
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
	// Changed is told every change of state, in order. It must be quick and must
	// not call the plugin.
	Changed func(Status)
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
