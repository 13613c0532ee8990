package pagecheck

import (
	"cmp"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// What C1 takes in bytes: the validate rules of the SDK's messages
// (pb/c1/connector/v2/*.pb.validate.go), which the SDK itself does not apply.
const (
	maxID              = 1024
	maxName            = 1024
	maxDetails         = 1024
	maxDescription     = 2048
	maxTypeDescription = 4096
)

// shownID is how much of an id an error repeats, in bytes.
const shownID = 64

// named is an id, or another text of a plugin, as an error shows it.
func named(text string) string {
	if len(text) <= shownID {
		return strconv.Quote(text)
	}
	return strconv.Quote(errtext.Cut(text, shownID)) + "…"
}

// breaks says whether a text may have tabs and line breaks of any kind, also the soft
// ones of office programs (U+000B), and the control characters from U+0080 to U+009F:
// texts for people have those where an app took windows-1252 for ISO-8859-1.
type breaks bool

const (
	oneLine breaks = false // ids: they are compared byte by byte, and appear in logs and addresses
	lines   breaks = true  // texts for people
)

// flaw returns what C1 does not take of the characters of a text; "" if it takes
// all of them.
func flaw(text string, allowed breaks) string {
	if plain(text) {
		return ""
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch {
		case r == utf8.RuneError && size == 1:
			return "is not valid UTF-8"
		case allowed == lines && (unicode.IsSpace(r) || r >= 0x80):
		case unicode.IsControl(r):
			return fmt.Sprintf("has the control character %U", r)
		}
	}
	return ""
}

// plain says that a text has nothing but printable ASCII. It looks at eight bytes at
// a time: there are some thirty texts in an account.
func plain[T string | []byte](text T) bool {
	const each = 0x0101010101010101
	for len(text) >= 8 {
		w := uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
			uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
		below := w - each*0x20        // the high bit of a byte below 0x20
		del := (w ^ each*0x7f) - each // the high bit of a byte of 0x7f
		if (below|del|w)&(each*0x80) != 0 {
			return false
		}
		text = text[8:]
	}
	for i := range len(text) {
		if b := text[i]; b < 0x20 || b >= 0x7f {
			return false
		}
	}
	return true
}

// idFlaw returns why C1 does not take an id of the plugin; "" if it does. What the
// namespace adds to its length is another check: see Memory.
func idFlaw(id string) string {
	switch {
	case id == "":
		return "is empty"
	case len(id) > maxID:
		return tooLong(len(id), maxID)
	}
	return flaw(id, oneLine)
}

// textFlaw returns why C1 does not take a text of the plugin; "" if it does.
func textFlaw(text string, limit int) string {
	if len(text) > limit {
		return tooLong(len(text), limit)
	}
	return flaw(text, lines)
}

func tooLong(size, limit int) string {
	return fmt.Sprintf("has %d bytes, and C1 takes at most %d", size, limit)
}

// packedTexts is where the texts of an encoded message are: what annotations hold
// comes encoded, and is neither decoded nor checked by gRPC's decoder.
type packedTexts struct {
	fields []packedField // by number
}

// packedField is a field that is a text or a message; the zero value is any other.
type packedField struct {
	name    protoreflect.Name
	message *packedTexts // nil: the field itself is a text
}

// at is the field of a number; false if no text can be in it.
func (t *packedTexts) at(number protowire.Number) (packedField, bool) {
	if int(number) >= len(t.fields) || t.fields[number].name == "" {
		return packedField{}, false
	}
	return t.fields[number], true
}

// packed remembers, by the type URL of annotations, where their texts are.
var packed atomic.Pointer[map[string]*packedTexts]

func packedFor(url string) *packedTexts {
	known := packed.Load()
	if known != nil {
		if texts, ok := (*known)[url]; ok {
			return texts
		}
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByURL(url)
	if err != nil {
		// Of a type that this SDK does not know. Not remembered: there is no
		// end of names that a plugin can make up.
		return nil
	}
	texts := textsOf(mt.Descriptor(), map[protoreflect.FullName]*packedTexts{})
	all := map[string]*packedTexts{url: texts}
	if known != nil {
		maps.Copy(all, *known)
	}
	if len(all) <= maxPacked {
		// Of two who remember at once, one is forgotten and works it out again.
		packed.Store(&all)
	}
	return texts
}

// maxPacked bounds what is remembered: a type has as many URLs as there are hosts.
const maxPacked = 256

// maxPackedNumber is above every number in the SDK's messages.
const maxPackedNumber = 4096

// textsOf works out where the texts of messages of one type are. made are those at
// work or done, as types may hold themselves.
func textsOf(md protoreflect.MessageDescriptor, made map[protoreflect.FullName]*packedTexts) *packedTexts {
	if texts, ok := made[md.FullName()]; ok {
		return texts
	}
	texts := &packedTexts{}
	made[md.FullName()] = texts
	fields := md.Fields()
	var last protowire.Number
	for i := range fields.Len() {
		last = max(last, fields.Get(i).Number())
	}
	texts.fields = make([]packedField, min(last, maxPackedNumber)+1)
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.Number() > maxPackedNumber {
			continue
		}
		switch fd.Kind() { //nolint:exhaustive // Nothing else holds a text.
		case protoreflect.StringKind:
			texts.fields[fd.Number()] = packedField{name: fd.Name()}
		case protoreflect.MessageKind:
			texts.fields[fd.Number()] = packedField{name: fd.Name(), message: textsOf(fd.Message(), made)}
		}
	}
	return texts
}

var structTexts = textsOf((&structpb.Struct{}).ProtoReflect().Descriptor(), map[protoreflect.FullName]*packedTexts{})

// flaw returns what is wrong with the texts in an encoded message, beginning with
// the name of the field; "" if nothing is.
func (t *packedTexts) flaw(encoded []byte, nesting int) string {
	if t == nil {
		return ""
	}
	if nesting > maxPackedNesting {
		return fmt.Sprintf("is nested more than %d deep", maxPackedNesting)
	}
	for len(encoded) > 0 {
		number, kind, n := consumeTag(encoded)
		if n < 0 {
			return "cannot be decoded"
		}
		encoded = encoded[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, encoded); n < 0 {
				return "cannot be decoded"
			}
			encoded = encoded[n:]
			continue
		}
		value, n := consumeBytes(encoded)
		if n < 0 {
			return "cannot be decoded"
		}
		encoded = encoded[n:]
		field, ok := t.at(number)
		if !ok {
			continue
		}
		var words string
		if field.message == nil {
			if !plain(value) {
				words = flaw(string(value), lines)
			}
		} else {
			words = field.message.flaw(value, nesting+1)
		}
		if words != "" {
			return fmt.Sprintf("%s %s", field.name, words)
		}
	}
	return ""
}

