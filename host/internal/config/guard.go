package config

import (
	"strconv"

	"go.yaml.in/yaml/v3"
)

// DefaultDeletionGuard is the guard of a plugin whose entry does not say.
func DefaultDeletionGuard() DeletionGuard {
	return DeletionGuard{Accounts: DeletionLimits{KeepPercent: 50, MinMissing: 10}}
}

func (l *loader) deletionGuard(e entry, plugin *Plugin) {
	guard := &plugin.DeletionGuard
	if e.value.Kind == yaml.ScalarNode && !isNull(e.value) {
		if e.value.Value != "off" {
			l.report(e.value, `deletion-guard must be "off", or a mapping with keep-percent and min-missing`)
			return
		}
		guard.Off = true
		return
	}
	var types entry
	l.limits(e.value, "deletion-guard", &guard.Accounts, handlers{KeyResourceTypes.Name: func(e entry) { types = e }})
	for _, e := range l.entries(types.value, "resource-types") {
		limits := guard.Accounts
		l.limits(e.value, "the deletion-guard of resource type "+quotedName(e.key.Value), &limits, handlers{})
		if guard.ByType == nil {
			guard.ByType = map[string]DeletionLimits{}
		}
		guard.ByType[e.key.Value] = limits
	}
}

func (l *loader) limits(n *yaml.Node, what string, limits *DeletionLimits, more handlers) {
	more[KeyKeepPercent.Name] = func(e entry) { l.whole(e.value, KeyKeepPercent, &limits.KeepPercent) }
	more[KeyMinMissing.Name] = func(e entry) {
		l.whole(e.value, KeyMinMissing, &limits.MinMissing)
		limits.Explicit = !isNull(e.value)
	}
	l.mapping(n, what, "", more)
}

// whole is a whole number within the key's limits.
func (l *loader) whole(n *yaml.Node, key Key, into *int) {
	text, ok := l.plainText(n, key.Name)
	if !ok {
		return
	}
	number, err := strconv.Atoi(text)
	if err != nil || int64(number) < key.Least || int64(number) > key.Most {
		l.report(n, "%s must be a whole number of at least %d and at most %d", key.Name, key.Least, key.Most)
		return
	}
	*into = number
}
