package scim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
	// directories has the users that were listed, and the groups that they carry.
	directories *directories

	// reading is held while the ids of all groups are read, so that the workers of
	// a resumed sync wait for one reading.
	reading sync.Mutex

	mu sync.Mutex
	// listed are the groups of the listing that goes on, known those of the last complete one;
	// nil before.
	listed, known *groupIndex
	// held are members of groups that are delivered in parts, by group.
	held map[string]membership
	// empty are the groups of the sync that have no members; nil once one has any. It is by
	// it that a list is noticed in which none has.
	empty       *idSet
	emptyOfSync string
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
		s.empty, s.emptyOfSync = newIDSet(), opts.SyncID
		s.mu.Unlock()
	}
	index := s.index(opts.PageToken.Token)
	b, err := s.listing.read(ctx, opts.PageToken.Token)
	if err != nil {
		return nil, nil, err
	}
	index.add(b)
	s.mu.Lock()
	s.listed = index
	if b.next == "" && index.whole {
		s.listed, s.known = nil, index
	}
	s.mu.Unlock()
	return b.resources, &resource.SyncOpResults{NextPageToken: b.next, Annotations: b.annotations(s.listing.endpoint.kind)}, nil
}

// index is the index of the listing that goes on at a token.
func (s *groupSyncer) index(token string) *groupIndex {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.listed.goesOnAt(token) {
		return newGroupIndex(token)
	}
	index := s.listed
	s.listed, index.next = nil, token
	return index
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
	in, err := s.membership(ctx, of, at, opts.SyncID)
	if err != nil {
		return nil, nil, err
	}
	if at.Sum != in.sum || at.At > len(in.grantees) {
		at = memberToken{Version: tokenVersion, Sum: in.sum}
	}

	if at.At == 0 {
		in.report(ctx, id)
	}
	group := v2.Resource_builder{Id: of.GetId(), DisplayName: of.GetDisplayName()}.Build()
	var grants []*v2.Grant
	for size := 0; at.At < len(in.grantees) && len(grants) < maxBatchResources; at.At++ {
		made := grantOf(group, in.grantees[at.At])
		if size += proto.Size(made); size > maxBatchBytes && len(grants) > 0 {
			break
		}
		grants = append(grants, made)
	}
	if at.At == len(in.grantees) {
		evidence := in.evidence(s.noteEmpty(ctx, opts.SyncID, id, in.listed > 0 || in.tooMany))
		return grants, &resource.SyncOpResults{Annotations: annotations.New(evidence)}, nil
	}
	s.hold(id, in)
	// A struct of numbers always marshals.
	token, _ := json.Marshal(at)
	return grants, &resource.SyncOpResults{NextPageToken: string(token)}, nil
}

// grantOf is the grant of a membership. The members of a group that is a member are members
// too.
func grantOf(group *v2.Resource, to grantee) *v2.Grant {
	if !to.group {
		return grant.NewGrant(group, memberSlug, v2.ResourceId_builder{ResourceType: userType().GetId(), Resource: to.id}.Build())
	}
	nested := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: groupType().GetId(), Resource: to.id}.Build()}.Build()
	return grant.NewGrant(group, memberSlug, nested.GetId(), grant.WithAnnotation(v2.GrantExpandable_builder{
		EntitlementIds:  []string{entitlement.NewEntitlementID(nested, memberSlug)},
		ResourceTypeIds: []string{userType().GetId()},
	}.Build()))
}

// noteEmpty notes whether a group has members. When all groups of the list were read, and
// none has any, it returns that as a reason to doubt that they are shown, and logs it.
func (s *groupSyncer) noteEmpty(ctx context.Context, sync, group string, hasMembers bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.empty == nil || s.known == nil || s.emptyOfSync != sync {
		return ""
	}
	if hasMembers {
		s.empty = nil
		return ""
	}
	s.empty.add(group, 1)
	if s.empty.ids < s.known.ids.ids {
		return ""
	}
	ctxzap.Extract(ctx).Warn("scim: no group of the list has members", zap.Int("groups", s.empty.ids))
	return fmt.Sprintf("no group of the list has members (%d groups), so the app may not show them", s.empty.ids)
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

// membership is who is in a group: as it is held, or else read. A group that went away since
// it was listed has no members; but that it did is not believed without looking: an app may
// not serve single groups at all.
//
// A group whose members cannot be read because there are too many has those users who carry
// it. If users carry no groups, it fails alone, with NOT_FOUND: that is what the SDK's syncer
// and the host skip one resource for, visibly, and go on.
func (s *groupSyncer) membership(ctx context.Context, of *v2.Resource, at memberToken, sync string) (membership, error) {
	id := of.GetId().GetResource()
	s.mu.Lock()
	held, found := s.held[id]
	delete(s.held, id)
	s.mu.Unlock()
	// What an earlier sync left behind is out of date.
	if found && at.At > 0 && held.sum == at.Sum {
		return held, nil
	}
	groups := s.listing.endpoint
	directory := s.directories.of(sync)
	members, err := groups.members(ctx, id)
	switch {
	case errors.Is(err, errTooLarge):
		if directory != nil {
			if in, err := s.resolve(ctx, of, nil, true, directory); err != nil || in.carriers > 0 {
				return in, err
			}
		}
		return membership{}, status.Errorf(codes.NotFound,
			"%s sends more members of the group %s than can be read, so its members are not known, and it has no grants. Accounts and the other groups are complete. Let the app send the groups of each user, or make the group smaller.",
			groups.place(), groups.nameOf(of))
	case !errors.Is(err, errGone):
		if err != nil {
			return membership{}, err
		}
		return s.resolve(ctx, of, members, false, directory)
	}
	still, err := s.readGroups(ctx)
	if err != nil {
		return membership{}, err
	}
	if still.has(id) {
		return membership{}, groups.failf(codes.FailedPrecondition,
			"%s lists the group %q but answers %d when it is asked for by its id, so its members are not known. If the app does not serve groups over SCIM, switch %s off.",
			groups.place(), groups.quote(id), http.StatusNotFound, groupsField)
	}
	return membership{gone: true}, nil
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

// groupIDs are the groups that there are: those of the last listing, or read for the
// purpose after a restart.
func (s *groupSyncer) groupIDs(ctx context.Context) (*groupIndex, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	return s.readGroups(ctx)
}

func (s *groupSyncer) readGroups(ctx context.Context) (*groupIndex, error) {
	reader := &reader{endpoint: s.listing.endpoint}
	index := newGroupIndex("")
	for token := ""; ; {
		b, err := reader.read(ctx, token)
		if err != nil {
			return nil, err
		}
		index.add(b)
		if b.next == "" {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.known = index
			return index, nil
		}
		token = b.next
	}
}
