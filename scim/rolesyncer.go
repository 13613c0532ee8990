package scim

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"strings"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"google.golang.org/protobuf/proto"
)

// roleSyncer lists the roles that users have, and who has them.
//
// Both come from one reading of the users, by the reader that proves accounts complete:
// the listing of roles reads all users, and what it finds is kept (see roster) until the
// grants are listed. So a role has the grants of all users that were read with it, and it
// does not matter how the app changes in between. The accounts are another reading: the
// syncer may list roles before accounts, after them or at the same time, so a listing of
// roles that waited for that of the accounts could wait for ever.
//
// Where nothing is kept (the process was restarted meanwhile, or there are more users
// with roles than are kept), the listing of grants reads the users itself, from page to
// page like any listing: complete, or it fails. The grants of all roles are one listing
// (the SDK's TypeScopedGrants), so that those of one user come from one moment: if they
// were listed role by role, a user whose role changed in between could be in neither.
type roleSyncer struct {
	// listing and granting read the users for the listing of roles and for that of
	// grants. They are nil in a connector that only describes itself.
	listing, granting *reader
	// room is how many bytes a roster may have.
	room int

	mu sync.Mutex
	// filling is the roster of the listing that goes on, full that of the last complete
	// one; nil if there is none.
	filling, full *roster
}

// maxRoster is how many bytes a roster has at most: those of some million users.
const maxRoster = 64 << 20

func (s *roleSyncer) ResourceType(context.Context) *v2.ResourceType { return roleType() }

// List delivers the roles of up to 1,000 users, each role once. A page may have none.
func (s *roleSyncer) List(ctx context.Context, parent *v2.ResourceId, opts resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if s.listing == nil {
		return nil, nil, errNotConfigured()
	}
	if parent != nil {
		return nil, &resource.SyncOpResults{}, nil
	}
	r := s.take(opts.SyncID, opts.PageToken.Token)
	b, err := s.listing.read(ctx, opts.PageToken.Token)
	if err != nil {
		s.keep(r) // nothing is lost yet
		return nil, nil, err
	}
	var roles []*v2.Resource
	for _, by := range b.resources {
		grants, err := carried(by)
		if err != nil {
			return nil, nil, err
		}
		roles = append(roles, r.add(by.GetId().GetResource(), grants)...)
	}
	r.next, r.ended = b.next, b.next == ""
	s.keep(r)
	return roles, &resource.SyncOpResults{NextPageToken: b.next, Annotations: b.annotations(s.listing.endpoint.kind)}, nil
}

// take is the roster of the listing that goes on at a token. If there is none, it is one
// that will not have all users, unless the listing begins.
func (s *roleSyncer) take(sync, token string) *roster {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.filling
	if r != nil && token != "" && r.next == token && r.sync == sync {
		s.filling = nil
		return r
	}
	if s.full != nil && s.full.sync != sync { // a new sync
		s.full = nil
	}
	return &roster{sync: sync, next: token, whole: token == "", room: s.room, byID: map[string]int{}}
}

func (s *roleSyncer) keep(r *roster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !r.ended:
		s.filling = r
	case r.whole:
		r.name = r.digest()
		s.full = r
	}
}

// StaticEntitlements are those that every role has: to have it.
func (s *roleSyncer) StaticEntitlements(context.Context, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return []*v2.Entitlement{v2.Entitlement_builder{
		Slug:        assignedSlug,
		DisplayName: "Assigned",
		Description: "Has the role",
		Purpose:     v2.Entitlement_PURPOSE_VALUE_ASSIGNMENT,
		GrantableTo: []*v2.ResourceType{userType()},
	}.Build()}, &resource.SyncOpResults{}, nil
}

// Entitlements of one role: those of all of them.
func (s *roleSyncer) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, &resource.SyncOpResults{}, nil
}

// GrantsForResourceType delivers the grants of all roles, user by user.
func (s *roleSyncer) GrantsForResourceType(ctx context.Context, _ string, opts resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return s.grants(ctx, func(string) bool { return true }, opts)
}

// Grants delivers the grants of one role, to who asks for it alone; a sync does not.
func (s *roleSyncer) Grants(ctx context.Context, of *v2.Resource, opts resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return s.grants(ctx, func(role string) bool { return role == of.GetId().GetResource() }, opts)
}

// rosterToken is the page token of grants that come from a roster. Other tokens are those
// of the reading of users.
type rosterToken struct {
	Version int `json:"v"`
	// Roster is the name of the roster, At where it goes on.
	Roster uint64 `json:"roster"`
	At     int    `json:"at"`
}