// consumeTag and consumeBytes are protowire's, with a short way for what takes one
// byte: there are some fifty of each in an account.

func consumeTag(encoded []byte) (protowire.Number, protowire.Type, int) {
	if b := encoded[0]; 1<<3 <= b && b < 0x80 && b&7 != byte(protowire.EndGroupType) {
		return protowire.Number(b >> 3), protowire.Type(b & 7), 1
	}
	return protowire.ConsumeTag(encoded)
}

func consumeBytes(encoded []byte) ([]byte, int) {
	if len(encoded) > 0 {
		if size := int(encoded[0]); size < 0x80 && size < len(encoded) {
			return encoded[1 : 1+size], 1 + size
		}
	}
	return protowire.ConsumeBytes(encoded)
}

// maxPackedNesting is how deep protobuf's own decoder goes at least.
const maxPackedNesting = 1000

// annotationFlaw returns what C1 does not take of an annotation; "" if it takes it.
func annotationFlaw(annotation *anypb.Any) string {
	words := packedFor(annotation.GetTypeUrl()).flaw(annotation.GetValue(), 0)
	if words == "" {
		return ""
	}
	return fmt.Sprintf("its annotation %s: %s", annotation.MessageName(), words)
}

// profileFlaw returns what C1 does not take of a profile; "" if it takes it. A
// profile that was left encoded (host/internal/syncfile/sdkfast) is looked through as it is.
func profileFlaw(profile *structpb.Struct) string {
	if profile == nil {
		return ""
	}
	if encoded := profile.ProtoReflect().GetUnknown(); len(encoded) > 0 {
		if words := structTexts.flaw(encoded, 0); words != "" {
			// Decoded, it shows which member it is.
			whole := &structpb.Struct{}
			if proto.Unmarshal(encoded, whole) == nil {
				words = cmp.Or(structFlaw(whole), words)
			}
			return "its profile: " + words
		}
	}
	if words := structFlaw(profile); words != "" {
		return "its profile: " + words
	}
	return ""
}

func structFlaw(of *structpb.Struct) string {
	for key, value := range of.GetFields() {
		words := flaw(key, lines)
		if words == "" {
			words = valueFlaw(value)
		}
		if words != "" {
			return named(key) + " " + words
		}
	}
	return ""
}

func valueFlaw(value *structpb.Value) string {
	switch kind := value.GetKind().(type) {
	case *structpb.Value_StringValue:
		return flaw(kind.StringValue, lines)
	case *structpb.Value_StructValue:
		return structFlaw(kind.StructValue)
	case *structpb.Value_ListValue:
		for _, element := range kind.ListValue.GetValues() {
			if words := valueFlaw(element); words != "" {
				return words
			}
		}
	}
	return ""
}

// annotationName is the name of an annotation's type, without allocating.
func annotationName(annotation *anypb.Any) string {
	url := annotation.GetTypeUrl()
	return url[strings.LastIndexByte(url, '/')+1:]
}
