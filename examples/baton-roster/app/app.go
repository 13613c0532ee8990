// Package app is Roster itself, as far as its connector needs it: people and teams over a
// small HTTP API with cursors.
//
// The connector's tests and the command roster-app serve it. It must never hold real people:
// what it knows is made up.
package app

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"slices"
)

//go:embed roster.json
var made []byte

// PageSize is how many items a page has: few, so that there are several.
const PageSize = 3

type person struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Email  string `json:"email"`
	Active bool   `json:"active"`
}

type team struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Members []string `json:"members,omitempty"`
}

type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// New serves the app to every client that has the token.
func New(token string) (http.Handler, error) {
	var roster struct {
		People []person `json:"people"`
		Teams  []team   `json:"teams"`
	}
	if err := json.Unmarshal(made, &roster); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /people", func(w http.ResponseWriter, r *http.Request) {
		write(w, r, roster.People, func(p person) string { return p.ID })
	})
	mux.HandleFunc("GET /teams", func(w http.ResponseWriter, r *http.Request) {
		teams := slices.Clone(roster.Teams)
		for i := range teams {
			teams[i].Members = nil
		}
		write(w, r, teams, func(t team) string { return t.ID })
	})
	mux.HandleFunc("GET /teams/{id}/members", func(w http.ResponseWriter, r *http.Request) {
		i := slices.IndexFunc(roster.Teams, func(t team) bool { return t.ID == r.PathValue("id") })
		if i < 0 {
			http.NotFound(w, r)
			return
		}
		write(w, r, roster.Teams[i].Members, func(id string) string { return id })
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "wrong token", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// write answers with the page that begins after the item that the cursor names.
func write[T any](w http.ResponseWriter, r *http.Request, items []T, idOf func(T) string) {
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		at := slices.IndexFunc(items, func(item T) bool { return idOf(item) == cursor })
		if at < 0 {
			http.Error(w, "unknown cursor", http.StatusBadRequest)
			return
		}
		items = items[at+1:]
	}
	answer := page[T]{Items: items}
	if len(items) > PageSize {
		answer.Items = items[:PageSize]
		answer.Next = idOf(items[PageSize-1])
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}
