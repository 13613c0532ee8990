package connector

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/session"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/conductorone/baton-sdk/pkg/types/sessions"
)

// workspaces is the workspace itself, the parent of groups and roles. What can be
// had of it is the same for each, a static entitlement. Where its roles cannot be listed,
// they are found by who has them.
type workspaces struct{ *app }

func (*workspaces) ResourceType(context.Context) *v2.ResourceType { return workspaceType }

func (w *workspaces) List(ctx context.Context, _ *v2.ResourceId, _ resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	var found struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := w.client.get(ctx, &found, "workspace"); err != nil {
		return nil, nil, err
	}
	one, err := resource.NewAppResource(found.Name, workspaceType, found.ID,
		[]resource.AppTraitOption{resource.WithAppLogo(v2.AssetRef_builder{Id: "logo"}.Build()), resource.WithAppHelpURL("https://workspace.example.com/help")},
		resource.WithAnnotation(
			v2.ChildResourceType_builder{ResourceTypeId: groupType.GetId()}.Build(),
			v2.ChildResourceType_builder{ResourceTypeId: roleType.GetId()}.Build(),
		))
	return []*v2.Resource{one}, nil, err
}

func (w *workspaces) StaticEntitlements(context.Context, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return []*v2.Entitlement{entitlement.NewAssignmentEntitlement(v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: workspaceType.GetId()}.Build()}.Build(),
		"guest", entitlement.WithGrantableTo(userType), entitlement.WithDisplayName("Guest"))}, nil, nil
}

func (*workspaces) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

func (w *workspaces) Grants(ctx context.Context, workspace *v2.Resource, attrs resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	if !w.config.RolesByGrants {
		return nil, nil, nil
	}
	found, next, err := page[struct {
		Role string `json:"role"`
		member
	}](ctx, w.client, attrs.PageToken.Token, 2, "assignments")
	if err != nil {
		return nil, nil, err
	}
	var grants []*v2.Grant
	for _, one := range found {
		name, err := w.roleName(ctx, attrs.Session, one.Role)
		if err != nil {
			return nil, nil, err
		}
		role, err := (&named{ID: one.Role, Name: name}).role(workspace.GetId())
		if err != nil {
			return nil, nil, err
		}
		given, err := w.grantsOf(ctx, attrs.Session, role, assignedSlug, []member{one.member})
		if err != nil {
			return nil, nil, err
		}
		grants = append(grants, given...)
	}
	done := results(next)
	done.Annotations = annotations.New(&v2.InsertResourceGrants{})
	if next == "" && attrs.Session != nil {
		err = session.ClearJSON(ctx, attrs.Session, namesByRole)
	}
	return grants, done, err
}

// namesByRole are the names of roles that were looked up in this sync.
var namesByRole = sessions.WithPrefix("name-by-role")

// roleName looks the name of a role up, once in a sync.
func (w *workspaces) roleName(ctx context.Context, store sessions.SessionStore, id string) (string, error) {
	if store != nil { // The first version of the interfaces has none.
		if name, ok, err := session.GetJSON[string](ctx, store, id, namesByRole); err != nil || ok {
			return name, err
		}
	}
	var found named
	if err := w.client.get(ctx, &found, "roles", id); err != nil {
		return "", err
	}
	if store == nil {
		return found.Name, nil
	}
	return found.Name, session.SetJSON(ctx, store, id, found.Name, namesByRole)
}
