package scim

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/structpb"
)

// attribute is an entry of an account's profile.
type attribute struct{ key, value string }

// Numbers of fields (google/protobuf/struct.proto).
const (
	structFields protowire.Number = 1 // of Struct
	entryKey     protowire.Number = 1 // of an entry of its map
	entryValue   protowire.Number = 2
	stringValue  protowire.Number = 3 // of Value
)

// packProfile makes a profile in the form in which it is sent: its encoding, sorted by
// key, and no map of messages. Making, measuring and encoding those is a third of
// what reading an account costs otherwise. Who looks into it has to receive it
// first, as hosts and the SDK do. (A host keeps it so: host/internal/syncfile/sdkfast.)
//
// The error is about text that is not UTF-8, which cannot be sent.
func packProfile(attributes []attribute) (*structpb.Struct, error) {
	slices.SortFunc(attributes, func(a, b attribute) int { return strings.Compare(a.key, b.key) })
	size := 0
	for _, one := range attributes {
		if !utf8.ValidString(one.key) || !utf8.ValidString(one.value) {
			return nil, fmt.Errorf("the attribute %q is not valid text", one.key)
		}
		size += 16 + len(one.key) + len(one.value)
	}
	encoded := make([]byte, 0, size)
	for _, one := range attributes {
		value := protowire.SizeTag(stringValue) + protowire.SizeBytes(len(one.value))
		entry := protowire.SizeTag(entryKey) + protowire.SizeBytes(len(one.key)) + protowire.SizeTag(entryValue) + protowire.SizeBytes(value)
		encoded = appendLength(encoded, structFields, entry)
		encoded = append(appendLength(encoded, entryKey, len(one.key)), one.key...)
		encoded = appendLength(encoded, entryValue, value)
		encoded = append(appendLength(encoded, stringValue, len(one.value)), one.value...)
	}
	profile := &structpb.Struct{}
	profile.ProtoReflect().SetUnknown(encoded)
	return profile, nil
}

// appendLength begins a field of that many bytes.
func appendLength(encoded []byte, field protowire.Number, length int) []byte {
	encoded = protowire.AppendTag(encoded, field, protowire.BytesType)
	return protowire.AppendVarint(encoded, uint64(length)) //nolint:gosec // No length is negative.
}

// withProfile is resource.WithResourceProfile for a profile that is made already.
func withProfile(profile *structpb.Struct) resource.ResourceOption {
	return func(r *v2.Resource) error {
		r.SetProfile(profile)
		return nil
	}
}
