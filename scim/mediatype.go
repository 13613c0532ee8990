package scim

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
)

// mediaType is how a request asks for SCIM.
type mediaType struct {
	// accept is the header Accept.
	accept string
	// content is the header Content-Type, which a request without a body does not need;
	// "" for none.
	content string
}

// mediaTypes are tried in this order. SCIM is asked for first (RFC 7644 section 3.1), and
// plain JSON, which some servers insist on. Some answer 406 to any list, so one is asked for
// at a time; some compare the text with the type that they send, with its character set; and some want Content-Type with each request, or answer 415.
var mediaTypes = []mediaType{
	{accept: "application/scim+json, application/json;q=0.9"},
	{accept: "application/scim+json"},
	{accept: "application/json"},
	{accept: "application/scim+json", content: "application/scim+json"},
	{accept: "application/json", content: "application/json"},
	{accept: "application/scim+json;charset=utf-8"},
	{accept: "*/*"},
}

// isAboutMediaType reports whether a status refuses how a request asks, and not the request.
func isAboutMediaType(httpStatus int) bool {
	return httpStatus == http.StatusNotAcceptable || httpStatus == http.StatusUnsupportedMediaType
}

// send sends a request as the app has accepted one before, or else in another way until it
// does. What it accepts is kept for the client's life.
func (c *endpoint) send(ctx context.Context, r request, target *url.URL) (*http.Response, error) {
	begin := int(c.mediaType.Load())
	tried := []int{begin}
	response, err := c.sendAs(ctx, r, target, mediaTypes[begin])
	for i := 0; i < len(mediaTypes) && err == nil && isAboutMediaType(response.StatusCode); i++ {
		// Only what is said to be of the wrong type needs Content-Type.
		if slices.Contains(tried, i) || mediaTypes[i].content != "" && response.StatusCode == http.StatusNotAcceptable {
			continue
		}
		discard(response)
		tried = append(tried, i)
		if response, err = c.sendAs(ctx, r, target, mediaTypes[i]); err == nil && response.StatusCode < http.StatusMultipleChoices {
			c.mediaType.Store(int32(i))
		}
	}
	return response, err
}

// discard reads the rest of an answer that is not used, so that its connection is used
// again.
func discard(response *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxErrorBody))
	_ = response.Body.Close()
}
