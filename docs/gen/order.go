package main

import (
	"fmt"
	"slices"
	"strings"
)

// order is the import rule of the host and of what it stands on: a package may import only
// what stands below its line. Packages on one line are neighbors and do not know each other.
// It is also the order of the map in docs/architecture.md.
//
// A new package below host, plugin, internal or proto needs a place here. The other trees
// (fullstory, scim, examples, sandbox, bench) have their rules in .golangci.yml, as has what
// the order does not say: the host knows no app.
var order = []string{
	"host/cmd/baton-host host/cmd/baton-host-explore host/cmd/baton-host-aws",
	"host/internal/config/wizard",
	"host/internal/show",
	"host",
	"host/internal/control host/internal/watch host/internal/support",
	"host/internal/service",
	"host/internal/status/page host/internal/status/listen host/internal/status/history host/internal/notify",
	"host/internal/status",
	"host/internal/syncrun",
	"host/internal/fleet",
	// What single commands do.
	"host/internal/call host/internal/diff host/internal/population host/internal/explore host/internal/scaffold host/internal/config/schema host/internal/config/schema/gen",
	"host/internal/aggregate",
	"host/internal/aggregate/fallback",
	"host/internal/aggregate/pagecheck host/internal/aggregate/policy",
	"host/internal/state",
	"host/internal/review",
	"host/internal/baseline",
	"host/internal/syncfile",
	"host/internal/syncfile/sdkfast host/internal/rename",
	"host/internal/supervise",
	"host/internal/supervise/unmodified host/internal/broker",
	"host/internal/pin",
	"host/internal/proc",
	"host/internal/proc/sandbox",
	"host/internal/proc/sandbox/launcher host/internal/proc/cgroup",
	"host/internal/pluginlog",
	"host/internal/registry",
	"host/internal/config",
	"host/internal/config/settings",
	"host/internal/secret/helper host/internal/secret/keyring host/internal/secret/vault host/internal/state/objects",
	"host/internal/secret",
	"host/internal/hostlog host/internal/terminal",
	"host/internal/errtext host/internal/files host/internal/backoff host/internal/child",
	"plugin/plugintest",
	"plugin/conformance",
	"plugin",
	"plugin/redact",
	"internal/mutualtls internal/schema internal/telemetry",
	"proto/baton/plugin/v1",
}

// commands are what the programs may import, and nothing else: what starts a plugin, opens what
// an upload needs or asks a running host is behind package host. A command has flags, calls
// and output; what is more than that has a room below it.
var commands = map[string]string{
	"host/cmd/baton-host": "host/internal/config/wizard host/internal/show host " +
		"host/internal/call host/internal/population host/internal/scaffold host/internal/config/schema " +
		"host/internal/proc host/internal/hostlog host/internal/terminal host/internal/errtext " +
		"plugin/conformance plugin internal/telemetry proto/baton/plugin/v1",
	"host/cmd/baton-host-aws":     "host/internal/secret/helper",
	"host/cmd/baton-host-explore": "host/internal/explore host/internal/syncfile host/internal/hostlog host/internal/errtext",
}

// known are the imports that break the order and are yet to be put right, each with the
// reason.
var known = map[string]string{}

// ordered are the trees in which each package needs a place in the order.
var ordered = []string{"host", "plugin", "internal", "proto"}

// places returns the line of each package in the order.
func places() map[string]int {
	found := map[string]int{}
	for i, line := range order {
		for path := range strings.FieldsSeq(line) {
			found[path] = i
		}
	}
	return found
}

// checkOrder returns a sentence for each import that breaks the order, and for each package
// that has no place in it. Imports of tests are free.
func checkOrder(packages []*goPackage) []string {
	places := places()
	var broken []string
	for _, from := range packages {
		at, ok := places[from.Path]
		if !ok {
			if tree, _, _ := strings.Cut(from.Path, "/"); slices.Contains(ordered, tree) {
				broken = append(broken, fmt.Sprintf("package %s has no place in the order of imports: give it one in docs/gen/order.go, left of all that it imports", from.Path))
			}
			continue
		}
		for _, path := range from.Imports {
			to, ok := places[path]
			if allowed, isCommand := commands[from.Path]; isCommand && !slices.Contains(strings.Fields(allowed), path) {
				broken = append(broken, fmt.Sprintf("package %s imports %s, which a command may not (docs/gen/order.go): use package host, or give the logic a room", from.Path, path))
				continue
			}
			if ok && to > at || known[from.Path+" -> "+path] != "" {
				continue
			}
			why := "which stands left of it"
			switch {
			case !ok:
				why = "which has no place in the order"
			case to == at:
				why = "its neighbor"
			}
			broken = append(broken, fmt.Sprintf("package %s imports %s, %s (docs/gen/order.go): data flows one way, so move what both need to the right of both, or pass it in", from.Path, path, why))
		}
	}
	return broken
}
