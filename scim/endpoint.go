package scim

import (
	"strings"
	"sync/atomic"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/scim/internal/listing"
)

// entry is a resource in a list, as far as reading the list needs to know it.
type entry interface {
	// id is unique among the app's resources and never changes.
	id() string
	// name identifies it for people; "" if it has none.
	name() string
	// foreign reports whether it is none of the kind that was asked for.
	foreign() bool
	// unclear reports whether the status had to be guessed.
	unclear() bool
	// isMasked means that a text of the resource that was made of it was masked.
	isMasked() bool
	// hasLogin reports whether there is something to sign in with, and hasActive
	// whether the app sends its state. Both are true of what has neither.
	hasLogin() bool
	hasActive() bool
	// disputed is why the entry cannot be believed, such as an attribute that names
	// it and has two different values; "" if it can.
	disputed() string
	// garbled is an attribute that names the entry and is no valid text; "" if there
	// is none.
	garbled() string
	// resource makes the SDK's resource of it. othersActive means that other entries
	// of the list have the attribute active.
	resource(othersActive bool) (*v2.Resource, error)
}

// kind is a kind of resources that an app lists.
type kind struct {
	// path is where they are listed, below the base URL.
	path string
	// one and many are what messages call them, others what is listed among
	// them by mistake, and made what becomes of one in C1.
	one, many, others, made string
	// label is the attribute that entry.name is.
	label string
	// mayBeHidden means that an operator can accept that some are counted and not listed.
	mayBeHidden bool
	// remedy is what helps besides the app's support where an entry cannot be read.
	remedy string
	// decode reads a list response; see decodeList.
	decode func(body []byte, choice choice) (listHead, []entry, error)
}

var (
	usersKind  = &kind{path: "Users", one: "user", many: "users", others: "groups", made: "account", label: "userName", mayBeHidden: true, decode: decodeUsers}
	groupsKind = &kind{path: "Groups", one: "group", many: "groups", others: "users", made: "group", label: "displayName", decode: decodeGroups}
	// rolesKind are the users, for their roles.
	rolesKind = &kind{
		path: "Users", one: "user", many: "users", others: "groups", made: "role", label: "userName", mayBeHidden: true,
		remedy: ", or switch " + rolesField + " off", decode: decodeCarriers,
	}
)

// entries are a list's resources as what reading the list needs of them.
func entries[T any, P interface {
	*T
	entry
}](resources []T) []entry {
	list := make([]entry, len(resources))
	for i := range resources {
		list[i] = P(&resources[i])
	}
	return list
}

// endpoint is where a client reads one kind of resources.
type endpoint struct {
	*Client
	kind *kind
	// filter limits what is listed (RFC 7644 section 3.4.2.2); "" for no limit.
	filter string
	// lean asks for a list without the attribute of that name, which may be
	// large; "" for all of them.
	lean string
	// notLean is set once the server has refused to leave it out.
	notLean atomic.Bool
	// fits is how many entries a page may have that is not too large; 0 if none was.
	fits atomic.Int64
	// rules are what its lists are read by.
	rules listing.Rules
}

func (c *Client) usersEndpoint() *endpoint {
	return &endpoint{Client: c, kind: usersKind, filter: c.filter, rules: c.userRules()}
}

// rolesEndpoint lists the users that usersEndpoint lists.
func (c *Client) rolesEndpoint() *endpoint {
	rules := c.userRules()
	rules.Probes = 0 // The listing of the accounts has asked.
	return &endpoint{Client: c, kind: rolesKind, filter: c.filter, rules: rules}
}

// groupsEndpoint lists groups without their members, which are read group by
// group: a page of them could be of any size.
func (c *Client) groupsEndpoint() *endpoint {
	return &endpoint{Client: c, kind: groupsKind, lean: "members", rules: c.rules("id", "displayName")}
}

// maxProbes is how many requests of a listing may be made only to prove that it is complete.
const maxProbes = 3

// userRules are what a list of users is read by.
func (c *Client) userRules() listing.Rules {
	rules := c.rules("id", "userName")
	rules.Hidden = c.hiddenUsers
	return rules
}

// rules are what a list is read by, of which entries may be sorted by these attributes.
func (c *Client) rules(sortBy ...string) listing.Rules {
	return listing.Rules{Count: pageSize, Sizes: listing.RoundSizes, SortBy: sortBy, Probes: maxProbes, Blind: c.blind}
}

// failf is failf with {user}, {users}, {groups} and {account} in the format replaced
// by what the endpoint has in their place.
func (c *endpoint) failf(code codes.Code, format string, args ...any) *failure {
	return failf(code, c.kind.words(format), args...)
}

func (k *kind) words(format string) string {
	return strings.NewReplacer("{user}", k.one, "{users}", k.many, "{groups}", k.others, "{account}", k.made).Replace(format)
}
