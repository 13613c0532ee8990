package scim

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"net/http"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// memberSlug is the entitlement to be a member of a group.
const memberSlug = "member"

// groupSyncer lists the groups and who is in them.
type groupSyncer struct {
	// listing is nil in a connector that only describes itself.
	listing *reader
	// users is where members are looked up that may be either.
	users *endpoint

	// reading is held while the ids of all groups are read, so that the workers of
	// a resumed sync wait for one reading.
	reading sync.Mutex

	mu sync.Mutex
	// known are the ids of the groups of the last complete listing, nil before.
	known *idSet
	// held are members of groups that are delivered in parts, by group.
	held map[string]membership
}

// membership is who is in a group.
type membership struct {
	members []memberValue
	// sum identifies the members in their order, and what they are.
	sum uint64
}

// report warns of members that are left out because they are neither users nor groups.
func (in membership) report(ctx context.Context, group string) {
	others := 0
	for _, m := range in.members {
		if m.kind() == memberOther {
			others++
		}
	}
	if others > 0 {
		ctxzap.Extract(ctx).Warn("scim: members of a group that are neither users nor groups, or that the app says are both; they are left out",
			zap.String("group", group), zap.Int("members", others))
	}
}

// maxHeld is how many groups' members are kept between two parts. Those of
// others are read again for each part.
const maxHeld = 16

func (s *groupSyncer) ResourceType(context.Context) *v2.ResourceType { return groupType() }

// List delivers up to 1,000 groups, as userSyncer.List does accounts.
func (s *groupSyncer) List(ctx context.Context, parent *v2.ResourceId, opts resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if s.listing == nil {
		return nil, nil, errNotConfigured()
	}
	if parent != nil {
		return nil, &resource.SyncOpResults{}, nil
	}
	if opts.PageToken.Token == "" { // a new sync
		s.mu.Lock()
		s.known, s.held = nil, nil
		s.mu.Unlock()
	}
	b, err := s.listing.read(ctx, opts.PageToken.Token)
	if err != nil {
		return nil, nil, err
	}
	if b.next == "" && b.whole {
		s.mu.Lock()
		s.known = b.seen
		s.mu.Unlock()
	}
	return b.resources, &resource.SyncOpResults{NextPageToken: b.next, Annotations: b.annotations(s.listing.endpoint.kind)}, nil
}

// StaticEntitlements are those that every group has: its membership.
func (s *groupSyncer) StaticEntitlements(context.Context, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return []*v2.Entitlement{v2.Entitlement_builder{
		Slug:        memberSlug,
		DisplayName: "Member",
		Description: "Is a member of the group",
		Purpose:     v2.Entitlement_PURPOSE_VALUE_ASSIGNMENT,
		GrantableTo: []*v2.ResourceType{userType(), groupType()},
	}.Build()}, &resource.SyncOpResults{}, nil
}

// Entitlements of one group: those of all of them.
func (s *groupSyncer) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, &resource.SyncOpResults{}, nil
}

// memberToken is the page token of the members of a group.
type memberToken struct {
	Version int `json:"v"`
	// At is how many members are delivered, Sum the digest of all of them.
	At  int    `json:"at"`
	Sum uint64 `json:"sum"`
}

// Grants delivers up to 1,000 members of a group, or 2 MiB. If the group has
// changed since the part before, it starts again: a member that is granted twice
// is granted once.
func (s *groupSyncer) Grants(ctx context.Context, of *v2.Resource, opts resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	if s.listing == nil {
		return nil, nil, errNotConfigured()
	}
	id, at := of.GetId().GetResource(), memberToken{}
	if token := opts.PageToken.Token; token != "" {
		if json.Unmarshal([]byte(token), &at) != nil || at.Version != tokenVersion || at.At < 0 {
			return nil, nil, failf(codes.InvalidArgument, "the page token is not one of this version of the connector. Begin a new sync.")
		}
	}
	in, err := s.members(ctx, id, at)
	if err != nil {
		return nil, nil, err
	}
	if at.Sum != in.sum || at.At > len(in.members) {
		at = memberToken{Version: tokenVersion, Sum: in.sum}
	}

	if at.At == 0 {
		in.report(ctx, id)
	}
	group := v2.Resource_builder{Id: of.GetId(), DisplayName: of.GetDisplayName()}.Build()
	var grants []*v2.Grant
	for size := 0; at.At < len(in.members) && len(grants) < maxBatchResources; at.At++ {
		made, err := s.grant(ctx, group, in.members[at.At])
		if err != nil {
			return nil, nil, err
		}
		if made == nil {
			continue
		}
		if size += proto.Size(made); size > maxBatchBytes && len(grants) > 0 {
			break
		}
		grants = append(grants, made)
	}
	if at.At == len(in.members) {
		return grants, &resource.SyncOpResults{}, nil
	}
	s.hold(id, in)
	// A struct of numbers always marshals.
	token, _ := json.Marshal(at)
	return grants, &resource.SyncOpResults{NextPageToken: string(token)}, nil
}

