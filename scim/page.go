package scim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/scim/internal/listing"
)

// pageSize is how many users one request asks for. Servers cap it as they like
// (30, 100 and 200 are common) or ignore it.
const pageSize = 100

// maxID is the longest id the SDK's storage takes, in bytes.
const maxID = 1024

// page is one list response (RFC 7644 section 3.4.2) to a request for users.
type page struct {
	// entries are the resources of the list, in order. All count for paging, also
	// those that are foreign; the others have an id.
	entries []entry
	// total is totalResults; it is unknown where it is missing or no number.
	total number
	// start is startIndex as the server sends it.
	start number
	// cursor is nextCursor (RFC 9865): the server pages by cursor, and there is
	// another page.
	cursor string
	// facts are what the entries show of the list.
	facts facts
	// lossy means that some of its texts may have lost characters.
	lossy bool
	// digests are those of the ids, and sequence identifies them in their order.
	digests  []uint64
	sequence uint64
	// header is the header of the answer.
	header http.Header
}

// listHead is a list response as it is sent, or an error in its place, but for
// its resources.
type listHead struct {
	Schemas      values `json:"schemas"`
	TotalResults number `json:"totalResults"`
	StartIndex   number `json:"startIndex"`
	NextCursor   text   `json:"nextCursor"`
	// listed reports whether there is a member Resources that is not null, twice
	// whether there are two, of which it is unclear which one counts.
	listed, twice bool
}

// decodeList reads a list response whose resources are Ts. One odd attribute
// never fails it. The error is of encoding/json; where it is an
// UnmarshalTypeError the rest is read all the same.
func decodeList[T any](body []byte) (listHead, []T, error) {
	var list struct {
		listHead
		Resources *[]T `json:"Resources"`
	}
	err := json.Unmarshal(body, &list)
	list.twice = hasTwice(body, "Resources")
	if list.Resources == nil {
		return list.listHead, nil, err
	}
	list.listed = true
	return list.listHead, *list.Resources, err
}

// list asks for a page. What comes back may be any number of users; what that means is
// for the listing to decide. isLater means that the app has answered a request for the list
// before.
//
// Both startIndex and count are sent with every page: some servers list nothing without
// them. Only a cursor takes the place of startIndex (RFC 9865 section 2).
func (c *endpoint) list(ctx context.Context, q listing.Request, isLater bool) (*page, error) {
	query := url.Values{}
	switch {
	case q.ByCursor:
		query.Set("cursor", q.Cursor)
	case !q.FromTop:
		query.Set("startIndex", strconv.Itoa(q.Start))
	}
	if q.SortBy != "" {
		query.Set("sortBy", q.SortBy)
		query.Set("sortOrder", map[bool]string{true: "descending", false: "ascending"}[q.Descending])
	}
	if c.filter != "" {
		query.Set("filter", c.filter)
	}
	r := request{path: []string{c.kind.path}, query: query, isList: true, isLater: isLater}
	body, header, err := c.fetchFewer(ctx, r, q.Count)
	if err != nil {
		return nil, err
	}
	pg, err := c.decodePage(r, body)
	if err != nil {
		return nil, c.during(r, err)
	}
	pg.header = header
	return pg, nil
}

const (
	// A page that is too large is asked for with a count divided by fewer, down to
	// fewest: one that is to begin with the last user needs another.
	fewer  = 7
	fewest = 2
)

// fetchFewer asks for a list, and for a shorter one as long as the answer is too large. From
// there on the count goes up again: as a rule it is one entry that is so large.
func (c *endpoint) fetchFewer(ctx context.Context, r request, count int) ([]byte, http.Header, error) {
	if most := int(c.fits.Load()); most > 0 {
		count = min(count, most)
	}
	for {
		r.query.Set("count", strconv.Itoa(count))
		body, header, err := c.fetchLean(ctx, r)
		tooLarge := errors.Is(err, errTooLarge) || answered(err, http.StatusRequestEntityTooLarge)
		switch {
		case tooLarge && count > fewest:
			count = max(fewest, count/fewer)
			c.fits.Store(int64(count))
			continue
		case err == nil && 2*count >= pageSize:
			c.fits.Store(0)
		case err == nil && c.fits.Load() > 0:
			c.fits.Store(int64(2 * count))
		}
		return body, header, err
	}
}

// fetchLean asks for a list, without the attribute that may be large if the server
// lets it be left out (RFC 7644 section 3.9); some refuse the parameter.
func (c *endpoint) fetchLean(ctx context.Context, r request) ([]byte, http.Header, error) {
	if c.lean == "" || c.notLean.Load() {
		r.large = c.skimmer()
		return c.fetch(ctx, r)
	}
	lean := r
	lean.query, lean.large = maps.Clone(r.query), c.skimmer()
	lean.query.Set("excludedAttributes", c.lean)
	body, header, err := c.fetch(ctx, lean)
	if !answered(err, http.StatusBadRequest, http.StatusNotImplemented) {
		return body, header, err
	}
	r.large = c.skimmer()
	body, header, err = c.fetch(ctx, r)
	if err == nil {
		c.notLean.Store(true)
	}
	return body, header, err
}

