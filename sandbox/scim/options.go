package scim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The values of options that are left out.
const (
	DefaultApp      = "fullstory"
	DefaultBasePath = "/scim/v2"
	DefaultPageCap  = 100
)

// Options decide what a [Server] serves and how.
type Options struct {
	// App is the app to imitate, [DefaultApp] if empty. It decides, with
	// Seed, who the people are, and which roles they can have: "fullstory" and
	// "design-tool" have their own roles, every other app has general ones.
	App string
	// Seed decides, with App, who the people are.
	Seed uint64
	// Accounts is how many people there are at the start. From 20 on there is
	// at least one of each odd kind, see [People].
	Accounts int

	// Groups is how many groups there are at the start, see [MakeGroups]. If it is
	// 0 there is no endpoint for groups either, as in apps that have none.
	Groups int
	// OmitListedMembers leaves the members out of a list of groups, as some apps
	// do; a single group has them.
	OmitListedMembers bool
	// OmitMemberTypes sends of members who they are and not what.
	OmitMemberTypes bool

	// Token is the bearer token that every request must carry. Either it or
	// BasicUser is required.
	Token string
	// BasicUser and BasicPassword are what requests must carry instead of a token
	// (RFC 7617).
	BasicUser, BasicPassword string
	// RequireHeaders are further headers that every request must carry, with these
	// values.
	RequireHeaders map[string]string
	// BasePath is where the service is found, [DefaultBasePath] if empty.
	BasePath string
	// PageCap is the greatest number of users in one answer, [DefaultPageCap]
	// if 0. A request for more gets this many and no error, as RFC 7644 section
	// 3.4.2.4 allows. The library applies it to the lists of schemas and of
	// resource types as well.
	PageCap int
	// IgnoreSort lists users and groups in their own order whatever sortBy asks for, as
	// servers do that cannot sort.
	IgnoreSort bool
	// Latency is how long a request for a list of users waits before it is
	// answered. The wait ends early when the client goes away.
	Latency time.Duration
}

// withDefaults fills in what is left out and refuses what cannot be served.
func (o Options) withDefaults() (Options, error) {
	if o.App == "" {
		o.App = DefaultApp
	}
	if o.BasePath == "" {
		o.BasePath = DefaultBasePath
	}
	if o.PageCap == 0 {
		o.PageCap = DefaultPageCap
	}
	o.BasePath = strings.TrimRight(o.BasePath, "/")

	switch {
	case o.BasicUser != "" && o.Token != "":
		return Options{}, errors.New("there is a bearer token and a user name; one of them is enough")
	case o.BasicUser != "" && (o.BasicPassword == "" || strings.Contains(o.BasicUser, ":")):
		return Options{}, errors.New("the password is missing, or the user name has a colon in it")
	case o.Groups < 0:
		return Options{}, fmt.Errorf("the number of groups must not be negative, unlike %d", o.Groups)
	case o.BasicUser == "" && o.Token == "":
		return Options{}, errors.New("the bearer token is missing")
	case !sendable(o.Token):
		return Options{}, errors.New("the bearer token must consist of visible ASCII characters, without spaces")
	case o.BasePath != "" && !strings.HasPrefix(o.BasePath, "/"):
		return Options{}, fmt.Errorf("the base path must begin with a slash, unlike %q", o.BasePath)
	case o.PageCap < 0:
		return Options{}, fmt.Errorf("the page cap must be at least 1, not %d", o.PageCap)
	case o.Latency < 0:
		return Options{}, fmt.Errorf("the latency must not be negative, unlike %s", o.Latency)
	}
	return o, nil
}

// authorization is the header that requests must carry.
func (o Options) authorization() string {
	if o.BasicUser != "" {
		return "basic " + base64.StdEncoding.EncodeToString([]byte(o.BasicUser+":"+o.BasicPassword))
	}
	return "bearer " + o.Token
}

// sendable reports whether a client can send the token as one word of a header.
func sendable(token string) bool {
	return !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}
