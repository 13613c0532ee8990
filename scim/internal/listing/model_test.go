package listing

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The model test explores a small world: every server that is put together from the
// habits below, with up to modelUsers users, and one change while it is read.

const modelUsers = 6

// modelSizes are the sizes at which a server of the model may cut its list, besides the
// count that is asked for.
var modelSizes = map[int][]int{3: {2, 4}, 4: {2, 5}}

// habit is how a server reads a request, or what it sends.
type habit int

const (
	exact habit = iota
	// startIndex
	ignored   // the first page, whatever is asked
	fromZero  // the first user has the index 0
	roundDown // to where one of its pages begins
	roundUp
	// count
	ownPages   // the server's own size, whatever is asked
	everything // all that follow
	erratic    // pages of one user up to its size
	// totalResults
	missing
	ofPage  // counts the page
	soFar   // counts what was sent so far
	tooLow  // one less than there are
	tooHigh // one more
	fixed   // always 3
	always0
	// startIndex of the answer
	alwaysOne
	oneLess
	oneMore
	// past the end
	refuses
	wraps // the first page again
	// sort
	ignoresSort
	refusesSort
	// cursor
	offsetCursor
	keyCursor
)

// change is what happens to the list before a request.
type change struct {
	before int // the number of the request, from 1; 0 for no change
	kind   string
	i, j   int
}

// world is a server and what happens to it.
type world struct {
	asked              int // the count
	users              int
	pageCap            int
	descending         bool // its own order
	start, count       habit
	total, echo        habit
	past, sort, cursor habit
	cut                int // it never sends more than so many users, in its own order; 0 for all
	change             change
	resume             int // before this request another process goes on, which has not seen the users
}

// server is the state of a world.
type server struct {
	world
	ids      []int
	stayed   map[int]bool
	requests int
}

func newServer(w world) *server {
	s := &server{world: w, stayed: map[int]bool{}}
	for i := range w.users {
		id := 10 * (i + 1)
		if w.descending {
			id = 10 * (w.users - i)
		}
		s.ids = append(s.ids, id)
		s.stayed[id] = true
	}
	return s
}

func (s *server) happen() {
	switch c := s.change; c.kind {
	case "delete":
		delete(s.stayed, s.ids[c.i])
		s.ids = slices.Delete(s.ids, c.i, c.i+1)
	case "insert":
		s.ids = slices.Insert(s.ids, c.i, 5+10*c.i)
	case "replace": // One goes and one comes, so the total stays.
		delete(s.stayed, s.ids[c.i])
		s.ids = append(slices.Delete(s.ids, c.i, c.i+1), 5+10*modelUsers+10)
	case "swap":
		s.ids[c.i], s.ids[c.j] = s.ids[c.j], s.ids[c.i]
	case "move":
		id := s.ids[c.i]
		s.ids = slices.Insert(slices.Delete(s.ids, c.i, c.i+1), c.j, id)
	}
}

// answer is what a server sends.
type answer struct {
	refused      Refusal
	ids          []int
	total, start Number
	cursor       string
}

func (s *server) answer(q Request) answer {
	s.requests++
	if s.requests == s.change.before {
		s.happen()
	}
	if q.SortBy != "" && s.sort == refusesSort {
		return answer{refused: RefusedRequest}
	}
	ids := slices.Clone(s.ids)
	if sorted := q.SortBy != "" && s.sort == exact; sorted {
		slices.Sort(ids)
		if q.Descending {
			slices.Reverse(ids)
		}
	}
	if s.cut > 0 {
		ids = ids[:min(len(ids), s.cut)]
	}
	size := min(q.Count, s.pageCap)
	switch s.count {
	case ownPages:
		size = s.pageCap
	case everything:
		size = len(ids)
	case erratic:
		size = 1 + s.requests%size
	}
	from := q.Start - 1
	switch s.start {
	case ignored:
		from = 0
	case fromZero:
		from = q.Start
	case roundDown:
		from = (q.Start - 1) / max(1, size) * max(1, size)
	case roundUp:
		from = (q.Start - 2 + max(1, size)) / max(1, size) * max(1, size)
	}
	if q.FromTop {
		from = 0
	}
	if s.cursor != exact {
		from = 0
		if q.Cursor != "" {
			_, _ = fmt.Sscan(q.Cursor, &from)
			if s.cursor == keyCursor {
				// The cursor is the id of the last user that was sent.
				last := from
				from = slices.IndexFunc(ids, func(id int) bool { return id > last })
				if from < 0 {
					from = len(ids)
				}
			}
		}
	}
	from = max(0, from)
	if from >= len(ids) && q.Start > 1 {
		switch s.past {
		case refuses:
			return answer{refused: RefusedRange}
		case wraps:
			from = 0
		}
	}
	from = min(from, len(ids))
	to := min(len(ids), from+size)
	a := answer{ids: ids[from:to], total: Number{len(ids), true}, start: Number{q.Start, true}}
	if s.cursor != exact && to < len(ids) && to > from {
		a.cursor = fmt.Sprint(to)
		if s.cursor == keyCursor {
			a.cursor = fmt.Sprint(ids[to-1])
		}
	}
	switch s.total {
	case missing:
		a.total = Number{}
	case ofPage:
		a.total.Value = len(a.ids)
	case soFar:
		a.total.Value = to
	case tooLow:
		a.total.Value = max(0, len(ids)-1)
	case tooHigh:
		a.total.Value = len(ids) + 1
	case fixed:
		a.total.Value = 3
	case always0:
		a.total.Value = 0
	}
	switch s.echo {
	case missing:
		a.start = Number{}
	case alwaysOne:
		a.start.Value = 1
	case oneLess:
		a.start.Value--
	case oneMore:
		a.start.Value++
	}
	return a
}

