package main

import (
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/batonhost/baton-host/internal/telemetry"
)

// runCommand is the name of the command that serves C1.
const runCommand = "run"

// addTelemetryFlags adds the SDK's own flags, of which it hides all but the first.
func addTelemetryFlags(flags *pflag.FlagSet, to *telemetry.Settings) {
	flags.StringVar(&to.Endpoint, field.OtelCollectorEndpointFieldName, "", "the OpenTelemetry collector that traces and the log go to: host and port, OTLP over gRPC (default $BATON_OTEL_COLLECTOR_ENDPOINT)")
	flags.StringVar(&to.CertPath, field.OtelCollectorEndpointTLSCertPathFieldName, "", "a file of certificates to trust for the collector, in PEM")
	flags.StringVar(&to.Cert, field.OtelCollectorEndpointTLSCertFieldName, "", "certificates to trust for the collector: PEM in base64")
	flags.BoolVar(&to.Insecure, field.OtelCollectorEndpointTLSInsecureFieldName, false, "talk to the collector without TLS")
	flags.BoolVar(&to.NoTracing, field.OtelTracingDisabledFieldName, false, "send the collector no traces")
	flags.BoolVar(&to.NoLogging, field.OtelLoggingDisabledFieldName, false, "send the collector no log")
	for _, name := range []string{
		field.OtelCollectorEndpointTLSCertPathFieldName, field.OtelCollectorEndpointTLSCertFieldName,
		field.OtelCollectorEndpointTLSInsecureFieldName, field.OtelTracingDisabledFieldName, field.OtelLoggingDisabledFieldName,
	} {
		_ = flags.MarkHidden(name)
	}
}

// startTelemetry begins to send to a collector, if one is named, until the command
// has ended. Flags win over the environment.
func (o *rootOptions) startTelemetry(cmd *cobra.Command) error {
	settings, err := telemetry.FromEnvironment()
	if err != nil {
		return err
	}
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		switch flag.Name {
		case field.OtelCollectorEndpointFieldName:
			settings.Endpoint = o.telemetry.Endpoint
		case field.OtelCollectorEndpointTLSCertPathFieldName:
			settings.CertPath = o.telemetry.CertPath
		case field.OtelCollectorEndpointTLSCertFieldName:
			settings.Cert = o.telemetry.Cert
		case field.OtelCollectorEndpointTLSInsecureFieldName:
			settings.Insecure = o.telemetry.Insecure
		case field.OtelTracingDisabledFieldName:
			settings.NoTracing = o.telemetry.NoTracing
		case field.OtelLoggingDisabledFieldName:
			settings.NoLogging = o.telemetry.NoLogging
		}
	})
	o.telemetry = settings
	if settings.Endpoint == "" {
		return nil
	}
	ctx, stop, err := settings.Start(cmd.Context(), "baton-host")
	if err != nil {
		return err
	}
	end := func(error) {}
	if cmd.Name() != runCommand { // Which has no end: each of its tasks is a trace.
		ctx, end = telemetry.Span(ctx, "baton-host "+cmd.Name(), nil)
	}
	cobra.OnFinalize(func() {
		end(nil)
		stop()
	})
	cmd.SetContext(ctx)
	return nil
}