// skimmer leaves out, of an answer that is too large, what the server did not leave out; nil
// if nothing may be.
func (c *endpoint) skimmer() *skimmer {
	if c.lean == "" {
		return nil
	}
	return &skimmer{attribute: c.lean, most: passedOver * c.mostSkimmed, mostKept: c.mostKept}
}

// decodePage reads a list response. One odd attribute never fails it; an answer
// that is no list of users does, and so does a user without an id.
func (c *endpoint) decodePage(r request, body []byte) (*page, error) {
	list, entries, err := c.kind.decode(body, c.choice)
	var wrongType *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &wrongType) {
		return nil, c.malformed(body, err)
	}
	if list.hasSchema("Error") {
		return nil, c.reported(r, decodeErrorBody(body))
	}
	if !list.hasSchema("ListResponse") && !list.listed && !hasMember(body, "totalResults") {
		return nil, c.notAList(r, body)
	}

	if list.twice {
		return nil, c.failf(codes.DataLoss,
			"%s sent a list of {users} with two members Resources, so it is unclear which one counts. The app is out of order: ask its support.", c.place())
	}

	if len(entries) == 0 && bytes.Contains(body, []byte("rror")) {
		if answer := decodeErrorBody(body); answer.isError && answer.text() != "" {
			return nil, c.errorInList(r, answer)
		}
	}

	pg := &page{entries: entries, total: list.TotalResults, start: list.StartIndex, cursor: string(list.NextCursor), digests: make([]uint64, len(entries))}
	if wrongType != nil && len(entries) == 0 {
		// The members of the list itself take any form, so it is Resources that
		// is no array.
		return nil, c.notAList(r, body)
	}
	byID := make(map[string]entry, len(entries))
	pg.lossy = mayBeGarbled(body)
	for i, e := range entries {
		id := e.id()
		if !e.foreign() {
			if err := c.checkID(i, e, byID[id]); err != nil {
				return nil, err
			}
			if problem := e.disputed(); problem != "" {
				return nil, c.badEntry(i, e, problem)
			}
			byID[id] = e
			pg.facts |= factOwn
			if e.hasLogin() {
				pg.facts |= factLogin
			}
			if e.hasActive() {
				pg.facts |= factActive
			}
		}
		digest := digestOf(id)
		pg.digests[i] = digest
		// Multiplying by an odd number makes each place count differently.
		pg.sequence = pg.sequence*1099511628211 + digest
	}
	if pg.total.known && pg.total.value < 0 {
		pg.total = number{}
	}
	return pg, nil
}

// checkID makes sure that an entry can be distinguished from all others. Skipping one that
// cannot would hide it. other is another entry on the page with the same id; nil if there
// is none. A server may send one twice, but not with two contents.
func (c *endpoint) checkID(index int, e, other entry) error {
	problem, id := "", e.id()
	switch {
	case strings.TrimSpace(id) == "":
		problem = "has no id"
	case isGarbled(id):
		problem = "has an id that is not valid text"
	case other != nil && !isSame(e, other):
		problem = "has the id of another on the same page"
	case len(id) > maxID:
		problem = "has an id of more than " + strconv.Itoa(maxID) + " bytes"
	default:
		return nil
	}
	return c.badEntry(index, e, problem)
}

// isSame reports whether the same resource is made of two entries.
func isSame(e, other entry) bool {
	one, err := e.resource(true)
	if err != nil {
		return false
	}
	two, err := other.resource(true)
	return err == nil && proto.Equal(one, two)
}

// badEntry is the error for an entry that no account can be made of.
func (c *endpoint) badEntry(index int, e entry, problem string) error {
	return c.failf(codes.DataLoss,
		"%s lists a {user} that %s (number %d on its page, %s %q). No {account} can be made of it, and none may be left out: ask the app's support%s.",
		c.place(), problem, index+1, c.kind.label, c.quote(e.name()), c.kind.remedy)
}

// mayBeGarbled reports whether a text in a page may have the character that stands for
// what is no valid text: as the app sends it, or for an escape.
func mayBeGarbled(body []byte) bool {
	return bytes.Contains(body, []byte("\uFFFD")) || bytes.Contains(body, []byte(`\u`))
}

// isGarbled reports whether an id was no valid text: what is no UTF-8 becomes this
// character, in every id the same.
func isGarbled(id string) bool { return strings.ContainsRune(id, '\uFFFD') }

// hasSchema reports whether schemas names a message of the SCIM protocol, whatever
// its version.
func (l *listHead) hasSchema(message string) bool {
	for _, schema := range l.Schemas {
		urn := strings.ToLower(string(schema.Value))
		if strings.HasPrefix(urn, "urn:") && strings.HasSuffix(urn, ":"+strings.ToLower(message)) {
			return true
		}
	}
	return false
}

// hasMember reports whether a JSON object has a member of that name, whatever its
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

// hasTwice reports whether a JSON object has two members of that name. For the second
// encoding/json would go on where the first one ended.
func hasTwice(object []byte, name string) bool {
	// By far the most common case: it does not occur twice, anywhere, in whatever case
	// its first letter is, and nothing is written in another way.
	if bytes.Count(object, []byte(name[1:]+`"`)) < 2 && !bytes.Contains(object, []byte(`\u`)) {
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
