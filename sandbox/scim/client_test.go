package scim_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

const token = "s3cret/+="

// running is a service and where it listens.
type running struct {
	*scim.Server
	baseURL string
}

func start(t *testing.T, opts scim.Options) running {
	t.Helper()
	if opts.Token == "" {
		opts.Token = token
	}
	server, err := scim.New(opts)
	require.NoError(t, err)
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	return running{Server: server, baseURL: listener.URL + server.BasePath()}
}

// answer is an HTTP answer, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (r running) do(t *testing.T, method, path, authorization string, body io.Reader) answer {
	t.Helper()
	got, err := r.send(t.Context(), method, path, authorization, body)
	require.NoError(t, err)
	return got
}

// send may be called by any goroutine.
func (r running) send(ctx context.Context, method, path, authorization string, body io.Reader) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, r.baseURL+path, body)
	if err != nil {
		return answer{}, err
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: read}, err
}

func (r running) get(t *testing.T, path string) answer {
	t.Helper()
	return r.do(t, http.MethodGet, path, "Bearer "+token, nil)
}

// user is a User resource as RFC 7643 writes it, read without any code of the
// package under test.
type user struct {
	Schemas     []string `json:"schemas"`
	ID          string   `json:"id"`
	ExternalID  string   `json:"externalId"`
	UserName    string   `json:"userName"`
	DisplayName string   `json:"displayName"`
	Title       string   `json:"title"`
	Active      *bool    `json:"active"`
	Name        *struct {
		GivenName  string `json:"givenName"`
		FamilyName string `json:"familyName"`
	} `json:"name"`
	Emails     []multiValue `json:"emails"`
	Roles      []multiValue `json:"roles"`
	Enterprise *struct {
		Department     string `json:"department"`
		EmployeeNumber string `json:"employeeNumber"`
	} `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	Meta struct {
		ResourceType string    `json:"resourceType"`
		Created      time.Time `json:"created"`
		LastModified time.Time `json:"lastModified"`
		Location     string    `json:"location"`
	} `json:"meta"`
}

type multiValue struct {
	Value   string `json:"value"`
	Type    string `json:"type"`
	Primary bool   `json:"primary"`
}

type listResponse struct {
	Schemas      []string          `json:"schemas"`
	TotalResults int               `json:"totalResults"`
	StartIndex   int               `json:"startIndex"`
	Resources    []json.RawMessage `json:"Resources"`
}

func (r running) list(t *testing.T, query string) listResponse {
	t.Helper()
	return readPage(t, r.get(t, "/Users"+query))
}

func readPage(t *testing.T, got answer) listResponse {
	t.Helper()
	require.Equal(t, http.StatusOK, got.status, "%s", got.body)
	require.Equal(t, "application/scim+json", got.header.Get("Content-Type"))
	var page listResponse
	require.NoError(t, json.Unmarshal(got.body, &page))
	require.Equal(t, []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"}, page.Schemas)
	return page
}

// readAll pages through the users, asking for count at a time.
func (r running) readAll(t *testing.T, count int) []scim.Account {
	t.Helper()
	accounts := []scim.Account{}
	for {
		query := url.Values{"startIndex": {strconv.Itoa(len(accounts) + 1)}, "count": {strconv.Itoa(count)}}
		page := r.list(t, "?"+query.Encode())
		if len(page.Resources) == 0 {
			require.Len(t, accounts, page.TotalResults)
			return accounts
		}
		require.LessOrEqual(t, len(page.Resources), count)
		for _, raw := range page.Resources {
			accounts = append(accounts, account(t, raw))
		}
	}
}

// account turns a resource back into what it was made from.
func account(t *testing.T, raw []byte) scim.Account {
	t.Helper()
	var u user
	require.NoError(t, json.Unmarshal(raw, &u))
	require.Equal(t, "User", u.Meta.ResourceType)
	read := scim.Account{
		ID:           u.ID,
		UserName:     u.UserName,
		DisplayName:  u.DisplayName,
		Emails:       primaryFirst(u.Emails),
		Active:       u.Active == nil || *u.Active,
		OmitActive:   u.Active == nil,
		Roles:        primaryFirst(u.Roles),
		Title:        u.Title,
		ExternalID:   u.ExternalID,
		Created:      u.Meta.Created,
		LastModified: u.Meta.LastModified,
	}
	if u.Name != nil {
		read.GivenName, read.FamilyName = u.Name.GivenName, u.Name.FamilyName
	}
	if u.Enterprise != nil {
		read.Department, read.EmployeeNumber = u.Enterprise.Department, u.Enterprise.EmployeeNumber
	}
	return read
}

func primaryFirst(listed []multiValue) []string {
	var primary, others []string
	for _, one := range listed {
		if one.Primary {
			primary = append(primary, one.Value)
			continue
		}
		others = append([]string{one.Value}, others...)
	}
	return append(primary, others...)
}

// scimError checks that a body is an Error of RFC 7644 section 3.12 and returns
// what it holds.
func scimError(t *testing.T, got answer) (scimType, detail string) {
	t.Helper()
	require.Equal(t, "application/scim+json", got.header.Get("Content-Type"))
	var body struct {
		Schemas  []string `json:"schemas"`
		Status   string   `json:"status"`
		ScimType string   `json:"scimType"`
		Detail   string   `json:"detail"`
	}
	require.NoError(t, json.Unmarshal(got.body, &body), "%s", got.body)
	require.Equal(t, []string{"urn:ietf:params:scim:api:messages:2.0:Error"}, body.Schemas)
	require.Equal(t, strconv.Itoa(got.status), body.Status)
	return body.ScimType, body.Detail
}
