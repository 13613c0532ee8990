package plugintest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/session"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/conductorone/baton-sdk/pkg/types/sessions"
)

const secretToken = "canary-5b1fe07d22c94a61"

var (
	tokenField  = field.StringField("token", field.WithRequired(true), field.WithIsSecret(true))
	regionField = field.SelectField("region", []string{"eu", "us"}, field.WithRequired(true))
	pagesField  = field.IntField("page-size", field.WithDefaultValue(20))
	deepField   = field.BoolField("deep")
	tagsField   = field.StringSliceField("tags")
	schema      = field.NewConfiguration([]field.SchemaField{tokenField, regionField, pagesField, deepField, tagsField})

	values = map[string]any{"token": secretToken, "region": "eu", "tags": []string{"a"}, "deep": true}
)

// appConfig is the configuration of the connector in memory.
type appConfig struct {
	Token    string   `mapstructure:"token"`
	Region   string   `mapstructure:"region"`
	PageSize int      `mapstructure:"page-size"`
	Deep     bool     `mapstructure:"deep"`
	Tags     []string `mapstructure:"tags"`
}

func (c *appConfig) GetString(name string) string {
	return map[string]string{"token": c.Token, "region": c.Region}[name]
}
func (c *appConfig) GetBool(string) bool                { return c.Deep }
func (c *appConfig) GetInt(string) int                  { return c.PageSize }
func (c *appConfig) GetStringSlice(string) []string     { return c.Tags }
func (c *appConfig) GetStringMap(string) map[string]any { return nil }

var (
	userType = v2.ResourceType_builder{
		Id: "user", DisplayName: "User", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER},
		Annotations: annotations.New(&v2.SkipEntitlementsAndGrants{}),
	}.Build()
	teamType = v2.ResourceType_builder{Id: "team", DisplayName: "Team", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP}}.Build()
	roomType = v2.ResourceType_builder{Id: "room", DisplayName: "Room"}.Build()
)

// people is how many users there are.
const people = 130

// habit is what a connector does that it must not.
type habit string

// realStdout is what standard output is before go-plugin takes its place.
var realStdout = os.Stdout

// app is a connector in memory: users in pages, teams with rooms, entitlements
// and grants.
type app struct {
	config *appConfig
	habit  habit

	mu     sync.Mutex
	served map[string]int // pages of users, by token
	cursor string         // of the app, which has one: the last page token
}

func newApp(bad habit) cli.NewConnector[*appConfig] {
	return func(_ context.Context, config *appConfig, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
		return &app{config: config, habit: bad, served: map[string]int{}}, nil, nil
	}
}

func (a *app) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	return v2.ConnectorMetadata_builder{DisplayName: "Memory"}.Build(), nil
}

func (a *app) Validate(context.Context) (annotations.Annotations, error) {
	if a.habit == "bad credentials" {
		return nil, errors.New("the app refuses the token")
	}
	return nil, nil
}

func (a *app) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{users{a}, teams{a}, rooms{a}}
}

func (a *app) Close() error {
	if a.habit == "hangs when it closes" {
		time.Sleep(5 * time.Second) // More than the check allows.
	}
	return nil
}

// serve counts how often a page has been served, this time included.
func (a *app) serve(token string) (times int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.served[token]++
	return a.served[token]
}

// moveCursor moves the cursor of an app that has one from a page to the next. It returns
// false if another listing has taken the cursor.
func (a *app) moveCursor(from, to string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.habit != "one cursor" {
		return true
	}
	kept := from == "" || from == a.cursor
	a.cursor = to
	return kept
}

func (a *app) hasServed(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.served[token] > 0
}

type users struct{ *app }

func (u users) ResourceType(context.Context) *v2.ResourceType { return userType }

func (u users) List(ctx context.Context, parent *v2.ResourceId, opts resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if parent != nil {
		return nil, nil, nil
	}
	token := opts.PageToken.Token
	from := 0
	if token != "" {
		n, err := strconv.Atoi(token)
		if err != nil {
			return nil, nil, fmt.Errorf("the page token %q is not of this connector", token)
		}
		from = n
	}
	to := min(from+u.config.PageSize, people)
	if !u.moveCursor(token, strconv.Itoa(to)) {
		return nil, nil, errors.New("the cursor of the app is gone")
	}
	times := u.serve(token)
	if err := u.note(ctx, opts.Session, to); err != nil {
		return nil, nil, err
	}
	if err := u.misbehave(ctx, token); err != nil {
		return nil, nil, err
	}

	var list []*v2.Resource
	for i := from; i < to; i++ {
		if i == from && u.habit == "loses a row when resumed" && token != "" && !u.hasServed(before(from, u.config.PageSize)) {
			continue
		}
		id := strconv.Itoa(i)
		name := "User " + id
		switch {
		case u.habit == "ids of the process":
			id += "-" + strconv.Itoa(os.Getpid())
		case u.habit == "an id twice" && i == people-1:
			id = "0"
		case u.habit == "no id" && i == people-1:
			id = ""
		}
		copies := 1
		if u.habit == "a row again" && i == people-1 {
			copies = 2
		}
		for range copies {
			// A map is encoded in another order each time.
			profile := map[string]any{}
			for key := range 20 {
				profile[strconv.Itoa(key)] = id
			}
			user, err := resource.NewUserResource(name, userType, id, []resource.UserTraitOption{
				resource.WithUserLogin(id),
				resource.WithUserProfile(profile), //nolint:staticcheck // Connectors have it in the trait.
			})
			if err != nil {
				return nil, nil, err
			}
			list = append(list, user)
		}
	}
	if u.habit == "another page every time" && times%2 == 0 {
		list = list[1:]
	}
	next := ""
	if to < people {
		next = strconv.Itoa(to)
	}
	if u.habit == "a page token twice" && token == "40" {
		next = "20"
	}
	return list, &resource.SyncOpResults{NextPageToken: next}, nil
}

