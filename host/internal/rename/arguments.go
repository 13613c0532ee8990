package rename

import (
	"fmt"
	"maps"
	"slices"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// What actions take and return is a struct of JSON values. Which of them are
// resources, entitlements and grants is in the action's schema; how those look
// as JSON is in the SDK's pkg/actions (args.go): messages of c1.config.v1 as
// protojson writes them, with field names of either spelling. Values are
// renamed where they stand, as a plugin may read any spelling.

// fieldKinds are the messages behind the kinds of fields (c1.config.v1.Field)
// that hold references, alone or in a list. A test compares them with the SDK.
var fieldKinds = map[protoreflect.Name]protoreflect.MessageDescriptor{
	"resource_id_field":       (&configv1.ResourceId{}).ProtoReflect().Descriptor(),
	"resource_id_slice_field": (&configv1.ResourceId{}).ProtoReflect().Descriptor(),
	"resource_field":          (&configv1.Resource{}).ProtoReflect().Descriptor(),
	"resource_slice_field":    (&configv1.Resource{}).ProtoReflect().Descriptor(),
	"entitlement_slice_field": (&configv1.Entitlement{}).ProtoReflect().Descriptor(),
	"grant_slice_field":       (&configv1.Grant{}).ProtoReflect().Descriptor(),
}

const configGrantName protoreflect.FullName = "c1.config.v1.Grant"

// alsoCalled are the names that the SDK's readers take beside those of the
// message (GetResourceIDArg).
var alsoCalled = map[protoreflect.FullName]string{
	"c1.config.v1.ResourceId.resource_type_id": "resource_type",
	"c1.config.v1.ResourceId.resource_id":      "resource",
}

// FieldKind returns the name of the field's kind, "" if none is set.
func FieldKind(field *configv1.Field) protoreflect.Name {
	m := field.ProtoReflect()
	if kind := m.WhichOneof(m.Descriptor().Oneofs().ByName("field")); kind != nil {
		return kind.Name()
	}
	return ""
}

// Arguments renames the arguments of an action on the way to the plugin. It
// refuses what is of another plugin, and what is not of the kind that the
// schema says, as such a value could hold anything.
func (n *Names) Arguments(args *structpb.Struct, fields map[string]*configv1.Field) error {
	return (&rewriter{names: n, removing: true}).values(args, fields, "argument")
}

// Returned renames what an action returns. The action has been done, so what
// is not as its schema says is left as it is, for people to read.
func (n *Names) Returned(returned *structpb.Struct, fields map[string]*configv1.Field) error {
	return (&rewriter{names: n}).values(returned, fields, "returned field")
}

func (w *rewriter) values(of *structpb.Struct, fields map[string]*configv1.Field, what string) error {
	for _, name := range slices.Sorted(maps.Keys(of.GetFields())) {
		value, field := of.GetFields()[name], fields[name]
		if field == nil {
			continue
		}
		kind := FieldKind(field)
		if md := fieldKinds[kind]; md != nil {
			if err := w.jsonMessages(value, md); err != nil {
				return fmt.Errorf("the %s %q: %w", what, name, err)
			}
		}
	}
	return nil
}

// jsonMessages renames inside one message as JSON, or a list of them.
func (w *rewriter) jsonMessages(value *structpb.Value, md protoreflect.MessageDescriptor) error {
	return w.jsonEach(value, md, func(value *structpb.Value) error {
		switch kind := value.GetKind().(type) {
		case *structpb.Value_StructValue:
			return w.jsonMessage(kind.StructValue, md)
		case *structpb.Value_StringValue:
			if kind.StringValue == "" {
				return nil
			}
		}
		return w.unlike(md)
	})
}

// jsonEach calls one for a value, or for each element of a list of them; not for
// what is null. of is what an error is about.
func (w *rewriter) jsonEach(value *structpb.Value, of protoreflect.MessageDescriptor, one func(*structpb.Value) error) error {
	switch kind := value.GetKind().(type) {
	case nil, *structpb.Value_NullValue:
		return nil
	case *structpb.Value_ListValue:
		for _, element := range kind.ListValue.GetValues() {
			if _, nested := element.GetKind().(*structpb.Value_ListValue); nested {
				return w.unlike(of)
			}
			if err := w.jsonEach(element, of, one); err != nil {
				return err
			}
		}
		return nil
	}
	return one(value)
}

// unlike is for a value that is not what it should be.
func (w *rewriter) unlike(md protoreflect.MessageDescriptor) error {
	if !w.removing {
		return nil
	}
	return fmt.Errorf("it is not of the form of a %s", md.FullName())
}

func (w *rewriter) jsonMessage(object *structpb.Struct, md protoreflect.MessageDescriptor) error {
	if md.FullName() == configGrantName {
		outerType, outerID := w.principalType, w.principalID
		defer func() { w.principalType, w.principalID = outerType, outerID }()
		w.principalType, w.principalID = jsonPrincipal(object, md)
	}
	fields := md.Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		for _, key := range jsonKeys(fd) {
			value, ok := object.GetFields()[key]
			if !ok {
				continue
			}
			var err error
			switch sub := fd.Message(); {
			case sub != nil && sub.FullName() == anyName:
				err = w.jsonAnnotations(value)
			case sub != nil:
				err = w.jsonMessages(value, sub)
			case references[fd.FullName()] != noReference:
				err = w.jsonReference(value, fd)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// jsonKeys are the keys that a field may have.
func jsonKeys(fd protoreflect.FieldDescriptor) []string {
	keys := []string{fd.TextName()}
	if fd.JSONName() != fd.TextName() {
		keys = append(keys, fd.JSONName())
	}
	if other := alsoCalled[fd.FullName()]; other != "" {
		keys = append(keys, other)
	}
	return keys
}

func (w *rewriter) jsonReference(value *structpb.Value, fd protoreflect.FieldDescriptor) error {
	return w.jsonEach(value, fd.ContainingMessage(), func(value *structpb.Value) error {
		text, ok := value.GetKind().(*structpb.Value_StringValue)
		if !ok {
			return w.unlike(fd.ContainingMessage())
		}
		ref := references[fd.FullName()]
		if ref == toGrant {
			ref = toReplacedGrant // the principal says which parts it has
		}
		renamed, err := w.rename(text.StringValue, ref)
		text.StringValue = renamed
		return err
	})
}

// jsonPrincipal is the principal of a grant as JSON.
func jsonPrincipal(grant *structpb.Struct, md protoreflect.MessageDescriptor) (typeID, id string) {
	at := func(object *structpb.Struct, fd protoreflect.FieldDescriptor) *structpb.Value {
		for _, key := range jsonKeys(fd) {
			if value, ok := object.GetFields()[key]; ok {
				return value
			}
		}
		return nil
	}
	principal := md.Fields().ByName("principal")
	resourceID := principal.Message().Fields().ByName("resource_id")
	parts := resourceID.Message().Fields()
	object := at(at(grant, principal).GetStructValue(), resourceID).GetStructValue()
	return at(object, parts.ByName("resource_type_id")).GetStringValue(), at(object, parts.ByName("resource_id")).GetStringValue()
}

// jsonAnnotations renames in annotations as JSON ("@type" and the fields).
func (w *rewriter) jsonAnnotations(value *structpb.Value) error {
	list := value.GetListValue()
	var kept []*structpb.Value
	for _, element := range list.GetValues() {
		keep, err := w.jsonAnnotation(element)
		if err != nil {
			return err
		}
		if keep {
			kept = append(kept, element)
		}
	}
	if list != nil {
		list.Values = kept
	}
	return nil
}

func (w *rewriter) jsonAnnotation(element *structpb.Value) (keep bool, err error) {
	object := element.GetStructValue()
	rule := ruleFor(object.GetFields()["@type"].GetStringValue())
	if rule.drop {
		return false, nil
	}
	if rule.plan == nil {
		return true, nil
	}
	words, err := protojson.Marshal(object)
	if err != nil {
		return false, err
	}
	annotation := &anypb.Any{}
	if err := protojson.Unmarshal(words, annotation); err != nil {
		return false, fmt.Errorf("an annotation cannot be decoded: %w", err)
	}
	before := w.edits
	if keep, err = w.annotation(annotation.ProtoReflect()); err != nil || !keep || w.edits == before {
		return keep, err
	}
	if words, err = protojson.Marshal(annotation); err != nil {
		return false, fmt.Errorf("an annotation cannot be encoded: %w", err)
	}
	renamed := &structpb.Struct{}
	if err := protojson.Unmarshal(words, renamed); err != nil {
		return false, err
	}
	object.Fields = renamed.GetFields()
	return true, nil
}
