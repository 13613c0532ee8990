package page

import (
	"fmt"
	"strconv"

	"github.com/batonhost/baton-host/host/internal/status"
)

// The chart's own units. Bars stand on the baseline.
const (
	chartSlots  = 30 // as many syncs as a board remembers
	slot        = 12 // the width of a bar with the gap before the next
	gap         = 3
	scale       = 52 // the width of the scale, left of the bars
	chartWidth  = scale + chartSlots*slot
	chartHeight = 66
	baseline    = 64
	topmost     = 2 // of the highest bar
)

// chart is how many accounts the last syncs had, as bars from left to right.
type chart struct {
	Width, Height, Baseline, Scale int
	Most                           string // the number at the top of the scale; "" if no bar has a height
	Bars                           []bar
	Label                          string // the whole, in words
	Caption                        string // what the bars are, without their numbers
}

type bar struct {
	State         status.State
	X, Y          string // of its upper left corner
	Width, Height string
	MiddleX       string
	Title         string
	Newest        bool
}

// chartOf draws the last syncs, the newest at the right.
func chartOf(syncs []status.Sync) *chart {
	if len(syncs) == 0 {
		return nil
	}
	c := &chart{Width: chartWidth, Height: chartHeight, Baseline: baseline, Scale: scale}
	syncs = syncs[max(0, len(syncs)-chartSlots):]
	most, count := 0, map[status.State]int{}
	for _, made := range syncs {
		most = max(most, made.Accounts)
	}
	if most > 0 {
		most = roundedUp(most)
		c.Most = short(most)
	}
	most = max(most, 1)
	first := chartWidth - slot*len(syncs)
	for i, made := range syncs {
		height := float64(made.Accounts) / float64(most) * (baseline - topmost)
		if made.Accounts > 0 {
			height = max(height, 2) // It is there.
		}
		x, width := float64(first+i*slot)+gap, float64(slot-gap)
		one := bar{
			State: made.State, Newest: i == len(syncs)-1,
			X: decimal(x), Y: decimal(baseline - height), Width: decimal(width), Height: decimal(height), MiddleX: decimal(x + width/2),
			Title: absolute(made.At) + ": " + accounts(made.Accounts),
		}
		count[made.State]++
		switch made.State {
		case status.Failed:
			one.Title = absolute(made.At) + ": failed"
		case status.Stale:
			one.Title += ", in part from the baseline"
		case status.Incomplete:
			one.Title += ", incomplete"
		case status.Fresh, status.Waiting, status.Stopped:
		}
		c.Bars = append(c.Bars, one)
	}
	c.Label, c.Caption = labelOf(syncs, count[status.Failed]), captionOf(syncs, count)
	return c
}

// captionOf says which syncs the bars are.
func captionOf(syncs []status.Sync, count map[status.State]int) string {
	caption := "Accounts of the last " + plural(len(syncs), "sync") + ", since " + absolute(syncs[0].At)
	if len(syncs) == 1 {
		caption = "Accounts of the last sync"
	}
	if failed := count[status.Failed]; failed > 0 {
		caption += fmt.Sprintf("; %d failed", failed)
	}
	if count[status.Stale] > 0 {
		caption += "; dashed: in part from the baseline"
	}
	if count[status.Incomplete] > 0 {
		caption += "; outlined: incomplete"
	}
	return caption
}

// roundedUp returns a round number that is not less, for the top of the scale.
func roundedUp(n int) int {
	power := 1
	for power*10 <= n {
		power *= 10
	}
	for _, tenths := range []int{10, 12, 15, 20, 25, 30, 40, 50, 60, 80} {
		if top := power * tenths / 10; top >= n {
			return top
		}
	}
	return power * 10
}

// short is a round number in few characters.
func short(n int) string {
	switch {
	case n >= 1_000_000:
		return strconv.FormatFloat(float64(n)/1_000_000, 'f', -1, 64) + "M"
	case n >= 10_000:
		return strconv.Itoa(n/1000) + "k"
	}
	return number(n)
}

// labelOf says what the chart shows, to those who cannot see it.
func labelOf(syncs []status.Sync, failed int) string {
	var good []status.Sync
	for _, made := range syncs {
		if made.State != status.Failed {
			good = append(good, made)
		}
	}
	label := "The last " + plural(len(syncs), "sync")
	if len(syncs) == 1 {
		label = "The last sync"
	}
	switch len(good) {
	case 0:
		return label + " failed"
	case 1:
		label += ": " + accounts(good[0].Accounts)
	default:
		label += fmt.Sprintf(": from %s to %s", number(good[0].Accounts), accounts(good[len(good)-1].Accounts))
	}
	if failed > 0 {
		label += fmt.Sprintf("; %d failed", failed)
	}
	return label
}

func decimal(value float64) string { return strconv.FormatFloat(value, 'f', 1, 64) }
