package supervise

import (
	"context"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"

	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/internal/telemetry"
	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Spec says what to start.
type Spec struct {
	// Instance is the plugin's name in the configuration, for logs and errors.
	Instance string
	// Path is the binary. A relative path is seen from the current directory.
	Path string
	// Args are its arguments; by convention there are none.
	Args []string
	// Unmodified says that it is a Baton connector as the SDK alone makes it, and no
	// plugin. Executables that are recognized need not say so.
	Unmodified bool
	// Fields are those of an unmodified connector that does not describe them itself.
	Fields []*pluginv1.Field
	// Pin is what it must be made of; nil starts what is there.
	Pin *pin.Pin
	// Env names the variables of the host's environment that the plugin sees
	// beside the allow-list.
	Env []string
	// Sandbox is whether the process is in a sandbox, and what it may reach beside what is
	// its own.
	Sandbox Sandbox
	// ScratchDir is a directory of the plugin's own that outlives its processes;
	// empty is none.
	ScratchDir string
	// LogLevel is the least level at which the plugin's lines are logged, whatever
	// the host's own is: debug, info, warn or error. Empty is the host's own.
	LogLevel string
	// StartTimeout bounds the start; zero is DefaultStartTimeout.
	StartTimeout time.Duration
	// ConfigureTimeout is how long the plugin may take to take its configuration;
	// zero is DefaultConfigureTimeout, or StartTimeout if that is longer.
	ConfigureTimeout time.Duration
	// CallTimeout is how long a call may take; a plugin that takes longer hangs
	// and is ended. Zero is DefaultCallTimeout. Waits for an app's rate limit are
	// between calls.
	CallTimeout time.Duration
	// HealthTimeout is how long the plugin may leave a health check unanswered;
	// zero is DefaultHealthTimeout.
	HealthTimeout time.Duration
	// MemoryLimit is how much memory, in bytes, the plugin's process group may
	// take; zero is no limit. Beside Linux it is a request to the plugin only.
	MemoryLimit uint64
	// MaxAnswer is the size, in bytes, of the greatest message that is taken from
	// the plugin, a page of a listing above all; zero is plugin.MaxMessageBytes,
	// which is also the most.
	MaxAnswer int
	// Telemetry is where the plugin sends its part of the traces.
	Telemetry telemetry.Settings
	// Sessions is the session store that is served to the plugin; nil: none.
	Sessions v1.BatonSessionServiceServer
	// Observe receives every line that the plugin writes, at whatever level. It must
	// be quick. Nil observes nothing.
	Observe func(pluginlog.Line)
	// Attach is a plugin that runs already, to be attached to in place of starting
	// one: for development. Nil starts one.
	Attach *plugin.Attachment
}

func (s Spec) withDefaults() Spec {
	s.StartTimeout = orDefault(s.StartTimeout, DefaultStartTimeout)
	s.ConfigureTimeout = orDefault(s.ConfigureTimeout, max(DefaultConfigureTimeout, s.StartTimeout))
	s.CallTimeout = orDefault(s.CallTimeout, DefaultCallTimeout)
	s.HealthTimeout = orDefault(s.HealthTimeout, DefaultHealthTimeout)
	if s.MaxAnswer <= 0 || s.MaxAnswer > plugin.MaxMessageBytes {
		s.MaxAnswer = plugin.MaxMessageBytes
	}
	return s
}

func orDefault(d, usual time.Duration) time.Duration {
	if d <= 0 {
		return usual
	}
	return d
}

// Owner knows how a plugin is configured, and follows its state.
type Owner interface {
	// Find returns the path of the binary, at every start, where Spec.Path is empty.
	Find() (path string, err error)
	// Configure returns the configuration for a process that describes itself as the
	// manifest does. It is called for every process, one at a time. An [UnresolvedError]
	// says that there is none at this time.
	Configure(context.Context, *pluginv1.Manifest) (*pluginv1.ConfigureRequest, error)
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
	// IdleAfter is how long the plugin has nothing to do before its process ends, until the
	// next call; zero: it stays. One that is attached to always does.
	IdleAfter time.Duration
	// Room is where the processes of plugins that do not stay have their places; nil: there
	// are as many as are wanted.
	Room *Room
}

// State is what a plugin is doing.
type State string

// The states of a plugin.
const (
	// Starting is also the time of waiting for the next start.
	Starting State = "starting"
	Ready    State = "ready"
	// Idle is a plugin without a process, as it had nothing to do; the next call starts one.
	Idle State = "idle"
	// Refusing is a plugin that does not take its configuration, or whose configuration
	// cannot be resolved; it is asked again from time to time.
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
	// Sandbox is what of a sandbox its process is in, or was in last; empty before the first
	// start and where the host does not start it.
	Sandbox sandbox.State
}
