package secret

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rotatingValues have a newer version from a look on, and others that do not work at some.
type rotatingValues struct {
	version atomic.Uint64
	looks   atomic.Int64
	found   int64            // the look that finds newer ones; 0: none does
	others  map[int64]bool   // looks that try others
	failing error            // of looks that find none
	during  map[int64]func() // what happens at a look
}

func (v *rotatingValues) Version() uint64 { return v.version.Load() }

func (v *rotatingValues) Look(context.Context) (others bool, err error) {
	n := v.looks.Add(1)
	if do := v.during[n]; do != nil {
		do()
	}
	if n == v.found {
		v.version.Add(1)
		return true, nil
	}
	return v.others[n], v.failing
}

func newQuickSearch() *Search {
	s := NewSearch()
	s.pauses = make([]time.Duration, len(looks))
	return s
}

func TestSearch_LooksSeveralTimes(t *testing.T) {
	t.Parallel()
	all := int64(len(looks))
	broken := errors.New("the new value does not work")
	for name, c := range map[string]struct {
		values  *rotatingValues
		briefly bool
		looks   int64
		failing error
	}{
		"found at once":              {values: &rotatingValues{found: 1}, looks: 1},
		"found later":                {values: &rotatingValues{found: 4}, looks: 4},
		"nothing newer":              {values: &rotatingValues{}, looks: all, failing: errUnchanged},
		"newer ones do not work":     {values: &rotatingValues{failing: broken}, looks: all, failing: broken},
		"not at length":              {values: &rotatingValues{found: 2}, briefly: true, looks: 1, failing: errUnchanged},
		"they have changed again":    {values: &rotatingValues{others: map[int64]bool{3: true}, failing: broken}, looks: all + 2, failing: broken},
		"tried at the first look":    {values: &rotatingValues{others: map[int64]bool{1: true}, failing: broken}, looks: all, failing: broken},
		"found after a changing one": {values: &rotatingValues{others: map[int64]bool{6: true}, failing: broken, found: 7}, looks: 7},
	} {
		err := newQuickSearch().Find(t.Context(), c.values, 0, !c.briefly)
		require.ErrorIs(t, err, c.failing, name)
		require.Equal(t, c.looks, c.values.looks.Load(), name)
	}
}

// TestSearch_RemembersThatItWasInVain, for that version alone.
func TestSearch_RemembersThatItWasInVain(t *testing.T) {
	t.Parallel()
	s, values := newQuickSearch(), &rotatingValues{}
	all := int64(len(looks))
	require.Error(t, s.Find(t.Context(), values, 0, false))
	require.Error(t, s.Find(t.Context(), values, 0, true))
	require.Equal(t, 1+all, values.looks.Load(), "one look is no search at length")
	require.Error(t, s.Find(t.Context(), values, 0, true))
	require.Equal(t, 2+all, values.looks.Load())
	s.ended = s.ended.Add(-vainFor)
	require.Error(t, s.Find(t.Context(), values, 0, true))
	require.Equal(t, 2+2*all, values.looks.Load(), "it is forgotten")
	values.version.Store(1)
	require.Error(t, s.Find(t.Context(), values, 1, true))
	require.Equal(t, 2+3*all, values.looks.Load(), "other values are searched for again")

	// A caller that goes away has not found out anything.
	ctx, cancel := context.WithCancel(t.Context())
	cut := &rotatingValues{during: map[int64]func(){2: cancel}}
	s = newQuickSearch()
	require.Error(t, s.Find(ctx, cut, 0, true))
	require.Error(t, s.Find(t.Context(), cut, 0, true))
	require.Equal(t, 2+all, cut.looks.Load())
}

// TestSearch_IsOneForAllWhoSearch: the stores are asked once for all calls that were refused.
func TestSearch_IsOneForAllWhoSearch(t *testing.T) {
	t.Parallel()
	looking, release := make(chan struct{}), make(chan struct{})
	values := &rotatingValues{found: 1, during: map[int64]func(){1: func() {
		close(looking)
		<-release
	}}}
	s := newQuickSearch()
	errs := make([]error, 8)
	var searching sync.WaitGroup
	searching.Go(func() { errs[0] = s.Find(t.Context(), values, 0, true) })
	<-looking
	for i := range errs[1:] {
		searching.Go(func() { errs[i+1] = s.Find(t.Context(), values, 0, true) })
	}
	close(release)
	searching.Wait()
	require.Equal(t, make([]error, len(errs)), errs)
	require.Equal(t, int64(1), values.looks.Load())
}
