package sdkfast

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Numbers of fields (c1/connector/v2/grant.proto, entitlement.proto and resource.proto of
// the SDK).
const (
	grantEntitlementField protowire.Number = 1 // of Grant
	grantPrincipalField   protowire.Number = 2
	grantIDField          protowire.Number = 3

	entitlementResourceField protowire.Number = 1 // of Entitlement
	entitlementIDField       protowire.Number = 2

	resourceIDField protowire.Number = 1 // of Resource
	parentIDField   protowire.Number = 2

	idTypeField protowire.Number = 1 // of ResourceId
	idNameField protowire.Number = 2
)

// insertResourceGrants is in a page whose grants bring resources: everything of these is
// stored.
var insertResourceGrants = []byte("c1.connector.v2.InsertResourceGrants")

// decodeGrants decodes a page of grants, and leaves out of each what the engine does not
// store of it: all of its entitlement and of its principal but the ids. (The engine stores
// entitlements and resources by themselves, as they are listed.) A page whose grants bring
// resources is decoded whole, and so is a grant that is not in the usual form. What it puts
// into page shares no memory with data.
func decodeGrants(data []byte, page *v2.GrantsServiceListGrantsResponse) error {
	if bytes.Contains(data, insertResourceGrants) {
		return proto.Unmarshal(data, page)
	}
	whole := wire{data: data, text: string(data)}
	rows := 0
	if !whole.each(0, len(data), func(at wireField) bool {
		if at.number == listField {
			rows++
		}
		return at.number != listField || at.kind == protowire.BytesType
	}) {
		return proto.Unmarshal(data, page)
	}
	proto.Reset(page)
	decoder := grantDecoder{
		wire: whole, entitlements: make([]v2.Entitlement, rows), resources: make([]v2.Resource, 2*rows), ids: make([]v2.ResourceId, 2*rows),
	}
	grants := make([]v2.Grant, rows)
	list := make([]*v2.Grant, 0, rows)
	var rest []byte // all fields but the list
	var failure error
	whole.each(0, len(data), func(at wireField) bool {
		if at.number != listField {
			rest = append(rest, data[at.begin:at.to]...)
			return true
		}
		row := &grants[len(list)]
		if !decoder.grant(len(list), at, row) {
			row = &v2.Grant{}
			if failure = proto.Unmarshal(data[at.from:at.to], row); failure != nil {
				failure = fmt.Errorf("decode row %d of a page: %w", len(list)+1, failure)
			}
		}
		list = append(list, row)
		return failure == nil
	})
	if failure != nil {
		return failure
	}
	if err := proto.Unmarshal(rest, page); err != nil {
		return fmt.Errorf("decode a page: %w", err)
	}
	page.SetList(list)
	return nil
}

// wire is an encoded message, twice: parts of text need no memory of their own.
type wire struct {
	data []byte
	text string
}

// wireField is a field of a message: from where it begins to where it ends, and from where its
// value, of bytes what is in them.
type wireField struct {
	number          protowire.Number
	kind            protowire.Type
	begin, from, to int
}

// each calls visit with each field of the message between two places, until that returns
// false. It returns false then, and where there is no message.
func (w *wire) each(from, to int, visit func(wireField) bool) bool {
	for at := from; at < to; {
		number, kind, n := protowire.ConsumeTag(w.data[at:to])
		if n < 0 {
			return false
		}
		size := protowire.ConsumeFieldValue(number, kind, w.data[at+n:to])
		if size < 0 {
			return false
		}
		field := wireField{number, kind, at, at + n, at + n + size}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(w.data[at+n : to])
			field.from = field.to - len(value)
		}
		if !visit(field) {
			return false
		}
		at = field.to
	}
	return true
}

// string is a text, if it is one and is there for the first time.
func (w *wire) string(at wireField, into *string, there *bool) bool {
	*into = w.text[at.from:at.to]
	return at.isFirst(there) && utf8.ValidString(*into)
}

// isFirst reports whether a field is of bytes and there for the first time.
func (f wireField) isFirst(there *bool) bool {
	first := !*there && f.kind == protowire.BytesType
	*there = true
	return first
}

// grantDecoder decodes the grants of a page, into one piece of memory for each kind of
// message. Its methods return false for what is not in the usual form: with each field once.
type grantDecoder struct {
	wire

	entitlements []v2.Entitlement
	resources    []v2.Resource   // of the entitlement, and of the principal
	ids          []v2.ResourceId // of these
}

// grant decodes the grant of a row.
func (d *grantDecoder) grant(row int, at wireField, into *v2.Grant) bool {
	var entitled, hasPrincipal, hasID bool
	var id string
	var rest []byte // such as annotations
	ok := d.each(at.from, at.to, func(field wireField) bool {
		switch field.number {
		case grantEntitlementField:
			into.SetEntitlement(&d.entitlements[row])
			return field.isFirst(&entitled) && d.entitlement(row, field, &d.entitlements[row])
		case grantPrincipalField:
			into.SetPrincipal(&d.resources[2*row+1])
			return field.isFirst(&hasPrincipal) && d.resource(2*row+1, field, &d.resources[2*row+1])
		case grantIDField:
			return d.string(field, &id, &hasID)
		}
		rest = append(rest, d.data[field.begin:field.to]...)
		return true
	})
	into.SetId(id)
	return ok && (len(rest) == 0 || proto.UnmarshalOptions{Merge: true}.Unmarshal(rest, into) == nil)
}

func (d *grantDecoder) entitlement(row int, at wireField, into *v2.Entitlement) bool {
	var hasResource, hasID bool
	var id string
	ok := d.each(at.from, at.to, func(field wireField) bool {
		switch field.number {
		case entitlementResourceField:
			into.SetResource(&d.resources[2*row])
			return field.isFirst(&hasResource) && d.resource(2*row, field, &d.resources[2*row])
		case entitlementIDField:
			return d.string(field, &id, &hasID)
		}
		return true
	})
	into.SetId(id)
	return ok
}

func (d *grantDecoder) resource(row int, at wireField, into *v2.Resource) bool {
	var hasID, hasParent bool
	return d.each(at.from, at.to, func(field wireField) bool {
		switch field.number {
		case resourceIDField:
			into.SetId(&d.ids[row])
			return field.isFirst(&hasID) && d.resourceID(field, &d.ids[row])
		case parentIDField:
			parent := &v2.ResourceId{}
			into.SetParentResourceId(parent)
			return field.isFirst(&hasParent) && d.resourceID(field, parent)
		}
		return true
	})
}

func (d *grantDecoder) resourceID(at wireField, into *v2.ResourceId) bool {
	var hasType, hasName bool
	var resourceType, name string
	ok := d.each(at.from, at.to, func(field wireField) bool {
		switch field.number {
		case idTypeField:
			return d.string(field, &resourceType, &hasType)
		case idNameField:
			return d.string(field, &name, &hasName)
		}
		return true
	})
	into.SetResourceType(resourceType)
	into.SetResource(name)
	return ok
}

// MayPackGrants reports whether the engine of a kind stores no more of a grant than [Codec]
// decodes of it.
func MayPackGrants(kind c1zstore.Engine) bool { return kind == "" || kind == c1zstore.EnginePebble }
