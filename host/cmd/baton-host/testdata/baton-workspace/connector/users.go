package connector

import (
	"context"
	"net/http"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/crypto"
	"github.com/conductorone/baton-sdk/pkg/session"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// users are the accounts. They can be created, deleted and given a new password.
type users struct{ *app }

type user struct {
	ID        string `json:"id"`
	Login     string `json:"login"`
	Email     string `json:"email"`
	Name      string `json:"name"`
	Suspended bool   `json:"suspended"`
	Created   string `json:"created"`
	Desk      string `json:"desk"` // one of the details
}

func (u *user) resource() (*v2.Resource, error) {
	enabled := v2.Status_RESOURCE_STATUS_ENABLED
	if u.Suspended {
		enabled = v2.Status_RESOURCE_STATUS_DISABLED
	}
	created, err := time.Parse(time.DateOnly, u.Created)
	if err != nil {
		return nil, err
	}
	profile := map[string]any{"login": u.Login, "name": u.Name}
	if u.Desk != "" {
		profile["desk"] = u.Desk
	}
	return resource.NewUserResource(u.Name, userType, u.ID, []resource.UserTraitOption{
		resource.WithUserLogin(u.Login), resource.WithEmail(u.Email, true),
	}, resource.WithResourceStatus(enabled, ""), resource.WithResourceCreatedAt(created), resource.WithResourceProfile(profile))
}

func (*users) ResourceType(context.Context) *v2.ResourceType { return userType }

func (u *users) List(ctx context.Context, _ *v2.ResourceId, attrs resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	found, next, err := page[user](ctx, u.client, attrs.PageToken.Token, u.config.PageSize, "users")
	if err != nil {
		return nil, nil, err
	}
	ids, list := map[string]string{}, make([]*v2.Resource, 0, len(found))
	for _, one := range found {
		if err := u.readDetails(ctx, &one); err != nil {
			return nil, nil, err
		}
		made, err := one.resource()
		if err != nil {
			return nil, nil, err
		}
		list = append(list, made)
		ids[one.Login] = one.ID
	}
	if attrs.Session != nil { // The first version of the interfaces has none.
		err = session.SetManyJSON(ctx, attrs.Session, ids, idsByLogin)
	}
	return list, results(next), err
}

func (*users) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

func (*users) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

// readDetails reads the details of a user. Some users have none, and the app answers
// that they are not found.
func (u *users) readDetails(ctx context.Context, one *user) error {
	if !u.config.Details {
		return nil
	}
	if err := u.client.get(ctx, one, "users", one.ID, "details"); err != nil && status.Code(err) != codes.NotFound {
		return err
	}
	return nil
}

// Get is for syncs of single accounts.
func (u *users) Get(ctx context.Context, id, _ *v2.ResourceId) (*v2.Resource, annotations.Annotations, error) {
	var found user
	if err := u.client.get(ctx, &found, "users", id.GetResource()); err != nil {
		return nil, nil, err
	}
	if err := u.readDetails(ctx, &found); err != nil {
		return nil, nil, err
	}
	one, err := found.resource()
	return one, nil, err
}

func (*users) CreateAccountCapabilityDetails(context.Context) (*v2.CredentialDetailsAccountProvisioning, annotations.Annotations, error) {
	return v2.CredentialDetailsAccountProvisioning_builder{
		SupportedCredentialOptions: passwordOptions(), PreferredCredentialOption: passwordOptions()[0],
	}.Build(), nil, nil
}

func (u *users) CreateAccount(ctx context.Context, info *v2.AccountInfo, options *v2.LocalCredentialOptions) (connectorbuilder.CreateAccountResponse, []*v2.PlaintextData, annotations.Annotations, error) {
	wanted := map[string]string{"login": info.GetLogin(), "email": info.GetLogin(), "name": info.GetProfile().GetFields()["name"].GetStringValue()}
	if wanted["name"] == "" {
		wanted["name"] = info.GetLogin()
	}
	var secrets []*v2.PlaintextData
	if options.GetNoPassword() == nil {
		password, err := crypto.GeneratePassword(ctx, options)
		if err != nil {
			return nil, nil, nil, err
		}
		wanted["password"], secrets = password, passwordData(password)
	}
	var made user
	if err := u.client.do(ctx, http.MethodPost, nil, wanted, &made, "users"); err != nil {
		return nil, nil, nil, err
	}
	one, err := made.resource()
	if err != nil {
		return nil, nil, nil, err
	}
	return v2.CreateAccountResponse_SuccessResult_builder{IsCreateAccountResult: true, Resource: one}.Build(), secrets, nil, nil
}

func (*users) RotateCapabilityDetails(context.Context) (*v2.CredentialDetailsCredentialRotation, annotations.Annotations, error) {
	return v2.CredentialDetailsCredentialRotation_builder{
		SupportedCredentialOptions: passwordOptions(), PreferredCredentialOption: passwordOptions()[0],
	}.Build(), nil, nil
}

func (u *users) Rotate(ctx context.Context, id *v2.ResourceId, options *v2.LocalCredentialOptions) ([]*v2.PlaintextData, annotations.Annotations, error) {
	password, err := crypto.GeneratePassword(ctx, options)
	if err != nil {
		return nil, nil, err
	}
	err = u.client.do(ctx, http.MethodPut, nil, map[string]string{"password": password}, nil, "users", id.GetResource(), "password")
	return passwordData(password), nil, err
}

func (u *users) Delete(ctx context.Context, id, _ *v2.ResourceId) (annotations.Annotations, error) {
	return nil, u.client.do(ctx, http.MethodDelete, nil, nil, nil, "users", id.GetResource())
}

func passwordOptions() []v2.CapabilityDetailCredentialOption {
	return []v2.CapabilityDetailCredentialOption{
		v2.CapabilityDetailCredentialOption_CAPABILITY_DETAIL_CREDENTIAL_OPTION_RANDOM_PASSWORD,
		v2.CapabilityDetailCredentialOption_CAPABILITY_DETAIL_CREDENTIAL_OPTION_ENCRYPTED_PASSWORD,
		v2.CapabilityDetailCredentialOption_CAPABILITY_DETAIL_CREDENTIAL_OPTION_NO_PASSWORD,
	}
}

func passwordData(password string) []*v2.PlaintextData {
	return []*v2.PlaintextData{v2.PlaintextData_builder{Name: "password", Bytes: []byte(password)}.Build()}
}
