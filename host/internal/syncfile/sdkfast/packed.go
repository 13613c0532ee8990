package sdkfast

import (
	"bytes"
	"slices"
	"unicode/utf8"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// Numbers of fields (google/protobuf/struct.proto).
const (
	fieldsField protowire.Number = 1 // of Struct
	keyField    protowire.Number = 1 // of an entry of its map
	valueField  protowire.Number = 2

	nullField   protowire.Number = 1 // of Value
	numberField protowire.Number = 2
	stringField protowire.Number = 3
	boolField   protowire.Number = 4
)

// packer decodes resources, with their profiles packed: such a profile is its encoding
// and not its fields, and must be encoded and decoded once more to be looked into. Encoded it is, byte for byte, what the fields are if they are encoded
// deterministically, which is how the SDK writes them into a sync file. (The scim
// package sends profiles so.)
//
// Its memory serves one resource after the other.
type packer struct {
	entries []entry
}

// entry is one of a profile, as it is encoded.
type entry struct{ key, raw []byte }

// resource decodes a resource, with its profile packed where it can be.
func (p *packer) resource(data []byte, into *v2.Resource) error {
	from, to, profile := findProfile(data)
	if profile == nil {
		return proto.Unmarshal(data, into)
	}
	packed, ok := p.pack(profile)
	if !ok {
		return proto.Unmarshal(data, into)
	}
	merge := proto.UnmarshalOptions{Merge: true}
	if err := merge.Unmarshal(data[:from], into); err != nil {
		return err
	}
	if err := merge.Unmarshal(data[to:], into); err != nil {
		return err
	}
	into.SetProfile(packed)
	return nil
}

// findProfile returns the profile in an encoded resource, and from where to where its
// field is; nil if there is none, more than one, or anything is odd.
func findProfile(data []byte) (from, to int, profile []byte) {
	for at := 0; at < len(data); {
		field, kind, n := protowire.ConsumeTag(data[at:])
		if n < 0 {
			return 0, 0, nil
		}
		size := protowire.ConsumeFieldValue(field, kind, data[at+n:])
		if size < 0 {
			return 0, 0, nil
		}
		if field == profileField {
			if profile != nil || kind != protowire.BytesType {
				return 0, 0, nil
			}
			profile, _ = protowire.ConsumeBytes(data[at+n:])
			from, to = at, at+n+size
		}
		at += n + size
	}
	if len(profile) == 0 {
		return 0, 0, nil
	}
	return from, to, profile
}

// pack returns a profile as its encoding, with the entries in the order of their keys. It
// leaves to the ordinary decoder what is not of texts, numbers, booleans and nulls
// alone, what is not text, what is there twice, and every other way to encode what
// could be encoded as the SDK does.
func (p *packer) pack(profile []byte) (*structpb.Struct, bool) {
	p.entries = p.entries[:0]
	sorted := true
	for at := 0; at < len(profile); {
		raw, key, ok := consumeEntry(profile[at:])
		if !ok {
			return nil, false
		}
		if last := len(p.entries) - 1; last >= 0 && bytes.Compare(p.entries[last].key, key) >= 0 {
			sorted = false
		}
		p.entries = append(p.entries, entry{key, raw})
		at += len(raw)
	}
	if !sorted {
		slices.SortFunc(p.entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
		for i := range p.entries[1:] {
			if bytes.Equal(p.entries[i].key, p.entries[i+1].key) {
				return nil, false
			}
		}
	}
	encoded := make([]byte, 0, len(profile))
	for _, e := range p.entries {
		encoded = append(encoded, e.raw...)
	}
	packed := &structpb.Struct{}
	packed.ProtoReflect().SetUnknown(encoded)
	return packed, true
}

// consumeEntry returns the first entry of an encoded map, with its tag and length, and
// its key.
func consumeEntry(data []byte) (raw, key []byte, ok bool) {
	body, n := consumeText(data, fieldsField)
	if n == 0 {
		return nil, nil, false
	}
	key, k := consumeText(body, keyField)
	if k == 0 || !utf8.Valid(key) {
		return nil, nil, false
	}
	value, v := consumeText(body[k:], valueField)
	if v == 0 || k+v != len(body) || !isPlainValue(value) {
		return nil, nil, false
	}
	return data[:n], key, true
}

// consumeText returns the value of a field of bytes, and how long both are; 0 if it is
// another field, or not encoded in the shortest way.
func consumeText(data []byte, want protowire.Number) (value []byte, n int) {
	field, kind, t := protowire.ConsumeTag(data)
	if t < 0 || field != want || kind != protowire.BytesType {
		return nil, 0
	}
	value, size := protowire.ConsumeBytes(data[t:])
	if size < 0 || t+size != protowire.SizeTag(want)+protowire.SizeBytes(len(value)) {
		return nil, 0
	}
	return value, t + size
}

// isPlainValue reports whether a Value is one text, number, boolean or null, encoded in
// the shortest way.
func isPlainValue(value []byte) bool {
	field, kind, n := protowire.ConsumeTag(value)
	if n != 1 {
		return false
	}
	switch {
	case field == stringField:
		text, size := consumeText(value, stringField)
		return size == len(value) && utf8.Valid(text)
	case field == numberField && kind == protowire.Fixed64Type:
		return len(value) == n+8
	case field == boolField && kind == protowire.VarintType:
		return len(value) == n+1 && value[n] <= 1
	case field == nullField && kind == protowire.VarintType:
		return len(value) == n+1 && value[n] == 0
	}
	return false
}
