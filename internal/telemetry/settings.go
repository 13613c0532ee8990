package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/uotel"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"google.golang.org/grpc"
)

// stopTimeout is how long the last spans may take to be sent.
const stopTimeout = 5 * time.Second

// Settings are those of the SDK's flags, by the names of these.
type Settings struct {
	// Endpoint is the collector's address, host and port, for OTLP over gRPC; empty
	// sends nothing.
	Endpoint string
	// CertPath is a file, and Cert in base64 (URL alphabet, unpadded) the content of
	// one, with the PEM certificates to trust; both empty trusts the system's.
	CertPath, Cert string
	// Insecure does without TLS.
	Insecure bool
	// NoTracing and NoLogging leave one of both out.
	NoTracing, NoLogging bool
}

// FromEnvironment are the settings of the SDK's environment variables
// (BATON_OTEL_COLLECTOR_ENDPOINT and so on). A value that is neither true nor false
// is an error.
func FromEnvironment() (Settings, error) {
	s := Settings{
		Endpoint: os.Getenv(variable(field.OtelCollectorEndpointFieldName)),
		CertPath: os.Getenv(variable(field.OtelCollectorEndpointTLSCertPathFieldName)),
		Cert:     os.Getenv(variable(field.OtelCollectorEndpointTLSCertFieldName)),
	}
	var wrong []error
	for _, one := range []struct {
		flag string
		to   *bool
	}{
		{field.OtelCollectorEndpointTLSInsecureFieldName, &s.Insecure},
		{field.OtelTracingDisabledFieldName, &s.NoTracing},
		{field.OtelLoggingDisabledFieldName, &s.NoLogging},
	} {
		text := os.Getenv(variable(one.flag))
		if text == "" {
			continue
		}
		value, err := strconv.ParseBool(text)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s must be true or false, not %q", variable(one.flag), text))
		}
		*one.to = value
	}
	return s, errors.Join(wrong...)
}

// Traces reports whether spans are sent.
func (s Settings) Traces() bool { return s.Endpoint != "" && !s.NoTracing }

// Environment is what has a plugin send its spans to the same collector. Its log
// goes to the host, which blanks the values of secrets in it.
func (s Settings) Environment() []string {
	if !s.Traces() {
		return nil
	}
	environment := []string{
		variable(field.OtelCollectorEndpointFieldName) + "=" + s.Endpoint,
		variable(field.OtelLoggingDisabledFieldName) + "=true",
	}
	if s.CertPath != "" {
		environment = append(environment, variable(field.OtelCollectorEndpointTLSCertPathFieldName)+"="+s.CertPath)
	}
	if s.Cert != "" {
		environment = append(environment, variable(field.OtelCollectorEndpointTLSCertFieldName)+"="+s.Cert)
	}
	if s.Insecure {
		environment = append(environment, variable(field.OtelCollectorEndpointTLSInsecureFieldName)+"=true")
	}
	return environment
}

// variable is how the SDK's command line names the environment variable of a flag.
func variable(flag string) string {
	return "BATON_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Start begins to send. The context that it returns has the logger that sends too;
// stop sends what is left, for five seconds at most, also after the context has
// ended. A collector that cannot be reached is no error: nothing waits for it.
func (s Settings) Start(ctx context.Context, service string) (traced context.Context, stop func(), err error) {
	options := []uotel.Option{uotel.WithServiceName(service)}
	if s.NoTracing {
		options = append(options, uotel.WithTracingDisabled())
	}
	if s.NoLogging {
		options = append(options, uotel.WithLoggingDisabled())
	}
	if s.Insecure {
		options = append(options, uotel.WithInsecureOtelEndpoint(s.Endpoint))
	} else {
		options = append(options, uotel.WithOtelEndpoint(s.Endpoint, s.CertPath, s.Cert))
	}
	traced, shutdown, err := uotel.InitOtel(ctx, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("send to the OpenTelemetry collector %s: %w", s.Endpoint, err)
	}
	return traced, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		// The SDK hangs up before it sends what is left.
		if provider, ok := otel.GetTracerProvider().(interface{ ForceFlush(context.Context) error }); ok {
			_ = provider.ForceFlush(ctx)
		}
		_ = shutdown(ctx)
	}, nil
}

// DialOptions have a client's calls traced.
func (s Settings) DialOptions() []grpc.DialOption {
	if !s.Traces() {
		return nil
	}
	return []grpc.DialOption{grpc.WithStatsHandler(otelgrpc.NewClientHandler())}
}

// ServerOptions have a server's calls traced, each in the trace of its client.
func (s Settings) ServerOptions() []grpc.ServerOption {
	if !s.Traces() {
		return nil
	}
	return []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler())}
}
