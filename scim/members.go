package scim

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"google.golang.org/grpc/codes"
)

// memberList is the attribute members in any form that servers send it: a list
// of objects, a list of ids, one object or one id. What is unreadable in it is a
// member without an id, which is an error later on, and not left out.
type memberList struct {
	members []memberValue
	// present means that the attribute is there, null or empty though it may be.
	present bool
}

// UnmarshalJSON reads all of these forms.
func (l *memberList) UnmarshalJSON(raw []byte) error {
	*l = memberList{present: true}
	items := []json.RawMessage{raw}
	switch {
	case string(raw) == "null":
		return nil
	case len(raw) > 0 && raw[0] == '[':
		items = nil
		if err := json.Unmarshal(raw, &items); err != nil {
			return err
		}
	}
	for _, item := range items {
		l.add(item)
	}
	return nil
}

// add adds a member.
func (l *memberList) add(item []byte) {
	var m memberValue
	if len(item) > 0 && item[0] == '{' {
		// A member of the wrong type is left out, the others are read.
		_ = json.Unmarshal(item, &m)
	} else {
		_ = m.Value.UnmarshalJSON(item)
	}
	l.members = append(l.members, m)
}

// errGone means that there is no such group.
var errGone = errors.New("no such group")

// members reads who is in a group. It fails with errGone if the app reports that
// there is no such group, and with errTooLarge if there are more members than can be read. It
// never returns a part of the members: one that cannot be distinguished from others is an error.
func (c *endpoint) members(ctx context.Context, id string) ([]memberValue, error) {
	list, err := c.memberList(ctx, id, nil)
	if err != nil {
		return nil, err
	}
	if !list.present {
		// The group is empty, or the server sends members only to whom asks for
		// them (RFC 7643 section 7, returned "request").
		asked, err := c.memberList(ctx, id, url.Values{"attributes": {"members"}})
		if err != nil && !answered(err, http.StatusBadRequest, http.StatusNotImplemented) {
			return nil, err
		}
		list = asked
	}
	if err := c.checkMembers(id, list.members); err != nil {
		return nil, err
	}
	return list.members, nil
}

// checkMembers makes sure that each member that is a user or a group can be distinguished from
// others.
func (c *endpoint) checkMembers(id string, members []memberValue) error {
	for i, m := range members {
		memberID := m.id()
		if (memberID == "" || len(memberID) > maxID || isGarbled(memberID)) && m.kind() != memberOther {
			return c.failf(codes.DataLoss,
				"%s lists a member of the group %q whose id is missing or cannot be read (number %d). No member may be left out: ask the app's support.",
				c.place(), c.quote(id), i+1)
		}
	}
	return nil
}

// has reports whether there is a resource of that id.
func (c *endpoint) has(ctx context.Context, id string) (bool, error) {
	body, _, err := c.get(ctx, []string{c.kind.path, id}, nil)
	if answered(err, http.StatusNotFound, http.StatusGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var sent user
	// What cannot be read has no id.
	_ = json.Unmarshal(body, &sent)
	fillNested(body, &sent)
	if string(sent.ID.text) != id || sent.disputed() != "" {
		return false, c.failf(codes.DataLoss,
			"%s was asked for the {user} %q and answered with something else, so it is unclear whether a member of a group is a user or a group. Switch %s off, or ask the app's support.",
			c.place(), c.quote(id), groupsField)
	}
	return true, nil
}

func (c *endpoint) memberList(ctx context.Context, id string, query url.Values) (memberList, error) {
	if id == "." || id == ".." {
		return memberList{}, c.failf(codes.DataLoss, "%s has a group with the id %q, which cannot be asked for by its URL.", c.place(), id)
	}
	// What is too large to be kept whole is read member by member.
	var large memberList
	r := request{path: []string{c.kind.path, id}, query: query}
	r.large = &skimmer{attribute: "members", most: c.mostSkimmed, mostKept: c.mostKept, value: func(raw []byte) error {
		if c.credential.fillsIn(raw) {
			return c.secretSent(r)
		}
		if large.add(raw); len(large.members) > maxMembers {
			return errTooLarge
		}
		return nil
	}}
	body, _, err := c.fetch(ctx, r)
	switch {
	case answered(err, http.StatusNotFound, http.StatusGone):
		return memberList{}, errGone
	case answered(err, http.StatusRequestEntityTooLarge):
		return memberList{}, errTooLarge
	case err != nil:
		return memberList{}, err
	}
	if large.present = r.large.found > 0; !large.present {
		return c.decodeMembers(id, body, memberList{})
	}
	if r.large.found > 1 {
		return memberList{}, c.anotherGroup(id)
	}
	return c.decodeMembers(id, body, large)
}

// groupMembers is a group as far as its members are concerned, or an error in its place.
type groupMembers struct {
	listHead
	ID      identifier `json:"id"`
	Members memberList `json:"members"`
	// disputed means that it has two ids, or two lists of members, or that some of it
	// cannot be read.
	disputed bool
}

func (*groupMembers) coreResource() string { return groupResource }

// fill takes from another place what the group lacks.
func (g *groupMembers) fill(nested *groupMembers, own bool) {
	if !own {
		return
	}
	have, others := g.Members.members, nested.Members.members
	g.disputed = g.disputed || differ(g.ID.text, nested.ID.text) || nested.ID.contradicts(exactly) ||
		len(have) > 0 && len(others) > 0 && !slices.Equal(have, others)
	fillText(&g.ID.text, nested.ID.text)
	if len(have) == 0 {
		g.Members.members = others
	}
	g.Members.present = g.Members.present || nested.Members.present
}

// cannotRead refuses the group: its members may be in what cannot be read.
func (g *groupMembers) cannotRead(string) { g.disputed = true }

func (c *endpoint) anotherGroup(id string) error {
	return c.failf(codes.DataLoss,
		"%s was asked for the group %q and answered with something else. Its members are not known. Run the sync again; if it happens again, ask the app's support.",
		c.place(), c.quote(id))
}

// decodeMembers reads the members of the group that a body is about. Another
// group, or anything else, is an error. Where they were too large for the body, large has them.
func (c *endpoint) decodeMembers(id string, body []byte, large memberList) (memberList, error) {
	sent := groupMembers{Members: large}
	err := json.Unmarshal(body, &sent)
	if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !wrongType {
		return memberList{}, c.malformed(body, err)
	}
	if sent.hasSchema("Error") {
		return memberList{}, c.errorInAnswer(body)
	}
	fillNested(body, &sent)
	if string(sent.ID.text) != id || sent.ID.contradicts(exactly) || sent.disputed || hasTwice(body, "members") {
		return memberList{}, c.anotherGroup(id)
	}
	if sent.NextCursor != "" || sent.TotalResults.known && sent.TotalResults.value > len(sent.Members.members) {
		return memberList{}, c.failf(codes.FailedPrecondition,
			"%s sends the members of the group %q in parts, in a way that no standard describes, so they cannot be read completely. Switch %s off, or ask the app's support.",
			c.place(), c.quote(id), groupsField)
	}
	return sent.Members, nil
}
