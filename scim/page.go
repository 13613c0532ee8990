package scim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
)

// pageSize is how many users one request asks for. Servers cap it as they like
// (30, 100 and 200 are common) or ignore it.
const pageSize = 100

// maxID is the longest id the SDK's storage takes, in bytes.
const maxID = 1024

// page is one list response (RFC 7644 section 3.4.2) to a request for users.
type page struct {
	// users are the resources of the list, in order. All count for paging, also
	// where isUser is false; the others have an id.
	users []user
	// total is totalResults; it is not told where it is missing or no number.
	total number
	// start is startIndex as the server tells it.
	start number
	// cursor is nextCursor (RFC 9865): the server pages by cursor, and there is
	// another page.
	cursor string
	// digest identifies the set of ids, whatever their order; sequence the ids
	// in their order.
	digest, sequence uint64
	// header is the header of the answer.
	header http.Header
}

// listResponse is a list response as it is sent, or an error in its place.
type listResponse struct {
	Schemas      values  `json:"schemas"`
	TotalResults number  `json:"totalResults"`
	StartIndex   number  `json:"startIndex"`
	NextCursor   text    `json:"nextCursor"`
	Resources    *[]user `json:"Resources"`
}

// users asks for the page at p: by its cursor if the server gave one, else by
// index. What comes back may be any number of users; what that means is for the
// listing to say.
//
// Both startIndex and count are always sent: some servers list nothing without
// them. Only a cursor takes the place of startIndex (RFC 9865 section 2).
func (c *Client) users(ctx context.Context, p position) (*page, error) {
	query := url.Values{"count": {strconv.Itoa(p.count())}}
	if p.Cursor != "" {
		query.Set("cursor", p.Cursor)
	} else {
		query.Set("startIndex", strconv.Itoa(p.index()))
	}
	body, header, err := c.get(ctx, "Users", query)
	if err != nil {
		return nil, err
	}
	pg, err := c.decodePage(body)
	if err != nil {
		return nil, err
	}
	pg.header = header
	return pg, nil
}

// decodePage reads a list response. One odd attribute never fails it; an answer
// that is no list of users does, and so does a user without an id.
func (c *Client) decodePage(body []byte) (*page, error) {
	var list listResponse
	err := json.Unmarshal(body, &list)
	var wrongType *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &wrongType) {
		return nil, c.malformed(err)
	}
	if list.hasSchema("Error") {
		said := decodeErrorBody(body)
		return nil, c.statusMessage(max(said.httpStatus(), http.StatusBadRequest), said)
	}
	if !list.hasSchema("ListResponse") && list.Resources == nil && !hasMember(body, "totalResults") {
		return nil, c.notAList()
	}

	if hasTwice(body, "Resources") {
		return nil, failf(codes.DataLoss,
			"%s sent a list of users with two members Resources, so nobody knows which one counts. The app is out of order: ask its support.", c.place())
	}

	pg := &page{total: list.TotalResults, start: list.StartIndex, cursor: string(list.NextCursor)}
	if list.Resources != nil {
		pg.users = *list.Resources
	}
	if wrongType != nil && len(pg.users) == 0 {
		// The members of the list itself take any form, so it is Resources that
		// is no array.
		return nil, c.notAList()
	}
	names := make(map[text]text, len(pg.users))
	for i := range pg.users {
		if u := &pg.users[i]; u.isUser() {
			if err := c.checkID(i, u, names[u.ID]); err != nil {
				return nil, err
			}
			names[u.ID] = text(first(string(u.UserName), string(names[u.ID])))
		}
		pg.digest += digestOf(string(pg.users[i].ID))
		// Multiplying by an odd number makes each place count differently.
		pg.sequence = pg.sequence*1099511628211 + digestOf(string(pg.users[i].ID))
	}
	if pg.total.told && pg.total.value < 0 {
		pg.total = number{}
	}
	readExtensionRoles(body, pg.users)
	return pg, nil
}

// checkID makes sure that a user can be told from all others. Skipping one that
// cannot would hide an account. namesake is the user name of another user on the
// page with the same id; empty if there is none.
func (c *Client) checkID(index int, u *user, namesake text) error {
	problem := ""
	switch {
	case strings.TrimSpace(string(u.ID)) == "":
		problem = "has no id"
	case strings.ContainsRune(string(u.ID), '\uFFFD'):
		// What is no UTF-8 becomes this character, in every id the same.
		problem = "has an id that is not valid text"
	case namesake != "" && u.UserName != "" && !strings.EqualFold(string(namesake), string(u.UserName)):
		problem = "has the id of another on the same page"
	case len(u.ID) > maxID:
		problem = "has an id of more than " + strconv.Itoa(maxID) + " bytes"
	default:
		return nil
	}
	return failf(codes.DataLoss,
		"%s lists a user that %s (number %d on its page, userName %q). No account can be made of it, and none may be left out: ask the app's support.",
		c.place(), problem, index+1, c.quote(string(u.UserName)))
}

// hasSchema says whether schemas names a message of the SCIM protocol, whatever
// its version.
func (l *listResponse) hasSchema(message string) bool {
	for _, schema := range l.Schemas {
		urn := strings.ToLower(string(schema.Value))
		if strings.HasPrefix(urn, "urn:") && strings.HasSuffix(urn, ":"+strings.ToLower(message)) {
			return true
		}
	}
	return false
}

// hasMember says whether a JSON object has a member of that name, whatever its
// value.
func hasMember(object []byte, name string) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil {
		return false
	}
	for member := range members {
		if strings.EqualFold(member, name) {
			return true
		}
	}
	return false
}

// hasTwice says whether a JSON object has two members of that name. For the second
// encoding/json would go on where the first one ended.
func hasTwice(object []byte, name string) bool {
	// By far the most common case: it does not occur twice, anywhere. The first
	// letter is left out because it comes in both cases.
	if bytes.Count(object, []byte(name[1:]+`"`)) < 2 {
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		return false
	}
	found := 0
	for decoder.More() {
		member, err := decoder.Token()
		if err != nil {
			return false
		}
		if written, ok := member.(string); ok && strings.EqualFold(written, name) {
			found++
		}
		var skipped json.RawMessage
		if decoder.Decode(&skipped) != nil {
			return false
		}
	}
	return found > 1
}

// digestOf is the same for the same id in every process, so that a page token
// can carry it.
func digestOf(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return h.Sum64()
}