// outcome is how reading a world ended.
type outcome struct {
	end      *End
	problem  *Problem
	requests int
	missing  []int
}

func digest(id int) uint64 {
	x := uint64(id) * 0x9e3779b97f4a7c15 //nolint:gosec // a small number
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	return x ^ x>>32
}

// seenIn says in which pass an id was read last.
func pageOf(s State, a answer, seenIn map[int]int) Page {
	p := Page{Refused: a.refused, Len: len(a.ids), Holds: -1, Total: a.total, Start: a.start, Cursor: a.cursor}
	for i, id := range a.ids {
		d := digest(id)
		if i == 0 {
			p.First = d
		}
		p.Last = d
		p.Sequence = p.Sequence*1099511628211 + d
		if d == s.Last && s.At > 0 {
			p.Holds = i
			continue
		}
		if s.Ask.IsProbe() && seenIn[id] == 0 || !s.Ask.IsProbe() && seenIn[id] != s.Pass {
			p.New++
			p.Sum += d
		}
	}
	return p
}

// read reads a world; trace logs every step.
func read(t *testing.T, w world, trace bool) outcome {
	t.Helper()
	server := newServer(w)
	r := Rules{Count: w.asked, Sizes: modelSizes[w.asked], SortBy: []string{"id", "userName"}, Probes: 3}
	seenIn, delivered := map[int]int{}, map[int]bool{}
	s := Beginning()
	for {
		if server.requests > 100 {
			require.Fail(t, "the listing does not end", "%+v", w)
		}
		if server.requests+1 == w.resume && !s.AtStart() {
			s = r.Resumed(s)
			seenIn = map[int]int{}
		}
		a := server.answer(r.Request(s))
		p := pageOf(s, a, seenIn)
		step, err := r.Next(s, p)
		if trace {
			q := r.Request(s)
			t.Logf("ask %d start %d count %d cursor %q sort %q -> %v total %v start %v cursor %q refused %d: new %d holds %d; %v", s.Ask, q.Start, q.Count, q.Cursor, q.SortBy, a.ids, a.total, a.start, a.cursor, a.refused, p.New, p.Holds, err)
		}
		if err != nil {
			var problem *Problem
			require.ErrorAs(t, err, &problem)
			return outcome{problem: problem, requests: server.requests}
		}
		for _, id := range a.ids[min(step.From, len(a.ids)):] {
			seenIn[id] = s.Pass
			delivered[id] = true
		}
		if step.End != nil {
			o := outcome{end: step.End, requests: server.requests}
			for id := range server.stayed {
				if !delivered[id] {
					o.missing = append(o.missing, id)
				}
			}
			return o
		}
		if step.Next == s {
			require.Fail(t, "the listing stands still", "%+v %+v", w, s)
		}
		s = step.Next
	}
}

// changes are all that can happen to a list once, and that nothing does.
func changes(users, requests int) []change {
	all := []change{{}}
	for before := 1; before <= requests; before++ {
		for i := range users + 1 {
			all = append(all, change{before, "insert", i, 0})
		}
		for i := range users {
			all = append(all, change{before, "delete", i, 0}, change{before, "replace", i, 0})
			for j := range users {
				if i < j {
					all = append(all, change{before, "swap", i, j})
				}
				if i != j && i != j+1 {
					all = append(all, change{before, "move", i, j})
				}
			}
		}
	}
	return all
}

