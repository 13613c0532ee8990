package scim

import (
	"net/http"

	elimity "github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
)

// unchangeable is the part of a resource handler that would change something.
type unchangeable struct{}

// Create is refused, as every change over the wire is.
func (unchangeable) Create(*http.Request, elimity.ResourceAttributes) (elimity.Resource, error) {
	return elimity.Resource{}, readOnly
}

// Replace is refused.
func (unchangeable) Replace(*http.Request, string, elimity.ResourceAttributes) (elimity.Resource, error) {
	return elimity.Resource{}, readOnly
}

// Patch is refused.
func (unchangeable) Patch(*http.Request, string, []elimity.PatchOperation) (elimity.Resource, error) {
	return elimity.Resource{}, readOnly
}

// Delete is refused.
func (unchangeable) Delete(*http.Request, string) error {
	return readOnly
}

// readOnly is a value, not a pointer: the library takes only that for a SCIM
// error and answers 500 for anything else.
var readOnly = scimerrors.ScimError{
	Detail: "This service can only be read.",
	Status: http.StatusNotImplemented,
}
