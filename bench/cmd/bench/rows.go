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
	// sequence measures the baselines one after another, too.
	sequence bool
	// reach and beyond are the ratios to reach: to the baselines at once, and
	// in inOrder to the baselines one after another.
	goals, inOrder goals
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
