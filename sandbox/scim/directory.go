package scim

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// directory holds the accounts in the order in which they are listed. What is
// stored is never changed in place, only replaced, so that a page taken from it
// stays valid without the lock.
type directory struct {
	mu       sync.RWMutex
	accounts []Account
	// position is where each id stands in accounts.
	position map[string]int
}

func newDirectory(accounts []Account) *directory {
	d := &directory{accounts: accounts, position: make(map[string]int, len(accounts))}
	d.index(0)
	return d
}

// index notes where the accounts stand from a position on.
func (d *directory) index(from int) {
	for i := from; i < len(d.accounts); i++ {
		d.position[d.accounts[i].ID] = i
	}
}

// page is up to count accounts from a 1-based index on, and how many there are
// in all. It costs what the page holds, not what the directory holds.
func (d *directory) page(startIndex, count int) ([]Account, int) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	total := len(d.accounts)
	start := min(startIndex-1, total)
	return slices.Clone(d.accounts[start : start+min(count, total-start)]), total
}

func (d *directory) get(id string) (Account, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	at, found := d.position[id]
	if !found {
		return Account{}, false
	}
	return d.accounts[at], true
}

func (d *directory) all() []Account {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := make([]Account, len(d.accounts))
	for i, account := range d.accounts {
		all[i] = account.clone()
	}
	return all
}

func (d *directory) add(account Account) error {
	if account.ID == "" {
		return errors.New("add an account: it has no id")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, exists := d.position[account.ID]; exists {
		return fmt.Errorf("add an account: there is one with the id %q already", account.ID)
	}
	d.accounts = append(d.accounts, account.clone())
	d.index(len(d.accounts) - 1)
	return nil
}

func (d *directory) update(account Account) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, found := d.position[account.ID]
	if !found {
		return fmt.Errorf("update an account: there is none with the id %q", account.ID)
	}
	d.accounts[at] = account.clone()
	return nil
}

func (d *directory) remove(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, found := d.position[id]
	if !found {
		return fmt.Errorf("remove an account: there is none with the id %q", id)
	}
	delete(d.position, id)
	d.accounts = slices.Delete(d.accounts, at, at+1)
	d.index(at)
	return nil
}
