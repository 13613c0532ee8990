package scim

import (
	"encoding/json"
	"strings"

	"google.golang.org/grpc/codes"
)

// tokenVersion is raised when the meaning of a position changes.
const tokenVersion = 4

// maxPasses is how often a list is read, at most, until one pass can be trusted.
const maxPasses = 3

// sign is what makes a pass untrustworthy. The numbers are part of page tokens.
type sign int

const (
	signNone sign = iota
	// signBoundary: a page did not begin with the user that ended the one before.
	signBoundary
	// signTwice: a user was on two pages.
	signTwice
	// signShort: the list ended before the number of users the server reported.
	signShort
	// signTotal: the number of users the server reported changed.
	signTotal
	// signNoOverlap: the server's pages cannot overlap, so nothing would show if
	// users moved.
	signNoOverlap
	// signResumed: this process does not know which users the pass had before.
	signResumed
	lastSign = signResumed
)

// shifted reports whether users certainly moved from page to page. The other signs
// only mean that it could not have been noticed.
func (s sign) shifted() bool { return s >= signBoundary && s <= signShort }

// String has {user} and {users} in it, for kind.words.
func (s sign) String() string {
	switch s {
	case signBoundary:
		return "a page did not begin where the one before ended"
	case signTwice:
		return "a {user} was on two pages"
	case signShort:
		return "the list ended early"
	case signTotal:
		return "the number of {users} changed"
	case signNoOverlap:
		return "the app's pages cannot overlap, and no two readings found the same {users}"
	case signResumed:
		return "reading was interrupted, and no two readings found the same {users}"
	default:
		return "nothing"
	}
}

// fallback is why a page is asked for without overlap after one with overlap.
type fallback int

const (
	fallbackNone fallback = iota
	// fallbackShort: there was nothing but the overlap.
	fallbackShort
	// fallbackOdd: the page began with another user.
	fallbackOdd
	// fallbackElsewhere: the page was one received before, or reported that it began
	// at another index.
	fallbackElsewhere
	// fallbackRefused: the page was refused, although its first user exists.
	fallbackRefused
	lastFallback = fallbackRefused
)

// facts are what the users received so far, in all passes, show of a list. The numbers are
// part of page tokens.
type facts uint8

const (
	// factLogin: a user has something to sign in with.
	factLogin facts = 1 << iota
	// factActive: a user has the attribute active.
	factActive
	// factGuessed: users without active were delivered as enabled, before factActive.
	factGuessed
	// factAgain: this pass delivers all users, also those delivered before, because
	// the status of some was a guess.
	factAgain
	allFacts = factLogin | factActive | factGuessed | factAgain
)

func (f facts) has(fact facts) bool { return f&fact != 0 }

