package diff

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// Kind is what became of an account.
type Kind string

// An account is in the new file only, in the old one only, or in both and another.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Changed Kind = "changed"
)

// Difference is what is different about one account.
type Difference struct {
	Change Kind `json:"change"`
	// Account is the account as the new file has it, a removed one as the old file
	// has it.
	Account syncfile.Account `json:"account"`
	// Fields are what changed, for a changed one.
	Fields []Field `json:"fields,omitempty"`
}

// profilePrefix begins the names of fields of the profile.
const profilePrefix = "profile."

// Field is one thing that is different about an account: "status", "login", "email",
// "other_emails", "display_name", "profile." and the name of what else the app reports.
// A role that was granted or revoked is a field "role" that has only a new or an old
// value.
type Field struct {
	Field string `json:"field"`
	Old   string `json:"old"`
	New   string `json:"new"`
}

// Side is one of the two files.
type Side struct {
	Path       string    `json:"file"`
	FinishedAt time.Time `json:"finished_at"`
	// Full reports that its sync read everything.
	Full bool `json:"full"`
}

// Count is how many accounts of a resource type there are of each kind.
type Count struct {
	App          string `json:"app"`
	ResourceType string `json:"resource_type"`
	Added        int    `json:"added"`
	Removed      int    `json:"removed"`
	Changed      int    `json:"changed"`
	Same         int    `json:"same"`
}

// Result is what is known when all differences have been given.
type Result struct {
	Old, New Side
	// Counts are by resource type, in alphabetical order.
	Counts []Count
	// Notes are sentences about what to mind.
	Notes []string
}

// Files gives every difference to each: first what was added and changed, in the
// order of the new file, then what was removed, by resource type and id. It stops at
// the first error.
//
// It holds the old file's accounts and both files' grants to accounts in memory, in a
// compact form. It returns an error for files that are no sync files, and for those
// that have no type of accounts in common.
func Files(ctx context.Context, oldPath, newPath string, each func(Difference) error) (_ *Result, err error) {
	c := &comparison{each: each, counts: map[string]*Count{}, roles: newRoles()}
	for _, side := range []struct {
		path string
		into **namedFile
	}{{oldPath, &c.before}, {newPath, &c.after}} {
		file, err := syncfile.Open(ctx, side.path, os.TempDir())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, file.Close(ctx)) }()
		*side.into = &namedFile{File: file}
		if path, err := syncfile.BehindLinks(side.path); err == nil {
			(*side.into).known = baseline.At(path).Known()
		}
	}
	c.result = &Result{Old: sideOf(oldPath, c.before), New: sideOf(newPath, c.after)}
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	return c.result, nil
}

// namedFile is a sync file with what the record beside it knows.
type namedFile struct {
	*syncfile.File
	known baseline.Sync
}

// EachAccount calls each with every account, whose app is the plugin in the record if that
// has it.
func (f *namedFile) EachAccount(ctx context.Context, each func(syncfile.Account) error) error {
	return f.File.EachAccount(ctx, func(account syncfile.Account) error {
		account.App = cmp.Or(f.known.PluginOf(account.ResourceType), account.App)
		return each(account)
	})
}

func sideOf(path string, file *namedFile) Side {
	return Side{Path: path, FinishedAt: file.FinishedAt.UTC(), Full: file.Full}
}

// comparison is one comparison under way.
type comparison struct {
	before, after *namedFile
	each          func(Difference) error
	result        *Result
	counts        map[string]*Count // by resource type
	roles         *roles
}

func (c *comparison) run(ctx context.Context) error {
	if err := c.compareTypes(ctx); err != nil {
		return err
	}
	if err := c.noteTimes(ctx); err != nil {
		return err
	}
	if err := c.readRoles(ctx); err != nil {
		return err
	}

	old := map[string]syncfile.Account{}
	err := c.before.EachAccount(ctx, func(account syncfile.Account) error {
		old[keyOf(account)] = account
		return nil
	})
	if err != nil {
		return err
	}
	err = c.after.EachAccount(ctx, func(account syncfile.Account) error {
		key := keyOf(account)
		before, known := old[key]
		delete(old, key)
		if !known {
			c.count(account).Added++
			return c.each(Difference{Change: Added, Account: account})
		}
		fields := append(changes(before, account), c.roles.changes(ctx, c, key)...)
		if len(fields) == 0 {
			c.count(account).Same++
			return nil
		}
		c.count(account).Changed++
		return c.each(Difference{Change: Changed, Account: account, Fields: fields})
	})
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(old)) {
		c.count(old[key]).Removed++
		if err := c.each(Difference{Change: Removed, Account: old[key]}); err != nil {
			return err
		}
	}
	for _, count := range c.counts {
		c.result.Counts = append(c.result.Counts, *count)
	}
	slices.SortFunc(c.result.Counts, func(a, b Count) int { return cmp.Compare(a.ResourceType, b.ResourceType) })
	return nil
}

