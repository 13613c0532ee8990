package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// listedAtOnce is how many lists are read at the same time.
const listedAtOnce = 4

// listInTurn pages two lists in turn. Connectors that bind pages to a cursor of the app
// lose one there, which does not matter as long as one listing is read at a time.
func listInTurn(ctx context.Context, s *Suite) (string, error) {
	process, err := s.configured(ctx)
	if err != nil {
		return "", err
	}
	lists := s.world.longestLists(2)
	read := make([][]page, len(lists))
	open := len(lists)
	for tokens := make([]string, len(lists)); open > 0; {
		for i, list := range lists {
			if len(read[i]) > 0 && tokens[i] == "" {
				continue
			}
			one, err := list.read(ctx, process.Conn(), tokens[i])
			if err != nil {
				return s.aboutConcurrency("paged in turn", err)
			}
			read[i] = append(read[i], one)
			if tokens[i] = one.next; tokens[i] == "" || len(read[i]) > len(list.pages) {
				tokens[i] = ""
				open--
			}
		}
	}
	for i, list := range lists {
		if err := same(list, nil, read[i]); err != nil {
			return s.aboutConcurrency("paged in turn", err)
		}
	}
	return fmt.Sprintf("%d listings that were paged in turn had every row", len(lists)), nil
}

// listAtOnce reads lists at the same time.
func listAtOnce(ctx context.Context, s *Suite) (string, error) {
	process, err := s.configured(ctx)
	if err != nil {
		return "", err
	}
	lists := s.world.longestLists(listedAtOnce)
	failures := make([]error, len(lists))
	var readers sync.WaitGroup
	for i, list := range lists {
		readers.Go(func() {
			again, err := readFrom(ctx, process.Conn(), list.listing, "")
			if err == nil {
				err = same(list, nil, again.pages)
			}
			failures[i] = err
		})
	}
	readers.Wait()
	if err := errors.Join(failures...); err != nil {
		first := failures[slices.IndexFunc(failures, func(err error) bool { return err != nil })]
		return s.aboutConcurrency("read at the same time", first)
	}
	return fmt.Sprintf("%d listings that were read at the same time agreed with those that were read alone", len(lists)), nil
}

// aboutConcurrency returns what it means that listings disagree: a failure where the
// plugin declares that it can take several, and else what the operator must know.
func (s *Suite) aboutConcurrency(how string, disagreement error) (string, error) {
	if declared := s.manifest.GetListingConcurrency(); declared > 1 {
		return "", fmt.Errorf("the plugin declares that %d of its listings may be read at the same time, but %s with others, %w", declared, how, disagreement)
	}
	return fmt.Sprintf("one listing at a time, as the host reads it: %s with others, %v. Do not raise its concurrency", how, disagreement), nil
}

// longestLists are so many of the lists with the most pages. Lists of a single page do not
// meet others; where too few have more, those are read again beside themselves.
func (w *world) longestLists(most int) []*readList {
	lists := slices.Clone(w.lists)
	slices.SortStableFunc(lists, func(a, b *readList) int { return len(b.pages) - len(a.pages) })
	several := slices.IndexFunc(lists, func(list *readList) bool { return len(list.pages) == 1 })
	if several > 0 {
		lists = lists[:several]
	}
	for i := 0; len(lists) < most; i++ {
		lists = append(lists, lists[i])
	}
	return lists[:most]
}