// position is where a listing of users stands. It is all that a restarted
// plugin needs to go on, so it is what a page token holds.
type position struct {
	Version int `json:"v"`
	// Run distinguishes this listing from others of the same list; 0 for none.
	Run uint64 `json:"run,omitempty"`
	// Pass counts the times the list is read, from 1.
	Pass int `json:"pass"`
	// Start is the index of the next user: one more than the number of
	// resources received in this pass.
	Start int `json:"start"`
	// Skip is how many resources of the next page are delivered already.
	Skip int `json:"skip,omitempty"`
	// Total is totalResults of the last page; absent if it had none.
	Total *int `json:"total,omitempty"`
	// Endless means that totalResults is missing or counts something else: the
	// listing ends with an empty page.
	Endless bool `json:"endless,omitempty"`
	// First and Previous are the digests of the first page and of the one
	// before Start, Last that of the last id before Start.
	First    uint64 `json:"first,omitempty"`
	Previous uint64 `json:"previous,omitempty"`
	Last     uint64 `json:"last,omitempty"`
	// Current is the sequence of the next page, while Skip is not 0.
	Current uint64 `json:"current,omitempty"`

	// NoOverlap means that the server's pages cannot overlap.
	NoOverlap bool `json:"apart,omitempty"`
	// Bare is why the next page is asked for without overlap, and Odd the
	// sequence of the page that came when it was asked for with it.
	Bare fallback `json:"bare,omitempty"`
	Odd  uint64   `json:"odd,omitempty"`

	// Narrow means that the next request asks for the first page again, and for
	// fewer users than it had: the server ignores startIndex.
	Narrow bool `json:"narrow,omitempty"`

	// Facts are what is known of the list, and Silent is how many users without the
	// attribute active this pass has received.
	Facts  facts `json:"facts,omitempty"`
	Silent int   `json:"silent,omitempty"`

	// Others is how many of the resources received in this pass are no users.
	Others int `json:"others,omitempty"`
	// Changes is how often totalResults changed in this pass.
	Changes int `json:"changes,omitempty"`

	// Cursor is the cursor of the next page (RFC 9865), Blank the number of
	// pages without users before it.
	Cursor string `json:"cursor,omitempty"`
	Blank  int    `json:"blank,omitempty"`

	// Sign is the gravest sign of this pass.
	Sign sign `json:"sign,omitempty"`
	// Sum is the digest of all ids of this pass so far, whatever their order.
	// SumBefore and CountBefore are Sum and number of users of the pass before.
	Sum         uint64 `json:"sum,omitempty"`
	SumBefore   uint64 `json:"sumBefore,omitempty"`
	CountBefore int    `json:"countBefore,omitempty"`
}

// beginning is where the first pass over all users begins, of a listing that is
// not distinguished from others yet.
func beginning() position {
	return position{Version: tokenVersion, Pass: 1, Start: 1}
}

// parseToken reads a page token; an empty one is the beginning.
func parseToken(token string) (position, error) {
	if token == "" {
		return beginning(), nil
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
		p.Start >= 1 && p.Skip >= 0 && (p.Total == nil || *p.Total >= 0) &&
		p.Bare >= fallbackNone && p.Bare <= lastFallback && p.Blank >= 0 &&
		p.Sign >= signNone && p.Sign <= lastSign && p.CountBefore >= 0 &&
		p.Others >= 0 && p.Changes >= 0 && p.Silent >= 0 && p.Facts <= allFacts
}

func (p position) token() string {
	// A struct of numbers, booleans and strings always marshals.
	token, _ := json.Marshal(p)
	return string(token)
}

// atStart reports whether nothing of this pass is received yet.
func (p position) atStart() bool { return p.Start == 1 && p.Cursor == "" }

// total is the last known totalResults; known is false where it is of no use.
func (p position) total() (total int, known bool) {
	if p.Total == nil || p.Endless {
		return 0, false
	}
	return *p.Total, true
}

// probing reports whether all users the server promised are received and the next
// request only makes sure that there are no more.
func (p position) probing() bool {
	total, known := p.total()
	return known && p.Start > total && p.Cursor == ""
}

// overlaps reports whether the next page is to begin with the last user received.
func (p position) overlaps() bool {
	return p.Start > 1 && p.Cursor == "" && !p.NoOverlap && p.Bare == fallbackNone && !p.Narrow
}

// index is the startIndex of the next request.
func (p position) index() int {
	switch {
	case p.Narrow:
		return 1
	case p.overlaps():
		return p.Start - 1
	}
	return p.Start
}

// count is the count of the next request.
func (p position) count() int {
	if p.Narrow {
		return max(1, min(pageSize, p.Start-1)/2)
	}
	return pageSize
}

// signed is p with one more sign; of several the gravest stays.
func (p position) signed(s sign) position {
	if p.Sign == signNone || s < p.Sign {
		p.Sign = s
	}
	return p
}

// bare is p with the next page asked for without overlap.
func (p position) bare(why fallback, odd uint64) position {
	p.Bare, p.Odd = why, odd
	return p
}
