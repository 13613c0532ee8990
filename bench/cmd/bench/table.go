//go:build linux

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/batonhost/baton-host/bench/meter"
)

// measure is what is compared of two sides.
type measure struct {
	name string
	of   func(meter.Usage) float64
	text func(float64) string
}

var (
	wall = measure{
		"wall", func(t meter.Usage) float64 { return t.Wall.Seconds() },
		func(seconds float64) string { return fmt.Sprintf("%.2f s", seconds) },
	}
	cpu = measure{
		"CPU", func(t meter.Usage) float64 { return t.CPU.Seconds() },
		wall.text,
	}
	memory = measure{
		"memory", func(t meter.Usage) float64 { return float64(t.Memory) },
		func(bytes float64) string { return fmt.Sprintf("%.0f MiB", bytes/(1<<20)) },
	}
	own = measure{
		"memory, own", func(t meter.Usage) float64 { return float64(t.Own) },
		memory.text,
	}
	resident = measure{
		"memory, RSS", func(t meter.Usage) float64 { return float64(t.Resident) },
		memory.text,
	}
)

// render is the result as Markdown.
func render(o *options, machine string, results []*result) string {
	var text strings.Builder
	kind := "`make bench`"
	switch {
	case o.quick:
		kind = "`BENCH=quick make bench`: small rows, few repetitions, so these ratios mean little for the full rows"
	case o.only != "" || o.sizes != "" || o.repetitions > 0:
		kind = "a part of the benchmark, or with other repetitions"
	}
	fmt.Fprintf(&text, "%s. %s.\n", kind, machine)
	if o.profileOnce {
		text.WriteString("The baseline sets profile, status and creation time once (`-profile-once`).\n")
	}
	if o.readAhead > 0 {
		fmt.Fprintf(&text, "The plugins read %d pages ahead.\n", o.readAhead)
	}
	text.WriteString("\n" + comparison(results))
	if table := growth(results); table != "" {
		text.WriteString("\n" + table)
	}
	return text.String()
}

// comparison is the table of the rows that both sides were measured in.
func comparison(results []*result) string {
	var text strings.Builder
	text.WriteString("| work | | baseline | baton-host | ratio (lowest–highest) | runs | reach | beyond |\n")
	text.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range results {
		if r.row.alone {
			continue
		}
		work := describeRow(r.row)
		against := ""
		switch {
		case r.row.access != nil && r.row.apps > 1:
			against = fmt.Sprintf(", %d alone at once", r.row.apps)
		case r.row.apps > 1:
			against = fmt.Sprintf(", %d baselines at once", r.row.apps)
		}
		compareWith(&text, work+against, r, atOnce, r.row.goals)
		if r.row.sequence {
			compareWith(&text, work+fmt.Sprintf(", %d baselines one after another", r.row.apps), r, inOrder, r.row.inOrder)
		}
	}
	return text.String()
}

func compareWith(text *strings.Builder, work string, r *result, side string, g goals) {
	for _, m := range []measure{wall, cpu, memory, own, resident} {
		var reach, beyond float64
		switch m.name {
		case wall.name:
			reach, beyond = g.wallReach, g.wallBeyond
		case memory.name:
			reach = g.memoryReach
		}
		theirs, ours := values(r.usage[side], m), values(r.usage[product], m)
		ratio := median(ours) / median(theirs)
		var pairs []float64
		for i := range theirs {
			pairs = append(pairs, ours[i]/theirs[i])
		}
		fmt.Fprintf(text, "| %s | %s | %s | %s | **%.2f** (%.2f–%.2f) | %d | %s | %s |\n", work, m.name,
			m.text(median(theirs)), m.text(median(ours)), ratio, slices.Min(pairs), slices.Max(pairs), len(ours),
			verdict(ratio, reach), verdict(ratio, beyond))
		work = ""
	}
}

// verdict reports whether a ratio is what it is to be.
func verdict(ratio, goal float64) string {
	switch {
	case goal == 0:
		return "–"
	case ratio <= goal:
		return fmt.Sprintf("≤ %v: yes", goal)
	}
	return fmt.Sprintf("≤ %v: **no**", goal)
}

// growth is the table of one app with ever more accounts.
func growth(results []*result) string {
	var one []*result
	for _, r := range results {
		if r.row.apps == 1 && r.row.latency == 0 && r.row.access == nil {
			one = append(one, r)
		}
	}
	if len(one) < 2 {
		return ""
	}
	slices.SortFunc(one, func(a, b *result) int { return a.row.users - b.row.users })
	var text strings.Builder
	text.WriteString("| accounts of one app, no latency | wall | CPU | memory | sync file | baseline: wall | CPU | memory |\n")
	text.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range one {
		fmt.Fprintf(&text, "| %s ", grouped(r.row.users))
		for _, m := range []measure{wall, cpu, memory} {
			fmt.Fprintf(&text, "| %s ", m.text(median(values(r.usage[product], m))))
		}
		fmt.Fprintf(&text, "| %.1f MiB ", float64(r.fileBytes)/(1<<20))
		for _, m := range []measure{wall, cpu, memory} {
			cell := "–"
			if !r.row.alone {
				cell = m.text(median(values(r.usage[atOnce], m)))
			}
			fmt.Fprintf(&text, "| %s ", cell)
		}
		text.WriteString("|\n")
	}
	return text.String()
}

func describeRow(r row) string {
	if r.access != nil {
		return describeAccess(r)
	}
	text := fmt.Sprintf("%d apps × %s", r.apps, grouped(r.users))
	if r.apps == 1 {
		text = "1 app × " + grouped(r.users)
	}
	switch {
	case r.users == 0:
		return text + " (start-up)"
	case r.latency > 0:
		return fmt.Sprintf("%s, %v a page", text, r.latency.Round(time.Millisecond))
	}
	return text + ", no latency"
}

func describeAccess(r row) string {
	a := r.access
	var text string
	switch {
	case a.roles > 0:
		text = fmt.Sprintf("%s users, %s roles × %s grants", grouped(r.users), grouped(a.roles), grouped(a.holders))
	case a.tower > 1:
		text = fmt.Sprintf("nested groups, %s expanded rows", grouped(a.expanded))
	default:
		text = fmt.Sprintf("%s groups × %s members", grouped(a.groups), grouped(a.members))
	}
	if a.scim {
		text = "SCIM: " + text
	}
	if r.apps > 1 {
		text = fmt.Sprintf("%d apps × %s", r.apps, text)
	}
	return text
}

// grouped is a number with commas.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

func values(usage []meter.Usage, m measure) []float64 {
	var values []float64
	for _, t := range usage {
		values = append(values, m.of(t))
	}
	return values
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
