// Package collector is a stand-in for an OpenTelemetry collector: it takes traces
// and logs by OTLP over gRPC and keeps them.
//
// Tests call it. It must never send anything on.
package collector

import (
	"context"
	"slices"
	"sync"

	logs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	traces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Span is a span that has ended.
type Span struct {
	// Service is who sent it.
	Service string
	Name    string
	// Trace, ID and Parent are ids in bytes; Parent is empty in the first span of a
	// trace.
	Trace, ID, Parent string
}

// Server keeps what it is sent. Its methods may be called concurrently.
type Server struct {
	logs.UnimplementedLogsServiceServer
	traces.UnimplementedTraceServiceServer

	mu    sync.Mutex
	spans []Span
	logs  []string
	text  []byte
}

// Register serves the collector.
func (s *Server) Register(server *grpc.Server) {
	traces.RegisterTraceServiceServer(server, s)
	logs.RegisterLogsServiceServer(server, logsOf{s})
}

// Spans are those that have been sent.
func (s *Server) Spans() []Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.spans)
}

// Logs are the messages that have been sent.
func (s *Server) Logs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.logs)
}

// Text is all that has been sent, as JSON.
func (s *Server) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text)
}

func (s *Server) keep(request proto.Message) {
	text, err := protojson.Marshal(request)
	if err != nil {
		text = []byte(err.Error())
	}
	s.text = append(append(s.text, text...), '\n')
}

// Export takes spans.
func (s *Server) Export(_ context.Context, request *traces.ExportTraceServiceRequest) (*traces.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(request)
	for _, of := range request.GetResourceSpans() {
		service := ""
		for _, attribute := range of.GetResource().GetAttributes() {
			if attribute.GetKey() == "service.name" {
				service = attribute.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				s.spans = append(s.spans, Span{
					Service: service, Name: span.GetName(),
					Trace: string(span.GetTraceId()), ID: string(span.GetSpanId()), Parent: string(span.GetParentSpanId()),
				})
			}
		}
	}
	return &traces.ExportTraceServiceResponse{}, nil
}

// logsOf is the service for logs, whose method has the name of the other's.
type logsOf struct{ *Server }

func (l logsOf) Export(_ context.Context, request *logs.ExportLogsServiceRequest) (*logs.ExportLogsServiceResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(request)
	for _, of := range request.GetResourceLogs() {
		for _, scope := range of.GetScopeLogs() {
			for _, record := range scope.GetLogRecords() {
				l.logs = append(l.logs, record.GetBody().GetStringValue())
			}
		}
	}
	return &logs.ExportLogsServiceResponse{}, nil
}
