package pluginlog

import (
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/batonhost/baton-host/plugin/redact"
)

// BlankError blanks the values of secrets in an error of the plugin: in its text,
// and in the texts of its details, whatever their type. Code and details stay.
func (w *Writer) BlankError(err error) error {
	secrets := w.redactor()
	blanked := status.Convert(err).Proto()
	b := blanker{secrets: secrets}
	if protorange.Range(blanked.ProtoReflect(), b.value) != nil {
		// Not even looked through to the end, for example because a detail is
		// malformed: then without details.
		blanked.Details = nil
		blanked.Message = secrets.Blank(blanked.GetMessage())
		return status.ErrorProto(blanked)
	}
	if !b.changed {
		return err
	}
	return status.ErrorProto(blanked)
}

// blanker blanks secrets in the values of a message.
type blanker struct {
	secrets *redact.Redactor
	changed bool
}

// value is called with every value of a message, also inside of Any.
func (b *blanker) value(path protopath.Values) error {
	last := path.Index(-1)
	switch value := last.Value.Interface().(type) {
	case protoreflect.Message:
		if b.secrets.Finds(string(value.GetUnknown())) {
			value.SetUnknown(nil)
			b.changed = true
		}
	case protoreflect.Map:
		b.keys(value)
	case string:
		if text := b.secrets.Blank(value); text != value {
			b.set(path, protoreflect.ValueOfString(text))
		}
	case []byte:
		// The content of an Any of a type that is not known here is among these,
		// and what is blanked may then be malformed: so nothing of it stays.
		if b.secrets.Finds(string(value)) {
			b.set(path, protoreflect.ValueOfBytes(nil))
		}
	}
	return nil
}

func (b *blanker) keys(entries protoreflect.Map) {
	entries.Range(func(key protoreflect.MapKey, _ protoreflect.Value) bool {
		if text, ok := key.Interface().(string); ok && b.secrets.Finds(text) {
			entries.Clear(key)
			b.changed = true
		}
		return true
	})
}

func (b *blanker) set(path protopath.Values, to protoreflect.Value) {
	b.changed = true
	last, parent := path.Index(-1), path.Index(-2).Value
	switch last.Step.Kind() {
	case protopath.FieldAccessStep:
		parent.Message().Set(last.Step.FieldDescriptor(), to)
	case protopath.ListIndexStep:
		parent.List().Set(last.Step.ListIndex(), to)
	case protopath.MapIndexStep:
		parent.Map().Set(last.Step.MapIndex(), to)
	}
}
