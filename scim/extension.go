package scim

import (
	"bytes"
	"encoding/json"
	"strings"
)

// knownExtension is the extension that user reads by itself.
const knownExtension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// readExtensionRoles looks for a member role or roles in extensions this
// package does not know: apps send their own roles in their own extension
// (RFC 7643 section 3.3). body is the list response that users was read from.
//
// Decoding the page a second time costs as much as the first, so it is done
// only if an unknown extension occurs in it.
func readExtensionRoles(body []byte, users []user) {
	extensions := unknownExtensions(body)
	if len(extensions) == 0 {
		return
	}
	var list struct {
		Resources []map[string]json.RawMessage `json:"Resources"`
	}
	_ = json.Unmarshal(body, &list)
	if len(list.Resources) != len(users) {
		return
	}
	for i, attributes := range list.Resources {
		for _, extension := range extensions {
			var roles struct {
				Role  values `json:"role"`
				Roles values `json:"roles"`
			}
			if raw, found := attributes[extension]; found {
				_ = json.Unmarshal(raw, &roles)
				users[i].extensionRoles = append(users[i].extensionRoles, append(roles.Role, roles.Roles...)...)
			}
		}
	}
}

// unknownExtensions finds the URNs that occur as names of members, in the order
// in which they occur, each once.
func unknownExtensions(body []byte) []string {
	var found []string
	seen := map[string]bool{}
	for {
		_, rest, more := bytes.Cut(body, []byte(`"urn:`))
		if !more {
			return found
		}
		name, after, closed := bytes.Cut(rest, []byte{'"'})
		if !closed {
			return found
		}
		urn := "urn:" + string(name)
		body = after
		isName := bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte(":"))
		if isName && !seen[urn] && !strings.EqualFold(urn, knownExtension) {
			seen[urn] = true
			found = append(found, urn)
		}
	}
}
