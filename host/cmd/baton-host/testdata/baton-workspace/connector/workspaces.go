package connector

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

// workspaces is the workspace itself, the parent of groups and roles. What can be
// had of it is the same for each, a static entitlement.
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

func (*workspaces) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, nil, nil
}
