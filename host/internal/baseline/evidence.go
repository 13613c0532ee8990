package baseline

import (
	"cmp"
	"fmt"
	"slices"
)

// Grade is what is known of whether a listing, or all of a plugin's, is complete.
type Grade string

// The grades, as logs, records, metrics and outputs have them.
const (
	Proven      Grade = "proven"
	Unproven    Grade = "unproven"
	NotReported Grade = "not reported"
)

// Grades are all of them.
var Grades = []Grade{Proven, Unproven, NotReported}

// Evidence is what a plugin has reported on the listings of one resource type.
type Evidence struct {
	// ResourceType is the type, by its id in the sync file. It is empty in the evidence of
	// all listings of a plugin.
	ResourceType string `json:"resource_type,omitempty"`
	// Kind is what was listed under resources of the type; empty: the resources themselves.
	Kind RowKind `json:"listing,omitempty"`
	// Grade is the worst of these listings: a type may have one for each parent.
	Grade Grade `json:"grade"`
	// Reason is why it is no more than that, in one sentence, as the plugin has it; only
	// where the grade is unproven.
	Reason string `json:"reason,omitempty"`
}

// mostEvidence is on how many resource types and kinds evidence is kept of one plugin. A
// record, a log and a summary have all of it.
const mostEvidence = 50

func (e Evidence) compare(with Evidence) int {
	return cmp.Or(cmp.Compare(e.ResourceType, with.ResourceType), cmp.Compare(e.Kind, with.Kind))
}

// MergeEvidence returns the evidence of all these listings, in the order of their resource
// types, with the worst grade where there are several of one kind. Where there are too many
// kinds, unproven ones are kept before others.
func MergeEvidence(evidence ...[]Evidence) []Evidence {
	all := slices.DeleteFunc(slices.Concat(evidence...), func(one Evidence) bool { return one.Grade != Proven && one.Grade != Unproven })
	slices.SortStableFunc(all, func(x, y Evidence) int {
		return cmp.Or(x.compare(y), cmp.Compare(y.Grade, x.Grade)) // The worst, which is kept, is first.
	})
	all = slices.CompactFunc(all, func(x, y Evidence) bool { return x.compare(y) == 0 })
	for excess := len(all) - mostEvidence; excess > 0; excess-- {
		i := max(0, slices.IndexFunc(all, func(one Evidence) bool { return one.Grade == Proven }))
		all = slices.Delete(all, i, i+1)
	}
	return slices.Clip(all)
}

// EvidenceOfAll returns the worst evidence of the listings of a plugin. On a plugin without
// any is not reported.
func EvidenceOfAll(evidence []Evidence) Evidence {
	worst, others := Evidence{Grade: NotReported}, 0
	for _, one := range evidence {
		switch {
		case one.Grade == Unproven && worst.Grade == Unproven:
			others++
		case one.Grade == Unproven, one.Grade == Proven && worst.Grade == NotReported:
			worst = Evidence{Grade: one.Grade, Reason: one.Reason}
		}
	}
	if others > 0 {
		worst.Reason = fmt.Sprintf("%s (and lists of other resource types: %d)", worst.Reason, others)
	}
	return worst
}

// WorstGrade returns the worst of the grades of plugins, and nothing for none.
func WorstGrade(grades ...Grade) Grade {
	for _, grade := range []Grade{Unproven, NotReported, Proven} {
		if slices.Contains(grades, grade) {
			return grade
		}
	}
	return ""
}