func (s *roleSyncer) grants(ctx context.Context, wanted func(role string) bool, opts resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	if s.granting == nil {
		return nil, nil, errNotConfigured()
	}
	token, at := opts.PageToken.Token, rosterToken{}
	if token == "" || parseRosterToken(token, &at) {
		if r := s.roster(opts.SyncID, at); r != nil {
			grants, end := r.grants(at.At, wanted)
			if end == len(r.log) {
				return grants, &resource.SyncOpResults{}, nil
			}
			// A struct of numbers always marshals.
			next, _ := json.Marshal(rosterToken{tokenVersion, r.name, end})
			return grants, &resource.SyncOpResults{NextPageToken: string(next)}, nil
		}
		ctxzap.Extract(ctx).Info("scim: the users are read once more for the grants of their roles, which are no longer known")
		token = ""
	}
	b, err := s.granting.read(ctx, token)
	if err != nil {
		return nil, nil, err
	}
	var grants []*v2.Grant
	for _, by := range b.resources {
		all, err := carried(by)
		if err != nil {
			return nil, nil, err
		}
		for _, one := range all {
			if wanted(one.GetEntitlement().GetResource().GetId().GetResource()) {
				grants = append(grants, one)
			}
		}
	}
	// A role may be new since roles were listed. Its grants bring it along.
	annos := rateLimitOf(b.header)
	annos.Update(&v2.InsertResourceGrants{})
	return grants, &resource.SyncOpResults{NextPageToken: b.next, Annotations: annos}, nil
}

func parseRosterToken(token string, into *rosterToken) bool {
	decoder := json.NewDecoder(strings.NewReader(token))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into) == nil && into.Version == tokenVersion && into.Roster != 0
}

// roster is the one from which the grants of a sync come, nil if it is not there. Without
// the sync's id, which one it would be is not known.
func (s *roleSyncer) roster(sync string, at rosterToken) *roster {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.full
	if r == nil || sync == "" || r.sync != sync || at.Roster != 0 && at.Roster != r.name || at.At < 0 || at.At > len(r.log) {
		return nil
	}
	return r
}

// roster is which users have which roles, as one listing of roles has read it. When it
// has ended, it does not change any more.
type roster struct {
	sync, next string
	// name identifies what is in it.
	name uint64
	// whole means that it has all users from the beginning of the listing on, ended that
	// the listing has come to its end.
	whole, ended bool
	// room is how many bytes more it may have.
	room int

	roles []*v2.Resource
	byID  map[string]int
	// log has, for each user with roles, the length of the id, the id, how many roles
	// there are, and which. Of a user who is in it twice all roles count.
	log []byte
}

// add notes the grants of a user and returns the roles that were not noted before. What
// there is no room for is not noted.
func (r *roster) add(user string, grants []*v2.Grant) []*v2.Resource {
	var fresh []*v2.Resource
	var which []byte
	for _, one := range grants {
		of := one.GetEntitlement().GetResource()
		at, known := r.byID[of.GetId().GetResource()]
		if !known {
			fresh = append(fresh, of)
			if r.room < 0 {
				continue
			}
			at = len(r.roles)
			r.byID[of.GetId().GetResource()] = at
			r.roles = append(r.roles, of)
			// Beside the role itself, what Go needs for it.
			r.room -= 3 * proto.Size(of)
		}
		which = binary.AppendUvarint(which, uint64(at))
	}
	if len(grants) > 0 && r.whole {
		before := len(r.log)
		r.log = binary.AppendUvarint(r.log, uint64(len(user)))
		r.log = append(r.log, user...)
		r.log = binary.AppendUvarint(r.log, uint64(len(grants)))
		r.log = append(r.log, which...)
		r.room -= len(r.log) - before
	}
	if r.room < 0 {
		r.whole, r.log = false, nil
	}
	return fresh
}

// digest is the same for the same content.
func (r *roster) digest() uint64 {
	h := fnv.New64a()
	for _, of := range r.roles {
		_, _ = h.Write([]byte(of.GetId().GetResource() + "\x00"))
	}
	_, _ = h.Write(r.log)
	return max(1, h.Sum64())
}

// grants are up to 1,000 grants of wanted roles, or 2 MiB, of the users from one on. end
// is where to go on.
func (r *roster) grants(from int, wanted func(role string) bool) (grants []*v2.Grant, end int) {
	next := func() int {
		n, size := binary.Uvarint(r.log[end:])
		end += size
		return int(n) //nolint:gosec // It was an int when it was noted.
	}
	size := 0
	for end = from; end < len(r.log); {
		begin, before := end, len(grants)
		length := next()
		id := v2.ResourceId_builder{ResourceType: userType().GetId(), Resource: string(r.log[end : end+length])}.Build()
		end += length
		for range next() {
			of := r.roles[next()]
			if !wanted(of.GetId().GetResource()) {
				continue
			}
			made := grant.NewGrant(of, assignedSlug, id)
			size += proto.Size(made)
			grants = append(grants, made)
		}
		if before > 0 && (len(grants) > maxBatchResources || size > maxBatchBytes) {
			return grants[:before], begin // All grants of a user come together.
		}
	}
	return grants, end
}
