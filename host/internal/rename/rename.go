// Package rename renames resource types, entitlements, grants and objects without a
// resource type between a plugin's own ids and those of the aggregate.
//
// Packages aggregate and fallback call it for every request and reply; it is pure, and
// calls nothing. It must never give one plugin an id of another, nor rename a row in a way
// that does not lead back: C1 keys its configuration on these ids.
package rename

import (
	"fmt"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Names renames between a plugin's own ids and those of the aggregate.
//
// What the aggregate's ids look like is a promise to C1, which keys its
// configuration on them: "user" becomes "app.user", "group:g1:member" becomes
// "app.group:g1:member" (so that it stays what the SDK makes of the renamed
// resource), a "bid:" id is taken apart and made again.
type Names struct {
	Instance string // of the plugin
	Prefix   string // of ids, with the dot; empty for a plugin without a namespace
	Display  string // of resource type names
	Owners   Owners // of all ids of the aggregate
}

// Owners knows whose the ids of an aggregate are.
type Owners interface {
	// Owner returns the instance that a resource type id belongs to, "" if none is
	// known.
	Owner(typeID string) string
	// Namespaced returns the instance whose namespace an id begins with, "" if none.
	Namespaced(id string) string
}

// ToAggregate renames everything in a plugin's message, in place. principal is
// the one that the call is about, in the plugin's own ids; nil if none.
func (n *Names) ToAggregate(m proto.Message, principal *v2.ResourceId) error {
	return n.rewrite(m, &rewriter{
		names:         n,
		principalType: principal.GetResourceType(),
		principalID:   principal.GetResource(),
	})
}

// ToPlugin is the way back, for requests. It fails with a *foreignError if the
// message names anything of another plugin.
func (n *Names) ToPlugin(m proto.Message) error {
	stub := typeScopedStub(m)
	if err := n.rewrite(m, &rewriter{names: n, removing: true}); err != nil {
		return err
	}
	if stub != nil {
		stub.SetResource(stub.GetResourceType())
	}
	return nil
}

func (n *Names) rewrite(m proto.Message, w *rewriter) error {
	pm := m.ProtoReflect()
	return w.message(pm, planFor(pm.Descriptor()))
}

// typeScopedStub is the resource id of a listing of a whole type: the syncer
// puts the type's id in place of the resource's. Nil for all other requests.
func typeScopedStub(m proto.Message) *v2.ResourceId {
	var id *v2.ResourceId
	var annos annotations.Annotations
	switch m := m.(type) {
	case *v2.EntitlementsServiceListEntitlementsRequest:
		id, annos = m.GetResource().GetId(), m.GetAnnotations()
	case *v2.GrantsServiceListGrantsRequest:
		id, annos = m.GetResource().GetId(), m.GetAnnotations()
	default:
		return nil
	}
	scoped := annos.ContainsAny(&v2.TypeScopedEntitlements{}, &v2.TypeScopedGrants{})
	if !scoped || id.GetResource() != id.GetResourceType() {
		return nil
	}
	return id
}

// foreignError is an id that is not the plugin's.
type foreignError struct {
	what, id string
	owner    string // instance; "" if unknown
}

func (e *foreignError) Error() string {
	if e.owner == "" {
		return fmt.Sprintf("the %s %q is not one of this plugin", e.what, e.id)
	}
	return fmt.Sprintf("the %s %q belongs to plugin %q", e.what, e.id, e.owner)
}

// rewriter renames one message, in one direction.
type rewriter struct {
	names    *Names
	removing bool // the prefix, rather than adding it
	edits    int
	nesting  int // of annotations

	// Whom the call or the grant around is about, in the ids that are being
	// renamed.
	principalType, principalID string

	// Pages hold the same few types again and again, and grants the same entitlement:
	// remembering the last ones saves most of the allocations.
	types       [2]memo // of a grant: the resource's, and the principal's
	entitlement memo
}

// memo is what an id was renamed to. The zero value has none: an empty id is not renamed.
type memo struct{ from, to string }

func (w *rewriter) message(m protoreflect.Message, p *plan) error {
	if p == nil || !m.IsValid() {
		return nil
	}
	if p.grant {
		if g, ok := m.Interface().(*v2.Grant); ok {
			return w.grant(g, p)
		}
	}
	if p.resourceID {
		if id, ok := m.Interface().(*v2.ResourceId); ok {
			return w.resourceID(id)
		}
	}
	return w.fields(m, p)
}

func (w *rewriter) resourceID(id *v2.ResourceId) error {
	renamed, err := w.rename(id.GetResourceType(), toType)
	if err != nil {
		return err
	}
	id.SetResourceType(renamed)
	return nil
}

func (w *rewriter) fields(m protoreflect.Message, p *plan) error {
	for i := range p.fields {
		f := &p.fields[i]
		if !m.Has(f.fd) {
			continue
		}
		var err error
		switch {
		case f.fd.IsMap():
			err = w.mapField(m.Get(f.fd).Map(), f)
		case f.annotation && f.fd.IsList():
			err = w.annotationList(m.Get(f.fd).List())
		case f.annotation:
			err = w.annotationField(m, f.fd)
		case f.message != nil && f.fd.IsList():
			list := m.Get(f.fd).List()
			for j := 0; j < list.Len() && err == nil; j++ {
				err = w.message(list.Get(j).Message(), f.message)
			}
		case f.message != nil:
			err = w.message(m.Get(f.fd).Message(), f.message)
		case f.fd.IsList():
			err = w.stringList(m.Get(f.fd).List(), f.reference)
		default:
			err = w.stringField(m, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *rewriter) stringField(m protoreflect.Message, f *planField) error {
	id := m.Get(f.fd).String()
	renamed, err := w.rename(id, f.reference)
	if err != nil {
		return err
	}
	if renamed != id {
		m.Set(f.fd, protoreflect.ValueOfString(renamed))
	}
	return nil
}

func (w *rewriter) stringList(list protoreflect.List, ref Reference) error {
	for i := range list.Len() {
		renamed, err := w.rename(list.Get(i).String(), ref)
		if err != nil {
			return err
		}
		list.Set(i, protoreflect.ValueOfString(renamed))
	}
	return nil
}

// mapField renames the keys if they are references, and visits the values.
func (w *rewriter) mapField(entries protoreflect.Map, f *planField) error {
	type entry struct {
		old, renamed protoreflect.MapKey
		value        protoreflect.Value
	}
	var all []entry
	var err error
	entries.Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
		e := entry{old: key, renamed: key, value: value}
		if f.reference != noReference {
			var id string
			if id, err = w.rename(key.String(), f.reference); err != nil {
				return false
			}
			e.renamed = protoreflect.ValueOfString(id).MapKey()
		}
		switch {
		case f.annotation:
			_, err = w.annotation(value.Message())
		case f.message != nil:
			err = w.message(value.Message(), f.message)
		}
		all = append(all, e)
		return err == nil
	})
	if err != nil || f.reference == noReference {
		return err
	}
	// All out before any in: a new key may equal an old one.
	for _, e := range all {
		entries.Clear(e.old)
	}
	for _, e := range all {
		entries.Set(e.renamed, e.value)
	}
	return nil
}

// grant renames a grant. Its id is made from its parts if it is the one that the SDK
// makes of its parts: grant expansion makes the ids of the renamed parts in
// that way too.
func (w *rewriter) grant(g *v2.Grant, p *plan) error {
	outerType, outerID := w.principalType, w.principalID
	defer func() { w.principalType, w.principalID = outerType, outerID }()
	if id := g.GetPrincipal().GetId(); id != nil {
		w.principalType, w.principalID = id.GetResourceType(), id.GetResource()
	}

	made := hasMadeID(g)
	if made {
		g.SetId("") // not to be renamed by itself
	}
	if err := w.grantFields(g, p); err != nil {
		return err
	}
	if made {
		g.SetId(madeID(g))
	}
	return nil
}

// grantFields renames the fields of a grant, without reflection where they are plain.
func (w *rewriter) grantFields(g *v2.Grant, p *plan) error {
	entitlement, principal := g.GetEntitlement(), g.GetPrincipal()
	if g.HasSources() || len(g.GetAnnotations()) > 0 || len(entitlement.GetAnnotations()) > 0 || len(entitlement.GetGrantableTo()) > 0 ||
		len(entitlement.GetResource().GetAnnotations()) > 0 || len(principal.GetAnnotations()) > 0 {
		return w.fields(g.ProtoReflect(), p)
	}
	if entitlement != nil {
		if err := w.resource(entitlement.GetResource()); err != nil {
			return err
		}
		id, err := w.rename(entitlement.GetId(), toEntitlement)
		if err != nil {
			return err
		}
		entitlement.SetId(id)
	}
	if err := w.resource(principal); err != nil {
		return err
	}
	id, err := w.rename(g.GetId(), toGrant)
	if err != nil {
		return err
	}
	g.SetId(id)
	return nil
}

// resource renames the ids of a resource without annotations.
func (w *rewriter) resource(r *v2.Resource) error {
	for _, id := range [...]*v2.ResourceId{r.GetId(), r.GetParentResourceId()} {
		if id == nil {
			continue
		}
		if err := w.resourceID(id); err != nil {
			return err
		}
	}
	return nil
}

// madeID is what grant.NewGrantID makes, for a grant that has a principal.
func madeID(g *v2.Grant) string {
	principal := g.GetPrincipal().GetId()
	return g.GetEntitlement().GetId() + ":" + principal.GetResourceType() + ":" + principal.GetResource()
}

// hasMadeID says whether the grant's id is what grant.NewGrantID makes.
func hasMadeID(g *v2.Grant) bool {
	principal := g.GetPrincipal().GetId()
	if principal == nil {
		return false
	}
	rest, ok := strings.CutPrefix(g.GetId(), g.GetEntitlement().GetId())
	if !ok {
		return false
	}
	if rest, ok = strings.CutPrefix(rest, ":"); !ok {
		return false
	}
	if rest, ok = strings.CutPrefix(rest, principal.GetResourceType()); !ok {
		return false
	}
	rest, ok = strings.CutPrefix(rest, ":")
	return ok && rest == principal.GetResource()
}
