package settings

import (
	"slices"
	"strings"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// checkRelations checks what must hold between fields. Where a field has a
// default value, or has one that could not be read, only what is wrong either
// way is reported.
func (b *binder) checkRelations(applies func(string) bool) {
	fields := map[string]*pluginv1.Field{}
	for _, field := range b.schema.GetFields() {
		fields[field.GetName()] = field
	}
	given := func(name string) bool { return applies(name) && isSet(b.values[name]) }
	absent := func(name string) bool {
		hasDefault := fields[name].GetDefaultValue().GetKind() != nil
		return !given(name) && !b.faulty[name] && !(applies(name) && hasDefault)
	}
	for _, relation := range b.schema.GetRelations() {
		b.checkRelation(relation, given, absent)
	}
}

func (b *binder) checkRelation(relation *pluginv1.Relation, given, absent func(string) bool) {
	set := filter(relation.GetFields(), given)
	unset := filter(relation.GetFields(), absent)
	lacking := filter(relation.GetNeeds(), absent)
	switch relation.GetKind() {
	case pluginv1.RelationKind_RELATION_KIND_REQUIRED_TOGETHER:
		if len(set) > 0 && len(unset) > 0 {
			b.report(set[0], "%s needs %s too", b.labels(set[:1]), b.labels(unset))
		}
	case pluginv1.RelationKind_RELATION_KIND_MUTUALLY_EXCLUSIVE:
		if len(set) > 1 {
			b.report(set[1], "only one of %s may be given", b.labels(set))
		}
	case pluginv1.RelationKind_RELATION_KIND_AT_LEAST_ONE:
		if len(unset) == len(relation.GetFields()) && len(unset) > 0 {
			b.report("", "%s", b.source.finding("", "at least one of "+b.labels(unset)+" must be given"))
		}
	case pluginv1.RelationKind_RELATION_KIND_DEPENDS_ON:
		if len(set) > 0 && len(lacking) > 0 {
			b.report(set[0], "%s needs %s too", b.labels(set[:1]), b.labels(lacking))
		}
	}
}

func filter(names []string, keep func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !keep(name) })
}

// labels lists fields as a person calls them here.
func (b *binder) labels(fields []string) string {
	labels := make([]string, 0, len(fields))
	for _, field := range fields {
		labels = append(labels, b.source.label(field))
	}
	if len(labels) < 2 {
		return strings.Join(labels, "")
	}
	last := len(labels) - 1
	return strings.Join(labels[:last], ", ") + " and " + labels[last]
}
