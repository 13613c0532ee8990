package population

import (
	"context"
	"fmt"
	"slices"

	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// Where is on which side an account or a row is.
type Where string

// An account or a row has no counterpart on the other side, or nothing to be compared by.
const (
	OnlyInFile    Where = "only in the sync file"
	OnlyInCSV     Where = "only in the CSV file"
	NotComparable Where = "cannot be compared"
)

// Difference is an account or a row without a counterpart.
type Difference struct {
	Where Where `json:"where"`
	// App is that of the accounts which are compared.
	App string `json:"app"`
	// Account is one of the sync file; nil for a row of the CSV file.
	Account *syncfile.Account `json:"account,omitempty"`
	// Row is one of the CSV file; nil for an account.
	Row *Row `json:"row,omitempty"`
}

// Count are the numbers of one app.
type Count struct {
	App
	// Both is how many accounts are in the CSV file too.
	Both       int `json:"in_both"`
	OnlyInFile int `json:"only_in_file"`
	OnlyInCSV  int `json:"only_in_csv"`
	// AccountsWithoutKey and RowsWithoutKey are how many cannot be compared.
	AccountsWithoutKey int `json:"accounts_not_comparable"`
	RowsWithoutKey     int `json:"rows_not_comparable"`
	// RepeatedAccounts and RepeatedRows are how many have what one before them has.
	RepeatedAccounts int `json:"accounts_repeated"`
	RepeatedRows     int `json:"rows_repeated"`
	// ByExternalID reports that it is the external ids of the accounts that are compared.
	ByExternalID bool `json:"by_external_id,omitempty"`
}

// Agrees reports whether every account and every row has a counterpart.
func (c Count) Agrees() bool {
	return c.OnlyInFile+c.OnlyInCSV+c.AccountsWithoutKey+c.RowsWithoutKey == 0
}

// Result is what is known when all differences have been given.
type Result struct {
	// Column is the column that was compared, as the CSV file names it.
	Column string
	// Counts are by app, in alphabetical order.
	Counts []Count
}

// Agrees reports whether every account and every row has a counterpart.
func (r *Result) Agrees() bool {
	return !slices.ContainsFunc(r.Counts, func(c Count) bool { return !c.Agrees() })
}

// Compare gives every difference between a sync file and a CSV file to each, by app: first
// the accounts without a counterpart, in the order of the sync file, then the rows. Each app
// is compared with the whole CSV file. It stops at the first error.
//
// The CSV file and the accounts are in memory meanwhile.
func Compare(ctx context.Context, file *File, path string, by By, each func(Difference) error) (*Result, error) {
	rows, column, err := readCSV(ctx, path, by)
	if err != nil {
		return nil, err
	}
	if len(file.Apps()) == 0 {
		return nil, fmt.Errorf("%s has no type of accounts, so that nothing can be compared", file.path)
	}
	accounts := map[string][]syncfile.Account{}
	err = file.EachAccount(ctx, func(app App, account syncfile.Account) error {
		accounts[app.Name] = append(accounts[app.Name], account)
		return nil
	})
	if err != nil {
		return nil, err
	}
	result := &Result{Column: column}
	for _, app := range file.Apps() {
		one := &comparison{by: by, rows: rows, count: Count{App: app}, each: each}
		if err := one.run(accounts[app.Name]); err != nil {
			return nil, err
		}
		result.Counts = append(result.Counts, one.count)
	}
	return result, nil
}

// comparison is that of one app.
type comparison struct {
	by    By
	rows  []Row
	count Count
	each  func(Difference) error
}

func (c *comparison) run(accounts []syncfile.Account) error {
	listed, repeated := map[string]bool{}, make([]bool, len(c.rows))
	for i, row := range c.rows {
		repeated[i] = len(row.keys) > 0 && !slices.ContainsFunc(row.keys, func(key string) bool { return !listed[key] })
		if repeated[i] {
			c.count.RepeatedRows++
		}
		for _, key := range row.keys {
			listed[key] = true
		}
	}
	c.count.ByExternalID = c.by.Attribute == "id" && c.found(accounts, listed, true) > c.found(accounts, listed, false)

	known := map[string]bool{}
	for _, account := range accounts {
		keys := c.by.keysOf(account, c.count.ByExternalID)
		if slices.ContainsFunc(keys, func(key string) bool { return known[key] }) {
			c.count.RepeatedAccounts++
		}
		for _, key := range keys {
			known[key] = true
		}
		where := OnlyInFile
		switch {
		case len(keys) == 0:
			where = NotComparable
			c.count.AccountsWithoutKey++
		case slices.ContainsFunc(keys, func(key string) bool { return listed[key] }):
			c.count.Both++
			continue
		default:
			c.count.OnlyInFile++
		}
		if err := c.each(Difference{Where: where, App: c.count.Name, Account: &account}); err != nil {
			return err
		}
	}
	for i, row := range c.rows {
		where := OnlyInCSV
		switch {
		case repeated[i]:
			continue // Whoever it is was decided on.
		case len(row.keys) == 0:
			where = NotComparable
			c.count.RowsWithoutKey++
		case slices.ContainsFunc(row.keys, func(key string) bool { return known[key] }):
			continue
		default:
			c.count.OnlyInCSV++
		}
		if err := c.each(Difference{Where: where, App: c.count.Name, Row: &row}); err != nil {
			return err
		}
	}
	return nil
}

// found returns how many accounts are listed, by their ids or their external ids.
func (c *comparison) found(accounts []syncfile.Account, listed map[string]bool, external bool) int {
	n := 0
	for _, account := range accounts {
		if slices.ContainsFunc(c.by.keysOf(account, external), func(key string) bool { return listed[key] }) {
			n++
		}
	}
	return n
}
