package connector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/conductorone/baton-sdk/pkg/uhttp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// client speaks Roster's API, and is all that knows of it.
type client struct {
	base  *url.URL
	token string
	http  *uhttp.BaseHttpClient
}

// person and team are rows as the API has them.
type person struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Email  string `json:"email"`
	Active bool   `json:"active"`
}

type team struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// page is a part of a list.
type page[T any] struct {
	Items []T `json:"items"`
	// Next is the cursor of the next page; empty on the last one.
	Next string `json:"next"`
}

func newClient(ctx context.Context, baseURL, token, userAgent string) (*client, error) {
	base, err := url.Parse(baseURL)
	switch {
	case err != nil || base.Hostname() == "":
		return nil, errors.New("the Base URL is not a URL; it must look like https://roster.example.com")
	case base.Scheme != "https" && !isLoopback(base.Hostname()):
		return nil, errors.New("the Base URL does not begin with https://, so that the token would be sent in clear text")
	}
	httpClient, err := uhttp.NewClient(ctx, uhttp.WithUserAgent(userAgent))
	if err != nil {
		return nil, err
	}
	wrapped, err := uhttp.NewBaseHttpClientWithContext(ctx, httpClient)
	if err != nil {
		return nil, err
	}
	return &client{base: base, token: token, http: wrapped}, nil
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

func (c *client) people(ctx context.Context, cursor string) (page[person], error) {
	return get[person](ctx, c, "people", cursor)
}

func (c *client) teams(ctx context.Context, cursor string) (page[team], error) {
	return get[team](ctx, c, "teams", cursor)
}

// members are the ids of a team's people.
func (c *client) members(ctx context.Context, teamID, cursor string) (page[string], error) {
	return get[string](ctx, c, "teams/"+url.PathEscape(teamID)+"/members", cursor)
}

// get reads one page of a list. It does not try again: the caller of the connector
// does, by the error's code and by what it holds of the app's rate limit.
func get[T any](ctx context.Context, c *client, path, cursor string) (page[T], error) {
	var answer page[T]
	address := c.base.JoinPath(path)
	if cursor != "" {
		address.RawQuery = url.Values{"cursor": {cursor}}.Encode()
	}
	// Without the SDK's cache: what is asked for again is to be read again.
	request, err := c.http.NewRequest(ctx, http.MethodGet, address,
		uhttp.WithAcceptJSONHeader(), uhttp.WithBearerToken(c.token), uhttp.WithNoCache())
	if err != nil {
		return answer, err
	}
	response, err := c.http.Do(request, uhttp.WithJSONResponse(&answer))
	if response != nil {
		defer response.Body.Close()
	}
	switch status.Code(err) {
	case codes.OK:
		return answer, nil
	case codes.Unauthenticated, codes.PermissionDenied:
		return answer, status.Errorf(status.Code(err), "reading %s: the app does not take the API Token; look at it", path)
	case codes.NotFound:
		// Never NOT_FOUND: the SDK would take it for the end of the list.
		return answer, status.Errorf(codes.FailedPrecondition, "reading %s: the app has no such list; look at the Base URL", path)
	default:
		return answer, fmt.Errorf("reading %s: %w", path, err)
	}
}
