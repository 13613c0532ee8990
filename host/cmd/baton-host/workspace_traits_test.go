package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/sandbox/workspace"
)

// trait is what a real app or its connector does to those who read it.
type trait struct {
	app      workspace.Options
	settings map[string]string
	ways     []string // of the host
	more     string   // of the plugin's entry
	within   bool     // a sandbox that lets it connect to its app alone
	slow     bool
	removed  map[string]string // before a request is answered, by path and page: the id of a group or a role
	lookups  int               // of users and roles, where none is looked up that was listed in the sync
	check    func(t *testing.T, p place, alone content)
}

// prefixed is an instance whose name no app and no connector writes.
const prefixed = "prefixed"

// rows returns all rows of a file, by kind and id, without what a plugin's name has put
// before its ids and the names of its resource types.
func (c content) rows(t *testing.T) map[string]any {
	t.Helper()
	all := map[string]any{}
	add := func(kind, id string, row proto.Message) {
		text, err := protojson.Marshal(row)
		require.NoError(t, err)
		plain := strings.ReplaceAll(strings.ReplaceAll(string(text), prefixed+".", ""), `"Workspace: `, `"`)
		var decoded any
		require.NoError(t, json.Unmarshal([]byte(plain), &decoded))
		all[kind+" "+strings.ReplaceAll(id, prefixed+".", "")] = decoded
	}
	for id, row := range c.Types {
		add("type", id, row)
	}
	for id, row := range c.Resources {
		add("resource", id, row)
	}
	for id, row := range c.Entitlements {
		add("entitlement", id, row)
	}
	for id, row := range c.Grants {
		add("grant", id, row)
	}
	require.Len(t, all, len(c.Types)+len(c.Resources)+len(c.Entitlements)+len(c.Grants))
	return all
}

// slowApp answers each page of users and members after a while. Two pages it does not
// answer at first: one is refused, and one is held as long as the caller
// waits for it.
type slowApp struct {
	patient bool // the caller waits for ever

	mu    sync.Mutex
	asked map[string]int // by path and page
}

const (
	heldPage    = "/v1/users 28"
	refusedPage = "/v1/groups/everyone/members 30"
)

