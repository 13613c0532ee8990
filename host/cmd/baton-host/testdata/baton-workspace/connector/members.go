package connector

import (
	"context"
	"fmt"
	"net/http"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/session"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/conductorone/baton-sdk/pkg/types/sessions"
)

// A member is a user, by login, or a group, by id.
type member struct {
	Kind string `json:"kind"`
	Key  string `json:"key"`
}

const memberPage = 10

// idsByLogin are the users that have been listed in this sync.
var idsByLogin = sessions.WithPrefix("id-by-login")

// grantsOf turns the members of a group or a role into grants. Whose logins they are
// was noted in the session when the users were listed.
func (a *app) grantsOf(ctx context.Context, store sessions.SessionStore, of *v2.Resource, slug string, members []member) ([]*v2.Grant, error) {
	var logins []string
	for _, one := range members {
		if one.Kind == userType.GetId() {
			logins = append(logins, one.Key)
		}
	}
	known := map[string]string{}
	if store != nil {
		var err error
		if known, err = session.GetManyJSON[string](ctx, store, logins, idsByLogin); err != nil {
			return nil, fmt.Errorf("who was listed: %w", err)
		}
	}
	var grants []*v2.Grant
	for _, one := range members {
		if one.Kind == groupType.GetId() {
			nested := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: groupType.GetId(), Resource: one.Key}.Build()}.Build()
			grants = append(grants, grant.NewGrant(of, slug, nested, grant.WithAnnotation(v2.GrantExpandable_builder{
				EntitlementIds: []string{entitlement.NewEntitlementID(nested, memberSlug)}, ResourceTypeIds: []string{userType.GetId()},
			}.Build())))
			continue
		}
		id, ok := known[one.Key]
		if !ok {
			var found user
			if err := a.client.get(ctx, &found, "logins", one.Key); err != nil {
				return nil, err
			}
			id = found.ID
		}
		grants = append(grants, grant.NewGrant(of, slug, v2.ResourceId_builder{ResourceType: userType.GetId(), Resource: id}.Build()))
	}
	return grants, nil
}

// change puts somebody into a group or a role, or takes them out of it.
func (a *app) change(ctx context.Context, method, collection string, of *v2.ResourceId, principal *v2.ResourceId) error {
	kind, key := principal.GetResourceType(), principal.GetResource()
	if kind == userType.GetId() {
		var found user
		if err := a.client.get(ctx, &found, "users", key); err != nil {
			return err
		}
		key = found.Login
	}
	return a.client.do(ctx, method, nil, nil, nil, collection, of.GetResource(), "members", kind, key)
}

const (
	add    = http.MethodPut
	remove = http.MethodDelete
)

// childrenOf lists nothing unless it is asked below a workspace.
func childrenOf(parent *v2.ResourceId) bool { return parent.GetResourceType() == workspaceType.GetId() }

func results(next string) *resource.SyncOpResults {
	return &resource.SyncOpResults{NextPageToken: next}
}
