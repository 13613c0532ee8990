package conformance

import (
	"context"
	"fmt"
	"slices"
)

const (
	// sampledPages is how many pages are asked for again, and sampledResumes from
	// how many a listing is gone on with to its end.
	sampledPages   = 20
	sampledResumes = 6
)

// place is a page of a list: the token to ask with, and what came before it.
type place struct {
	list *readList
	page int
}

// sample is at most so many places, evenly spread, the first and the last among
// them. from is the first page of a list that counts.
func (w *world) sample(most, from int) []place {
	var all []place
	for _, list := range w.lists {
		for i := from; i < len(list.pages); i++ {
			all = append(all, place{list, i})
		}
	}
	if len(all) <= most {
		return all
	}
	var chosen []place
	for i := range most {
		chosen = append(chosen, all[i*(len(all)-1)/(most-1)])
	}
	return chosen
}

// samePages asks for pages again, in a process that has listed everything. Rows of
// other pages may come with them: a connector that is asked again may no longer
// know which rows the host has, and a row that comes twice does no harm.
func samePages(ctx context.Context, s *Suite) (string, error) {
	process, err := s.configured(ctx)
	if err != nil {
		return "", err
	}
	again, err := crawl(ctx, process.Conn())
	if err != nil {
		return "", err
	}
	places := again.sample(sampledPages, 0)
	for _, at := range places {
		before := at.list.pages[at.page]
		read, err := at.list.read(ctx, process.Conn(), before.token)
		if err != nil {
			return "", fmt.Errorf("page %d of %w when it is asked for again", at.page+1, err)
		}
		asked := map[string]bool{}
		add(asked, []page{read})
		all := map[string]bool{}
		add(all, at.list.pages)
		if fresh := without(asked, all); len(fresh) > 0 {
			return "", fmt.Errorf("page %d of %s has %d rows that are on no page otherwise when it is asked for again, %q among them", at.page+1, at.list, len(fresh), fresh[0])
		}
		was := map[string]bool{}
		add(was, []page{before})
		if lost := without(was, asked); len(lost) > 0 {
			return "", fmt.Errorf("page %d of %s lacks %d of %d rows when it is asked for again, %q among them", at.page+1, at.list, len(lost), len(was), lost[0])
		}
	}
	return fmt.Sprintf("%d pages had the same rows when they were asked for again", len(places)), nil
}

// resumeAnywhere goes on from page tokens in a process that has listed nothing
// before.
func resumeAnywhere(ctx context.Context, s *Suite) (string, error) {
	places := s.world.sample(sampledResumes, 1)
	if len(places) == 0 {
		return "", skip("every list has a single page; a test app with more rows would show more")
	}
	process, err := s.configured(ctx)
	if err != nil {
		return "", err
	}
	for _, at := range slices.Backward(places) {
		list, err := readFrom(ctx, process.Conn(), at.list.listing, at.list.pages[at.page].token)
		if err != nil {
			return "", fmt.Errorf("from page %d in another process, %w", at.page+1, err)
		}
		if err := same(at.list, at.list.pages[:at.page], list.pages); err != nil {
			return "", fmt.Errorf("from page %d in another process, %w", at.page+1, err)
		}
	}
	return fmt.Sprintf("another process went on from %d page tokens and found every row", len(places)), nil
}

// same compares the whole list with its beginning and what was read in place of
// the rest.
func same(whole *readList, begun, rest []page) error {
	before, found := map[string]bool{}, map[string]bool{}
	add(before, whole.pages)
	add(found, begun)
	add(found, rest)
	if lost := without(before, found); len(lost) > 0 {
		return fmt.Errorf("%s lacks %d of %d rows, %q among them", whole.listing, len(lost), len(before), lost[0])
	}
	if more := without(found, before); len(more) > 0 {
		return fmt.Errorf("%s has %d rows that it does not have otherwise, %q among them", whole.listing, len(more), more[0])
	}
	return nil
}

// killAndGoOn kills a process while it lists, and goes on with the next one.
func killAndGoOn(ctx context.Context, s *Suite) (string, error) {
	whole := s.world.longest()
	process, err := s.configured(ctx)
	if err != nil {
		return "", err
	}
	begun := &readList{listing: whole.listing}
	token := ""
	for len(begun.pages) < len(whole.pages)/2 {
		read, err := whole.read(ctx, process.Conn(), token)
		if err != nil {
			return "", err
		}
		begun.pages = append(begun.pages, read)
		if token = read.next; token == "" {
			break
		}
	}
	if token == "" && len(begun.pages) > 0 {
		return "", fmt.Errorf("%s ends earlier than before, after %d pages", whole, len(begun.pages))
	}
	// A call that is under way when the process is killed: what it answers, if it
	// does, is thrown away.
	called := make(chan struct{})
	go func() {
		defer close(called)
		_, _ = whole.read(ctx, process.Conn(), token)
	}()
	process.Kill()
	for _, gone := range []<-chan struct{}{called, process.Exited()} {
		select {
		case <-gone:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}

	next, err := s.configured(ctx)
	if err != nil {
		return "", fmt.Errorf("after a process was killed, the next one: %w", err)
	}
	rest, err := readFrom(ctx, next.Conn(), whole.listing, token)
	if err != nil {
		return "", fmt.Errorf("after a process was killed, in the next one %w", err)
	}
	if err := same(whole, begun.pages, rest.pages); err != nil {
		return "", fmt.Errorf("after a process was killed, in the next one %w", err)
	}
	return fmt.Sprintf("after a kill behind page %d of %d of %s, the next process found the rest", len(begun.pages), len(whole.pages), whole), nil
}

// longest is the list with the most pages.
func (w *world) longest() *readList {
	return slices.MaxFunc(w.lists, func(a, b *readList) int { return len(a.pages) - len(b.pages) })
}
