package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/conductorone/baton-sdk/pkg/ugrpc"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/batonhost/baton-host/internal/telemetry"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// connectorAuthor is what serving needs of an author, whatever the type of the
// connector's configuration.
type connectorAuthor interface {
	manifest(ctx context.Context) (*pluginv1.Manifest, error)
	configure(ctx context.Context, request *pluginv1.ConfigureRequest, dial dialer) (*instance, []*pluginv1.Diagnostic)
}

// serve speaks the contract until the host ends it. It returns when the host
// has shut the connection's server down.
func serve(ctx context.Context, author connectorAuthor) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	if err := followHost(); err != nil {
		fail("the lifeline to the host: %v", err)
	}

	// The logger keeps the real standard error, which go-plugin replaces later
	// by a separate pipe. The level is set again when the host configures.
	ctx, err := logging.Init(ctx, logging.WithLogFormat(logging.LogFormatJSON), logging.WithLogLevel("info"))
	if err != nil {
		fail("the logger: %v", err)
	}

	ctx, traces, stopTraces := trace(ctx, author)
	config := serveConfig(newService(ctx, author), traces.ServerOptions()...)
	if err := recognize(config); err != nil {
		fail("TLS to the host: %v", err)
	}
	config.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr, JSONFormat: true})
	goplugin.Serve(config)
	stopTraces()
	// The host ends what is left of the group too, but it may die before it does.
	endGroup()
}

// serveConfig is how go-plugin serves the contract, whatever started the process.
func serveConfig(service *service, more ...grpc.ServerOption) *goplugin.ServeConfig {
	return &goplugin.ServeConfig{
		HandshakeConfig:  Handshake,
		VersionedPlugins: map[int]goplugin.PluginSet{ProtocolVersion: {setName: serverSide{service: service}}},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(slices.Concat(options, serverOptions(service.base), more)...)
		},
	}
}

// trace begins to send spans where the host has named an endpoint.
func trace(ctx context.Context, author connectorAuthor) (traced context.Context, settings telemetry.Settings, stop func()) {
	settings, err := telemetry.FromEnvironment()
	if err == nil && !settings.Traces() {
		return ctx, settings, func() {}
	}
	var manifest *pluginv1.Manifest
	if err == nil {
		manifest, err = author.manifest(ctx)
	}
	if err == nil {
		settings.NoLogging = true // The host takes the log.
		if traced, stop, err = settings.Start(ctx, manifest.GetName()); err == nil {
			return traced, settings, stop
		}
	}
	ctxzap.Extract(ctx).Warn("no traces are sent", zap.Error(err))
	return ctx, telemetry.Settings{}, func() {}
}

// serverOptions give a plugin the SDK's own interceptors (validation of
// requests, recovery from panics, logging) and both message limits.
func serverOptions(ctx context.Context) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessageBytes),
		grpc.MaxSendMsgSize(MaxMessageBytes),
		grpc.ChainUnaryInterceptor(ugrpc.UnaryServerInterceptor(ctx)...),
		grpc.ChainStreamInterceptor(onlyConnectors(ugrpc.StreamServerInterceptors(ctx))...),
	}
}

// onlyConnectors keeps the SDK's interceptors from go-plugin's own streams, which
// last as long as the plugin and whose end is nothing to log.
func onlyConnectors(interceptors []grpc.StreamServerInterceptor) []grpc.StreamServerInterceptor {
	var filtered []grpc.StreamServerInterceptor
	for _, intercept := range interceptors {
		filtered = append(filtered, func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if strings.HasPrefix(info.FullMethod, "/plugin.") {
				return handler(srv, stream)
			}
			return intercept(srv, stream, info, handler)
		})
	}
	return filtered
}

// serverSide is the plugin's half of go-plugin's plugin interface.
type serverSide struct {
	goplugin.NetRPCUnsupportedPlugin
	service *service
}

func (s serverSide) GRPCServer(broker *goplugin.GRPCBroker, server *grpc.Server) error {
	s.service.dial = broker.Dial
	pluginv1.RegisterPluginServiceServer(server, s.service)
	s.service.gate.register(server)
	return nil
}

func (serverSide) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin is no client of itself")
}

// fail ends a plugin that cannot serve. The host shows the last lines of
// standard error to a person.
func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "this plugin cannot start: "+format+"\n", args...)
	os.Exit(1)
}
