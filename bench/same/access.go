package same

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"google.golang.org/protobuf/proto"
)

// The kinds of rows of a sync file.
const (
	ResourceTypes = "resource types"
	Resources     = "resources"
	Entitlements  = "entitlements"
	Grants        = "grants"
)

// Rows is every row of a sync file as the SDK reads it, by kind: a digest of all that is in
// it, with the ids that the app itself gives.
type Rows map[string]map[digest]struct{}

// RowsOf reads the rows of each app in a file. namespaces are what the file has in front of
// the ids of the apps; a file of one app has one, the empty one.
func RowsOf(ctx context.Context, path, tmpDir string, namespaces []string) (_ []Rows, err error) {
	store, err := openFull(ctx, path, tmpDir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close(ctx)) }()
	r := rowReader{namespaces: namespaces, apps: make([]Rows, len(namespaces))}
	for i := range r.apps {
		r.apps[i] = Rows{ResourceTypes: {}, Resources: {}, Entitlements: {}, Grants: {}}
	}
	for token, more := "", true; more; more = token != "" {
		page, err := store.ListResourceTypes(ctx, v2.ResourceTypesServiceListResourceTypesRequest_builder{PageToken: token}.Build())
		if err != nil {
			return nil, err
		}
		for _, row := range page.GetList() {
			if err := r.add(ResourceTypes, row.GetId(), row, nil); err != nil {
				return nil, err
			}
		}
		token = page.GetNextPageToken()
	}
	for token, more := "", true; more; more = token != "" {
		page, err := store.ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{PageToken: token, PageSize: 10_000}.Build())
		if err != nil {
			return nil, err
		}
		for _, row := range page.GetList() {
			if err := r.add(Resources, row.GetId().GetResourceType(), row, nil); err != nil {
				return nil, err
			}
		}
		token = page.GetNextPageToken()
	}
	for token, more := "", true; more; more = token != "" {
		page, err := store.ListEntitlements(ctx, v2.EntitlementsServiceListEntitlementsRequest_builder{PageToken: token, PageSize: 10_000}.Build())
		if err != nil {
			return nil, err
		}
		for _, row := range page.GetList() {
			if err := r.add(Entitlements, row.GetResource().GetId().GetResourceType(), row, nil); err != nil {
				return nil, err
			}
		}
		token = page.GetNextPageToken()
	}
	for row, err := range store.Grants().ListWithAnnotations(ctx) {
		if err != nil {
			return nil, err
		}
		if err := r.add(Grants, row.Grant.GetEntitlement().GetResource().GetId().GetResourceType(), row.Grant, row.Annotation); err != nil {
			return nil, err
		}
	}
	return r.apps, nil
}

// openFull opens a file at its finished full sync.
func openFull(ctx context.Context, path, tmpDir string) (_ c1zstore.Store, err error) {
	store, err := dotc1z.NewStore(ctx, path, dotc1z.WithReadOnly(true), dotc1z.WithTmpDir(tmpDir))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close(ctx))
		}
	}()
	latest, err := store.SyncMeta().LatestFinishedSyncOfAnyType(ctx)
	switch {
	case err != nil:
		return nil, err
	case latest == nil:
		return nil, errors.New("there is no finished sync in it")
	case latest.Type != connectorstore.SyncTypeFull:
		return nil, fmt.Errorf("the sync in it is not full but %q", latest.Type)
	}
	return store, store.SetCurrentSync(ctx, latest.ID)
}

// rowReader adds rows to those of their app.
type rowReader struct {
	namespaces []string
	apps       []Rows
}