// check returns what must not be true of an outcome, "" if all is well.
func check(w world, o outcome) string {
	if o.end != nil && o.end.Grade() == Proven && len(o.missing) > 0 && w.excluded() == "" {
		return fmt.Sprintf("proven, and %v are missing", o.missing)
	}
	honest := w.start == exact && w.count == exact && w.total == exact && w.cut == 0 &&
		slices.Contains([]habit{exact, missing, alwaysOne, oneLess}, w.echo) && w.past != wraps
	size, still := min(w.pageCap, w.asked), w.change.before == 0 && w.resume == 0
	switch {
	case !honest:
	case o.problem != nil:
		return fmt.Sprintf("honest and refused (%v)", o.problem)
	case len(o.missing) > 0:
		return fmt.Sprintf("honest and %v are missing", o.missing)
	case still && size > 1 && w.past == exact && w.cursor == exact && o.requests > max(3, 2+max(0, w.users-2)/(size-1))+o.end.State.Probes:
		return fmt.Sprintf("%d requests", o.requests)
	case still && w.sort == exact && (w.pageCap > 1 && w.users > 1 || w.cursor == exact) && o.end.Grade() != Proven:
		return fmt.Sprintf("honest and not proven (%s)", o.end.Reason())
	}
	return ""
}

// excluded returns which assumption of PROOF.md a world does not keep, "" for none. Each is
// named there.
func (w world) excluded() string {
	listed := w.users
	if w.cut > 0 {
		listed = min(listed, w.cut)
	}
	isRound := func(size int) bool { return size == w.asked || slices.Contains(modelSizes[w.asked], size) }
	switch {
	case listed < w.users && !isRound(listed), w.start == ignored && w.pageCap < listed && !isRound(w.pageCap):
		return "3: cut at a size that is not round"
	case w.start == fromZero && (w.total == tooLow || w.total == fixed && listed == 4):
		// Who counts one user less and begins with the second one hides the first from all but
		// the request for index 0, and gives no reason for that one.
		return "1: the index and the total hide the first user"
	case w.start == fromZero && w.past == wraps && w.cut > 0:
		// Past the end it shows whom it hides, and so has another order from the top.
		return "1: the index hides the first user, and the cut those behind it"
	case w.start == fromZero && w.total != exact && w.change.before > 0:
		// Who was hidden at index 0 is elsewhere, or gone, when it is asked for.
		return "4: the index hides the first user, and the list changes"
	case w.count == erratic && (w.start == roundDown || w.start == roundUp) && slices.Contains([]habit{soFar, tooLow, fixed}, w.total):
		// Where its pages begin changes with their size, from request to request, and the
		// total is what was received, by chance.
		return "4: the index is rounded to pages of any size, and the total lies"
	}
	return ""
}

// dimension is a habit in which servers differ: each value is set in a copy of a world.
type dimension []func(w *world)

func each[T any](set func(w *world, value T), values ...T) dimension {
	var d dimension
	for _, value := range values {
		d = append(d, func(w *world) { set(w, value) })
	}
	return d
}

// product visits every combination, until visit returns false.
func product(w world, dimensions []dimension, visit func(w world) bool) bool {
	if len(dimensions) == 0 {
		return visit(w)
	}
	for _, set := range dimensions[0] {
		next := w
		set(&next)
		if !product(next, dimensions[1:], visit) {
			return false
		}
	}
	return true
}

// modelSample is which share of the worlds make test reads: one of so many. It has no factor
// in common with the number of values of a dimension. All are read by TestLongModel, as the
// race detector makes a minute of seconds.
const modelSample = 37

// model is a part of the small world.
type model struct {
	dimensions []dimension
	changes    func(w world) []change
}

// explore reads one of so many worlds and reports how they ended.
func (m model) explore(t *testing.T, sample int) {
	t.Helper()
	seen, worlds, faults, proven, unproven, lacking, contradicted := 0, 0, 0, 0, 0, 0, 0
	product(world{}, m.dimensions, func(w world) bool {
		for _, c := range m.changes(w) {
			if seen++; seen%sample != 0 {
				continue
			}
			w.change = c
			o := read(t, w, false)
			if fault := check(w, o); fault != "" {
				if faults++; faults <= 3 {
					t.Errorf("%s: %+v", fault, w)
					read(t, w, true)
				}
			}
			switch worlds++; {
			case o.problem != nil:
				contradicted++
			case o.end.Grade() == Proven:
				proven++
			default:
				unproven++
				if len(o.missing) > 0 {
					lacking++
				}
			}
		}
		return true
	})
	t.Logf("%d worlds: %d proven, %d unproven (%d of them with a user missing), %d contradicted; %d faults", worlds, proven, unproven, lacking, contradicted, faults)
	require.Positive(t, proven)
	require.Positive(t, unproven)
	require.Positive(t, contradicted)
}

