package sdkfast

import (
	"fmt"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec for everything else
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Numbers of fields (c1/connector/v2/resource.proto of the SDK).
const (
	listField    protowire.Number = 1 // of ResourcesServiceListResourcesResponse
	profileField protowire.Number = 9 // of Resource
)

// Codec is gRPC's codec for protobuf messages, but for the answers to two listings. In that
// to ListResources a profile is its encoding and not its fields, and so has none for who
// looks into it. In that to ListGrants entitlements and principals have their ids alone, which
// is all that the Pebble engine stores of them; the SQLite engine
// stores more. What is not in the usual form is decoded in the usual way.
var Codec encoding.CodecV2 = pageCodec{encoding.GetCodecV2("proto")}

type pageCodec struct{ encoding.CodecV2 }

// Unmarshal decodes a message.
func (c pageCodec) Unmarshal(data mem.BufferSlice, into any) error {
	switch page := into.(type) {
	case *v2.ResourcesServiceListResourcesResponse:
		whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
		defer whole.Free()
		return decode(whole.ReadOnlyData(), page)
	case *v2.GrantsServiceListGrantsResponse:
		whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
		defer whole.Free()
		return decodeGrants(whole.ReadOnlyData(), page)
	}
	return c.CodecV2.Unmarshal(data, into)
}

// decode decodes a page. What it puts into it shares no memory with data.
func decode(data []byte, page *v2.ResourcesServiceListResourcesResponse) error {
	proto.Reset(page)
	var rest []byte // all fields but the list
	var list []*v2.Resource
	packer := packer{}
	for len(data) > 0 {
		field, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("decode a page: %w", protowire.ParseError(n))
		}
		size := protowire.ConsumeFieldValue(field, kind, data[n:])
		if size < 0 {
			return fmt.Errorf("decode a page: %w", protowire.ParseError(size))
		}
		if field != listField || kind != protowire.BytesType {
			rest = append(rest, data[:n+size]...)
			data = data[n+size:]
			continue
		}
		row, _ := protowire.ConsumeBytes(data[n:])
		resource := &v2.Resource{}
		if err := packer.resource(row, resource); err != nil {
			return fmt.Errorf("decode row %d of a page: %w", len(list)+1, err)
		}
		list = append(list, resource)
		data = data[n+size:]
	}
	if err := proto.Unmarshal(rest, page); err != nil {
		return fmt.Errorf("decode a page: %w", err)
	}
	page.SetList(list)
	return nil
}
