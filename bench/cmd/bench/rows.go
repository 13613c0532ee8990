//go:build linux

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pageCap is the greatest page of the services, in users. Both sides ask for 100.
const pageCap = 100

// row is a work that is measured.
type row struct {
	name    string
	apps    int
	users   int // of each app
	latency time.Duration
	// repetitions is how often.
	repetitions int
	// alone measures the product alone.
	alone bool
	// access is what there is beside the accounts; nil: nothing, and the connectors of the two
	// sides are different ones.
	access *access
	// sequence measures the baselines one after another, too.
	sequence bool
	// reach and beyond are the ratios to reach: to the baselines at once, and
	// in inOrder to the baselines one after another.
	goals, inOrder goals
}

// access is groups and roles, and who has them. Both sides read them with the same connector:
// baton-directory, which makes them up, or baton-scim.
type access struct {
	groups, members, tower, roles, holders int
	scim                                   bool
	// expanded is how many grants follow from others.
	expanded int
}

// grants is how many grants the sync file of one app has.
func (a *access) grants() int {
	nested := 0
	if a.tower > 1 {
		nested = a.groups / a.tower * (a.tower - 1)
	}
	return a.groups*a.members + nested + a.roles*a.holders + a.expanded
}

// membersEach is how many users are members of each group.
const membersEach = 25

func groupsOnly(groups int) *access { return &access{groups: groups, members: membersEach} }

// towers are groups of which each but the last has the next one as a member: six at a time.
func towers(many int) *access {
	const high = 6
	a := &access{groups: many * high, members: membersEach, tower: high}
	// Each group gets the members of all groups below, and the groups that are not its own
	// members.
	a.expanded = many * (membersEach*high*(high-1)/2 + (high-1)*(high-2)/2)
	return a
}

func newAccessRow(name string, apps, users, repetitions int, of *access) row {
	return row{name: name, apps: apps, users: users, repetitions: repetitions, access: of}
}

// goals are ratios of the product to the baseline; 0 for none.
type goals struct{ wallReach, wallBeyond, memoryReach float64 }

func newRow(apps, users int, latency time.Duration, repetitions int) row {
	name := fmt.Sprintf("%dx%d", apps, users)
	if latency > 0 {
		name += "-" + latency.String()
	}
	return row{name: name, apps: apps, users: users, latency: latency, repetitions: repetitions, sequence: apps > 1 && users > 0 && apps <= 8}
}

func (r row) with(g goals) row {
	r.goals = g
	return r
}

func fullRows() []row {
	const ms20 = 20 * time.Millisecond
	million := newRow(1, 1_000_000, 0, 1)
	million.alone = true
	eight := newRow(8, 10_000, ms20, 2).with(goals{0.5, 0.35, 0.45})
	eight.inOrder = goals{0.12, 0.08, 0}
	return []row{
		newRow(1, 100_000, 0, 2).with(goals{0.5, 0.38, 0.9}),
		newRow(1, 10_000, ms20, 5).with(goals{0.2, 0.15, 0.9}),
		newRow(1, 500_000, 0, 1).with(goals{0.5, 0.38, 0.7}),
		eight,
		newRow(8, 0, 0, 7).with(goals{1, 0.7, 0.5}),
		newRow(32, 1_000, ms20, 3).with(goals{0.5, 0.35, 0.35}),
		newRow(1, 10_000, 0, 3),
		million,
		newAccessRow("groups-3000x25", 1, 5_000, 3, groupsOnly(3_000)).with(goals{0.55, 0.45, 1}),
		newAccessRow("roles-200x5000", 1, 10_000, 2, &access{roles: 200, holders: 5_000}).with(goals{0.7, 0.55, 0.8}),
		newAccessRow("nested-183000", 1, 5_000, 2, towers(475)).with(goals{0.55, 0.45, 0.9}),
		newAccessRow("4xgroups-750x25", 4, 2_000, 3, groupsOnly(750)).with(goals{0.45, 0.3, 0.6}),
		newAccessRow("scim-groups-3000x25", 1, 5_000, 2, &access{groups: 3_000, members: membersEach, scim: true}).with(goals{0.4, 0.25, 0.9}),
		newAccessRow("grants-1000000", 1, 100_000, 1, &access{roles: 200, holders: 5_000}),
	}
}

// quickRows are small: their ratios have much of the start in them, and mean little
// about the full ones.
func quickRows() []row {
	const ms20 = 20 * time.Millisecond
	return []row{
		newRow(1, 20_000, 0, 2),
		newRow(1, 2_000, ms20, 2),
		newRow(1, 50_000, 0, 1),
		newRow(8, 1_000, ms20, 2),
		newRow(8, 0, 0, 2),
		newRow(32, 100, ms20, 1),
		newAccessRow("groups-300x25", 1, 500, 2, groupsOnly(300)),
		newAccessRow("roles-20x5000", 1, 5_000, 2, &access{roles: 20, holders: 5_000}),
		newAccessRow("nested-19000", 1, 500, 1, towers(50)),
		newAccessRow("4xgroups-75x25", 4, 200, 1, groupsOnly(75)),
		newAccessRow("scim-groups-300x25", 1, 500, 1, &access{groups: 300, members: membersEach, scim: true}),
	}
}

func names(rows []row) []string {
	var names []string
	for _, row := range rows {
		names = append(names, row.name)
	}
	return names
}

// selectedRows returns the rows that the flags ask for.
func (o *options) selectedRows() ([]row, error) {
	rows := fullRows()
	switch {
	case o.sizes != "":
		rows = nil
		for name := range strings.SplitSeq(o.sizes, ",") {
			row, err := parseRow(strings.TrimSpace(name))
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
	case o.quick:
		rows = quickRows()
	}
	if o.only != "" {
		var some []row
		for name := range strings.SplitSeq(o.only, ",") {
			at := slices.Index(names(rows), strings.TrimSpace(name))
			if at < 0 {
				return nil, fmt.Errorf("there is no row %q; there are %s", name, strings.Join(names(rows), ", "))
			}
			some = append(some, rows[at])
		}
		rows = some
	}
	if o.repetitions > 0 {
		for i := range rows {
			rows[i].repetitions = o.repetitions
		}
	}
	return rows, nil
}

// parseRow reads a name such as 8x1000-20ms.
func parseRow(name string) (row, error) {
	size, after, slow := strings.Cut(name, "-")
	apps, users, found := strings.Cut(size, "x")
	a, errApps := strconv.Atoi(apps)
	u, errUsers := strconv.Atoi(users)
	if !found || errApps != nil || errUsers != nil || a < 1 || u < 0 {
		return row{}, fmt.Errorf("%q is no row; one looks like 8x1000-20ms", name)
	}
	var latency time.Duration
	if slow {
		var err error
		if latency, err = time.ParseDuration(after); err != nil {
			return row{}, fmt.Errorf("%q is no row: %w", name, err)
		}
	}
	return newRow(a, u, latency, 3), nil
}
