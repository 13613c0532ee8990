package sdkfast

import (
	"bytes"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// AccountState is what a row says of an account beside its id.
type AccountState struct {
	// Status is a Status_ResourceStatus.
	Status int32
	// Email, Login and Name are whether the account has one. A name that is just the id,
	// the login or an e-mail address is none.
	Email, Login, Name bool
}

// Numbers of fields (c1/storage/v3/records.proto, c1/connector/v2/annotation_trait.proto of
// the SDK, google/protobuf/any.proto).
const (
	idField          protowire.Number = 3 // of ResourceRecord
	displayNameField protowire.Number = 4
	annotationsField protowire.Number = 7
	statusField      protowire.Number = 10

	statusValueField protowire.Number = 1 // of StatusRecord, and of UserTrait.Status

	typeURLField  protowire.Number = 1 // of Any
	anyValueField protowire.Number = 2

	emailsField      protowire.Number = 1 // of UserTrait
	traitStatusField protowire.Number = 2
	loginField       protowire.Number = 6

	addressField protowire.Number = 1 // of UserTrait.Email
)

var (
	userTraitURL = []byte("/c1.connector.v2.UserTrait")
	errRow       = errors.New("a resource is stored in another form")
)

// StateOf reads the state of an account out of its row, without decoding all of it.
func StateOf(row []byte) (AccountState, error) {
	var id, name, trait, status []byte
	hasTrait, hasStatus := false, false
	ok := eachField(row, func(number protowire.Number, value []byte) bool {
		switch number {
		case idField:
			id = value
		case displayNameField:
			name = value
		case statusField:
			status, hasStatus = value, true
		case annotationsField:
			var url, content []byte
			if !eachField(value, func(number protowire.Number, value []byte) bool {
				switch number {
				case typeURLField:
					url = value
				case anyValueField:
					content = value
				}
				return true
			}) {
				return false
			}
			if !hasTrait && bytes.HasSuffix(url, userTraitURL) {
				trait, hasTrait = content, true
			}
		}
		return true
	})
	var state AccountState
	unnamed := len(name) == 0 || bytes.Equal(name, id)
	ok = ok && eachField(trait, func(number protowire.Number, value []byte) bool {
		switch number {
		case emailsField:
			return eachField(value, func(number protowire.Number, value []byte) bool {
				if number == addressField {
					state.Email = state.Email || len(value) > 0
					unnamed = unnamed || bytes.Equal(name, value)
				}
				return true
			})
		case loginField:
			state.Login = len(value) > 0
			unnamed = unnamed || bytes.Equal(name, value)
		case traitStatusField:
			if !hasStatus {
				status, hasStatus = value, true
			}
		}
		return true
	})
	for ok && len(status) > 0 {
		number, kind, n := protowire.ConsumeTag(status)
		if n < 0 {
			return AccountState{}, errRow
		}
		size := protowire.ConsumeFieldValue(number, kind, status[n:])
		if size < 0 {
			return AccountState{}, errRow
		}
		if number == statusValueField && kind == protowire.VarintType {
			value, _ := protowire.ConsumeVarint(status[n:])
			state.Status = int32(value) //nolint:gosec // An enum.
		}
		status = status[n+size:]
	}
	if !ok {
		return AccountState{}, errRow
	}
	state.Name = !unnamed
	return state, nil
}

// eachField calls each with every field of bytes in a message, and reports whether it is
// one and no call returned false.
func eachField(message []byte, each func(number protowire.Number, value []byte) bool) bool {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return false
		}
		size := protowire.ConsumeFieldValue(number, kind, message[n:])
		if size < 0 {
			return false
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message[n:])
			if !each(number, value) {
				return false
			}
		}
		message = message[n+size:]
	}
	return true
}