var (
	users = each(func(w *world, n int) { w.users = n }, 0, 1, 2, 3, 4, 5, modelUsers)
	order = each(func(w *world, down bool) { w.descending = down }, false, true)
	// Pages of 1 to 3, and of 4 where as many are asked for: then those of 3 are of no size at
	// which a list is cut.
	caps = each(func(w *world, c [2]int) { w.asked, w.pageCap = c[0], c[1] },
		[2]int{3, 1}, [2]int{3, 2}, [2]int{3, 3}, [2]int{4, 1}, [2]int{4, 2}, [2]int{4, 3}, [2]int{4, 4})
	cuts = each(func(w *world, n int) { w.cut = n }, 0, 2, 4, 5)
)

func starts(h ...habit) dimension  { return each(func(w *world, h habit) { w.start = h }, h...) }
func counts(h ...habit) dimension  { return each(func(w *world, h habit) { w.count = h }, h...) }
func totals(h ...habit) dimension  { return each(func(w *world, h habit) { w.total = h }, h...) }
func echoes(h ...habit) dimension  { return each(func(w *world, h habit) { w.echo = h }, h...) }
func pasts(h ...habit) dimension   { return each(func(w *world, h habit) { w.past = h }, h...) }
func sorts(h ...habit) dimension   { return each(func(w *world, h habit) { w.sort = h }, h...) }
func cursors(h ...habit) dimension { return each(func(w *world, h habit) { w.cursor = h }, h...) }

func one(w world) []change { return []change{{}} }

// models are the parts of the small world. In none is a list proven with a user missing,
// and in none is an honest server refused that can be read.
var models = map[string]model{
	// Servers that do not change.
	"habits": {dimensions: []dimension{
		users, caps, order, cuts,
		starts(exact, ignored, fromZero, roundDown, roundUp), counts(exact, ownPages, everything, erratic),
		totals(exact, missing, ofPage, soFar, tooLow, tooHigh, fixed, always0),
		echoes(exact, oneLess, oneMore), pasts(exact, refuses, wraps), sorts(exact, ignoresSort, refusesSort),
	}, changes: one},
	// The index that a server declares.
	"echoes": {dimensions: []dimension{
		users, caps, starts(exact, fromZero, roundDown, roundUp), counts(exact, ownPages), totals(exact, missing, ofPage),
		echoes(exact, missing, alwaysOne, oneLess, oneMore),
	}, changes: one},
	// Servers that page by cursor.
	"cursors": {dimensions: []dimension{
		users, caps, order, cuts, starts(exact, ignored), counts(exact, ownPages, everything, erratic),
		totals(exact, missing, ofPage, soFar, tooLow, tooHigh, fixed, always0), sorts(exact, ignoresSort), cursors(offsetCursor, keyCursor),
	}, changes: func(w world) []change {
		if w.cursor == keyCursor && w.descending {
			return nil // It is no order of ids.
		}
		return one(w)
	}},
	// Lists that change once while they are read.
	"changes": {dimensions: []dimension{
		users, caps,
		starts(exact, fromZero, roundDown, roundUp), totals(exact, missing, ofPage, soFar, tooLow, tooHigh, fixed),
		pasts(exact, refuses), sorts(exact, ignoresSort), cursors(exact, offsetCursor, keyCursor),
	}, changes: func(w world) []change {
		if w.cursor != exact && w.start != exact {
			return nil
		}
		return slices.DeleteFunc(changes(w.users, 2*w.users+3), func(c change) bool {
			return w.cursor == keyCursor && (c.kind == "swap" || c.kind == "move") // It has an order.
		})
	}},
	// Another process goes on in the middle, at any request.
	"resumed": {dimensions: []dimension{
		each(func(w *world, n int) { w.resume = n }, 1, 2, 3, 4, 5, 6, 7, 8, 9),
		users, caps, totals(exact, missing, ofPage, tooHigh), sorts(exact, ignoresSort), cursors(exact, offsetCursor),
	}, changes: func(w world) []change {
		return changes(w.users, w.users+2)
	}},
}

func TestModel(t *testing.T) {
	t.Parallel()
	for name, m := range models {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m.explore(t, modelSample)
		})
	}
}
