package conformance

import (
	"context"

	"google.golang.org/grpc"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Subject is the plugin under test.
type Subject struct {
	// Start starts another process of the plugin, not configured. Each line that
	// the process writes, until it is gone, goes to written.
	Start func(ctx context.Context, written func(Line)) (Process, error)
	// Request makes the configuration that the checks use. It must be complete and
	// valid: its credentials are tried.
	Request func(*pluginv1.ConfigurationSchema) (*pluginv1.ConfigureRequest, error)
	// InProcess means that there is no process: nothing can be killed, and no one
	// knows whose lines are whose.
	InProcess bool
}

// Process is one running plugin.
type Process interface {
	// Describe asks it what it is.
	Describe(ctx context.Context) (*pluginv1.Manifest, error)
	// Configure returns its diagnostics. The error is about the call.
	Configure(ctx context.Context, request *pluginv1.ConfigureRequest) ([]*pluginv1.Diagnostic, error)
	// Conn carries the services of the connector.
	Conn() grpc.ClientConnInterface
	// Stop asks it to stop, waits until it has ended and ends it if it does not,
	// which the error explains.
	Stop(ctx context.Context) error
	// Kill ends it at once. It is not called in process.
	Kill()
	// Exited is closed when it is gone. It is not called in process.
	Exited() <-chan struct{}
}

// Line is a line that a process wrote.
type Line struct {
	// Text is the line without the values of secrets.
	Text string
	// Output means that it went to standard output, behind the handshake.
	Output bool
	// Secret means that there was the value of a secret in it, however written.
	Secret bool
}
