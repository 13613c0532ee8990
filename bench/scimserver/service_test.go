package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const token = "bench-token"

type answer struct {
	Schemas                                []string
	TotalResults, StartIndex, ItemsPerPage int
	Resources                              []user
	Detail                                 string
}

func ask(t *testing.T, s *service, path, token string) (int, answer) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	request.Header.Set("Authorization", "Bearer "+token)
	recorder := httptest.NewRecorder()
	s.handler().ServeHTTP(recorder, request)
	var got answer
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &got), recorder.Body.String())
	return recorder.Code, got
}

func serviceOf(t *testing.T, apps, users int) *service {
	t.Helper()
	s := &service{token: token, pageCap: 100}
	for i := range apps {
		app, err := newApp(users, uint64(i))
		require.NoError(t, err)
		s.apps = append(s.apps, app)
	}
	return s
}

func TestService_ServesThePageRequested(t *testing.T) {
	t.Parallel()
	s := serviceOf(t, 1, 250)
	for query, want := range map[string]struct{ start, from, count int }{
		"":                          {1, 0, 100},
		"?startIndex=1&count=100":   {1, 0, 100},
		"?startIndex=100&count=100": {100, 99, 100},
		"?startIndex=199&count=100": {199, 198, 52},
		"?startIndex=250&count=1":   {250, 249, 1},
		"?startIndex=251&count=100": {251, 250, 0},
		"?startIndex=9999":          {9999, 250, 0},
		"?startIndex=-3&count=2":    {1, 0, 2},
		"?startIndex=5&count=0":     {5, 4, 0},
		"?startIndex=5&count=1000":  {5, 4, 100},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			code, got := ask(t, s, "/product/1/scim/v2/Users"+query, token)
			require.Equal(t, http.StatusOK, code)
			require.Equal(t, []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"}, got.Schemas)
			require.Equal(t, 250, got.TotalResults)
			require.Equal(t, want.start, got.StartIndex)
			require.Equal(t, want.count, got.ItemsPerPage)
			require.Len(t, got.Resources, want.count)
			for i, u := range got.Resources {
				require.Contains(t, u.ID, fmt.Sprintf("-%012d", want.from+i))
			}
		})
	}
}

func TestService_ServesGroupsAndTheirMembers(t *testing.T) {
	t.Parallel()
	s := serviceOf(t, 1, 10)
	require.NoError(t, s.apps[0].withGroups(250, 4, 1))
	code, page := ask(t, s, "/product/1/scim/v2/Groups?startIndex=249&count=100", token)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, 250, page.TotalResults)
	require.Len(t, page.Resources, 2)

	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/product/1/scim/v2/Groups/"+page.Resources[1].ID, nil)
	request.Header.Set("Authorization", "Bearer "+token)
	recorder := httptest.NewRecorder()
	s.handler().ServeHTTP(recorder, request)
	var whole group
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &whole), recorder.Body.String())
	require.Equal(t, "Group 249", whole.DisplayName)
	require.Len(t, whole.Members, 4)
	require.Equal(t, member{s.apps[0].ids[249*4%10], "User"}, whole.Members[0])
}

func TestService_RefusesWhatIsNoList(t *testing.T) {
	t.Parallel()
	s := serviceOf(t, 2, 3)
	for path, want := range map[string]int{
		"/product/3/scim/v2/Users":              http.StatusNotFound,
		"/product/0/scim/v2/Users":              http.StatusNotFound,
		"/product/x/scim/v2/Users":              http.StatusNotFound,
		"/product/1/scim/v2/Groups/none":        http.StatusNotFound,
		"/product/1/scim/v2/Roles":              http.StatusNotFound,
		"/product/1/scim/v2/Users?startIndex=x": http.StatusBadRequest,
	} {
		code, got := ask(t, s, path, token)
		require.Equal(t, want, code, path)
		require.NotEmpty(t, got.Detail)
	}
	code, _ := ask(t, s, "/product/1/scim/v2/Users", "another")
	require.Equal(t, http.StatusUnauthorized, code)
}

func TestService_SeedDeterminesTheUsers(t *testing.T) {
	t.Parallel()
	one, err := newApp(1000, 7)
	require.NoError(t, err)
	again, err := newApp(1000, 7)
	require.NoError(t, err)
	other, err := newApp(1000, 8)
	require.NoError(t, err)
	require.Equal(t, one, again)
	require.NotEqual(t, one.json, other.json)
	require.InDelta(t, 450, len(one.json)/1000, 50, "bytes of a user")
}

func TestService_HidesAUserFromOneSide(t *testing.T) {
	t.Parallel()
	s := serviceOf(t, 2, 3)
	s.drop = "product"
	for path, want := range map[string]int{"/product/1": 3, "/product/2": 2, "/baseline/1": 3, "/baseline/2": 3} {
		_, got := ask(t, s, path+"/scim/v2/Users", token)
		require.Equal(t, want, got.TotalResults, path)
		require.Len(t, got.Resources, want, path)
	}
}

// TestService_RunsUntilItsInputEnds runs what main runs, with a latency.
func TestService_RunsUntilItsInputEnds(t *testing.T) {
	t.Setenv(tokenVariable, token)
	input, lifeline := io.Pipe()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(t.Context(), []string{"-apps", "2", "-users", "5", "-latency", "20ms", "-cap", "3"}, input, writer)
	}()
	address, err := bufio.NewReader(reader).ReadString('\n')
	require.NoError(t, err)

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address[:len(address)-1]+"/baseline/2/scim/v2/Users", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), 20*time.Millisecond)
	var got answer
	require.NoError(t, json.NewDecoder(response.Body).Decode(&got))
	require.NoError(t, response.Body.Close())
	require.Len(t, got.Resources, 3)

	require.NoError(t, lifeline.Close())
	require.NoError(t, <-ended)
}

func TestService_NeedsAToken(t *testing.T) {
	t.Setenv(tokenVariable, "")
	require.ErrorContains(t, run(t.Context(), nil, os.Stdin, io.Discard), tokenVariable)
}