// note has the session store know how far the listing has come.
func (u users) note(ctx context.Context, notes sessions.SessionStore, to int) error {
	if u.habit != "keeps notes" {
		return nil
	}
	return session.SetJSON(ctx, notes, "users", to)
}

func before(from, size int) string {
	if from -= size; from > 0 {
		return strconv.Itoa(from)
	}
	return ""
}

// misbehave is what does not show in the rows.
func (u users) misbehave(ctx context.Context, token string) error {
	switch u.habit {
	case "fails in the middle":
		if token == "60" {
			return errors.New("the app is out of order")
		}
	case "prints":
		fmt.Println("a page for", token)
	case "writes to the real standard output":
		fmt.Fprintln(realStdout, "a page for", token)
	case "logs its secret":
		fmt.Fprintln(os.Stderr, "the header is", base64.StdEncoding.EncodeToString([]byte("user:"+u.config.Token)))
	case "ignores cancellation":
		if token == "" {
			select {
			case <-ctx.Done():
				time.Sleep(5 * time.Second) // More than the check allows.
			case <-time.After(time.Second):
			}
		}
	case "gives up":
		if token == "" {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
			}
		}
	}
	return nil
}

func (u users) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

func (u users) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

type teams struct{ *app }

func (t teams) ResourceType(context.Context) *v2.ResourceType { return teamType }

func (t teams) List(_ context.Context, parent *v2.ResourceId, _ resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	t.moveCursor("", "")
	if parent != nil {
		return nil, nil, nil
	}
	var list []*v2.Resource
	ids := []string{"red", "blue"}
	if t.habit == "another order every time" {
		for i := range people {
			ids = append(ids, "team-"+strconv.Itoa(i))
		}
		rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] }) //nolint:gosec // Any order will do.
	}
	for _, id := range ids {
		team, err := resource.NewGroupResource(id, teamType, id, nil, resource.WithAnnotation(v2.ChildResourceType_builder{ResourceTypeId: "room"}.Build()))
		if err != nil {
			return nil, nil, err
		}
		list = append(list, team)
	}
	return list, nil, nil
}

func (t teams) Entitlements(_ context.Context, team *v2.Resource, _ resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	to := userType
	if t.habit == "an entitlement for nobody" {
		to = v2.ResourceType_builder{Id: "ghost"}.Build()
	}
	return []*v2.Entitlement{entitlement.NewAssignmentEntitlement(team, "member", entitlement.WithGrantableTo(to))}, nil, nil
}

func (t teams) Grants(ctx context.Context, team *v2.Resource, opts resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	principal := "7"
	if t.habit == "keeps notes" {
		listed, found, err := session.GetJSON[int](ctx, opts.Session, "users")
		if err != nil {
			return nil, nil, err
		}
		if !found || listed != people {
			return nil, nil, fmt.Errorf("%d of %d users were noted (%t)", listed, people, found)
		}
	}
	if t.habit == "ids of the process" {
		principal += "-" + strconv.Itoa(os.Getpid())
	}
	if t.habit == "a grant to nobody" {
		principal = "nobody"
	}
	return []*v2.Grant{grant.NewGrant(team, "member", v2.ResourceId_builder{ResourceType: "user", Resource: principal}.Build())}, nil, nil
}

type rooms struct{ *app }

func (r rooms) ResourceType(context.Context) *v2.ResourceType { return roomType }

func (r rooms) List(_ context.Context, parent *v2.ResourceId, _ resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if parent == nil {
		return nil, nil, nil
	}
	room, err := resource.NewResource("Room", roomType, parent.GetResource()+"-room", resource.WithParentResourceID(parent))
	return []*v2.Resource{room}, nil, err
}

func (r rooms) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

func (r rooms) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, nil, nil
}
