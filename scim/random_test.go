package scim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
)

// randomApp is a SCIM service put together from what real ones do, by a seed: how it reads
// startIndex and count, what its totals and cursors are, what it sends past the end, how
// its users look, and what happens to its list while it is read.
type randomApp struct {
	rng *rand.Rand
	// traits name all in which it is not the service of RFC 7644 that sorts.
	traits map[string]string

	mu       sync.Mutex
	people   []*person // in the order of its list
	hidden   *person   // counted, and never listed
	requests int
	changes  map[int]string // before which request
	changed  bool
	coming   int
	pageCap  int
	cut      int
}

// person is a user as the app has it and as it has to be listed.
type person struct {
	id, userName string
	active       any // what is sent; nil for nothing
	status       v2.Status_ResourceStatus
	gone         bool // was not there all the time
}

// The sizes at which lists are cut, see PROOF.md.
var roundSizes = []int{10, 20, 25, 50, 100, 200, 250}

func newRandomApp(seed uint64) *randomApp {
	a := &randomApp{rng: rand.New(rand.NewPCG(seed, 20)), traits: map[string]string{}, changes: map[int]string{}} //nolint:gosec // a test is repeatable
	users := a.rng.IntN(270)
	if a.rng.IntN(3) == 0 {
		users = max(0, roundSizes[a.rng.IntN(len(roundSizes))]+a.rng.IntN(3)-1)
	} else if a.rng.IntN(8) == 0 {
		users = a.rng.IntN(4)
	}
	a.pageCap = 100
	if a.rng.IntN(2) == 0 {
		a.pageCap = 1 + users/20 + a.rng.IntN(60)
	}
	// What the users look like keeps no list from being proven.
	a.some("shape", 3, "nested", "no e-mail", "bare", "sparse")
	a.some("active", 3, "only true", "text", "never", "of some")
	a.some("sort", 3, "ignored", "refused", "not there")
	if a.rng.IntN(4) > 0 {
		a.some("startIndex", 5, "ignored", "from 0", "rounded down", "rounded up")
		a.some("count", 5, "own pages", "everything", "halved", "refused above 50", "short pages", "too long", "too long, then nothing")
		a.some("total", 4, "missing", "of the page", "so far", "one less", "one more", "text")
		a.some("echo", 6, "missing", "one less", "always 1", "one more")
		a.some("past", 4, "400", "404", "416", "204", "wraps", "last page")
		a.some("cursor", 6, "offset", "offset, no total", "key", "key, must begin empty")
		a.some("order", 6, "descending", "mixed", "another each time")
		a.some("list", 6, "cut", "hides one")
	}
	if a.rng.IntN(4) == 0 {
		for range 1 + a.rng.IntN(3) {
			kind := []string{"insert", "delete", "replace", "move", "swap"}[a.rng.IntN(5)]
			a.changes[1+a.rng.IntN(8)] = kind
		}
		a.traits["changes"] = fmt.Sprint(a.changes)
	}
	a.reconcile(users)
	a.populate(users)
	return a
}

// some gives one of so many apps a trait.
func (a *randomApp) some(of string, oneOf int, values ...string) {
	if a.rng.IntN(oneOf) == 0 {
		a.traits[of] = values[a.rng.IntN(len(values))]
	}
}

func (a *randomApp) is(of string, values ...string) bool {
	return slices.Contains(values, a.traits[of])
}

