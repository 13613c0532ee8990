// Command baton-ledger is a connector for tests: two users and a group in memory.
// It writes what it is asked to change to a file, a line for each change.
package main

import (
	"context"
	"fmt"
	"os"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"

	"github.com/batonhost/baton-host/plugin"
)

var (
	userType  = v2.ResourceType_builder{Id: "user", DisplayName: "User", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}, Annotations: annotations.New(&v2.SkipEntitlementsAndGrants{})}.Build()
	groupType = v2.ResourceType_builder{Id: "group", DisplayName: "Group", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP}}.Build()
)

// Config is the connector's configuration.
type Config struct {
	Ledger string `mapstructure:"ledger"`
}

// GetString and the others are what the SDK validates a configuration by.
func (c *Config) GetString(name string) string {
	if name == "ledger" {
		return c.Ledger
	}
	return ""
}

func (*Config) GetBool(string) bool                  { return false }
func (*Config) GetInt(string) int                    { return 0 }
func (*Config) GetStringSlice(string) []string       { return nil }
func (*Config) GetStringMap(string) map[string]any   { return nil }

func main() {
	schema := field.NewConfiguration([]field.SchemaField{field.StringField("ledger", field.WithRequired(true), field.WithDescription("the file to write to"))})
	plugin.Run(context.Background(), "baton-ledger", "1.0.0", schema, func(_ context.Context, c *Config, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
		return &app{path: c.Ledger}, nil, nil
	})
}

type app struct{ path string }

func (a *app) did(what string) error {
	file, err := os.OpenFile(a.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = file.WriteString(what + "\n")
	return err
}

func (a *app) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	return v2.ConnectorMetadata_builder{DisplayName: "Ledger"}.Build(), nil
}

func (a *app) Validate(context.Context) (annotations.Annotations, error) { return nil, nil }

func (a *app) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{&users{a}, &groups{a}}
}

type users struct{ app *app }

func user(id string) (*v2.Resource, error) {
	return resource.NewUserResource(id, userType, id, []resource.UserTraitOption{resource.WithUserLogin(id)})
}

func (u *users) ResourceType(context.Context) *v2.ResourceType { return userType }

func (u *users) List(context.Context, *v2.ResourceId, resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	var all []*v2.Resource
	for _, id := range []string{"u1", "u2"} {
		one, err := user(id)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, one)
	}
	return all, nil, nil
}

func (u *users) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

func (u *users) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

// chosen is a password that somebody has chosen, as a line has it.
func chosen(options *v2.LocalCredentialOptions) string {
	if options.GetPlaintextPassword() == nil {
		return ""
	}
	return " with " + options.GetPlaintextPassword().GetPlaintextPassword()
}

func (u *users) CreateAccount(_ context.Context, info *v2.AccountInfo, options *v2.LocalCredentialOptions) (connectorbuilder.CreateAccountResponse, []*v2.PlaintextData, annotations.Annotations, error) {
	if info.GetLogin() == "careless@example.com" {
		return nil, nil, nil, fmt.Errorf("the app does not like it%s", chosen(options))
	}
	made, err := user(info.GetLogin())
	if err != nil {
		return nil, nil, nil, err
	}
	return v2.CreateAccountResponse_SuccessResult_builder{IsCreateAccountResult: true, Resource: made}.Build(), nil, nil,
		u.app.did("account " + info.GetLogin() + chosen(options))
}

const (
	noPassword = v2.CapabilityDetailCredentialOption_CAPABILITY_DETAIL_CREDENTIAL_OPTION_NO_PASSWORD
	encrypted  = v2.CapabilityDetailCredentialOption_CAPABILITY_DETAIL_CREDENTIAL_OPTION_ENCRYPTED_PASSWORD
)

func (u *users) CreateAccountCapabilityDetails(context.Context) (*v2.CredentialDetailsAccountProvisioning, annotations.Annotations, error) {
	return v2.CredentialDetailsAccountProvisioning_builder{
		SupportedCredentialOptions: []v2.CapabilityDetailCredentialOption{noPassword, encrypted}, PreferredCredentialOption: noPassword,
	}.Build(), nil, nil
}

func (u *users) Rotate(_ context.Context, id *v2.ResourceId, options *v2.LocalCredentialOptions) ([]*v2.PlaintextData, annotations.Annotations, error) {
	return nil, nil, u.app.did("rotate " + id.GetResource() + chosen(options))
}

func (u *users) RotateCapabilityDetails(context.Context) (*v2.CredentialDetailsCredentialRotation, annotations.Annotations, error) {
	return v2.CredentialDetailsCredentialRotation_builder{
		SupportedCredentialOptions: []v2.CapabilityDetailCredentialOption{encrypted}, PreferredCredentialOption: encrypted,
	}.Build(), nil, nil
}

type groups struct{ app *app }

func (g *groups) ResourceType(context.Context) *v2.ResourceType { return groupType }

func (g *groups) List(context.Context, *v2.ResourceId, resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	one, err := resource.NewGroupResource("Staff", groupType, "g1", nil)
	return []*v2.Resource{one}, nil, err
}

func (g *groups) Entitlements(_ context.Context, group *v2.Resource, _ resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return []*v2.Entitlement{entitlement.NewAssignmentEntitlement(group, "member", entitlement.WithGrantableTo(userType))}, nil, nil
}

func (g *groups) Grants(_ context.Context, group *v2.Resource, _ resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return []*v2.Grant{grant.NewGrant(group, "member", v2.ResourceId_builder{ResourceType: "user", Resource: "u1"}.Build())}, nil, nil
}

func (g *groups) Grant(_ context.Context, principal *v2.Resource, of *v2.Entitlement) ([]*v2.Grant, annotations.Annotations, error) {
	id := principal.GetId()
	return []*v2.Grant{grant.NewGrant(of.GetResource(), "member", id)}, nil,
		g.app.did("grant " + of.GetId() + " to " + id.GetResourceType() + "/" + id.GetResource())
}

func (g *groups) Revoke(_ context.Context, one *v2.Grant) (annotations.Annotations, error) {
	return nil, g.app.did("revoke " + one.GetId())
}
