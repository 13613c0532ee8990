package aggregate

import (
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

func TestCapabilities_AllAreDecidedOn(t *testing.T) {
	t.Parallel()
	for number, name := range v2.Capability_name {
		_, decided := needsProvisioning[v2.Capability(number)]
		require.True(t, decided, "%s is not decided on", name)
	}
	require.True(t, (&plugin{}).withheld(v2.Capability(9999)))
}

// TestPasswords_EveryRequestWithOneIsKnown: what C1 encrypts for an upload must not go to
// a plugin as it is, wherever a later SDK puts it.
func TestPasswords_EveryRequestWithOneIsKnown(t *testing.T) {
	t.Parallel()
	known := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("c1.connector.v2", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				input := service.Methods().Get(j).Input()
				if !reaches(input, "c1.connector.v2.EncryptedData", map[protoreflect.FullName]bool{}) {
					continue
				}
				message, err := protoregistry.GlobalTypes.FindMessageByName(input.FullName())
				require.NoError(t, err)
				_, ok := message.New().Interface().(interface{ GetCredentialOptions() *v2.CredentialOptions })
				require.True(t, ok, "%s has something encrypted in it", input.FullName())
				known++
			}
		}
		return true
	})
	require.Equal(t, 2, known, "CreateAccount and RotateCredential")
}

func reaches(from protoreflect.MessageDescriptor, name protoreflect.FullName, seen map[protoreflect.FullName]bool) bool {
	if from.FullName() == name {
		return true
	}
	if seen[from.FullName()] {
		return false
	}
	seen[from.FullName()] = true
	for i := range from.Fields().Len() {
		if field := from.Fields().Get(i); field.Message() != nil && reaches(field.Message(), name, seen) {
			return true
		}
	}
	return false
}

func TestTicketSchemas_RefusesAPageTokenThatBecomesTooLong(t *testing.T) {
	t.Parallel()
	_, err := schemasAt{Instance: "c", Token: strings.Repeat("t", maxPageToken)}.token()
	require.ErrorContains(t, err, "leaves no room")
}
