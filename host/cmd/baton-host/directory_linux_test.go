//go:build e2e

package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	directoryUsers  = 57
	directoryGroups = 4
)

// directory is a fake of the app of the example in TypeScript: a small JSON
// API whose lists have cursors.
type directory struct {
	url   string
	token string

	mu       sync.Mutex
	requests map[string]int
}

// startDirectory serves a directory. before may answer a request in its place; it
// then returns true.
func startDirectory(t *testing.T, before func(http.ResponseWriter, *http.Request) bool) *directory {
	t.Helper()
	d := &directory{token: "tok-of-the-directory", requests: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.requests[r.URL.String()]++
		d.mu.Unlock()
		switch {
		case r.Header.Get("Authorization") != "Bearer "+d.token:
			w.WriteHeader(http.StatusUnauthorized)
		case before == nil || !before(w, r):
			d.serve(w, r)
		}
	}))
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// asked returns how often a URL was asked for.
func (d *directory) asked(url string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.requests[url]
}

func (d *directory) serve(w http.ResponseWriter, r *http.Request) {
	var all []map[string]any
	switch path := strings.Split(strings.Trim(r.URL.Path, "/"), "/"); {
	case len(path) == 1 && path[0] == "users":
		for i := range directoryUsers {
			all = append(all, map[string]any{
				"id": userID(i), "login": fmt.Sprintf("login%d", i), "name": fmt.Sprintf("User %d", i),
				"email": fmt.Sprintf("user%d@example.com", i), "active": i%5 != 0, "last_login": "2024-05-01T10:00:00.5Z",
			})
		}
	case len(path) == 1 && path[0] == "groups":
		for i := range directoryGroups {
			all = append(all, map[string]any{"id": groupID(i), "name": fmt.Sprintf("Group %d", i)})
		}
	case len(path) == 3 && path[2] == "members":
		for i := range directoryUsers {
			if isMember(i, path[1]) {
				all = append(all, map[string]any{"user_id": userID(i)})
			}
		}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	page := map[string]any{"items": all[from:min(from+limit, len(all))]}
	if from+limit < len(all) {
		page["next"] = strconv.Itoa(from + limit)
	}
	_ = json.NewEncoder(w).Encode(page)
}

func userID(i int) string  { return fmt.Sprintf("user-%02d", i) }
func groupID(i int) string { return fmt.Sprintf("group-%02d", i) }

// isMember reports that everybody is in the first group, half of them in the next,
// and so on.
func isMember(user int, group string) bool {
	number, err := strconv.Atoi(strings.TrimPrefix(group, "group-"))
	return err == nil && user%(number+1) == 0
}

// accounts returns what a sync file of the plugin "directory" must hold.
func (d *directory) accounts() []shownAccount {
	var accounts []shownAccount
	for i := range directoryUsers {
		status := "enabled"
		if i%5 == 0 {
			status = "disabled"
		}
		lastLogin := "2024-05-01T10:00:00.5Z"
		accounts = append(accounts, shownAccount{
			App: "directory", ResourceType: "directory.user", ID: userID(i), Login: fmt.Sprintf("login%d", i),
			DisplayName: fmt.Sprintf("User %d", i), Email: fmt.Sprintf("user%d@example.com", i), Status: status, LastLogin: &lastLogin,
		})
	}
	return accounts
}

func (d *directory) grants() map[string]bool {
	grants := map[string]bool{}
	for group := range directoryGroups {
		for user := range directoryUsers {
			if isMember(user, groupID(group)) {
				grants[fmt.Sprintf("directory.group:%s:member: directory.user/%s", groupID(group), userID(user))] = true
			}
		}
	}
	return grants
}
