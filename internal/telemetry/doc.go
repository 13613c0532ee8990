// Package telemetry sends traces, and the host's log, to an OpenTelemetry collector, as the
// SDK's command line does with the same settings.
//
// Host and plugins call it, which do not go through that command line: the host at its start,
// and a plugin with what the host passes on to it in its environment. It must never put an
// account or a secret into a span, never hold up what is traced, and cost nothing where no
// collector is named.
package telemetry
