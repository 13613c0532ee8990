package connector

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/conductorone/baton-sdk/pkg/uhttp"
)

// client speaks to a workspace.
type client struct {
	http  *uhttp.BaseHttpClient
	base  *url.URL
	token string
}

func newClient(ctx context.Context, config *Config) (*client, error) {
	base, err := url.Parse(config.URL)
	if err != nil {
		return nil, fmt.Errorf("workspace-url: %w", err)
	}
	plain, err := uhttp.NewClient(ctx)
	if err != nil {
		return nil, err
	}
	wrapped, err := uhttp.NewBaseHttpClientWithContext(ctx, plain)
	if err != nil {
		return nil, err
	}
	return &client{http: wrapped, base: base, token: config.Token}, nil
}

// do makes a request of the segments of a path. A nil body is none, a nil result is
// not looked at.
func (c *client) do(ctx context.Context, method string, query url.Values, body, result any, segments ...string) error {
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	target := c.base.JoinPath(append([]string{"v1"}, segments...)...)
	target.RawQuery = query.Encode()
	options := []uhttp.RequestOption{uhttp.WithBearerToken(c.token), uhttp.WithAcceptJSONHeader(), uhttp.WithNoCache()}
	if body != nil {
		options = append(options, uhttp.WithJSONBody(body))
	}
	request, err := c.http.NewRequest(ctx, method, target, options...)
	if err != nil {
		return err
	}
	var handle []uhttp.DoOption
	if result != nil {
		handle = append(handle, uhttp.WithJSONResponse(result))
	}
	response, err := c.http.Do(request, handle...)
	if response != nil {
		defer func() { _ = response.Body.Close() }()
	}
	return err
}

func (c *client) get(ctx context.Context, result any, segments ...string) error {
	return c.do(ctx, http.MethodGet, nil, nil, result, segments...)
}

// page is a part of a list, and the token of the next.
func page[T any](ctx context.Context, c *client, token string, size int, segments ...string) (items []T, next string, err error) {
	var answer struct {
		Items []T    `json:"items"`
		Next  string `json:"next"`
	}
	query := url.Values{"limit": {strconv.Itoa(size)}}
	if token != "" {
		query.Set("page", token)
	}
	if err := c.do(ctx, http.MethodGet, query, nil, &answer, segments...); err != nil {
		return nil, "", err
	}
	return answer.Items, answer.Next, nil
}