// grant is the membership of one member. The members of a group that is a member
// are members too.
func (s *groupSyncer) grant(ctx context.Context, group *v2.Resource, m memberValue) (*v2.Grant, error) {
	kind := m.kind()
	if kind == memberOther {
		return nil, nil
	}
	if kind == memberUnknown {
		groups, err := s.groupIDs(ctx)
		if err != nil {
			return nil, err
		}
		kind = memberUser
		if groups.pass(m.id()) != 0 {
			if kind, err = s.userOrGroup(ctx, m.id()); err != nil {
				return nil, err
			}
		}
	}
	if kind == memberUser {
		return grant.NewGrant(group, memberSlug, v2.ResourceId_builder{ResourceType: userType().GetId(), Resource: m.id()}.Build()), nil
	}
	if m.id() == group.GetId().GetResource() {
		return nil, nil // that a group is a member of itself grants nothing
	}
	nested := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: groupType().GetId(), Resource: m.id()}.Build()}.Build()
	return grant.NewGrant(group, memberSlug, nested.GetId(), grant.WithAnnotation(v2.GrantExpandable_builder{
		EntitlementIds:  []string{entitlement.NewEntitlementID(nested, memberSlug)},
		ResourceTypeIds: []string{userType().GetId()},
	}.Build())), nil
}

// userOrGroup returns what a member is that has the id of a group. Ids should differ
// among all resources (RFC 7643 section 3.1); where there is a user of that id too,
// the app cannot mean a group: it has no way to express that.
func (s *groupSyncer) userOrGroup(ctx context.Context, id string) (memberKind, error) {
	found, err := s.users.has(ctx, id)
	if err != nil || !found {
		return memberGroup, err
	}
	return memberUser, nil
}

// members are those held, or else read. A group that went away since it was
// listed has none; but that it did is not believed without looking: an app may
// not serve single groups at all.
func (s *groupSyncer) members(ctx context.Context, id string, at memberToken) (membership, error) {
	s.mu.Lock()
	held, found := s.held[id]
	delete(s.held, id)
	s.mu.Unlock()
	// What an earlier sync left behind is out of date.
	if found && at.At > 0 && held.sum == at.Sum {
		return held, nil
	}
	groups := s.listing.endpoint
	members, err := groups.members(ctx, id)
	if !errors.Is(err, errGone) {
		return membership{members: members, sum: digestOfMembers(members)}, err
	}
	still, err := s.readGroupIDs(ctx)
	if err != nil {
		return membership{}, err
	}
	if still.pass(id) != 0 {
		return membership{}, groups.failf(codes.FailedPrecondition,
			"%s lists the group %q but answers %d when it is asked for by its id, so its members are not known. If the app does not serve groups over SCIM, switch %s off.",
			groups.place(), groups.quote(id), http.StatusNotFound, groupsField)
	}
	return membership{sum: digestOfMembers(nil)}, nil
}

func (s *groupSyncer) hold(id string, in membership) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = map[string]membership{}
	}
	if len(s.held) < maxHeld {
		s.held[id] = in
	}
}

// groupIDs are the ids of all groups: of the last listing, or read for the
// purpose after a restart.
func (s *groupSyncer) groupIDs(ctx context.Context) (*idSet, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	return s.readGroupIDs(ctx)
}

func (s *groupSyncer) readGroupIDs(ctx context.Context) (*idSet, error) {
	reader := &reader{endpoint: s.listing.endpoint}
	for token := ""; ; {
		b, err := reader.read(ctx, token)
		if err != nil {
			return nil, err
		}
		if b.next == "" {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.known = b.seen
			return b.seen, nil
		}
		token = b.next
	}
}

func digestOfMembers(members []memberValue) uint64 {
	h := fnv.New64a()
	for _, m := range members {
		_, _ = h.Write([]byte(m.id() + "\x00"))
		_, _ = h.Write([]byte{byte(m.kind())})
	}
	return h.Sum64()
}
