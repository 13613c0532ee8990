package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/conductorone/baton-sdk/pkg/uhttp"
)

// pageSize is how many users one request asks for, which is what connectors do
// and what many services have as their greatest page.
const pageSize = 100

// list is a page of users (RFC 7644 section 3.4.2).
type list struct {
	TotalResults int    `json:"totalResults"`
	Resources    []user `json:"Resources"`
}

// user is a User (RFC 7643 section 4.1), as far as the connector uses it.
type user struct {
	ID          string `json:"id"`
	ExternalID  string `json:"externalId"`
	UserName    string `json:"userName"`
	DisplayName string `json:"displayName"`
	Title       string `json:"title"`
	Active      *bool  `json:"active"`
	Name        struct {
		GivenName  string `json:"givenName"`
		FamilyName string `json:"familyName"`
	} `json:"name"`
	Emails []struct {
		Value   string `json:"value"`
		Primary bool   `json:"primary"`
	} `json:"emails"`
	Roles []struct {
		Display string `json:"display"`
	} `json:"roles"`
	Meta struct {
		Created time.Time `json:"created"`
	} `json:"meta"`
}

// client speaks SCIM, with the SDK's HTTP client and encoding/json.
type client struct {
	base  *url.URL
	token string
	http  *uhttp.BaseHttpClient
}

func newClient(ctx context.Context, baseURL, token string) (*client, error) {
	base, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("scim-base-url is not a URL: %w", err)
	}
	plain, err := uhttp.NewClient(ctx)
	if err != nil {
		return nil, err
	}
	wrapped, err := uhttp.NewBaseHttpClientWithContext(ctx, plain)
	if err != nil {
		return nil, err
	}
	return &client{base: base, token: token, http: wrapped}, nil
}

// users is the page of up to count users that begins with number start, from 1.
func (c *client) users(ctx context.Context, start, count int) (*list, error) {
	address := c.base.JoinPath("Users")
	address.RawQuery = url.Values{
		"startIndex": {strconv.Itoa(start)},
		"count":      {strconv.Itoa(count)},
	}.Encode()
	request, err := c.http.NewRequest(ctx, http.MethodGet, address,
		uhttp.WithAcceptJSONHeader(), uhttp.WithBearerToken(c.token), uhttp.WithNoCache())
	if err != nil {
		return nil, err
	}
	page := &list{}
	response, err := c.http.Do(request, uhttp.WithJSONResponse(page))
	if response != nil {
		defer response.Body.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("reading users from number %d on: %w", start, err)
	}
	return page, nil
}
