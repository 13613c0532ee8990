package telemetry

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Span begins a span under the one in the context, until end is called with how it
// went. It costs next to nothing where no traces are sent. The text of an error stays
// in the log, where secrets are blanked; the span has only that there was one.
func Span(ctx context.Context, name string, attributes map[string]string) (spanned context.Context, end func(err error)) {
	spanned, span := otel.Tracer("github.com/batonhost/baton-host").Start(ctx, name)
	for key, value := range attributes {
		span.SetAttributes(attribute.String(key, value))
	}
	return spanned, func(err error) { finish(span, err) }
}

func finish(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