// reconcile removes traits which together break an assumption of PROOF.md, or that cannot
// both be.
func (a *randomApp) reconcile(users int) {
	if a.traits["cursor"] != "" {
		for _, of := range []string{"startIndex", "past", "echo"} {
			delete(a.traits, of)
		}
		if a.is("count", "too long, then nothing") {
			delete(a.traits, "count")
		}
	}
	if a.is("cursor", "key", "key, must begin empty") {
		delete(a.traits, "order") // It is that of the keys.
	}
	if a.is("count", "too long, then nothing") {
		for _, of := range []string{"startIndex", "past", "total", "list"} {
			delete(a.traits, of)
		}
	}
	// Assumption 3: lists are cut at round sizes. Who ignores startIndex cuts the list to
	// the page, unless that is everyone.
	if a.is("startIndex", "ignored") && users > 0 && !a.is("count", "everything") {
		a.traits["count"] = "own pages"
		a.pageCap = roundSizes[a.rng.IntN(5)]
	}
	if a.is("list", "cut") {
		fit := slices.DeleteFunc(slices.Clone(roundSizes), func(n int) bool { return n >= users })
		if len(fit) == 0 {
			delete(a.traits, "list")
		} else {
			a.cut = fit[a.rng.IntN(len(fit))]
		}
		if a.is("order", "mixed", "another each time") {
			delete(a.traits, "order") // The hundred with the highest ids may be others than those cut off.
		}
	}
	// Assumption 1: no user is hidden consistently.
	if a.is("list", "hides one") && (users == 0 || a.traits["total"] != "" || a.is("cursor", "offset, no total", "key", "key, must begin empty")) {
		delete(a.traits, "list")
	}
	if a.is("startIndex", "from 0") && a.is("total", "one less") || a.is("startIndex", "from 0") && a.cut > 0 && a.is("past", "wraps") {
		delete(a.traits, "startIndex")
	}
	// Assumption 4: lies do not come true in the same moment.
	if a.is("startIndex", "from 0") && a.traits["total"] != "" || a.is("list", "hides one") {
		clear(a.changes)
		delete(a.traits, "changes")
	}
	if a.is("startIndex", "rounded down", "rounded up") && a.is("count", "short pages") {
		delete(a.traits, "count")
	}
}

func (a *randomApp) populate(users int) {
	for i := range users {
		a.people = append(a.people, a.person(fmt.Sprintf("id-%04d", 10*(i+1))))
	}
	switch a.traits["order"] {
	case "descending":
		slices.Reverse(a.people)
	case "mixed":
		a.rng.Shuffle(users, func(i, j int) { a.people[i], a.people[j] = a.people[j], a.people[i] })
	}
	if a.is("list", "hides one") {
		at := a.rng.IntN(users)
		a.hidden = a.people[at]
	}
	some := slices.ContainsFunc(a.people, func(p *person) bool { return p.active != nil })
	for _, p := range a.people {
		if p.active == nil && !some {
			p.status = v2.Status_RESOURCE_STATUS_ENABLED
		}
	}
}

// person returns a new user.
func (a *randomApp) person(id string) *person {
	isActive := a.rng.IntN(4) > 0
	p := &person{id: id, userName: "User-" + id + "@example.com", active: isActive, status: v2.Status_RESOURCE_STATUS_DISABLED}
	if isActive {
		p.status = v2.Status_RESOURCE_STATUS_ENABLED
	}
	switch a.traits["active"] {
	case "text":
		p.active = map[bool]string{true: "True", false: "false"}[isActive]
	case "only true":
		if !isActive {
			p.active = nil
		}
	case "of some":
		if a.rng.IntN(3) == 0 {
			p.active = nil
		}
	case "never":
		p.active = nil
	}
	if p.active == nil {
		p.status = v2.Status_RESOURCE_STATUS_UNSPECIFIED
	}
	return p
}

// resource is a user as the app sends it.
func (a *randomApp) resource(p *person) map[string]any {
	core := map[string]any{"userName": p.userName}
	if p.active != nil {
		core["active"] = p.active
	}
	if !a.is("shape", "no e-mail", "bare") {
		core["emails"] = []any{map[string]any{"value": p.userName, "primary": true}}
	}
	if !a.is("shape", "bare", "sparse") {
		core["displayName"] = "User " + p.id
	}
	if a.is("shape", "nested") {
		const urn = "urn:ietf:params:scim:schemas:core:2.0:User"
		return map[string]any{"schemas": []string{urn}, "id": p.id, urn: core}
	}
	core["id"] = p.id
	return core
}

