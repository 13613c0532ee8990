package wizard

import (
	"slices"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// relationsOf are the relations of these kinds, or of any, that a field is part of.
func (a *asker) relationsOf(one *pluginv1.Field, kinds ...pluginv1.RelationKind) []*pluginv1.Relation {
	var found []*pluginv1.Relation
	for _, relation := range a.plan.request.Manifest.GetConfiguration().GetRelations() {
		part := slices.Contains(relation.GetFields(), one.GetName()) || slices.Contains(relation.GetNeeds(), one.GetName())
		if part && (len(kinds) == 0 || slices.Contains(kinds, relation.GetKind())) {
			found = append(found, relation)
		}
	}
	return found
}

// related says that something must hold between a field and others.
func (a *asker) related(one *pluginv1.Field) bool { return len(a.relationsOf(one)) > 0 }

const (
	together   = pluginv1.RelationKind_RELATION_KIND_REQUIRED_TOGETHER
	exclusive  = pluginv1.RelationKind_RELATION_KIND_MUTUALLY_EXCLUSIVE
	atLeastOne = pluginv1.RelationKind_RELATION_KIND_AT_LEAST_ONE
	dependsOn  = pluginv1.RelationKind_RELATION_KIND_DEPENDS_ON
)

// alternative says that a field is one of several of which one must be given, or goes
// with such a one.
func (a *asker) alternative(one *pluginv1.Field) bool {
	if len(a.relationsOf(one, atLeastOne)) > 0 {
		return true
	}
	for _, relation := range a.relationsOf(one, together, dependsOn) {
		for _, other := range a.plan.request.Manifest.GetConfiguration().GetFields() {
			part := slices.Contains(relation.GetFields(), other.GetName()) || slices.Contains(relation.GetNeeds(), other.GetName())
			if part && len(a.relationsOf(other, atLeastOne)) > 0 {
				return true
			}
		}
	}
	return false
}

// wanted says that what has been answered calls for a field that could be left out
// otherwise: it is one of several of which one must be given and none is, or goes with
// one that is.
func (a *asker) wanted(one *pluginv1.Field) bool {
	for _, relation := range a.relationsOf(one, atLeastOne, together, dependsOn) {
		given := slices.ContainsFunc(relation.GetFields(), a.answered)
		if given != (relation.GetKind() == atLeastOne) {
			return true
		}
	}
	return false
}

// excluded says that what has been answered leaves no room for a field: it may not stand
// beside one that is given, or goes with others that were all left out.
func (a *asker) excluded(one *pluginv1.Field) bool {
	for _, relation := range a.relationsOf(one, exclusive, together) {
		others := slices.DeleteFunc(slices.Clone(relation.GetFields()), func(name string) bool { return name == one.GetName() })
		given := slices.ContainsFunc(others, a.answered)
		open := slices.ContainsFunc(others, func(name string) bool { return !a.settled[name] })
		if relation.GetKind() == exclusive && given || relation.GetKind() == together && !given && !open {
			return true
		}
	}
	return false
}

// answered says that a field has a value.
func (a *asker) answered(name string) bool {
	return slices.ContainsFunc(a.plan.fields, func(one field) bool { return one.name == name })
}
