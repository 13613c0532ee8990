// Command baton-notes is a connector for tests that is written against the SDK's
// session store: it notes who is in which group while it lists users, and reads it
// back when it is asked for the members of groups. A note that is not its own, or
// not of this sync, fails the sync.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/session"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/conductorone/baton-sdk/pkg/types/sessions"
	"github.com/spf13/viper"

	"github.com/batonhost/baton-host/plugin"
)

var (
	userType  = v2.ResourceType_builder{Id: "user", DisplayName: "User", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}, Annotations: annotations.New(&v2.SkipEntitlementsAndGrants{})}.Build()
	groupType = v2.ResourceType_builder{Id: "group", DisplayName: "Group", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP}}.Build()
)

const (
	pages     = 4
	usersEach = 30 // by page
	groupsAll = 3
)

func main() {
	schema := field.NewConfiguration([]field.SchemaField{
		field.StringField("name", field.WithRequired(true), field.WithDescription("whose notes these are")),
		field.StringField("crash-file", field.WithDescription("end the process in the middle of the users unless there is such a file")),
		field.StringField("extra-file", field.WithDescription("a file that it cannot do without")),
		field.StringField("cache-dir", field.WithDescription("a directory that it makes, and a file in it")),
		field.IntField("meet", field.WithDescription("how many syncs wait for each other in the middle of the users")),
	})
	plugin.Run(context.Background(), "baton-notes", "1.0.0", schema, func(_ context.Context, v *viper.Viper, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
		if err := useFiles(v.GetString("extra-file"), v.GetString("cache-dir")); err != nil {
			return nil, nil, err
		}
		return &app{name: v.GetString("name"), crashFile: v.GetString("crash-file"), meet: v.GetInt("meet"), met: map[string]bool{}, all: make(chan struct{})}, nil, nil
	}, connectorrunner.WithSessionStoreEnabled())
}

// useFiles reads the extra file and writes into the directory, if they are named.
func useFiles(extra, cache string) error {
	if extra != "" {
		if _, err := os.ReadFile(extra); err != nil {
			return err
		}
	}
	if cache == "" {
		return nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(cache, "index"), nil, 0o600)
}

type app struct {
	name      string
	crashFile string
	meet      int

	mu  sync.Mutex
	met map[string]bool // the syncs that are in the middle of the users
	all chan struct{}
}

func (a *app) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	return v2.ConnectorMetadata_builder{DisplayName: "Notes"}.Build(), nil
}

func (a *app) Validate(context.Context) (annotations.Annotations, error) { return nil, nil }

func (a *app) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{&users{a}, &groups{a}}
}

// wait is until as many syncs have come here as are to meet.
func (a *app) wait(ctx context.Context, syncID string) error {
	if a.meet == 0 {
		return nil
	}
	a.mu.Lock()
	a.met[syncID] = true
	if len(a.met) == a.meet {
		close(a.all)
	}
	a.mu.Unlock()
	select {
	case <-a.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// note is what is kept of a user.
type note struct {
	Of, Sync, Group string
}

type users struct{ app *app }

func (u *users) ResourceType(context.Context) *v2.ResourceType { return userType }

func (u *users) List(ctx context.Context, _ *v2.ResourceId, call resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	page, _ := strconv.Atoi(call.PageToken.Token)
	if page == pages/2 {
		if err := u.app.wait(ctx, call.SyncID); err != nil {
			return nil, nil, err
		}
		if _, err := os.Stat(u.app.crashFile); u.app.crashFile != "" && errors.Is(err, os.ErrNotExist) {
			if err := os.WriteFile(u.app.crashFile, nil, 0o600); err != nil {
				return nil, nil, err
			}
			os.Exit(7)
		}
	}
	var all []*v2.Resource
	notes := map[string]note{}
	for i := range usersEach {
		id := fmt.Sprintf("u%03d", page*usersEach+i)
		one, err := resource.NewUserResource(id, userType, id, []resource.UserTraitOption{resource.WithUserLogin(id)})
		if err != nil {
			return nil, nil, err
		}
		all = append(all, one)
		notes[id] = note{Of: u.app.name, Sync: call.SyncID, Group: fmt.Sprintf("g%d", i%groupsAll)}
	}
	if err := session.SetManyJSON(ctx, call.Session, notes, sessions.WithPrefix("member/")); err != nil {
		return nil, nil, err
	}
	// What is still there at the end of the sync.
	if err := call.Session.Set(ctx, "left", []byte("NOTE-OF-"+u.app.name)); err != nil {
		return nil, nil, err
	}
	if page+1 == pages {
		return all, nil, nil
	}
	return all, &resource.SyncOpResults{NextPageToken: strconv.Itoa(page + 1)}, nil
}

func (u *users) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

func (u *users) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

type groups struct{ app *app }

func (g *groups) ResourceType(context.Context) *v2.ResourceType { return groupType }

func (g *groups) List(context.Context, *v2.ResourceId, resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	var all []*v2.Resource
	for i := range groupsAll {
		one, err := resource.NewGroupResource(fmt.Sprintf("Group %d", i), groupType, fmt.Sprintf("g%d", i), nil)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, one)
	}
	return all, nil, nil
}

func (g *groups) Entitlements(_ context.Context, group *v2.Resource, _ resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return []*v2.Entitlement{entitlement.NewAssignmentEntitlement(group, "member", entitlement.WithGrantableTo(userType))}, nil, nil
}

func (g *groups) Grants(ctx context.Context, group *v2.Resource, call resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	notes, err := session.GetAllJSON[note](ctx, call.Session, sessions.WithPrefix("member/"))
	if err != nil {
		return nil, nil, err
	}
	if len(notes) != pages*usersEach {
		return nil, nil, fmt.Errorf("there are %d notes of %d users", len(notes), pages*usersEach)
	}
	// Those of a group that has been asked for are not needed any more.
	own := call.Session
	done := sessions.WithPrefix("done/" + group.GetId().GetResource() + "/")
	if err := own.Set(ctx, "here", []byte("x"), done); err != nil {
		return nil, nil, err
	}
	if err := own.Clear(ctx, done); err != nil {
		return nil, nil, err
	}
	if _, found, err := own.Get(ctx, "here", done); err != nil || found {
		return nil, nil, fmt.Errorf("what was cleared is found: %t, %w", found, err)
	}
	var all []*v2.Grant
	for id, one := range notes {
		if one.Of != g.app.name || one.Sync != call.SyncID {
			return nil, nil, fmt.Errorf("the note of %s is of %q in sync %s, not of %q in %s", id, one.Of, one.Sync, g.app.name, call.SyncID)
		}
		if one.Group == group.GetId().GetResource() {
			all = append(all, grant.NewGrant(group, "member", v2.ResourceId_builder{ResourceType: "user", Resource: id}.Build()))
		}
	}
	return all, nil, nil
}