func keyOf(account syncfile.Account) string { return key(account.ResourceType, account.ID) }

// key parts the two, neither of which holds a zero byte.
func key(resourceType, id string) string { return resourceType + "\x00" + id }

func (c *comparison) count(account syncfile.Account) *Count {
	count, ok := c.counts[account.ResourceType]
	if !ok {
		count = &Count{App: account.App, ResourceType: account.ResourceType}
		c.counts[account.ResourceType] = count
	}
	return count
}

// changes returns what is different about an account itself. When a person last signed
// in is not among it: that changes every day and means nothing for access.
func changes(before, after syncfile.Account) []Field {
	var fields []Field
	for _, one := range []Field{
		{"status", before.Status, after.Status},
		{"login", before.Login, after.Login},
		{"email", before.Email, after.Email},
		{"other_emails", strings.Join(before.OtherEmails, " "), strings.Join(after.OtherEmails, " ")},
		{"display_name", before.DisplayName, after.DisplayName},
	} {
		if one.Old != one.New {
			fields = append(fields, one)
		}
	}
	if before.Profile == after.Profile {
		return fields
	}
	// Connectors repeat the login, the address and the name in the profile.
	reported := slices.Clone(fields)
	for _, one := range profileChanges(before.Profile, after.Profile) {
		if !slices.ContainsFunc(reported, func(other Field) bool { return one.Old == other.Old && one.New == other.New }) {
			fields = append(fields, one)
		}
	}
	return fields
}

// profileChanges returns what is different between two profiles: texts as they are,
// everything else as JSON.
func profileChanges(before, after string) []Field {
	var old, now map[string]any
	_ = json.Unmarshal([]byte(before), &old) // What is none was none.
	_ = json.Unmarshal([]byte(after), &now)
	var fields []Field
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if was, is := shown(old[name]), shown(now[name]); was != is {
			fields = append(fields, Field{profilePrefix + name, was, is})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, known := old[name]; !known && shown(now[name]) != "" {
			fields = append(fields, Field{profilePrefix + name, "", shown(now[name])})
		}
	}
	return fields
}

func shown(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	default:
		encoded, err := json.Marshal(value)
		if err != nil {
			return fmt.Sprint(value)
		}
		return string(encoded)
	}
}

// compareTypes refuses files of different apps, and notes the types of accounts that
// only one of them has.
func (c *comparison) compareTypes(ctx context.Context) error {
	before, err := c.before.AccountTypes(ctx)
	if err != nil {
		return err
	}
	after, err := c.after.AccountTypes(ctx)
	if err != nil {
		return err
	}
	common := false
	for id := range before {
		_, both := after[id]
		common = common || both
	}
	if !common {
		return fmt.Errorf("%s (%s) and %s (%s) have no type of accounts in common: they are of different apps or uploads, and cannot be compared",
			c.result.Old.Path, named(slices.Sorted(maps.Keys(before))), c.result.New.Path, named(slices.Sorted(maps.Keys(after))))
	}
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if _, both := after[id]; !both {
			c.note("only %s has accounts of the type %s; all of them count as removed", c.result.Old.Path, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(after)) {
		if _, both := before[id]; !both {
			c.note("only %s has accounts of the type %s; all of them count as added", c.result.New.Path, id)
		}
	}
	return nil
}

func named(types []string) string {
	if len(types) == 0 {
		return "no accounts"
	}
	return strings.Join(types, ", ")
}

// noteTimes notes what is to be known of the syncs themselves.
func (c *comparison) noteTimes(ctx context.Context) error {
	for _, one := range []struct {
		side Side
		file *namedFile
	}{{c.result.Old, c.before}, {c.result.New, c.after}} {
		began, err := one.file.Unfinished(ctx)
		if err != nil {
			return err
		}
		if !began.IsZero() {
			c.note("%s holds a sync that began at %s and was not finished; the one before it is compared", one.side.Path, began.UTC().Format(time.RFC3339))
		}
		if one.file.Kind == "partial" {
			c.note("the sync in %s is not of everything (partial): what it did not read looks as if it were not there", one.side.Path)
		}
	}
	if c.result.New.FinishedAt.Before(c.result.Old.FinishedAt) {
		c.note("%s is the older one of the two; the order on the command line is OLD, then NEW", c.result.New.Path)
	}
	return nil
}

func (c *comparison) note(format string, arguments ...any) {
	c.result.Notes = append(c.result.Notes, fmt.Sprintf(format, arguments...))
}
