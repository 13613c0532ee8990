package scim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

// TestPace: a slow answer or a refusal lets fewer pages be in flight, and good
// answers let more be, one at a time. It looks inside because a slow answer takes
// seconds that no test should wait for.
func TestPace(t *testing.T) {
	t.Parallel()
	const (
		fast = 20 * time.Millisecond
		slow = 2 * time.Second
	)
	refused := failf(codes.Unavailable, "too many requests")
	type answer struct {
		took  time.Duration
		err   error
		times int
	}
	for name, c := range map[string]struct {
		limit   int
		answers []answer
		window  int
	}{
		"a listing begins with four":            {8, nil, 4},
		"or with as many as may be":             {2, nil, 2},
		"two good answers let one more be":      {8, []answer{{fast, nil, openEvery}}, 5},
		"but not one":                           {8, []answer{{fast, nil, openEvery - 1}}, 4},
		"up to the limit":                       {8, []answer{{fast, nil, 100}}, 8},
		"answers that are slower do not":        {8, []answer{{fast, nil, 1}, {60 * time.Millisecond, nil, 100}}, 4},
		"unless it is next to nothing":          {8, []answer{{time.Millisecond, nil, 1}, {40 * time.Millisecond, nil, 100}}, 8},
		"nor do they count against it":          {8, []answer{{fast, nil, openEvery - 1}, {60 * time.Millisecond, nil, 1}, {fast, nil, 1}}, 5},
		"a slow answer halves it":               {8, []answer{{fast, nil, 100}, {slow, nil, 1}}, 4},
		"and another halves it again":           {8, []answer{{fast, nil, 100}, {slow, nil, 2}}, 2},
		"down to one":                           {8, []answer{{fast, nil, 100}, {slow, nil, 9}}, 1},
		"an app that is always slow is steady":  {8, []answer{{slow, nil, 100}}, 8},
		"slower, but not slow":                  {8, []answer{{fast, nil, 100}, {900 * time.Millisecond, nil, 50}}, 8},
		"H6 a refusal leaves one":               {8, []answer{{fast, nil, 100}, {fast, refused, 1}}, 1},
		"H7 a time-out leaves one":              {8, []answer{{fast, nil, 100}, {slow, failf(codes.DeadlineExceeded, ""), 1}}, 1},
		"an error of another kind does nothing": {8, []answer{{fast, nil, 100}, {fast, failf(codes.DataLoss, ""), 1}}, 8},
		"good answers win back one":             {8, []answer{{fast, refused, 1}, {fast, nil, recovery}}, 2},
		"but not before there are enough":       {8, []answer{{fast, refused, 1}, {fast, nil, recovery - 1}}, 1},
		"and never more than the limit":         {3, []answer{{fast, refused, 1}, {fast, nil, 100 * recovery}}, 3},
		"a slow one in between starts again":    {8, []answer{{fast, refused, 1}, {fast, nil, recovery - 1}, {slow, nil, 1}, {fast, nil, 1}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPace(c.limit)
			for _, a := range c.answers {
				for range a.times {
					p.answered(a.took, a.err)
				}
			}
			require.Equal(t, c.window, p.window)
		})
	}
	t.Run("more connections are not opened for it", func(t *testing.T) {
		t.Parallel()
		p := newPace(8)
		p.costly = true
		for range 100 {
			p.answered(fast, nil)
		}
		require.Equal(t, openWindow, p.window)
	})
	t.Run("one at a time stays one at a time", func(t *testing.T) {
		t.Parallel()
		p := newPace(8)
		p.sequential()
		for range 100 * recovery {
			p.answered(fast, nil)
		}
		require.Equal(t, 1, p.window)
	})
}