func (s *slowApp) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/users" && !strings.HasSuffix(r.URL.Path, "/members") {
			next.ServeHTTP(w, r)
			return
		}
		page := r.URL.Path + " " + r.URL.Query().Get("page")
		s.mu.Lock()
		s.asked[page]++
		first := s.asked[page] == 1
		s.mu.Unlock()
		answered := time.After(30 * time.Millisecond)
		if first && page == heldPage && !s.patient {
			answered = nil
		}
		select {
		case <-answered:
		case <-r.Context().Done():
			return
		}
		if first && page == refusedPage {
			http.Error(w, `{"error":"the app is busy"}`, http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// requireAskedTwice checks that a page was asked for again.
func (s *slowApp) requireAskedTwice(t *testing.T, page string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Equal(t, 2, s.asked[page], page)
}

// TestConnector_SyncsTheSameInEveryWay compares the rows of a connector that runs alone
// with those of the same connector under the host, for each trait of real ones.
func TestConnector_SyncsTheSameInEveryWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]trait{
		// Roles are read without a session, so their members are looked up; those of
		// groups are known.
		"session store": {ways: append([]string{older}, hosted...), lookups: 3, check: requireTruth},
		// It reaches its session store too, at a port that no entry can name.
		"sandbox": {within: true, ways: append([]string{older}, hosted...), lookups: 3, check: requireTruth},
		// A second listing that began before the first had ended would fail the sync.
		"H2: server-side cursors": {app: workspace.Options{Cursors: true}, ways: hosted, lookups: 3, check: requireTruth},
		// Each role is looked up once, and then known.
		"roles found through grants": {settings: map[string]string{"roles-by-grants": "true"}, ways: hosted, lookups: 3, check: func(t *testing.T, p place, alone content) {
			t.Helper()
			state := p.State()
			require.Len(t, alone.Resources, 1+len(state.Users)+3+len(state.Roles))
			require.Equal(t, "Owner", alone.Resources["role/owner"].GetDisplayName())
			for id := range state.Roles {
				require.Contains(t, alone.Resources, "role/"+id)
				require.NotContains(t, alone.Entitlements, "role:"+id+":assigned", "roles that are not listed have no entitlements")
			}
			require.Contains(t, alone.Grants, "role:owner:assigned:user:u021")
			require.Contains(t, alone.Grants, "role:viewer:assigned:group:everyone")
		}},
		"404 on details": {app: workspace.Options{Undetailed: []string{"u007", "u008"}}, settings: map[string]string{"details": "true"}, ways: hosted, lookups: 3, check: func(t *testing.T, p place, alone content) {
			t.Helper()
			requireTruth(t, p, alone)
			var without []string
			for _, user := range p.State().Users {
				if resource.GetProfile(alone.Resources["user/"+user.ID]).GetFields()["desk"].GetStringValue() != "Desk of "+user.Name {
					without = append(without, user.ID)
				}
			}
			require.Equal(t, []string{"u007", "u008"}, without)
		}},
		"1,000 types": {app: workspace.Options{People: 10, Kinds: 1000, Things: 2}, settings: map[string]string{"kinds": "1000"}, ways: hosted, lookups: 1, check: func(t *testing.T, _ place, alone content) {
			t.Helper()
			require.Len(t, alone.Types, 4+1000)
			require.Len(t, alone.Resources, 1+10+3+3+2*1000)
			require.Len(t, alone.Entitlements, 1+3+3+2*100)
			require.Contains(t, alone.Grants, "kind-1000:t2:owner:user:u002")
		}},
		// A group can be looked up, a role cannot.
		"H3: deletion during the sync": {ways: hosted, lookups: 0, removed: map[string]string{
			"/v1/groups/platform/members ":   "platform",
			"/v1/groups/everyone/members 20": "everyone",
			"/v1/roles/owner/members ":       "owner",
		}, check: func(t *testing.T, p place, alone content) {
			t.Helper()
			require.NotContains(t, p.State().Groups, "everyone")
			require.Len(t, alone.Resources, 1+60+3+3)
			require.Len(t, alone.Entitlements, 1+3+3)
			rows := map[string]int{}
			for id := range alone.Grants {
				rows[strings.Join(strings.Split(id, ":")[:2], ":")]++
			}
			require.Equal(t, 20, rows["group:everyone"], "two of six pages")
			require.Zero(t, rows["group:platform"])
			require.Zero(t, rows["role:owner"])
		}},
		// Alone, a connector waits for its app for ever. The host's patience ends.
		"slow pages": {slow: true, more: "    call-timeout: 2s", ways: hosted, lookups: 3, check: requireTruth},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireTheSame(t, c)
		})
	}
}

// removing deletes groups and roles of a workspace, each before a request is answered.
func removing(removed map[string]string) func(http.Handler) http.Handler {
	return func(app http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if id, ok := removed[r.URL.Path+" "+r.URL.Query().Get("page")]; ok {
				app.(*workspace.Server).Remove(id)
			}
			app.ServeHTTP(w, r)
		})
	}
}

// requireTheSame syncs the workspace of a trait alone and in the ways of the host.
func requireTheSame(t *testing.T, c trait) {
	t.Helper()
	start := func(t *testing.T, patient bool) (place, *slowApp) {
		t.Helper()
		wrap, slow := asItIs, &slowApp{patient: patient, asked: map[string]int{}}
		switch {
		case c.slow:
			wrap = slow.wrap
		case c.removed != nil:
			wrap = removing(c.removed)
		}
		p := startWorkspaceOf(t, c.app, wrap)
		p.more = c.settings
		return p, slow
	}
	p, _ := start(t, true)
	alone := contentOf(t, p.syncAlone(t))
	c.check(t, p, alone)
	require.Equal(t, c.lookups, p.Lookups())
	want := alone.rows(t)
	for n, way := range c.ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			p, slow := start(t, false)
			if n%2 == 0 {
				p.instance = prefixed
			}
			more := c.more
			if c.within {
				at, err := url.Parse(p.url)
				require.NoError(t, err)
				more = "    sandbox: { connect: [" + at.Port() + "] }"
			}
			got := contentOf(t, p.syncHosted(t, way, more))
			require.Empty(t, cmp.Diff(want, got.rows(t)))
			if p.instance != "" {
				require.Contains(t, got.Resources, fmt.Sprintf("%s.user/%s", prefixed, p.State().Users[0].ID))
			}
			if c.slow {
				slow.requireAskedTwice(t, heldPage)
				slow.requireAskedTwice(t, refusedPage)
			}
			if way == older {
				require.Greater(t, p.Lookups(), c.lookups, "it knows no session")
				return
			}
			require.Equal(t, c.lookups, p.Lookups())
		})
	}
}
