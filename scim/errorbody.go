package scim

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// errorBody is what a server reports about an error (RFC 7644 section 3.12). Some
// send the status as a number, or as another object.
type errorBody struct {
	Status   text   `json:"status"`
	ScimType string `json:"scimType"`
	Detail   string `json:"detail"`
}

// decodeErrorBody reads the members of a SCIM error, as far as there are any.
// Anything else, HTML above all, counts as no report: bodies are not
// repeated whole.
func decodeErrorBody(body []byte) errorBody {
	var sent errorBody
	if !utf8.Valid(body) {
		// What people read in an error need not be certain.
		if decoded, err := charmap.Windows1252.NewDecoder().Bytes(body); err == nil {
			body = decoded
		}
	}
	// A member of the wrong type is left out, the others are read.
	_ = json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &sent)
	return sent
}

func (e errorBody) text() string {
	if e.ScimType == "" || e.Detail == "" {
		return e.Detail + e.ScimType
	}
	return e.Detail + " (" + e.ScimType + ")"
}

// httpStatus is the status the body itself names, 0 if it names none.
func (e errorBody) httpStatus() int {
	code, err := strconv.Atoi(strings.TrimSpace(string(e.Status)))
	if err != nil || code < 400 || code > 599 {
		return 0
	}
	return code
}