// change is what happens to the list before a request.
func (a *randomApp) change(kind string) {
	a.changed = true
	n := len(a.people)
	if kind != "insert" && n < 2 {
		return
	}
	switch kind {
	case "insert", "replace":
		at := a.rng.IntN(n + 1)
		a.coming++
		// Its id is at its place in the order, as far as there is one.
		added := a.person(fmt.Sprintf("id-%04d-%d", 10*at+5, a.coming))
		added.gone = true
		a.people = slices.Insert(a.people, at, added)
		if kind == "replace" {
			a.change("delete")
		}
	case "delete":
		at := a.rng.IntN(n)
		a.people[at].gone = true
		a.people = slices.Delete(a.people, at, at+1)
	case "move", "swap":
		i, j := a.rng.IntN(n), a.rng.IntN(n)
		if a.traits["cursor"] == "key" || a.traits["cursor"] == "key, must begin empty" {
			return // It has an order.
		}
		if kind == "swap" {
			a.people[i], a.people[j] = a.people[j], a.people[i]
			return
		}
		moved := a.people[i]
		a.people = slices.Insert(slices.Delete(a.people, i, i+1), min(j, n-1), moved)
	}
}

func (a *randomApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock() // Pages are read ahead.
	defer a.mu.Unlock()
	a.requests++
	if kind, found := a.changes[a.requests]; found {
		a.change(kind)
	}
	query := r.URL.Query()
	start, _ := strconv.Atoi(query.Get("startIndex"))
	count, _ := strconv.Atoi(query.Get("count"))
	refuse := func(status int) {
		w.Header().Set("Content-Type", "application/scim+json")
		w.WriteHeader(status)
		if status != http.StatusNoContent {
			_, _ = fmt.Fprintf(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"%d"}`, status)
		}
	}
	sorts := query.Get("sortBy") != ""
	list, ok := a.listed(query.Get("sortBy"), query.Get("sortOrder") == "descending")
	switch {
	case !ok && a.is("sort", "refused"):
		refuse(http.StatusBadRequest)
		return
	case !ok:
		refuse(http.StatusNotImplemented)
		return
	case a.is("count", "refused above 50") && count > 50:
		refuse(http.StatusBadRequest)
		return
	case a.is("cursor", "key, must begin empty") && !query.Has("cursor") && !sorts:
		refuse(http.StatusBadRequest)
		return
	}
	size, from := a.window(list, start, count, query.Get("cursor"))
	if from >= len(list) && start > 1 && !query.Has("cursor") {
		switch past := a.traits["past"]; past {
		case "400", "404", "416", "204":
			status, _ := strconv.Atoi(past)
			refuse(status)
			return
		case "wraps":
			from = 0
		case "last page":
			from = max(0, len(list)-size)
		}
	}
	from = min(max(0, from), len(list))
	to := min(len(list), from+size)
	a.send(w, list, from, to, start)
}

// listed returns the list in the order that is asked for; false if it cannot.
func (a *randomApp) listed(sortBy string, descending bool) ([]*person, bool) {
	list := slices.Clone(a.people)
	switch {
	case sortBy != "" && a.is("sort", "refused", "not there"):
		return nil, false
	case sortBy != "" && !a.is("sort", "ignored"):
		slices.SortFunc(list, func(one, other *person) int { return strings.Compare(one.id, other.id) })
		if descending {
			slices.Reverse(list)
		}
	case a.is("order", "another each time"):
		a.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	if a.cut > 0 {
		list = list[:min(len(list), a.cut)]
	}
	return list, true
}

// window is where a page begins, and how many users it has.
func (a *randomApp) window(list []*person, start, count int, cursor string) (size, from int) {
	size = min(count, a.pageCap)
	switch a.traits["count"] {
	case "own pages":
		size = a.pageCap
	case "everything":
		size = len(list)
	case "halved":
		size = max(1, min(count/2, a.pageCap))
	case "short pages":
		size = 1 + a.rng.IntN(size)
	case "too long":
		size *= 2
	case "too long, then nothing":
		if size = 2 * count; start > 1 {
			size = 3 * count / 2
		}
		if start > count+1 {
			size = 0
		}
	}
	from = max(0, start-1)
	switch a.traits["startIndex"] {
	case "ignored":
		from = 0
	case "from 0":
		from = start
	case "rounded down":
		from = max(0, start-1) / max(1, size) * max(1, size)
	case "rounded up":
		from = (max(0, start-1) + max(1, size) - 1) / max(1, size) * max(1, size)
	}
	if a.traits["cursor"] == "" {
		return size, from
	}
	from = 0
	if strings.HasPrefix(a.traits["cursor"], "key") && cursor != "" {
		if from = slices.IndexFunc(list, func(p *person) bool { return p.id > cursor }); from < 0 {
			from = len(list)
		}
	} else if cursor != "" {
		from, _ = strconv.Atoi(cursor)
	}
	return size, from
}

func (a *randomApp) send(w http.ResponseWriter, list []*person, from, to, start int) {
	page := slices.DeleteFunc(slices.Clone(list[from:to]), func(p *person) bool { return p == a.hidden })
	users := []any{}
	for _, p := range page {
		users = append(users, a.resource(p))
	}
	answer := listAnswer(users, len(list), start)
	switch a.traits["total"] {
	case "missing":
		delete(answer, "totalResults")
	case "of the page":
		answer["totalResults"] = len(page)
	case "so far":
		answer["totalResults"] = to
	case "one less":
		answer["totalResults"] = max(0, len(list)-1)
	case "one more":
		answer["totalResults"] = len(list) + 1
	case "text":
		answer["totalResults"] = strconv.Itoa(len(list))
	}
	if a.is("count", "too long, then nothing") {
		answer["totalResults"] = min(len(list), 200)
	}
	switch a.traits["echo"] {
	case "missing":
		delete(answer, "startIndex")
	case "one less":
		answer["startIndex"] = start - 1
	case "always 1":
		answer["startIndex"] = 1
	case "one more":
		answer["startIndex"] = start + 1
	}
	if cursor := a.traits["cursor"]; cursor != "" {
		if cursor != "offset" {
			delete(answer, "totalResults")
		}
		if to < len(list) && to > from {
			answer["nextCursor"] = strconv.Itoa(to)
			if strings.HasPrefix(cursor, "key") {
				answer["nextCursor"] = list[to-1].id
			}
		}
	}
	w.Header().Set("Content-Type", "application/scim+json")
	_ = json.NewEncoder(w).Encode(answer)
}

// isHonest reports whether the app does what RFC 7644 requires, in every request. It may be
// unable to sort, and a user may come or go.
func (a *randomApp) isHonest() bool {
	for of, trait := range a.traits {
		switch of {
		case "shape", "active", "sort":
		case "changes":
			if len(a.changes) > 1 {
				return false
			}
		case "order":
			if trait == "another each time" {
				return false
			}
		case "total":
			if trait != "text" {
				return false
			}
		case "echo":
			if trait != "missing" && trait != "one less" {
				return false
			}
		case "past":
			if trait == "wraps" || trait == "last page" {
				return false
			}
		case "count":
			if trait != "halved" && trait != "refused above 50" {
				return false
			}
		case "cursor": // RFC 9865 leaves the total out, if the app likes. Without it, nobody is no list.
			if trait != "offset" && len(a.people) == 0 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// share is how many of so many are unproven.
type share struct{ unproven, of int }

func (s share) String() string {
	return fmt.Sprintf("%d of %d (%.1f %%)", s.unproven, s.of, 100*float64(s.unproven)/float64(max(1, s.of)))
}

// tally counts how the readings ended.
type tally struct {
	mu                        sync.Mutex
	proven, unproven, refused int
	lacking                   int // unproven, and a user is missing
	honest, sorting           share
	reasons                   map[string]int // of honest apps that are unproven
}

var numbers = regexp.MustCompile(`\d+`)

// TestReader_RandomServers reads apps put together by a seed, over HTTP. A reading that
// succeeds has everyone who was there throughout, with the right status and login, or it is
// unproven. No honest app is refused. TestLongRandomServers has more seeds.
func TestReader_RandomServers(t *testing.T) {
	t.Parallel()
	randomServers(t, 60)
}

func randomServers(t *testing.T, seeds int) {
	t.Helper()
	ended := &tally{reasons: map[string]int{}}
	t.Run("seeds", func(t *testing.T) {
		for seed := range uint64(seeds) { //nolint:gosec // There are some.
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				readRandom(t, newRandomApp(seed), ended)
			})
		}
	})
	t.Logf("%d apps: proven %d, unproven %d, refused %d; unproven with a user missing %d", seeds, ended.proven, ended.unproven, ended.refused, ended.lacking)
	t.Logf("honest apps: unproven %s; those that page by index and sort: %s", ended.honest, ended.sorting)
	for _, reason := range slices.Sorted(maps.Keys(ended.reasons)) {
		t.Logf("  unproven %d: %s", ended.reasons[reason], reason)
	}
	require.Positive(t, ended.proven)
	require.Positive(t, ended.unproven)
	require.Positive(t, ended.refused)
}

func readRandom(t *testing.T, a *randomApp, ended *tally) {
	t.Helper()
	before := slices.Clone(a.people)
	accounts, evidence, reason, err := readGraded(t, a)
	ended.mu.Lock()
	defer ended.mu.Unlock()
	honest := a.isHonest()
	sorting := honest && a.traits["sort"] == "" && a.traits["cursor"] == "" && len(a.changes) == 0
	if honest {
		ended.honest.of++
	}
	if sorting {
		ended.sorting.of++
	}
	if err != nil {
		requireFailure(t, err)
		ended.refused++
		if honest {
			t.Errorf("honest, and refused: %v (%d users, %v)", err, len(before), a.traits)
		}
		return
	}
	var missing, wrong []string
	for _, p := range before {
		account, found := accounts[p.id]
		switch {
		case found && !a.isRight(t, p, account):
			wrong = append(wrong, p.id)
		case !found && !p.gone:
			missing = append(missing, p.id)
		}
	}
	switch {
	case evidence == "proven" && len(missing) > 0, len(wrong) > 0:
		t.Errorf("%s with %d missing and %d wrong (%d users, cut %d, pages of %d, %v)", evidence, len(missing), len(wrong), len(before), a.cut, a.pageCap, a.traits)
	case evidence == "proven":
		ended.proven++
	default:
		ended.unproven++
		if len(missing) > 0 {
			ended.lacking++
		}
		if honest {
			ended.honest.unproven++
			ended.reasons[numbers.ReplaceAllString(reason, "N")]++
		}
		if sorting {
			ended.sorting.unproven++
			t.Errorf("honest, sorts, and is unproven: %s (%d users, %v)", reason, len(before), a.traits)
		}
		if honest && len(missing) > 0 && len(a.changes) == 0 {
			t.Errorf("honest, and %d are missing (%d users, %v)", len(missing), len(before), a.traits)
		}
	}
}

// isRight reports whether an account is what the app sent. Where the only users that had the
// attribute active came or went, it may count or not.
func (a *randomApp) isRight(t *testing.T, p *person, account *v2.Resource) bool {
	t.Helper()
	status := account.GetStatus().GetStatus()
	unclear := a.changed && p.active == nil && (status == v2.Status_RESOURCE_STATUS_ENABLED || status == v2.Status_RESOURCE_STATUS_UNSPECIFIED)
	return (status == p.status || unclear) && userTrait(t, account).GetLogin() == p.userName
}
