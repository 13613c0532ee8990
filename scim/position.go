package scim

import (
	"encoding/json"
	"strings"

	"google.golang.org/grpc/codes"
)

// tokenVersion is raised when the meaning of a position changes.
const tokenVersion = 1

// maxPasses is how often a listing that changes while it is read is begun anew.
const maxPasses = 3

// position is where a listing of users stands. It is all that a restarted
// plugin needs to go on, so it is what a page token holds.
type position struct {
	Version int `json:"v"`
	// Pass counts the times the listing was begun, from 1.
	Pass int `json:"pass"`
	// Start is the startIndex of the next page: one more than the number of
	// resources received in this pass.
	Start int `json:"start"`
	// Skip is how many resources of that page are delivered already.
	Skip int `json:"skip,omitempty"`
	// Total is what the last page said totalResults is; absent if it did not.
	Total *int `json:"total,omitempty"`
	// Endless means that totalResults is missing or counts something else: the
	// listing ends with an empty page.
	Endless bool `json:"endless,omitempty"`
	// First and Previous are the digests of the first page and of the one
	// before Start.
	First    uint64 `json:"first,omitempty"`
	Previous uint64 `json:"previous,omitempty"`
	// Current is the sequence of the page at Start, while Skip is not 0.
	Current uint64 `json:"current,omitempty"`
}

// beginning is where a pass over all users begins.
func beginning(pass int) position {
	return position{Version: tokenVersion, Pass: pass, Start: 1}
}

// parseToken reads a page token; an empty one is the beginning.
func parseToken(token string) (position, error) {
	if token == "" {
		return beginning(1), nil
	}
	var p position
	decoder := json.NewDecoder(strings.NewReader(token))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil || decoder.More() || !p.valid() {
		return position{}, failf(codes.InvalidArgument,
			"the page token is not one of this version of the connector. Begin a new sync.")
	}
	return p, nil
}

func (p position) valid() bool {
	return p.Version == tokenVersion && p.Pass >= 1 && p.Pass <= maxPasses &&
		p.Start >= 1 && p.Skip >= 0 && (p.Total == nil || *p.Total >= 0)
}

func (p position) token() string {
	// A struct of numbers and booleans always marshals.
	token, _ := json.Marshal(p)
	return string(token)
}

// total is the last known totalResults; known is false where it is of no use.
func (p position) total() (total int, known bool) {
	if p.Total == nil || p.Endless {
		return 0, false
	}
	return *p.Total, true
}

// probing says that all users the server promised are received and the next
// request only makes sure that there are no more.
func (p position) probing() bool {
	total, known := p.total()
	return known && p.Start > total
}
