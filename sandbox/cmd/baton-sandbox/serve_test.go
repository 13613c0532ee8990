package main

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestServe_AnswersRequestsUnderWayBeforeItEnds(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	listener, err := listen(ctx, "127.0.0.1:0")
	require.NoError(t, err)

	arrived, release := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		if err := r.Context().Err(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, "answered")
	})
	var group errgroup.Group
	group.Go(func() error { return serve(ctx, listener, handler) })

	var status int
	var body []byte
	group.Go(func() error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String(), nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		status = response.StatusCode
		body, err = io.ReadAll(response.Body)
		return err
	})

	<-arrived
	end()
	close(release)
	require.NoError(t, group.Wait())
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "answered", string(body))
}

func TestServe_ReturnsTheErrorOfItsListener(t *testing.T) {
	t.Parallel()
	listener, err := listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	err = serve(t.Context(), listener, http.NotFoundHandler())
	require.ErrorContains(t, err, "serve on "+listener.Addr().String())
}
