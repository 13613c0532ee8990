package scim

import (
	"fmt"
	"slices"
	"sync"

	elimity "github.com/elimity-com/scim"
)

// listed is what a directory holds.
type listed[T any] interface {
	id() string
	clone() T
}

// directory holds accounts or groups in the order in which they are listed. What
// is stored is never changed in place, only replaced, so that a page taken from it
// stays valid without the lock.
type directory[T listed[T]] struct {
	// one is what messages call an entry.
	one string

	mu      sync.RWMutex
	entries []T
	// position is where each id is in entries.
	position map[string]int
}

func newDirectory[T listed[T]](one string, entries []T) *directory[T] {
	d := &directory[T]{one: one, entries: entries, position: make(map[string]int, len(entries))}
	d.index(0)
	return d
}

// index notes where the entries stand from a position on.
func (d *directory[T]) index(from int) {
	for i := from; i < len(d.entries); i++ {
		d.position[d.entries[i].id()] = i
	}
}

// page is up to count entries from a 1-based index on, and how many there are
// in all. It costs what the page holds, not what the directory holds.
func (d *directory[T]) page(startIndex, count int) ([]T, int) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	total := len(d.entries)
	start := min(startIndex-1, total)
	return slices.Clone(d.entries[start : start+min(count, total-start)]), total
}

// listing is the page that is asked for, in the order that is asked for, and how many
// entries there are in all.
func (d *directory[T]) listing(params elimity.ListRequestParams, asked order, keys sortKeys[T]) ([]T, int, error) {
	if asked.by == "" {
		page, total := d.page(params.StartIndex, params.Count)
		return page, total, nil
	}
	entries, err := keys.sorted(d.all(), asked)
	if err != nil {
		return nil, 0, err
	}
	total := len(entries)
	start := min(params.StartIndex-1, total)
	return entries[start : start+min(params.Count, total-start)], total, nil
}

func (d *directory[T]) get(id string) (T, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	at, found := d.position[id]
	if !found {
		var none T
		return none, false
	}
	return d.entries[at], true
}

func (d *directory[T]) all() []T {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := make([]T, len(d.entries))
	for i, entry := range d.entries {
		all[i] = entry.clone()
	}
	return all
}

func (d *directory[T]) add(entry T) error {
	if entry.id() == "" {
		return fmt.Errorf("add %s: it has no id", d.one)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, exists := d.position[entry.id()]; exists {
		return fmt.Errorf("add %s: there is one with the id %q already", d.one, entry.id())
	}
	d.entries = append(d.entries, entry.clone())
	d.index(len(d.entries) - 1)
	return nil
}

func (d *directory[T]) update(entry T) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, found := d.position[entry.id()]
	if !found {
		return fmt.Errorf("update %s: there is none with the id %q", d.one, entry.id())
	}
	d.entries[at] = entry.clone()
	return nil
}

func (d *directory[T]) remove(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, found := d.position[id]
	if !found {
		return fmt.Errorf("remove %s: there is none with the id %q", d.one, id)
	}
	delete(d.position, id)
	d.entries = slices.Delete(d.entries, at, at+1)
	d.index(at)
	return nil
}