// add adds a row of a resource type, with what the SDK keeps beside it.
func (r *rowReader) add(kind, typeID string, row proto.Message, beside *v2.GrantExpandable) error {
	for i, namespace := range r.namespaces {
		prefix := namespace
		if namespace != "" {
			prefix += "."
		}
		if !strings.HasPrefix(typeID, prefix) {
			continue
		}
		if err := own(prefix).strip(row); err != nil {
			return err
		}
		encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(row)
		if err != nil {
			return err
		}
		for _, id := range beside.GetEntitlementIds() {
			encoded = append(append(encoded, 0), strings.TrimPrefix(id, prefix)...)
		}
		sum := sha256.Sum256(encoded)
		this := digest(sum[:len(digest{})])
		if _, twice := r.apps[i][kind][this]; twice {
			return fmt.Errorf("two %s are the same, of type %s", kind, typeID)
		}
		r.apps[i][kind][this] = struct{}{}
		return nil
	}
	return fmt.Errorf("one of the %s is of type %s, which is of no app", kind, typeID)
}

// own takes what the product puts in front of an app's ids from a row, and what it puts in
// front of names.
type own string

func (o own) id(id string) string { return strings.TrimPrefix(id, string(o)) }

func (o own) name(name string) string {
	if _, own, found := strings.Cut(name, ": "); found && o != "" {
		return own
	}
	return name
}

func (o own) strip(row proto.Message) error {
	switch row := row.(type) {
	case *v2.ResourceType:
		row.SetId(o.id(row.GetId()))
		row.SetDisplayName(o.name(row.GetDisplayName()))
	case *v2.Resource:
		o.resource(row)
	case *v2.Entitlement:
		o.entitlement(row)
	case *v2.Grant:
		// What the SDK makes of ids has the namespace in front of both.
		row.SetId(strings.ReplaceAll(row.GetId(), string(o), ""))
		o.entitlement(row.GetEntitlement())
		o.resource(row.GetPrincipal())
		if sources := row.GetSources().GetSources(); len(sources) > 0 {
			named := make(map[string]*v2.GrantSources_GrantSource, len(sources))
			for id, source := range sources {
				named[o.id(id)] = source
			}
			row.GetSources().SetSources(named)
		}
		return o.expandable(row)
	}
	return nil
}

func (o own) resource(row *v2.Resource) {
	for _, id := range []*v2.ResourceId{row.GetId(), row.GetParentResourceId()} {
		if id != nil {
			id.SetResourceType(o.id(id.GetResourceType()))
		}
	}
}

func (o own) entitlement(row *v2.Entitlement) {
	row.SetId(o.id(row.GetId()))
	o.resource(row.GetResource())
	for _, to := range row.GetGrantableTo() {
		to.SetId(o.id(to.GetId()))
		to.SetDisplayName(o.name(to.GetDisplayName()))
	}
}

// expandable is for what a grant expands from, where the SDK returns it with the grant.
func (o own) expandable(row *v2.Grant) error {
	for _, annotation := range row.GetAnnotations() {
		from := &v2.GrantExpandable{}
		if !annotation.MessageIs(from) {
			continue
		}
		if err := annotation.UnmarshalTo(from); err != nil {
			return err
		}
		for _, ids := range [][]string{from.GetEntitlementIds(), from.GetResourceTypeIds()} {
			for i, id := range ids {
				ids[i] = o.id(id)
			}
		}
		if err := annotation.MarshalFrom(from); err != nil {
			return err
		}
	}
	return nil
}

// DifferRows reports in which way the product's rows of an app are not those of the
// baseline; nil if they are the same.
func DifferRows(product, baseline Rows) error {
	for _, kind := range []string{ResourceTypes, Resources, Entitlements, Grants} {
		ours, theirs := product[kind], baseline[kind]
		if len(ours) != len(theirs) {
			return fmt.Errorf("the product has %d %s, the baseline %d", len(ours), kind, len(theirs))
		}
		different := 0
		for row := range theirs {
			if _, ok := ours[row]; !ok {
				different++
			}
		}
		if different > 0 {
			return fmt.Errorf("of %d %s, %d are not the same for the product and the baseline", len(ours), kind, different)
		}
	}
	return nil
}
