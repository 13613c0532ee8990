package scim

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"google.golang.org/grpc/codes"
)

// App is what a connector reports about the app it reads.
type App struct {
	// DisplayName is the app's name as people write it. Required.
	DisplayName string
	// Description is a sentence about what the connector does. Required.
	Description string
	// HelpURL is where a person reads how to set it up, https. May be empty.
	HelpURL string
	// Groups means that the app's groups are read too, and who is in them.
	Groups bool
	// Roles means that the roles of the users are read too, and who has them.
	Roles bool
}

// Connector presents the users of an app as accounts, its groups, and the roles of the
// users. It implements the SDK's connectorbuilder.ConnectorBuilderV2.
type Connector struct {
	app    App
	users  *userSyncer
	groups *groupSyncer
	roles  *roleSyncer
}

var _ connectorbuilder.ConnectorBuilderV2 = (*Connector)(nil)

// NewConnector makes the connector of an app that client reads. Without a client
// (nil) the connector can report what it is and can do, which the SDK's
// "capabilities" command needs; reading fails with FailedPrecondition.
func NewConnector(app App, client *Client) *Connector {
	users, groups, roles := &userSyncer{}, &groupSyncer{}, &roleSyncer{room: maxRoster}
	if client != nil {
		users.listing = &reader{endpoint: client.usersEndpoint(), journal: journal{client.scratch, "users"}}
		groups.listing = &reader{endpoint: client.groupsEndpoint(), journal: journal{client.scratch, "groups"}}
		groups.users = client.usersEndpoint()
		groups.directories = &directories{journal: journal{client.scratch, "directory"}, room: maxDirectory, filtered: client.filter != ""}
		if app.Groups {
			users.directories = groups.directories
		}
		roles.listing = &reader{endpoint: client.rolesEndpoint(), journal: journal{client.scratch, "roles"}}
		roles.granting = &reader{endpoint: client.rolesEndpoint(), journal: journal{client.scratch, "role-grants"}}
	}
	return &Connector{app: app, users: users, groups: groups, roles: roles}
}

// Metadata reports what the connector is.
func (c *Connector) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	return v2.ConnectorMetadata_builder{
		DisplayName: c.app.DisplayName,
		Description: c.app.Description,
		HelpUrl:     c.app.HelpURL,
	}.Build(), nil
}

// Validate reads one page of users and nothing else: an app may lack every other
// endpoint. Its errors are those of a sync.
func (c *Connector) Validate(ctx context.Context) (annotations.Annotations, error) {
	if c.users.listing == nil {
		return nil, errNotConfigured()
	}
	return nil, c.users.listing.endpoint.check(ctx)
}

// ResourceSyncers lists what the connector reads: accounts, and groups and roles if the
// app is reported to have them.
func (c *Connector) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	syncers := []connectorbuilder.ResourceSyncerV2{c.users}
	if c.app.Groups {
		syncers = append(syncers, c.groups)
	}
	if c.app.Roles {
		syncers = append(syncers, c.roles)
	}
	return syncers
}

// check fails as a listing would on its first page.
func (c *endpoint) check(ctx context.Context) error {
	s := &session{seen: newIDSet(), ahead: newReadAhead(c)}
	defer s.ahead.drop()
	reader := &reader{endpoint: c}
	for p := beginning(); ; {
		pg, next, err := reader.page(ctx, s, &p)
		if err != nil || next.End != nil || next.Next.Ask.IsProbe() || pg.header != nil && next.Next.At > 0 {
			return err
		}
		p = p.at(next.Next) // It was refused, or has no users, and is asked for once more.
	}
}

// userSyncer lists the accounts.
type userSyncer struct {
	// listing is nil in a connector that only describes itself.
	listing *reader
	// directories is where users are noted for the members of groups; nil if no groups are
	// read.
	directories *directories
}

func (s *userSyncer) ResourceType(context.Context) *v2.ResourceType { return userType() }

// List delivers up to 1,000 accounts or 2 MiB, whichever comes first. The page
// token holds all that is needed to go on in another process.
//
// It never returns part of a listing as all of it. No error has the code
// NotFound, which the SDK's syncer would take for the end of the list.
func (s *userSyncer) List(ctx context.Context, parent *v2.ResourceId, opts resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if s.listing == nil {
		return nil, nil, errNotConfigured()
	}
	if parent != nil {
		return nil, &resource.SyncOpResults{}, nil // users have no parent
	}
	var d *directory
	if s.directories != nil {
		d = s.directories.take(opts.SyncID, opts.PageToken.Token)
	}
	b, err := s.listing.read(ctx, opts.PageToken.Token)
	if err == nil && d != nil {
		d.add(b)
	}
	if d != nil {
		s.directories.keep(d) // Where reading failed, nothing is lost yet.
	}
	if err != nil {
		return nil, nil, err
	}
	return b.resources, &resource.SyncOpResults{
		NextPageToken: b.next,
		Annotations:   b.annotations(s.listing.endpoint.kind),
	}, nil
}

// Entitlements of an account: none.
func (s *userSyncer) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, &resource.SyncOpResults{}, nil
}

// Grants of an account: none.
func (s *userSyncer) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, &resource.SyncOpResults{}, nil
}

func errNotConfigured() error {
	return failf(codes.FailedPrecondition, "the connector has no configuration: %s and %s are needed.", baseURLField, tokenField)
}
