package plugin

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/conductorone/baton-sdk/pkg/field"
	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
)

// InProcess serves a connector from this very process until the context ends,
// for tests: the same services as Run's, without a process, a handshake or TLS.
// It returns how to attach to it; gone is closed when nothing is served any more.
func InProcess[T field.Configurable](
	ctx context.Context,
	connectorName string,
	version string,
	schema field.Configuration,
	newConnector cli.NewConnector[T],
	options ...connectorrunner.Option,
) (reattach *goplugin.ReattachConfig, gone <-chan struct{}, err error) {
	return serveAttachable(ctx, newService(ctx, newAuthor(connectorName, version, schema, newConnector, options)))
}

// serveAttachable serves until the context ends, for a host that did not start
// this process.
func serveAttachable(ctx context.Context, service *service) (*goplugin.ReattachConfig, <-chan struct{}, error) {
	reattach := make(chan *goplugin.ReattachConfig, 1)
	gone := make(chan struct{})
	config := serveConfig(service)
	// What go-plugin logs explains why it does not serve. Of its end it logs that a
	// listener was closed, which is what was wanted.
	var words bytes.Buffer
	config.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: &words})
	config.Test = &goplugin.ServeTestConfig{Context: ctx, ReattachConfigCh: reattach, CloseCh: gone}
	go goplugin.Serve(config)
	select {
	case how := <-reattach:
		return how, gone, nil
	case <-gone:
		return nil, nil, fmt.Errorf("serve the plugin from this process: %s", strings.TrimSpace(words.String()))
	}
}
