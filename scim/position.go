package scim

import (
	"encoding/json"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/scim/internal/listing"
)

// tokenVersion is raised when the meaning of a page token changes.
const tokenVersion = 6

// facts are what is known of a list, as far as its entries show it. The numbers are part
// of page tokens.
type facts uint

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
	// factOwn: an entry is of the kind that was asked for.
	factOwn
	allFacts = factLogin | factActive | factGuessed | factAgain | factOwn
)

func (f facts) has(fact facts) bool { return f&fact != 0 }

// position is where a listing stands. It is all that a restarted plugin needs to go on, so
// it is what a page token holds.
type position struct {
	Version int `json:"v"`
	// Run distinguishes this listing from others of the same list; 0 for none.
	Run uint64 `json:"run,omitempty"`
	// State is what the list has proven so far, and what to ask for next.
	State listing.State `json:"list"`
	// Skip is how many resources of the next page are delivered already, Current the
	// sequence of that page, while Skip is not 0.
	Skip    int    `json:"skip,omitempty"`
	Current uint64 `json:"current,omitempty"`
	// Facts are what is known of the list, and Silent is how many users without the
	// attribute active this pass has received.
	Facts  facts `json:"facts,omitempty"`
	Silent int   `json:"silent,omitempty"`
}

// beginning is where the first pass over all users begins, of a listing that is
// not distinguished from others yet.
func beginning() position {
	return position{Version: tokenVersion, State: listing.Beginning()}
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
	return p.Version == tokenVersion && p.State.Valid() && p.Skip >= 0 && p.Silent >= 0 && p.Facts <= allFacts
}

func (p position) token() string {
	// A struct of numbers and strings always marshals.
	token, _ := json.Marshal(p)
	return string(token)
}

// pass is the number of the reading of the list.
func (p position) pass() int { return p.State.Pass }

// at is p where its listing goes on. Where users were delivered as enabled because no user
// had the attribute active so far, and then one had it, the next pass delivers all users
// as they are in such a list.
func (p position) at(next listing.State) position {
	if next.Pass != p.State.Pass {
		p.Silent = 0
		p.Facts &^= factAgain
		if p.guessed() {
			p.Facts = p.Facts&^factGuessed | factAgain
		}
	}
	p.State, p.Skip, p.Current = next, 0, 0
	return p
}

// resume goes on with p in a process that does not know which users this pass has had.
func (p *position) resume(rules listing.Rules) {
	next := rules.Resumed(p.State)
	if next.Pass != p.pass() {
		*p = p.at(next)
	}
	p.State = next
}

// guessed reports whether the status of users was delivered that has to be corrected.
func (p position) guessed() bool { return p.Facts.has(factActive) && p.Facts.has(factGuessed) }
