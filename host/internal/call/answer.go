package call

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Call calls the method and gives each message of the answer to take, whose error
// ends the call and is returned as it is.
func (m Method) Call(ctx context.Context, conn grpc.ClientConnInterface, request proto.Message, take func(proto.Message) error) error {
	if !m.Streams {
		answer := m.answer.New().Interface()
		if err := conn.Invoke(ctx, m.Path, request, answer); err != nil {
			return err
		}
		return take(answer)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, m.Path)
	if err != nil {
		return err
	}
	// An error of sending is returned by receiving.
	if err := stream.SendMsg(request); err == nil {
		_ = stream.CloseSend()
	}
	for {
		answer := m.answer.New().Interface()
		err := stream.RecvMsg(answer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := take(answer); err != nil {
			return err
		}
	}
}

// Format returns a message as JSON: over several lines for a person, or on one. It
// also returns the types in it that this program does not know, and whose content is
// therefore missing.
func Format(message proto.Message, oneLine bool) (text []byte, unknown []string, err error) {
	types := &lenientTypes{Types: protoregistry.GlobalTypes}
	encoded, err := protojson.MarshalOptions{UseProtoNames: true, Resolver: types}.Marshal(message)
	if err != nil {
		return nil, nil, fmt.Errorf("the answer cannot be shown as JSON: %w", err)
	}
	// Also for the sake of one and the same form: protojson varies its spaces.
	var formed bytes.Buffer
	if oneLine {
		err = json.Compact(&formed, encoded)
	} else {
		err = json.Indent(&formed, encoded, "", "  ")
	}
	return formed.Bytes(), types.unknown, err
}

// Explain returns a plugin's gRPC error in words, with its code and its details.
func (m Method) Explain(err error) error {
	failure := status.Convert(err)
	lines := []string{fmt.Sprintf("%s failed with %s: %s", m, code.Code(failure.Code()), failure.Message())} //nolint:gosec // Both are gRPC's numbers.
	for _, detail := range failure.Proto().GetDetails() {
		shown, _, err := Format(detail, true)
		if err != nil {
			shown = []byte(detail.GetTypeUrl())
		}
		lines = append(lines, string(shown))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// lenientTypes knows every type of an annotation: an unknown one is shown without
// its content, as the rest of the answer is worth seeing.
type lenientTypes struct {
	*protoregistry.Types
	unknown []string
}

func (t *lenientTypes) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	found, err := t.Types.FindMessageByURL(url)
	if !errors.Is(err, protoregistry.NotFound) {
		return found, err
	}
	if name := url[strings.LastIndex(url, "/")+1:]; !slices.Contains(t.unknown, name) {
		t.unknown = append(t.unknown, name)
	}
	// A message without fields.
	return (&pluginv1.StopRequest{}).ProtoReflect().Type(), nil
}
